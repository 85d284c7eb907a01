"""A machine that is a virtual one: QEMU with UEFI firmware, started and stopped as its BMC says.

Settings (see docs/reference/virtual-bmc.md)::

    taps:        [{name: t0, mac: …, port: lom1}]     in the order of the guest's PCI slots
    disks:       [{size_gb: 20, kind: nvme|virtio, raid: false}]
    memory_mib, cpus, netns, cgroup_procs: [files that get the process id], accelerator: tcg|kvm
    graceful_s:  how long a guest may take to shut down before it is left alone (default: for ever)

QEMU is started anew at every start, also when the guest reboots, because the firmware learns the boot order only
from the command line (``bootindex``). The process outlives the BMC's: a new one finds it by its QMP socket.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from rackwright.lab.bmc.machine import Boot, Context
from rackwright.lab.bmc.qmp import Qmp

#: Where Debian's package ovmf puts the firmware: code and the template of its variables, plain and secure boot.
OVMF = Path("/usr/share/OVMF")
FIRMWARE = {
    False: ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    True: ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
}

#: Puts the process into cgroups before it is QEMU, so that its memory is counted there from the beginning.
WRAPPER = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1"; shift; n=$((n-1)); done; exec "$@"'


#: Niceness of the first thread, set once the others are there.
CLOCK_PRIORITY = -10


class QemuMachine:
    """One virtual machine."""

    def __init__(self, settings: dict[str, Any], context: Context) -> None:
        self._settings = settings
        self._context = context
        self._folder = context.state / "machine"
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._socket = self._folder / "qmp"
        self._qmp: Qmp | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = ""  # what a graceful shutdown is to be followed by
        self._adopt()

    # ---- the process

    def _adopt(self) -> None:
        """Find the QEMU that an earlier BMC process left running."""
        pid_file = self._folder / "pid"
        if not pid_file.exists() or not self._ours(int(pid_file.read_text(encoding="ascii"))):
            return
        for _ in range(20):
            with contextlib.suppress(OSError):
                self._connect()
                return
            time.sleep(0.25)  # the earlier process may still hold the only connection
        self._kill()

    @property
    def console_file(self) -> Path:
        """All that the machine said on its serial port, all starts."""
        return self._folder / "console.log"

    def _connect(self) -> None:
        link: list[Qmp] = []
        self._qmp = Qmp(self._socket, lambda name, data: self._heard(link, name, data))
        link.append(self._qmp)
        if self._qmp.ask("query-status")["status"] == "shutdown":  # it stopped while nobody looked
            self._end()

    def _start(self, why: str) -> None:
        boot = self._context.starting(why)
        argv = command(self._settings, self._context, self._folder, boot)
        self._make_files(boot)
        self._socket.unlink(missing_ok=True)
        cgroups = [str(p) for p in self._settings.get("cgroup_procs", ())]
        wrapped = ["sh", "-c", WRAPPER, "sh", str(len(cgroups)), *cgroups]
        netns = self._settings.get("netns")
        if netns:
            wrapped += ["nsenter", f"--net=/run/netns/{netns}"]
        with (self._folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapped, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self._folder / "pid").write_text(f"{self._process.pid}\n", encoding="ascii")
        deadline = time.monotonic() + 30
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()
                self._kill()
                raise OSError(f"QEMU did not start: {said.splitlines()[-1] if said else 'it said nothing'}")
            time.sleep(0.02)
        # The machine's clocks live in its first thread alone. Where the processors' threads starve it, the guest's kernel
        # gives up: "IO-APIC + timer doesn't work!"
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, CLOCK_PRIORITY)
        self._connect()
        if boot.stop_in_setup:
            return
        assert self._qmp is not None  # noqa: S101 - just connected
        self._qmp.ask("cont")
        self._context.event("boot", order=list(boot.order), uefi=boot.uefi, pid=self._process.pid)

    def _make_files(self, boot: Boot) -> None:
        for number, size in enumerate(disk_sizes(self._settings, len(boot.volumes))):
            self._make_disk(number, size)
        variables = self._folder / f"nvram{'-secure' if boot.secure else ''}.fd"
        if not variables.exists():
            shutil.copyfile(OVMF / FIRMWARE[boot.secure][1], variables)

    def _make_disk(self, number: int, size: int) -> Path:
        file = disk_file(self._folder, number)
        if not file.exists():
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", str(file), f"{size}G"], check=True, timeout=60
            )
        return file

    def _end(self) -> None:
        """Stop QEMU, which has nothing left to do."""
        qmp, self._qmp = self._qmp, None
        if qmp is not None:
            with contextlib.suppress(OSError):
                qmp.ask("quit", seconds=3)
            qmp.close()
        self._kill()

    def _kill(self) -> None:
        """Make sure that the process is gone; only one that is still ours is touched."""
        process, self._process = self._process, None
        pid_file = self._folder / "pid"
        if process is not None:
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
        elif pid_file.exists():
            pid = int(pid_file.read_text(encoding="ascii"))
            deadline = time.monotonic() + 3
            while self._ours(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            if self._ours(pid):
                os.kill(pid, signal.SIGKILL)
        pid_file.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)

    def _ours(self, pid: int) -> bool:
        try:
            return str(self._socket).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def _heard(self, source: list[Qmp], name: str, data: dict[str, Any]) -> None:
        """An event of QEMU, in the connection's own thread."""
        if name not in ("SHUTDOWN", "GONE"):
            return
        with self._context.lock:
            if not source or source[0] is not self._qmp:
                return  # of a process that was given up
            reason = str(data.get("reason", "ended by itself"))
            self._context.event("machine stopped", reason=reason)
            self._end()
            again = reason.endswith("-reset") or self._wanted == "restart"
            self._wanted = ""
            if again:
                with contextlib.suppress(OSError):
                    self._start(reason)
                    return
            self._context.event("power", state="Off")

    # ---- what the BMC asks for

    def power_state(self) -> str:
        """See Machine."""
        return "On" if self._qmp is not None else "Off"

    def power_on(self) -> None:
        """See Machine."""
        if self._qmp is None:
            self._start("power on")

    def power_off(self, graceful: bool) -> None:
        """See Machine."""
        if self._qmp is None:
            return
        if graceful:
            self._ask_to_stop("")
            return
        self._end()
        self._context.event("power", state="Off")

    def reset(self, graceful: bool) -> None:
        """See Machine."""
        if graceful and self._qmp is not None:
            self._ask_to_stop("restart")
            return
        self._end()
        self._context.event("power", state="Off")
        self._start("reset")

    def _ask_to_stop(self, then: str) -> None:
        assert self._qmp is not None  # noqa: S101 - looked at by the callers
        self._wanted = then
        self._qmp.ask("system_powerdown")

    def insert_media(self, slot: str, path: Path | None) -> None:
        """See Machine."""
        if self._qmp is None:
            return
        if path is None:
            self._qmp.ask("eject", id=slot, force=True)
        else:
            self._qmp.ask("blockdev-change-medium", id=slot, filename=str(path), format="raw")

    def change_volumes(self, count: int) -> None:
        """See Machine."""
        if self._qmp is None:
            return
        sizes, plain = disk_sizes(self._settings, count), len(disk_sizes(self._settings, 0))
        devices = self._qmp.ask("qom-list", path="/machine/peripheral")
        there = {int(d["name"].removeprefix("raid")) for d in devices if d["name"].startswith("raid")}
        for number in there - set(range(plain, len(sizes))):
            self._qmp.ask("device_del", id=f"raid{number}")
            self._let_go(f"d{number}")
        for number in set(range(plain, len(sizes))) - there:
            file = {"driver": "file", "filename": str(self._make_disk(number, sizes[number]))}
            node: dict[str, Any] = {"driver": "qcow2", "node-name": f"d{number}", "file": file}
            self._qmp.ask("blockdev-add", **node, discard="unmap", cache={"direct": False, "no-flush": True})
            device: dict[str, Any] = {**volume(self._context.service_tag, number)}
            self._qmp.ask("device_add", **device)

    def _let_go(self, node: str) -> None:
        """Wait until QEMU has closed the file of a disk that was taken out; one of the start goes by itself."""
        assert self._qmp is not None  # noqa: S101 - looked at by the caller
        named: dict[str, Any] = {"node-name": node}
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._qmp.ask("blockdev-del", **named)
            known = {one["node-name"] for one in self._qmp.ask("query-named-block-nodes")}
            if node not in known | {one["device"] for one in self._qmp.ask("query-block")}:
                return
            time.sleep(0.05)
        raise OSError(f"QEMU does not let go of the disk {node}")

    def close(self) -> None:
        """See Machine."""
        qmp, self._qmp = self._qmp, None
        if qmp is not None:
            qmp.close()


def disk_file(folder: Path, number: int) -> Path:
    """Where the bytes of a disk are."""
    return folder / f"disk{number}.qcow2"


def volume(service_tag: str, number: int) -> dict[str, str]:
    """The device of a RAID volume: a SCSI disk, which Linux takes up while it runs, as it does a controller's."""
    serial = f"{service_tag}D{number:02d}"
    return {
        "driver": "scsi-hd",
        "bus": "perc.0",
        "drive": f"d{number}",
        "id": f"raid{number}",
        "serial": serial,
    }


def disk_sizes(settings: dict[str, Any], volumes: int) -> list[int]:
    """Sizes in GB of the disks that the guest has with so many RAID volumes: those of the settings, then the volumes.

    A disk with ``raid`` is what a volume is put on: there only while there is one, in the size that it says.
    """
    disks = settings.get("disks", [])
    plain = [int(d["size_gb"]) for d in disks if not d.get("raid")]
    behind = [int(d["size_gb"]) for d in disks if d.get("raid")]
    return plain + behind[:volumes]


def command(settings: dict[str, Any], context: Context, folder: Path, boot: Boot) -> list[str]:
    """QEMU's arguments for one start. The machine waits (``-S``) until it is told to go on."""
    code = OVMF / FIRMWARE[boot.secure][0]
    variables = folder / f"nvram{'-secure' if boot.secure else ''}.fd"

    def index(device: str) -> str:
        return f",bootindex={boot.order.index(device) + 1}" if device in boot.order else ""

    argv = [
        "qemu-system-x86_64",
        "-name",
        f"{context.name},process=rw-{context.name}"[:60],
        "-S",
        "-nodefaults",
    ]
    argv += [
        "-machine",
        f"q35,accel={settings.get('accelerator', 'tcg')},smm={'on' if boot.secure else 'off'}",
    ]
    argv += ["-cpu", "max", "-smp", str(settings.get("cpus", 2)), "-m", str(settings.get("memory_mib", 2048))]
    argv += ["-display", "none", "-vga", "none", "-no-reboot", "-no-shutdown"]
    argv += ["-global", "ICH9-LPC.disable_s3=1"]
    if boot.secure:
        argv += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
    argv += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    argv += ["-uuid", context.uuid]
    argv += ["-smbios", f"type=0,vendor=Dell Inc.,version={context.bios_version}"]
    argv += [
        "-smbios",
        f"type=1,manufacturer=Dell Inc.,product={context.model},serial={context.service_tag},uuid={context.uuid}",
    ]
    argv += ["-smbios", f"type=3,manufacturer=Dell Inc.,serial={context.service_tag}"]
    for entry in settings.get("fw_cfg", []):  # what a guest finds below /sys/firmware/qemu_fw_cfg
        argv += ["-fw_cfg", f"name={entry['name']},file={entry['file']}"]
    argv += ["-device", "virtio-rng-pci"]  # the firmware's network stack wants random numbers
    for number, tap in enumerate(settings.get("taps", [])):
        argv += ["-netdev", f"tap,id=n{number},ifname={tap['name']},script=no,downscript=no"]
        argv += [
            "-device",
            # A bond with LACP takes no port whose speed isn't known, and virtio states none by itself.
            f"virtio-net-pci,netdev=n{number},mac={tap['mac']},romfile=,duplex=full"
            f",speed={tap.get('speed_mbps', 1000)}{index('nic:' + tap['port'])}",
        ]
    kinds = [d.get("kind", "virtio") for d in settings.get("disks", []) if not d.get("raid")]
    if any(d.get("raid") for d in settings.get("disks", [])):
        argv += ["-device", "virtio-scsi-pci,id=perc"]
    for number in range(len(disk_sizes(settings, len(boot.volumes)))):
        if number < len(kinds):
            driver = "nvme" if kinds[number] == "nvme" else "virtio-blk-pci"
            device = f"{driver},drive=d{number},serial={context.service_tag}D{number:02d}"
        else:
            facts = volume(context.service_tag, number)
            device = ",".join([facts.pop("driver"), *(f"{name}={value}" for name, value in facts.items())])
        argv += [
            "-drive",
            f"if=none,id=d{number},file={disk_file(folder, number)},format=qcow2,cache=unsafe,discard=unmap",
            "-device",
            device + index(f"disk:{number}"),
        ]
    argv += ["-device", "qemu-xhci,id=usb", "-device", "ahci,id=ahci"]
    medium = boot.media.get("cd")
    argv += [
        "-drive",
        "if=none,id=cdimage,media=cdrom,readonly=on" + (f",file={medium},format=raw" if medium else ""),
    ]
    argv += ["-device", f"ide-cd,bus=ahci.0,drive=cdimage,id=cd{index('cd')}"]
    stick = boot.media.get("floppy")
    if stick:
        argv += ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={stick}"]
        argv += ["-device", f"usb-storage,bus=usb.0,drive=stick,id=floppy{index('floppy')}"]
    argv += ["-chardev", f"file,id=console,path={folder}/console.log,append=on", "-serial", "chardev:console"]
    return [*argv, "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
