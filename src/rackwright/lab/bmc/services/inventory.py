"""What the host is made of: processors and GPUs, memory, network ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import CHASSIS, OK_STATUS, SYSTEM, Json, Request, collection, link, resource
from rackwright.lab.bmc.messages import not_found
from rackwright.lab.bmc.routing import get

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc


@get(f"{SYSTEM}/Processors")
def processors(bmc: Bmc, request: Request) -> Json:
    """CPUs, then GPUs."""
    ids = [f"CPU.Socket.{n}" for n in range(1, bmc.hardware.cpu_count + 1)] + [
        g.id for g in bmc.hardware.gpus
    ]
    return collection(f"{SYSTEM}/Processors", "Processor", "ProcessorsCollection", ids)


@get(f"{SYSTEM}/Processors/{{processor}}")
def processor(bmc: Bmc, request: Request, processor: str) -> Json:
    """A CPU or a GPU."""
    hardware, uri = bmc.hardware, f"{SYSTEM}/Processors/{processor}"
    for gpu in hardware.gpus:
        if gpu.id == processor:
            return resource(
                uri,
                "Processor.v1_20_0.Processor",
                gpu.product,
                ProcessorType="GPU",
                Manufacturer="NVIDIA Corporation",
                Model=gpu.product,
                SerialNumber=f"{bmc.config.service_tag}GPU{gpu.slot}",
                Status=OK_STATUS,
                ProcessorMemory=[{"CapacityMiB": gpu.memory_mib, "IntegratedMemory": True}],
                Links={
                    "PCIeDevice": link(f"{CHASSIS}/PCIeDevices/{0x80 + gpu.slot}-0"),
                    "Chassis": link(CHASSIS),
                },
            )
    if processor not in [f"CPU.Socket.{n}" for n in range(1, hardware.cpu_count + 1)]:
        raise not_found(request.path)
    return resource(
        uri,
        "Processor.v1_20_0.Processor",
        f"CPU {processor[-1]}",
        ProcessorType="CPU",
        ProcessorArchitecture="x86",
        InstructionSet="x86-64",
        Manufacturer="Intel",
        Model=hardware.cpu_model,
        Socket=processor,
        MaxSpeedMHz=4000,
        OperatingSpeedMHz=hardware.mhz,
        TotalCores=hardware.cores,
        TotalEnabledCores=hardware.cores,
        TotalThreads=hardware.threads,
        Status=OK_STATUS,
        Links={"Chassis": link(CHASSIS)},
    )


@get(f"{SYSTEM}/Memory")
def memory(bmc: Bmc, request: Request) -> Json:
    """DIMMs; an empty slot is not listed."""
    ids = [f"DIMM.Socket.{slot}" for slot in bmc.hardware.dimms]
    return collection(f"{SYSTEM}/Memory", "Memory", "Memory Devices Collection", ids)


@get(f"{SYSTEM}/Memory/{{dimm}}")
def dimm(bmc: Bmc, request: Request, dimm: str) -> Json:
    """One DIMM."""
    slot = dimm.removeprefix("DIMM.Socket.")
    if slot not in bmc.hardware.dimms:
        raise not_found(request.path)
    return resource(
        f"{SYSTEM}/Memory/{dimm}",
        "Memory.v1_19_0.Memory",
        f"DIMM {slot}",
        CapacityMiB=bmc.hardware.dimms[slot] * 1024,
        DeviceLocator=f"DIMM {slot}",
        MemoryType="DRAM",
        MemoryDeviceType="DDR5",
        BaseModuleType="RDIMM",
        ErrorCorrection="MultiBitECC",
        OperatingSpeedMhz=bmc.hardware.dimm_speed,
        AllowedSpeedsMHz=[bmc.hardware.dimm_speed],
        DataWidthBits=64,
        BusWidthBits=72,
        RankCount=2,
        Manufacturer="Samsung",
        PartNumber="M321R2GA3BB6-CQKVG",
        SerialNumber=f"{bmc.config.service_tag}{slot}",
        Status=OK_STATUS,
        Links={"Chassis": link(CHASSIS)},
    )


@get(f"{SYSTEM}/EthernetInterfaces")
def interfaces(bmc: Bmc, request: Request) -> Json:
    """The host's network ports."""
    ids = [nic.id for nic in bmc.hardware.nics]
    return collection(f"{SYSTEM}/EthernetInterfaces", "EthernetInterface", "System Ethernet Interfaces", ids)


@get(f"{SYSTEM}/EthernetInterfaces/{{port}}")
def interface(bmc: Bmc, request: Request, port: str) -> Json:
    """One port."""
    nic = next((n for n in bmc.hardware.nics if n.id == port), None)
    if nic is None:
        raise not_found(request.path)
    on = bmc.machine.power_state() == "On"
    return resource(
        f"{SYSTEM}/EthernetInterfaces/{port}",
        "EthernetInterface.v1_11_0.EthernetInterface",
        "System Ethernet Interface",
        Description=nic.product,
        MACAddress=nic.mac,
        PermanentMACAddress=nic.mac,
        SpeedMbps=nic.speed_gbps * 1000 if nic.link else 0,
        LinkStatus="LinkUp" if nic.link and on else "LinkDown",
        AutoNeg=True,
        FullDuplex=True,
        InterfaceEnabled=True,
        Status=OK_STATUS,
        Links={"Chassis": link(CHASSIS)},
    )
