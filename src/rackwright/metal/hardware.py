"""The hardware that a server turns out to have, by what its BMC states and by what the agent saw.

Every part that nobody spoke of is None, which is not the same as none.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30
MIB = 1 << 20
SERVICE_TAG = re.compile(r"[0-9A-Z]{7}")


@dataclass(frozen=True)
class Drive:
    """A physical drive: ``size`` in bytes; ``kind`` is ``NVMe``, ``SSD``, ``HDD`` or empty."""

    name: str
    size: int
    kind: str


@dataclass(frozen=True)
class Port:
    """A network port by its MAC in lower case: PCI id, highest speed in Mbit/s, both None where not told."""

    mac: str
    pci_id: str | None = None
    speed_mbps: int | None = None
    place: str = ""


@dataclass(frozen=True)
class Hardware:
    """What was found. ``cores`` and ``threads`` are of all sockets; ``dimms`` the sizes in MiB by slot;
    ``pci`` every device as ``vendor:device``; ``firmware`` versions by ``bios``, ``idrac``, ``perc``, ``gpu`` or a
    NIC's PCI id.
    """  # fmt: skip

    service_tag: str | None = None
    product: str | None = None
    cpu: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    memory_mib: int | None = None
    dimms: Mapping[str, int] | None = None
    drives: tuple[Drive, ...] | None = None
    ports: tuple[Port, ...] | None = None
    pci: tuple[str, ...] | None = None
    firmware: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def over(self, other: Hardware) -> Hardware:
        """What this one tells, and of the rest what the other tells."""
        mine = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        told = {name: value for name, value in mine.items() if value is not None and name != "firmware"}
        # One source knows the ports, another how fast they are.
        ports = _joined(self.ports, other.ports)
        return dataclasses.replace(
            other, **{**told, "ports": ports}, firmware={**other.firmware, **self.firmware}
        )


def _joined(mine: tuple[Port, ...] | None, others: tuple[Port, ...] | None) -> tuple[Port, ...] | None:
    if mine is None or others is None:
        return others if mine is None else mine
    known = {port.mac: port for port in others}
    return tuple(
        dataclasses.replace(
            port,
            pci_id=port.pci_id or known.get(port.mac, port).pci_id,
            speed_mbps=port.speed_mbps or known.get(port.mac, port).speed_mbps,
        )
        for port in mine
    )


def from_inventory(data: Mapping[str, Any]) -> Hardware:
    """Ironic's ``/v1/nodes/{id}/inventory``: the agent's inventory, or the smaller one of Redfish inspection.

    The shapes are those of ironic-python-agent 10.2 (``hardware.py``, collectors ``default`` and ``pci-devices``)
    and of Ironic 29's ``redfish`` inspect interface, whose serial number is the board's and whose product is
    ``System``.
    """
    inventory = _mapping(data.get("inventory"))
    extra = _mapping(data.get("plugin_data"))
    vendor, cpu, memory = (_mapping(inventory.get(key)) for key in ("system_vendor", "cpu", "memory"))
    serial, product = str(vendor.get("serial_number") or ""), str(vendor.get("product_name") or "")
    bios = _mapping(vendor.get("firmware")).get("version")
    pci = extra.get("pci_devices")
    return Hardware(
        service_tag=serial if SERVICE_TAG.fullmatch(serial) else None,
        product=product.partition(" (")[0] if product not in ("", "System") else None,
        cpu=cpu.get("model_name") or None,
        sockets=cpu.get("socket_count") or None,
        threads=cpu.get("count") or None,
        memory_mib=_memory(memory),
        drives=_drives(inventory.get("disks")),
        ports=_agent_ports(inventory.get("interfaces"), pci),
        pci=tuple(_id(one.get("vendor_id"), one.get("product_id")) for one in pci) if pci else None,
        firmware={"bios": (str(bios),)} if bios else {},
    )


def _memory(memory: Mapping[str, Any]) -> int | None:
    """``physical_mb`` is what the firmware says, ``total`` what the kernel has left of it, in bytes."""
    if memory.get("physical_mb"):
        return int(memory["physical_mb"])
    return int(memory["total"]) // MIB if memory.get("total") else None


def _drives(disks: Sequence[Mapping[str, Any]] | None) -> tuple[Drive, ...] | None:
    if disks is None:
        return None
    return tuple(
        Drive(str(disk.get("name")), int(disk.get("size") or 0), _block_kind(disk))
        for disk in disks
    )  # fmt: skip


def _block_kind(disk: Mapping[str, Any]) -> str:
    if "nvme" in str(disk.get("name")) or "PCIe SSD" in str(disk.get("name")):
        return "NVMe"
    return {True: "HDD", False: "SSD"}.get(disk.get("rotational"), "")  # type: ignore[arg-type]


def _agent_ports(
    interfaces: Sequence[Mapping[str, Any]] | None, pci: Sequence[Mapping[str, Any]] | None
) -> tuple[Port, ...] | None:
    if interfaces is None:
        return None
    ids = {one.get("bus"): _id(one.get("vendor_id"), one.get("product_id")) for one in pci or ()}
    return tuple(
        Port(
            str(one["mac_address"]).lower(),
            ids.get(one.get("pci_address")) or _ids_of(one),
            one.get("speed_mbps") or None,
            str(one.get("name") or ""),
        )
        for one in interfaces
        if one.get("mac_address")
    )


def _ids_of(interface: Mapping[str, Any]) -> str | None:
    """The agent gives sysfs' ids with 0x before them."""
    return _id(interface.get("vendor"), interface.get("product")) if interface.get("vendor") else None


def from_components(components: Iterable[Mapping[str, Any]]) -> Hardware:
    """Ironic's ``/v1/nodes/{id}/firmware``: the components ``bios`` and ``bmc``."""
    names = {"bios": "bios", "bmc": "idrac"}
    return Hardware(
        firmware={
            names[str(one["component"])]: (str(one["current_version"]),)
            for one in components
            if one.get("component") in names and one.get("current_version")
        }
    )


def from_redfish(stated: Mapping[str, Mapping[str, Any]]) -> Hardware:
    """Redfish resources by ``@odata.id``, as an iDRAC9 gives them; each is known by its ``@odata.type``."""
    system = next(_of(stated, "ComputerSystem"), {})
    chips = [one for one in _of(stated, "Processor") if one.get("ProcessorType", "CPU") == "CPU"]
    modules = [one for one in _of(stated, "Memory") if one.get("CapacityMiB")]
    drives = [
        Drive(str(one.get("Id")), int(one.get("CapacityBytes") or 0), _drive_kind(one))
        for one in _of(stated, "Drive")
    ]
    functions = [
        _id(one.get("VendorId"), one.get("DeviceId"))
        for one in _of(stated, "PCIeFunction")
        # Each of a device's functions is one; only the first counts the device.
        if one.get("VendorId") and str(one.get("Id", "")).rpartition("-")[2] in ("", "0")
    ]
    summary = _mapping(system.get("ProcessorSummary"))
    return Hardware(
        service_tag=system.get("SKU") or None,
        product=system.get("Model") or None,
        cpu=next((one["Model"] for one in chips if one.get("Model")), None) or summary.get("Model") or None,
        sockets=len(chips) or summary.get("Count") or None,
        cores=sum(int(one.get("TotalCores") or 0) for one in chips) or None,
        threads=sum(int(one.get("TotalThreads") or 0) for one in chips) or None,
        memory_mib=sum(int(one["CapacityMiB"]) for one in modules) or None,
        dimms={str(one.get("Id")): int(one["CapacityMiB"]) for one in modules} or None,
        drives=tuple(drives) or None,
        ports=tuple(_stated_ports(stated)) or None,
        pci=tuple(functions) or None,
        firmware=_stated_firmware(stated, system),
    )


def _drive_kind(drive: Mapping[str, Any]) -> str:
    if drive.get("Protocol") in ("NVMe", "PCIe"):
        return "NVMe"
    return str(drive.get("MediaType") or "")


def _stated_ports(stated: Mapping[str, Mapping[str, Any]]) -> Iterator[Port]:
    """Functions of adapters know their PCI ids; the system's interfaces only their MACs."""
    seen = set()
    for one in _of(stated, "NetworkDeviceFunction"):
        ethernet, nic = _mapping(one.get("Ethernet")), _dell(one, "DellNIC")
        mac = str(ethernet.get("PermanentMACAddress") or ethernet.get("MACAddress") or "").lower()
        if mac and mac not in seen:
            seen.add(mac)
            pci_id = _id(nic.get("PCIVendorID"), nic.get("PCIDeviceID")) if nic.get("PCIVendorID") else None
            yield Port(mac, pci_id, None, str(one.get("Id") or ""))
    for one in _of(stated, "EthernetInterface"):
        mac = str(one.get("PermanentMACAddress") or one.get("MACAddress") or "").lower()
        if mac and mac not in seen and "/Systems/" in str(one.get("@odata.id")):
            seen.add(mac)
            yield Port(mac, None, None, str(one.get("Id") or ""))


def _stated_firmware(
    stated: Mapping[str, Mapping[str, Any]], system: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """The installed versions; an iDRAC's ids are ``Installed-<software>-<version>__<part>``."""
    adapters = {
        str(one.get("Id")): _id(nic.get("PCIVendorID"), nic.get("PCIDeviceID"))
        for one in _of(stated, "NetworkDeviceFunction")
        if (nic := _dell(one, "DellNIC")).get("PCIVendorID")
    }
    found: dict[str, list[str]] = {}
    for one in _of(stated, "SoftwareInventory"):
        state, _, rest = str(one.get("Id")).partition("-")
        part = rest.rpartition("__")[2]
        if state == "Installed" and one.get("Version") and (name := _component(part, adapters)):
            found.setdefault(name, []).append(_makers(name, str(one["Version"])))
    if system.get("BiosVersion"):
        found.setdefault("bios", [str(system["BiosVersion"])])
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _makers(component: str, version: str) -> str:
    """A version as its maker writes it: Dell divides NVIDIA's last number, 26.47.2682 is 26.47.26.82 there."""
    divided = re.fullmatch(r"(\d+\.\d+)\.(\d\d)\.(\d\d)", version)
    return f"{divided[1]}.{divided[2]}{divided[3]}" if divided and component.startswith("15b3:") else version


def _component(part: str, adapters: Mapping[str, str]) -> str | None:
    kinds = {"BIOS": "bios", "iDRAC": "idrac", "RAID": "perc", "Video": "gpu", "ProcAccelerator": "gpu"}
    kind = part.partition(".")[0]
    if kind == "NIC":
        # One package is for all ports of the adapter; it is listed with each of them or with the first.
        return next((pci_id for name, pci_id in adapters.items() if name.startswith(part)), None)
    return kinds.get(kind)


def _of(stated: Mapping[str, Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    """The resources of a kind; an empty slot is none."""
    for one in stated.values():
        absent = _mapping(one.get("Status")).get("State") == "Absent"
        if not absent and str(one.get("@odata.type")).startswith(f"#{kind}."):
            yield one


def _dell(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(_mapping(_mapping(resource.get("Oem")).get("Dell")).get(name))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(vendor: Any, device: Any) -> str:
    """``0x10DE`` and ``2331`` → ``10de:2331``."""
    return ":".join(str(one).lower().removeprefix("0x").rjust(4, "0") for one in (vendor, device))
