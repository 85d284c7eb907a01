"""Settings by profile, what of the BIOS differs, and the disks at the first boot."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from found_hardware import agent
from hypothesis import given
from hypothesis import strategies as st

from rackwright.catalog import builtin
from rackwright.metal.settings import compare_bios, declared, root_device, target_raid
from rackwright.metal.storage import cloud_config
from rackwright.site import load_site

SITE = load_site("reference")
NODES = {node.profile: node for node in SITE.nodes}
#: Entries of an iDRAC9's BiosAttributeRegistry, cut to what is read.
REGISTRY: list[dict[str, Any]] = [
    {
        "AttributeName": "SysProfile",
        "Type": "Enumeration",
        "ReadOnly": False,
        "ResetRequired": True,
        "Value": [
            {"ValueName": "PerfOptimized", "ValueDisplayName": "Performance"},
            {"ValueName": "PerfPerWattOptimizedDapc", "ValueDisplayName": "Performance Per Watt (DAPC)"},
        ],
    },
    {"AttributeName": "SystemServiceTag", "Type": "String", "ReadOnly": True},
    {"AttributeName": "AssetTag", "Type": "String", "ReadOnly": False, "ResetRequired": False},
]


@pytest.mark.parametrize("profile", sorted(NODES))
def test_every_profile_says_what_its_bios_is_to_be(profile: str) -> None:
    found = declared(SITE, NODES[profile])
    cpu = builtin().servers[profile].cpu
    assert (found.boot_mode, found.secure_boot) == ("uefi", False)
    assert found.bios["SriovGlobalEnable"] == found.bios["ProcVirtualization"] == "Enabled"
    # What the catalogue says of threads and NUMA nodes elsewhere is what the BIOS is told.
    assert found.bios["LogicalProc"] == ("Enabled" if cpu.threads == 2 * cpu.cores else "Disabled")
    assert (found.bios["SubNumaCluster"] == "Disabled") == (cpu.numa_per_socket == 1)
    assert ("MmioAbove4Gb" in found.bios) == (NODES[profile].gpus is not None)


def test_a_site_may_say_otherwise() -> None:
    found = declared(SITE, NODES["xe9680"], {"SecureBoot": "Enabled", "ProcCStates": "Disabled"})
    assert found.secure_boot
    assert found.bios["ProcCStates"] == "Disabled"
    assert found.bios["SysProfile"] == "PerfOptimized"


def test_only_the_controllers_disks_make_a_volume() -> None:
    assert {name for name, node in NODES.items() if declared(SITE, node).raid is not None} == {"r660"}
    (disk,) = target_raid(builtin().servers["r660"])["logical_disks"]  # type: ignore[index]
    assert (disk["raid_level"], disk["number_of_physical_disks"], disk["is_root_volume"]) == ("1+0", 4, True)
    # Two of four 960 GB disks: a stated size that fits, as the agent measures in GiB.
    assert 1700 < disk["size_gb"] < 2 * 960 * 10**9 >> 30


@pytest.mark.parametrize(("level", "size"), [("1+0", 1786), ("5", 2679), ("6", 1786)])
def test_another_level_has_its_own_size(level: str, size: int) -> None:
    (disk,) = target_raid(builtin().servers["r660"], level)["logical_disks"]  # type: ignore[index]
    assert (disk["raid_level"], disk["size_gb"]) == (level, size)


def test_no_level_and_wrong_levels() -> None:
    facts = builtin().servers["r660"]
    assert target_raid(facts, "none") is None
    for level in ("0", "1", "10"):
        with pytest.raises(ValueError, match="RAID"):
            target_raid(facts, level)


def test_only_what_differs_is_changed() -> None:
    wanted = {"SysProfile": "PerfOptimized", "BootMode": "Uefi", "AssetTag": "r1u3"}
    current = {
        "SysProfile": "PerfPerWattOptimizedDapc",
        "BootMode": "Uefi",
        "AssetTag": "",
        "AcPwrRcvryUserDelay": 60,
    }
    found = compare_bios(wanted, current, REGISTRY)
    assert found.faults == ()
    assert found.settings() == [
        {"name": "SysProfile", "value": "PerfOptimized"},
        {"name": "AssetTag", "value": "r1u3"},
    ]
    assert [change.reboot for change in found.changes] == [True, False]
    assert found.reboot
    again = compare_bios(wanted, {**current, **wanted}, REGISTRY)
    assert (again.changes, again.reboot) == ((), False)


def test_what_the_bios_does_not_take_is_said() -> None:
    wanted = {"SysProfil": "PerfOptimized", "SysProfile": "Turbo", "SystemServiceTag": "7XYZ999"}
    found = compare_bios(wanted, {"SysProfile": "Custom", "SystemServiceTag": "7ABC123"}, REGISTRY)
    assert found.changes == ()
    assert found.faults == (
        "the BIOS has no attribute SysProfil: the profile is of another model or generation; did you mean SysProfile?",
        "SysProfile takes PerfOptimized, PerfPerWattOptimizedDapc, not Turbo",
        "SystemServiceTag is 7ABC123 and can't be set: another attribute or a missing part locks it",
    )


def test_what_the_power_profile_locks_can_be_set_with_it() -> None:
    entry = {"AttributeName": "ProcCStates", "Type": "Enumeration", "ReadOnly": True, "ResetRequired": True}
    current = {"SysProfile": "PerfOptimized", "ProcCStates": "Disabled"}
    assert compare_bios({"ProcCStates": "Enabled"}, current, [entry]).faults
    both = compare_bios({"SysProfile": "Custom", "ProcCStates": "Enabled"}, current, [entry])
    assert (len(both.changes), both.faults) == (2, ())


def test_ironics_own_list_of_attributes_does_as_well() -> None:
    listed = [{"name": "BootMode", "value": "Bios", "allowable_values": ["Bios", "Uefi"], "read_only": False,
               "reset_required": True, "attribute_type": "Enumeration", "unique": None}]  # fmt: skip
    found = compare_bios({"BootMode": "Uefi"}, {"BootMode": "Bios"}, listed)
    assert [(one.attribute, one.current, one.declared) for one in found.changes] == [
        ("BootMode", "Bios", "Uefi")
    ]
    assert compare_bios({"BootMode": "UEFI"}, {"BootMode": "Bios"}, listed).faults


def test_nothing_known_changes_everything() -> None:
    assert len(compare_bios({"BootMode": "Uefi", "SecureBoot": "Disabled"}, {}).changes) == 2


names = st.text("ABCabc", min_size=1, max_size=4)


@given(st.dictionaries(names, names), st.dictionaries(names, names))
def test_what_is_changed_is_as_declared_afterwards(wanted: dict[str, str], current: dict[str, str]) -> None:
    first = compare_bios(wanted, current)
    after = {**current, **{one["name"]: one["value"] for one in first.settings()}}
    assert compare_bios(wanted, after).changes == ()
    assert {one.attribute for one in first.changes} | {
        k for k in wanted if current.get(k) == wanted[k]
    } <= set(wanted)


def test_the_operating_system_goes_to_the_first_slot() -> None:
    inventory = agent(NODES["xe9680"])
    inventory["inventory"]["disks"].reverse()
    stick = {"name": "/dev/sda", "size": 1 << 30, "by_path": "/dev/disk/by-path/pci-0000:00:14.0-usb-0:1"}
    inventory["inventory"]["disks"].append(stick)
    assert root_device(inventory) == {"serial": "s== S0"}
    for disk in inventory["inventory"]["disks"]:
        disk["serial"] = None
    assert root_device(inventory) == {"by_path": "s== /dev/disk/by-path/pci-0000:64:00.0-nvme-1"}
    assert root_device(agent(NODES["r660"])) == {}
    assert declared(SITE, NODES["xe9680"], inventory=inventory).root_device == root_device(inventory)


@pytest.mark.parametrize("profile", sorted(NODES))
def test_the_cloud_config_is_plain_data(profile: str) -> None:
    config = cloud_config(builtin().servers[profile])
    assert yaml.safe_load(yaml.safe_dump(config)) == json.loads(json.dumps(config)) == config
    assert bool(config) == (profile != "r660")


class Machine:
    """A machine of files: real sfdisk on them, the rest of the first boot's programs as stubs that write down."""

    def __init__(self, at: Path, disks: dict[str, int]) -> None:
        self.at, self.log = at, at / "log"
        (at / "bin").mkdir()
        (at / "by-path").mkdir()
        (at / "labels").mkdir()
        (at / "fstab").touch()
        self.log.touch()
        for slot, (name, size) in enumerate(disks.items()):
            with (at / name).open("wb") as file:
                file.truncate(size)
            (at / f"by-path/pci-0000:{slot:02x}:00.0-nvme-1").symlink_to(at / name)
            # udev of systemd 257 keeps a directory beside the links; a real blockdev fails on it.
            (at / f"by-path/pci-0000:{slot:02x}:00.0-nvme-1-part").mkdir()
        stubs = {
            "lsblk": "echo nvme0n1",
            "findmnt": f'case "$*" in "-nvo SOURCE /") echo /dev/nvme0n1p2 ;; *) grep -q "^mount $2$" {self.log} ;; esac',
            "blkid": f'ls "{at}/labels/$2" 2>/dev/null',
            "blockdev": '[ ! -d "$2" ] || exit 1; echo $(($(stat -c %s "$2") / 512))',
            "wipefs": '[ "$(head -c 1M "$2" | tr -d "\\0" | wc -c)" = 0 ] || echo something',
            "udevadm": "true",
            "mkfs.ext4": f'echo "mkfs $*" >>{self.log}; touch "{at}/labels/$3"',
            "mount": f'echo "mount $1" >>{self.log}',
            "mkdir": "true",
        }
        for name, body in stubs.items():
            path = at / "bin" / name
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def boot(self, profile: str = "xe9680") -> list[str]:
        """What was formatted and mounted at this start."""
        before = len(self.log.read_text().splitlines())
        (shell, flag, script) = cloud_config(builtin().servers[profile])["bootcmd"][0]
        script = script.replace("/dev/disk/by-path", f"{self.at}/by-path").replace(
            "/etc/fstab", f"{self.at}/fstab"
        )
        search = {**os.environ, "PATH": f"{self.at}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"}
        subprocess.run([shell, flag, script], check=True, env=search)
        return self.log.read_text().splitlines()[before:]


BOTH = {"nvme0n1": 8 << 30, "nvme1n1": 8 << 30}


def test_the_spare_disk_is_divided_formatted_and_mounted_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, BOTH)
    disk = tmp_path / "nvme1n1"
    assert machine.boot() == [
        f"mkfs -q -L containers {disk}p1",
        f"mkfs -q -L data {disk}p2",
        "mount /var/lib/containerd",
        "mount /var/lib/rackwright",
    ]
    search = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    said = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True, env=search)
    parts = json.loads(said.stdout)["partitiontable"]["partitions"]
    shares = [round(100 * part["size"] / ((8 << 30) / 512)) for part in parts]
    assert shares == [40, 60]
    fstab = (tmp_path / "fstab").read_text()
    assert fstab.count("LABEL=containers ") == fstab.count("LABEL=data ") == 1
    assert machine.boot() == []
    assert (tmp_path / "fstab").read_text() == fstab


def test_a_disk_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, BOTH)
    (tmp_path / "nvme1n1").write_bytes(b"precious" + bytes(1 << 20))
    assert machine.boot() == []
    assert (tmp_path / "nvme1n1").read_bytes().startswith(b"precious")


def test_kept_volumes_are_mounted_as_they_are(tmp_path: Path) -> None:
    machine = Machine(tmp_path, BOTH)
    machine.boot()
    machine.log.write_text("")
    (tmp_path / "fstab").write_text("")
    assert machine.boot() == ["mount /var/lib/containerd", "mount /var/lib/rackwright"]


def test_a_server_without_a_spare_disk_starts_all_the_same(tmp_path: Path) -> None:
    assert Machine(tmp_path, {"nvme0n1": 8 << 30}).boot() == []
