"""What a virtual BMC says that its server is made of.

``BmcConfig.hardware`` may give (each key overrides the profile's)::

    cpus:     {count, model, cores, threads, mhz}
    dimms:    {count, size_gb, speed_mts, missing: ["A3"]}
    disks:    [{size_gb, kind: NVMe|SSD|HDD, controller: none|PERC H755}]
    nics:     [{port: lom1, mac, product, speed_gbps, pci_id: "14e4:165f", link: true}]
    gpus:     [{product, pci_id, memory_mib}]
    firmware: {bios, idrac, …}
    macs:     {lom1: mac, …}                       addresses of the profile's own ports
    differences: {missing_dimms: ["A3"], gpus: 3, disk_gb: 100, firmware: {bios: …}, nics: {ocp1: {pci_id: …}}}

``differences`` is laid over all the rest: a server that is not what the profile wants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rackwright.catalog import builtin

#: What a server has when its configuration says nothing: versions of the design's time, as Dell numbers them.
FIRMWARE = {
    "bios": "2.7.5",
    "idrac": "7.10.90.00",
    "cpld": "1.1.4",
    "nic": "26.47.26.82",
    "perc": "52.26.0-5179",
}

FORMS = {"lom": "NIC.Embedded.{0}-1-1", "ocp": "NIC.Integrated.1-{0}-1", "nic": "NIC.Slot.1-{0}-1"}


@dataclass(frozen=True)
class Disk:
    """A drive: ``bay`` counts from 0; ``controller`` is an id of the storage collection; size in GB (10^9)."""

    bay: int
    size_gb: int
    kind: str
    controller: str

    @property
    def id(self) -> str:
        """Dell's name of the drive (FQDD)."""
        return f"Disk.Bay.{self.bay}:Enclosure.Internal.0-1" + (
            f":{self.controller}" if self.controller.startswith("RAID") else ""
        )


@dataclass(frozen=True)
class Nic:
    """A port of a network adapter; ``pci_id`` is vendor:device in hexadecimal."""

    port: str
    mac: str
    product: str
    speed_gbps: int
    pci_id: str
    link: bool

    @property
    def id(self) -> str:
        """Dell's name of the port (FQDD)."""
        return FORMS.get(self.port[:3], "NIC.Slot.9-{0}-1").format(self.port[3:] or "1")

    @property
    def adapter(self) -> str:
        """Dell's name of the adapter that the port belongs to."""
        return self.id.split("-")[0]


@dataclass(frozen=True)
class Gpu:
    """An accelerator."""

    slot: int
    product: str
    pci_id: str
    memory_mib: int

    @property
    def id(self) -> str:
        """Dell's name of the accelerator (FQDD)."""
        return f"Video.Slot.{self.slot}-1"


@dataclass(frozen=True)
class Hardware:
    """All of a server; ``dimms`` are slots (``A1``) with size in GiB."""

    cpu_count: int
    cpu_model: str
    cores: int
    threads: int
    mhz: int
    dimms: Mapping[str, int]
    dimm_speed: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    gpus: tuple[Gpu, ...]
    firmware: Mapping[str, str]
    power_supplies: int

    @property
    def memory_gib(self) -> int:
        """All DIMMs together."""
        return sum(self.dimms.values())

    @property
    def controllers(self) -> tuple[str, ...]:
        """Ids of the storage controllers that have drives."""
        return tuple(dict.fromkeys(disk.controller for disk in self.disks))


def slots(count: int, sockets: int) -> list[str]:
    """Names of the first DIMM slots: A1, A2 … of the first socket, B1 … of the second."""
    each = -(-count // sockets) if sockets else count
    return [f"{'AB'[min(i // each, 1)]}{i % each + 1}" for i in range(count)] if count else []


def controller_id(name: str) -> str:
    """Dell's name of a controller: a PERC H755 in the front, or the CPU's own PCIe lanes for NVMe."""
    return "RAID.SL.3-1" if name.upper().startswith("PERC") else "CPU.1"


def _mac(tag: str, port: str) -> str:
    digest = hashlib.sha256(f"{tag}/{port}".encode()).digest()
    return ":".join(["b0", "7b", "25", *(f"{b:02x}" for b in digest[:3])])


def from_profile(profile: str, tag: str, macs: Mapping[str, str]) -> dict[str, Any]:
    """The profile's hardware as configuration; ports are those named in ``macs``, or the profile's usual ones."""
    catalogue = builtin()
    server = catalogue.servers[profile]
    dimms = server.dimms
    option = server.gpus[0] if server.gpus else None
    gpu = catalogue.gpus[option.product] if option else None
    nics = []
    for name in macs or server.usual_ports:
        port = server.ports[name]
        nic = catalogue.nics[port.product]
        nics.append(
            {
                "port": name,
                "mac": macs.get(name) or _mac(tag, name),
                "product": nic.product,
                "speed_gbps": port.speed_gbps,
                "pci_id": nic.pci_ids[0],
            }
        )
    return {
        "cpus": {
            "count": server.cpu.sockets,
            "model": server.cpu.product,
            "cores": server.cpu.cores,
            "threads": server.cpu.threads,
            "mhz": round((server.cpu.base_ghz or 2.0) * 1000),
        },
        "dimms": {"count": dimms.count, "size_gb": dimms.size_gb, "speed_mts": dimms.speed_mts}
        if dimms
        else {},
        "disks": [
            {
                "size_gb": server.disks.size_gb,
                "kind": server.disks.kind,
                "controller": server.disks.controller,
            }
        ]
        * server.disks.count,
        "nics": nics,
        "gpus": [{"product": gpu.product, "pci_id": gpu.pci_ids[0], "memory_mib": gpu.memory_mib}]
        * option.counts[0]
        if gpu and option
        else [],
        "power_supplies": server.psu.count if server.psu else 2,
    }


def hardware_of(given: Mapping[str, Any], profile: str, tag: str) -> Hardware:
    """The server of a BMC's configuration."""
    known = profile in builtin().servers
    data: dict[str, Any] = from_profile(profile if known else "r660", tag, given.get("macs", {}))
    data |= {key: value for key, value in given.items() if key not in ("macs", "differences", "firmware")}
    other = given.get("differences", {})
    cpus, dimms = data["cpus"], {"count": 8, "size_gb": 16, "speed_mts": 4800, **data["dimms"]}
    gone = {*dimms.get("missing", ()), *other.get("missing_dimms", ())}
    gpus = data["gpus"][: other["gpus"]] if "gpus" in other else data["gpus"]
    return Hardware(
        cpu_count=cpus.get("count", 1),
        cpu_model=cpus.get("model", "Intel Xeon"),
        cores=cpus.get("cores", 16),
        threads=cpus.get("threads", 32),
        mhz=cpus.get("mhz", 2500),
        dimms={
            slot: dimms["size_gb"] for slot in slots(dimms["count"], cpus.get("count", 1)) if slot not in gone
        },
        dimm_speed=dimms["speed_mts"],
        disks=tuple(
            Disk(
                bay,
                int(other.get("disk_gb", disk["size_gb"])),
                "NVMe" if str(disk.get("kind", "")).upper().startswith("NVME") else disk.get("kind", "SSD"),
                controller_id(disk.get("controller", "none")),
            )
            for bay, disk in enumerate(data["disks"])
        ),
        nics=tuple(_nic(tag, nic | other.get("nics", {}).get(nic["port"], {})) for nic in data["nics"]),
        gpus=tuple(
            Gpu(
                slot,
                g.get("product", "NVIDIA GPU"),
                g.get("pci_id", "10de:2330"),
                int(g.get("memory_mib", 81559)),
            )
            for slot, g in enumerate(gpus, 1)
        ),
        firmware={**FIRMWARE, **given.get("firmware", {}), **other.get("firmware", {})},
        power_supplies=int(data.get("power_supplies", 2)),
    )


def _nic(tag: str, data: Mapping[str, Any]) -> Nic:
    return Nic(
        port=data["port"],
        mac=str(data.get("mac") or _mac(tag, data["port"])).lower(),
        product=data.get("product", "Broadcom 5720 Dual Port 1 GbE"),
        speed_gbps=int(data.get("speed_gbps", 1)),
        pci_id=data.get("pci_id", "14e4:165f"),
        link=bool(data.get("link", True)),
    )


def system_uuid(tag: str) -> str:
    """The UUID that Dell's SMBIOS derives from a service tag: "DELL" and the tag's characters, interleaved."""
    t = [f"{ord(c):02x}" for c in tag.ljust(7, "0")[:7]]
    high = f"{(ord(tag.ljust(7, '0')[3]) | 0x80):02x}"
    return f"4c4c4544-00{t[0]}-{t[1]}10-80{t[2]}-{high}c04f{t[4]}{t[5]}{t[6]}"
