"""What the virtual BMC tells QEMU; that QEMU does it is shown by the lab."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

from rackwright.lab.bmc.machine import Boot, Context
from rackwright.lab.bmc.qemu import QemuMachine, command, disk_sizes

SETTINGS: dict[str, Any] = {
    "taps": [
        {"name": "t0", "mac": "b0:7b:25:00:00:01", "port": "lom1"},
        {"name": "t1", "mac": "b8:3f:d2:00:00:01", "port": "ocp1"},
    ],
    "disks": [{"size_gb": 20, "kind": "nvme"}, {"size_gb": 30, "kind": "virtio", "raid": True}],
    "memory_mib": 1024,
}


def context(folder: Path) -> Context:
    return Context(
        name="r660-1",
        service_tag="4MG9MP4",
        model="PowerEdge R660",
        uuid="4c4c4544-0034-4d10-8047-b9c04f4d5034",
        lock=RLock(),
        state=folder,
        memory={},
        starting=lambda why: Boot(()),
        event=lambda *a, **k: None,
    )


def line(folder: Path, boot: Boot) -> str:
    return " ".join(command(SETTINGS, context(folder), folder, boot))


def test_devices_are_tried_in_the_order_of_the_boot(tmp_path: Path) -> None:
    said = line(tmp_path, Boot(("nic:lom1", "disk:0")))
    first = next(part for part in said.split() if "mac=b0:7b:25:00:00:01" in part)
    second = next(part for part in said.split() if "mac=b8:3f:d2:00:00:01" in part)
    assert first.endswith(",bootindex=1")
    assert "bootindex" not in second
    assert "nvme,drive=d0,serial=4MG9MP4D00,bootindex=2" in said
    other = line(tmp_path, Boot(("cd", "disk:0", "nic:lom1"), media={"cd": tmp_path / "media-cd.img"}))
    assert "ide-cd,bus=ahci.0,drive=cdimage,id=cd,bootindex=1" in other
    assert f"file={tmp_path}/media-cd.img" in other


def test_a_disk_behind_the_controller_is_there_with_its_volume(tmp_path: Path) -> None:
    assert disk_sizes(SETTINGS, 0) == [20]
    assert disk_sizes(SETTINGS, 1) == [20, 30]
    assert "drive=d1" not in line(tmp_path, Boot(()))
    said = line(tmp_path, Boot(("disk:1",), volumes=(1920,)))
    assert "scsi-hd,bus=perc.0,drive=d1,id=raid1,serial=4MG9MP4D01,bootindex=1" in said


def test_the_disk_of_a_volume_comes_and_goes_while_the_machine_runs(tmp_path: Path) -> None:
    """With QEMU itself, which runs no guest meanwhile."""

    def serials() -> list[str]:
        assert machine._qmp is not None
        devices = machine._qmp.ask("qom-list", path="/machine/peripheral")
        paths = [f"/machine/peripheral/{d['name']}" for d in devices if d["name"].startswith("raid1")]
        return [machine._qmp.ask("qom-get", path=path, property="serial") for path in paths]

    disks = [{"size_gb": 1, "kind": "nvme"}, {"size_gb": 1, "kind": "virtio", "raid": True}]
    settings = {**SETTINGS, "taps": [], "disks": disks, "memory_mib": 128, "cpus": 1}
    machine = QemuMachine(
        settings, replace(context(tmp_path), starting=lambda why: Boot((), stop_in_setup=True))
    )
    try:
        machine.change_volumes(1)  # off: it sees them at its start
        assert not (tmp_path / "machine/disk1.qcow2").exists()
        machine.power_on()
        assert serials() == []
        for _ in range(2):
            machine.change_volumes(1)
            machine.change_volumes(1)
            assert serials() == ["4MG9MP4D01"]
            assert (tmp_path / "machine/disk1.qcow2").exists()
            machine.change_volumes(0)
            assert serials() == []
    finally:
        machine.power_off(graceful=False)
        machine.close()


def test_the_disk_of_a_volume_that_was_there_at_the_start_can_go_and_come(tmp_path: Path) -> None:
    disks = [{"size_gb": 1, "kind": "virtio", "raid": True}]
    settings = {**SETTINGS, "taps": [], "disks": disks, "memory_mib": 128, "cpus": 1}
    plan = Boot(("disk:0",), volumes=(1920,), stop_in_setup=True)
    machine = QemuMachine(settings, replace(context(tmp_path), starting=lambda why: plan))
    try:
        machine.power_on()
        machine.change_volumes(0)
        machine.change_volumes(1)
        assert machine._qmp is not None
        names = [d["name"] for d in machine._qmp.ask("qom-list", path="/machine/peripheral")]
        assert "raid0" in names
    finally:
        machine.power_off(graceful=False)
        machine.close()


def test_the_machine_is_the_server_that_the_site_names(tmp_path: Path) -> None:
    said = line(tmp_path, Boot(()))
    assert "product=PowerEdge R660,serial=4MG9MP4,uuid=4c4c4544-0034-4d10-8047-b9c04f4d5034" in said
    assert "OVMF_CODE_4M.fd" in said
    assert "OVMF_CODE_4M.secboot.fd" in line(tmp_path, Boot((), secure=True))
