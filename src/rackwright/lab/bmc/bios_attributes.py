"""BIOS attributes of a 16th generation PowerEdge: names and values as in Dell's BIOS attribute registry.

A choice of some sixty of the several hundred: boot, processor, memory, power and performance, devices, security.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

ON_OFF = ("Enabled", "Disabled")


@dataclass(frozen=True)
class Attribute:
    """An attribute: ``values`` for an enumeration, ``bounds`` for an integer, neither for text."""

    name: str
    menu: str
    default: str | int
    values: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    read_only: bool = False
    #: Writable only while SysProfile is Custom, as on the real thing.
    custom: bool = False

    @property
    def type(self) -> str:
        """The registry's name of its type."""
        return "Enumeration" if self.values else "Integer" if self.bounds else "String"


def _enum(menu: str, **defaults: Any) -> list[Attribute]:
    """Attributes of one menu: ``Name=(values, default)``, or only the default of Enabled and Disabled."""
    return [
        Attribute(name, menu, value[1], value[0])
        if isinstance(value, tuple)
        else Attribute(name, menu, value, ON_OFF)
        for name, value in defaults.items()
    ]


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("SystemModelName", "SysInformation", "", read_only=True),
    Attribute("SystemBiosVersion", "SysInformation", "", read_only=True),
    Attribute("SystemServiceTag", "SysInformation", "", read_only=True),
    Attribute("SystemManufacturer", "SysInformation", "Dell Inc.", read_only=True),
    Attribute("SysMemSize", "MemSettings", "", read_only=True),
    Attribute("Proc1Brand", "ProcSettings", "", read_only=True),
    Attribute("ProcCoreSpeed", "ProcSettings", "", read_only=True),
    Attribute("AssetTag", "MiscSettings", ""),
    *_enum(
        "MemSettings",
        MemOpMode=(("OptimizerMode", "MirrorMode", "FaultResilientMode"), "OptimizerMode"),
        NodeInterleave="Disabled",
        MemTest="Disabled",
        CorrEccSmi="Enabled",
    ),
    *_enum(
        "ProcSettings",
        LogicalProc="Enabled",
        ProcVirtualization="Enabled",
        ProcX2Apic="Enabled",
        SubNumaCluster=(("Disabled", "2-way", "4-way"), "Disabled"),
        ProcAdjCacheLine="Enabled",
        ProcHwPrefetcher="Enabled",
        ProcSwPrefetcher="Enabled",
        DcuStreamerPrefetcher="Enabled",
        DcuIpPrefetcher="Enabled",
        UpiPrefetch="Enabled",
        LlcPrefetch="Disabled",
        DeadLineLlcAlloc="Enabled",
        DirectoryAtoS="Disabled",
        KernelDmaProtection="Disabled",
        ControlledTurbo="Disabled",
        ProcCores=(("All", "4", "8", "16", "32"), "All"),
    ),
    *_enum(
        "IntegratedDevices",
        SriovGlobalEnable="Disabled",
        InternalUsb=(("On", "Off"), "On"),
        UsbPorts=(("AllOn", "OnlyBackPortsOn", "AllOff"), "AllOn"),
        EmbNic1Nic2=(("Enabled", "DisabledOs"), "Enabled"),
        IoatEngine="Disabled",
        OsWatchdogTimer="Disabled",
        MmioAbove4Gb="Enabled",
        MemoryMappedIOH=(("56TB", "12TB", "512GB"), "56TB"),
        EmbVideo="Enabled",
    ),
    *_enum(
        "BiosBootSettings",
        BootMode=(("Uefi", "Bios"), "Uefi"),
        BootSeqRetry="Enabled",
        HddFailover="Disabled",
        GenericUsbBoot="Disabled",
        HddPlaceholder="Disabled",
    ),
    *_enum(
        "NetworkSettings",
        PxeDev1EnDis="Enabled",
        PxeDev2EnDis="Disabled",
        PxeDev1Protocol=(("IPv4", "IPv6"), "IPv4"),
        HttpDev1EnDis="Disabled",
    ),
    Attribute("PxeDev1Interface", "NetworkSettings", ""),
    Attribute("PxeDev2Interface", "NetworkSettings", ""),
    *_enum(
        "SysProfileSettings",
        SysProfile=(
            (
                "PerfOptimized",
                "PerfPerWattOptimizedDapc",
                "PerfPerWattOptimizedOs",
                "PerfWorkStation",
                "Custom",
            ),
            "PerfPerWattOptimizedDapc",
        ),
        WorkloadProfile=(
            (
                "NotAvailable",
                "HpcProfile",
                "LowLatencyOptimizedProfile",
                "VtOptimizedProfile",
                "VtPerWattOptimizedProfile",
                "DbOptimizedProfile",
                "SdsOptimizedProfile",
                "TelcoOptimizedProfile",
            ),
            "NotAvailable",
        ),
        PcieAspmL1="Enabled",
        MonitorMwait="Enabled",
    ),
    Attribute(
        "ProcPwrPerf",
        "SysProfileSettings",
        "SysDbpm",
        ("MaxPerf", "SysDbpm", "OsDbpm", "HwpDbpm"),
        custom=True,
    ),
    Attribute("ProcTurboMode", "SysProfileSettings", "Enabled", ON_OFF, custom=True),
    Attribute("ProcC1E", "SysProfileSettings", "Enabled", ON_OFF, custom=True),
    Attribute("ProcCStates", "SysProfileSettings", "Enabled", (*ON_OFF, "Autonomous"), custom=True),
    Attribute(
        "UncoreFrequency", "SysProfileSettings", "DynamicUFS", ("DynamicUFS", "MaxUFS", "MinUFS"), custom=True
    ),
    Attribute(
        "EnergyPerformanceBias",
        "SysProfileSettings",
        "BalancedPerformance",
        ("MaxPower", "BalancedPerformance", "BalancedEfficiency", "LowPower"),
        custom=True,
    ),
    *_enum(
        "SysSecurity",
        SecureBoot="Disabled",
        SecureBootPolicy=(("Standard", "Custom"), "Standard"),
        SecureBootMode=(("AuditMode", "DeployedMode", "UserMode"), "DeployedMode"),
        TpmSecurity=(("On", "Off"), "On"),
        IntelTxt=(("On", "Off"), "Off"),
        IntelSgx=(("On", "Off", "Software"), "Off"),
        PwrButton="Enabled",
        AcPwrRcvry=(("Last", "On", "Off"), "Last"),
        AcPwrRcvryDelay=(("Immediate", "User", "Random"), "Immediate"),
    ),
    Attribute("AcPwrRcvryUserDelay", "SysSecurity", 120, bounds=(120, 600)),
    *_enum(
        "SerialCommSettings",
        SerialComm=(("OnNoConRedir", "OnConRedir", "OnConRedirAuto", "Off"), "OnConRedir"),
        SerialPortAddress=(("Com1", "Com2"), "Com1"),
        ConTermType=(("Vt100Vt220", "Ansi"), "Vt100Vt220"),
        FailSafeBaud=(("115200", "57600", "38400", "9600"), "115200"),
        RedirAfterBoot="Enabled",
    ),
    *_enum("MiscSettings", NumLock=(("On", "Off"), "On"), ErrPrompt="Enabled", ForceInt10="Disabled"),
)

BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}


def defaults(bmc: Bmc) -> dict[str, str | int]:
    """The attributes as they leave the factory; what belongs to the hardware stands in them too."""
    hardware = bmc.hardware
    values = {attribute.name: attribute.default for attribute in ATTRIBUTES}
    ports = [nic.id for nic in hardware.nics]
    values.update(
        SystemModelName=bmc.config.model,
        SystemBiosVersion=hardware.firmware["bios"],
        SystemServiceTag=bmc.config.service_tag,
        SysMemSize=f"{hardware.memory_gib} GB",
        Proc1Brand=hardware.cpu_model,
        ProcCoreSpeed=f"{hardware.mhz / 1000:.2f} GHz",
        PxeDev1Interface=ports[0] if ports else "",
        PxeDev2Interface=ports[1] if len(ports) > 1 else "",
    )
    return values


def fault_of(name: str, value: object, effective_profile: object) -> str | None:
    """Why a value can't be set: ``unknown``, ``read_only``, ``depends``, ``type``, ``value``, ``range``; or None."""
    attribute = BY_NAME.get(name)
    if attribute is None:
        return "unknown"
    if attribute.read_only:
        return "read_only"
    if attribute.custom and effective_profile != "Custom":
        return "depends"
    if attribute.bounds:
        if not isinstance(value, int) or isinstance(value, bool):
            return "type"
        return None if attribute.bounds[0] <= value <= attribute.bounds[1] else "range"
    if not isinstance(value, str):
        return "type"
    return "value" if attribute.values and value not in attribute.values else None
