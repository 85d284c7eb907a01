"""Servers as they are found: what an iDRAC9 states and what the agent sends, in their own shapes.

The Redfish shapes are those of iDRAC9 dumps of 15th and 16th generation servers (R650, R750), cut to what is read;
the agent's are the ``serializable_fields`` of ironic-python-agent 10.2's classes and its ``pci-devices`` collector.
"""

from __future__ import annotations

from typing import Any

from rackwright.catalog import Server, builtin
from rackwright.derive.model import Node

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
CHASSIS = "/redfish/v1/Chassis/System.Embedded.1"
FORMS = {"lom": "NIC.Embedded.{0}-1-1", "ocp": "NIC.Integrated.1-{0}-1", "nic": "NIC.Slot.5-{0}-1"}
#: Every part at what the newest release wants, or later; ConnectX as Dell writes it.
VERSIONS = {"14e4:165f": "22.91.5", "15b3:101f": "26.47.26.82", "15b3:101d": "22.47.2682"}


def _body(kind: str, path: str, **facts: Any) -> dict[str, Any]:
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}.v1_0_0.{kind}",
        "Id": path.rpartition("/")[2],
        **facts,
    }


def _macs(node: Node, facts: Server) -> list[tuple[str, str, str]]:
    """Port, MAC, PCI id of every port that the site states."""
    macs = {one.name: one.mac for one in node.interfaces if one.kind == "physical"}
    return [
        (name, macs[port.interface], builtin().nics[port.product].pci_ids[0])
        for name, port in facts.ports.items()
        if port.interface in macs
    ]


def gpu_ids(node: Node) -> list[str]:
    """The PCI id of each of a node's GPUs."""
    return [builtin().gpus[node.gpus.key].pci_ids[0]] * node.gpus.count if node.gpus else []


def redfish(node: Node) -> dict[str, dict[str, Any]]:
    """What the BMC of a faultless server states."""
    facts = builtin().servers[node.profile]
    cpu, dimms = facts.cpu, facts.dimms
    assert dimms is not None
    nvme = facts.disks.kind == "NVMe"
    brand = cpu.product.replace("Intel Xeon", "Intel(R) Xeon(R)")
    bodies = [
        _body(
            "ComputerSystem",
            SYSTEM,
            SKU=node.service_tag,
            SerialNumber="CNIVC0034800B1",
            Model=facts.product,
            Manufacturer="Dell Inc.",
            BiosVersion="2.7.5",
            ProcessorSummary={"Count": cpu.sockets, "Model": brand},
        )
    ]
    bodies += [
        _body(
            "Processor",
            f"{SYSTEM}/Processors/CPU.Socket.{number}",
            ProcessorType="CPU",
            Model=brand,
            TotalCores=cpu.cores,
            TotalThreads=cpu.threads,
        )
        for number in range(1, cpu.sockets + 1)
    ]
    each = dimms.count // cpu.sockets
    bodies += [
        _body(
            "Memory",
            f"{SYSTEM}/Memory/DIMM.Socket.{'AB'[number // each]}{number % each + 1}",
            CapacityMiB=dimms.size_gb * 1024,
            MemoryDeviceType="DDR5",
        )
        for number in range(dimms.count)
    ]
    bodies += [
        _body(
            "Drive",
            f"{SYSTEM}/Storage/X/Drives/Disk.Bay.{number}",
            CapacityBytes=facts.disks.size_gb * 10**9,
            MediaType="SSD",
            Protocol="NVMe" if nvme else "SAS",
        )
        for number in range(facts.disks.count)
    ]
    for name, mac, pci in _macs(node, facts):
        vendor, device = pci.split(":")
        fqdd = FORMS[name[:3]].format(name[3:])
        path = f"{CHASSIS}/NetworkAdapters/{fqdd.partition('-')[0]}/NetworkDeviceFunctions/{fqdd}"
        nic = {"PCIVendorID": vendor, "PCIDeviceID": device, "FamilyVersion": VERSIONS[pci]}
        ethernet = {"MACAddress": mac.upper(), "PermanentMACAddress": mac.upper()}
        bodies.append(_body("NetworkDeviceFunction", path, Ethernet=ethernet, Oem={"Dell": {"DellNIC": nic}}))
        bodies.append(_firmware("0", VERSIONS[pci], fqdd))
    for number, pci in enumerate(gpu_ids(node)):
        vendor, device = pci.split(":")
        path = f"{SYSTEM}/PCIeDevices/{number + 23}-0/PCIeFunctions/{number + 23}-0-0"
        bodies.append(_body("PCIeFunction", path, VendorId=f"0x{vendor}", DeviceId=f"0x{device}"))
    bodies.append(
        _body("PCIeFunction", f"{SYSTEM}/PCIeFunctions/0-0-0", VendorId="0x8086", DeviceId="0x09a2")
    )
    bodies += [
        _firmware("159", "2.7.5", "BIOS.Setup.1-1"),
        _firmware("25227", "7.10.70.00", "iDRAC.Embedded.1-1"),
    ]
    return {body["@odata.id"]: body for body in bodies}


def _firmware(software: str, version: str, part: str) -> dict[str, Any]:
    path = f"/redfish/v1/UpdateService/FirmwareInventory/Installed-{software}-{version}__{part}"
    return _body("SoftwareInventory", path, Version=version, Updateable=True)


def agent(node: Node) -> dict[str, Any]:
    """What Ironic keeps of an agent's inspection: the inventory and what the collectors gave."""
    facts = builtin().servers[node.profile]
    cpu, disks = facts.cpu, facts.disks
    raid = facts.raid
    ports = _macs(node, facts)
    pci = [
        {"vendor_id": one.partition(":")[0], "product_id": one.partition(":")[2], "class": "030200", "revision": "a1",
         "bus": f"0000:{number + 23:02x}:00.0", "numa_node_id": "0"}
        for number, one in enumerate([*gpu_ids(node), *(one for _, _, one in ports)])
    ]  # fmt: skip
    size = raid.size_gib << 30 if raid else disks.size_gb * 10**9
    return {
        "inventory": {
            "interfaces": [
                {"name": f"ens{number}", "mac_address": mac, "ipv4_address": None, "ipv6_address": None,
                 "has_carrier": True, "lldp": None, "vendor": f"0x{one.partition(':')[0]}",
                 "product": f"0x{one.partition(':')[2]}", "client_id": None, "biosdevname": None,
                 "speed_mbps": None, "pci_address": None, "driver": "mlx5_core"}
                for number, (_, mac, one) in enumerate(ports)
            ],
            "cpu": {"model_name": cpu.product.replace("Xeon", "Xeon(R)"), "frequency": "4100.0000",
                    "count": cpu.sockets * cpu.threads, "architecture": "x86_64", "flags": ["vmx"],
                    "socket_count": cpu.sockets},
            "disks": [
                {"name": "/dev/sda" if raid else f"/dev/nvme{number}n1", "model": "PERC H755 Front", "size": size,
                 "rotational": False, "wwn": None, "serial": f"S{number}", "vendor": "DELL",
                 "wwn_with_extension": None, "wwn_vendor_extension": None, "hctl": None,
                 "by_path": f"/dev/disk/by-path/pci-0000:{0x64 + number:02x}:00.0-nvme-1",
                 "logical_sectors": 512, "physical_sectors": 4096}
                for number in range(1 if raid else disks.count)
            ],
            "memory": {"total": int(facts.memory_gb * 1024**3 * 0.985), "physical_mb": facts.memory_gb * 1024},
            "bmc_address": str(node.bmc.address),
            "bmc_v6address": "::/0",
            "system_vendor": {"product_name": f"{facts.product} (SKU=NotProvided;ModelName={facts.product})",
                              "serial_number": node.service_tag, "manufacturer": "Dell Inc.",
                              "firmware": {"vendor": "Dell Inc.", "version": "2.7.5", "build_date": "07/31/2025"}},
            "boot": {"current_boot_mode": "uefi", "pxe_interface": ports[0][1]},
            "hostname": "localhost",
        },
        "plugin_data": {"pci_devices": pci, "boot_interface": ports[0][1], "error": None},
    }  # fmt: skip
