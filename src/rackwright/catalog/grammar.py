"""What an entry of the catalogue states. Optional facts are those that a user can't be expected to know."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Form = Literal["LOM", "OCP 3.0", "PCIe"]


def _value(fact: Any) -> Any:
    """``{value, source}`` → value. A fact without a source is refused."""
    if isinstance(fact, dict) and set(fact) == {"value", "source"} and fact["source"]:
        return fact["value"]
    raise ValueError("a fact of the catalogue is written as {value: …, source: …}")


_sourced = BeforeValidator(_value)
Count = Annotated[int, Field(ge=1)]


class Entry(BaseModel):
    """Base of the grammar: unknown fields are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServerPort(Entry):
    """A network port: a key of nics.yml, the form it comes in, the operating system's name for it.

    ``optional``: on an adapter that the configuration may be bought without. Linux takes 15 characters for an
    interface.
    """

    speed_gbps: Count
    product: str
    interface: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,14}$")]
    form: Form | None = None
    optional: bool = False


class GpuOption(Entry):
    """GPUs that a server can be bought with; the first of ``counts`` is the usual number.

    ``span``: how many are linked directly. ``numa``: the NUMA node of each GPU in the order of their
    indexes, of the largest number; empty where it isn't known.
    """

    product: str
    counts: tuple[Count, ...] = Field(min_length=1)
    interconnect: Literal["nvlink_bridge", "nvlink", "nvswitch", "none"]
    span: Count
    numa: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @model_validator(mode="after")
    def _numa_of_all(self) -> Self:
        if self.numa and len(self.numa) != max(self.counts):
            raise ValueError(f"'numa' names {len(self.numa)} GPUs, 'counts' up to {max(self.counts)}")
        return self

    def groups(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Indexes of the GPUs that are linked directly: bridged pairs, one mesh, or all behind NVSwitch."""
        return tuple(
            tuple(range(first, min(first + self.span, count))) for first in range(0, count, self.span)
        )


class Cpu(Entry):
    """Processors, all alike; cores, threads, base clock in GHz and thermal design power in W of one of them."""

    sockets: Count
    product: str
    cores: Count
    threads: Count
    base_ghz: float | None = None
    power_w: int | None = None
    numa_per_socket: int = 1


class Dimms(Entry):
    """Memory modules, all alike; size of one in GB, speed in MT/s."""

    count: int
    size_gb: int
    speed_mts: int
    kind: str


class Disks(Entry):
    """Data disks, all alike; ``raid``: the controller makes one volume of them."""

    count: int
    size_gb: int
    kind: str
    controller: str
    raid: bool = False
    details: str = ""


class Raid(Entry):
    """The volume that a controller makes of all data disks: level as Ironic writes it, what is left of them in GiB."""

    level: Literal["1", "1+0", "5", "6"]
    size_gib: Count


class Volume(Entry):
    """A file system of a spare disk: where it is mounted, its label, and its share of the disk in per cent."""

    mount: Annotated[str, Field(pattern=r"^/[^ ]+$")]
    label: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,12}$")]
    percent: Annotated[int, Field(ge=1, le=100)]


class Storage(Entry):
    """The local storage: the operating system has the first disk for itself, ``volumes`` are on the second."""

    volumes: tuple[Volume, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(volume.percent for volume in self.volumes) not in (0, 100):
            raise ValueError("the volumes of a disk take 100 per cent of it together")
        return self


class Psu(Entry):
    """Power supplies; rating of one in W; redundancy as its maker writes it."""

    count: int
    rating_w: int
    redundancy: str


class Server(Entry):
    """A validated server configuration; ``height`` in rack units; the first GPU option is the usual one.

    ``base_power_w``: what it draws beside its CPUs and GPUs: board, memory, disks, adapters, fans, losses.
    ``bios``: iDRAC's attributes and their values; what isn't named stays as it is. ``raid``: None where the disks
    go to the operating system as they are.
    """

    product: Annotated[str, _sourced]
    height: Annotated[Count, _sourced]
    cpu: Annotated[Cpu, _sourced]
    memory_gb: Annotated[int, _sourced]
    disks: Annotated[Disks, _sourced]
    roles: Annotated[tuple[str, ...], _sourced]
    ports: Annotated[dict[str, ServerPort], _sourced]
    gpus: Annotated[tuple[GpuOption, ...], _sourced]
    dimms: Annotated[Dimms | None, _sourced] = None
    psu: Annotated[Psu | None, _sourced] = None
    base_power_w: Annotated[Count | None, _sourced] = None
    bios: Annotated[dict[str, str], _sourced] = Field(default_factory=dict)
    raid: Annotated[Raid | None, _sourced] = None
    storage: Annotated[Storage | None, _sourced] = None

    @field_validator("ports")
    @classmethod
    def _interfaces_differ(cls, ports: dict[str, ServerPort]) -> dict[str, ServerPort]:
        names = [port.interface for port in ports.values()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two ports are called '{twice[0]}' by the operating system")
        return ports

    @property
    def numa_nodes(self) -> int:
        """NUMA nodes: one for each socket, more where the BIOS splits the sockets."""
        return self.cpu.sockets * self.cpu.numa_per_socket

    @property
    def usual_ports(self) -> tuple[str, ...]:
        """Names of the ports that every server of this configuration has."""
        return tuple(name for name, port in self.ports.items() if not port.optional)


class Decoders(Entry):
    """Engines for video and JPEG of one GPU."""

    nvdec: int = 0
    nvjpeg: int = 0
    nvenc: int = 0


class Gpu(Entry):
    """A GPU product.

    ``memory_gb`` is what the design counts with, ``memory_mib`` what nvidia-smi prints; bandwidths in GB/s
    (``nvlink_gbs``: both directions, 0 without NVLink; ``pcie_gbs``: one direction); ``bf16_tflops`` of dense
    matrices; ``pci_ids`` as vendor:device.
    """

    product: Annotated[str, _sourced]
    form_factor: Annotated[Literal["PCIe", "SXM"], _sourced]
    memory_gb: Annotated[Count, _sourced]
    memory_mib: Annotated[Count, _sourced]
    power_w: Annotated[int, _sourced]
    mig_instances: Annotated[int, _sourced]
    memory_bandwidth_gbs: Annotated[int | None, _sourced] = None
    nvlink_gbs: Annotated[int | None, _sourced] = None
    bf16_tflops: Annotated[int | None, _sourced] = None
    pcie_gbs: Annotated[int | None, _sourced] = None
    pci_ids: Annotated[tuple[str, ...], _sourced] = ()
    decoders: Annotated[Decoders | None, _sourced] = None
    mig_profiles: Annotated[dict[str, int], _sourced] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The value of the node label ``nvidia.com/gpu.product``."""
        return self.product.replace(" ", "-")


class Nic(Entry):
    """A network adapter: number of ports, speeds of a port in Gbit/s, connector, host interface, forms."""

    product: Annotated[str, _sourced]
    ports: Annotated[int, _sourced]
    speeds_gbps: Annotated[tuple[int, ...], _sourced]
    connector: Annotated[str, _sourced]
    pcie: Annotated[str, _sourced]
    forms: Annotated[tuple[Form, ...], _sourced]
    pci_ids: Annotated[tuple[str, ...], _sourced] = ()


class PortRange(Entry):
    """``count`` ports in a row, the last number of ``first`` counting up.

    ``speed_gbps`` is the usual speed, ``speeds_gbps`` all that the whole port takes, ``breakouts`` what it
    can be split into: ``4x25`` is four ports of 25 Gbit/s. ``same_speed`` ports in a row, counted from the
    first, have one speed together.
    """

    first: Annotated[str, Field(pattern=r"^\S+/[0-9]+$")]
    count: Count
    speed_gbps: Count
    speeds_gbps: tuple[int, ...] = ()
    breakouts: tuple[Annotated[str, Field(pattern=r"^[1-9]x[1-9][0-9]*$")], ...] = ()
    same_speed: Count = 1
    connector: str = ""

    def names(self) -> list[str]:
        """The ports' names."""
        stem, _, number = self.first.rpartition("/")
        return [f"{stem}/{int(number) + index}" for index in range(self.count)]

    @property
    def all_speeds(self) -> tuple[int, ...]:
        """Every speed in Gbit/s that the whole port takes, the usual one first."""
        others = tuple(speed for speed in self.speeds_gbps if speed != self.speed_gbps)
        return (self.speed_gbps, *others)


class Switch(Entry):
    """A switch product; ``height`` in rack units, ``power_w`` the most that it draws."""

    product: Annotated[str, _sourced]
    height: Annotated[Count, _sourced]
    ports: Annotated[tuple[PortRange, ...], _sourced]
    power_w: Annotated[int | None, _sourced] = None

    def group(self, port: str) -> PortRange | None:
        """The range that a port is of, by its own name or by that of a part (``ethernet1/1/1:2``)."""
        whole = port.partition(":")[0]
        return next((group for group in self.ports if whole in group.names()), None)

    def speeds(self, breakouts: Mapping[str, str] | None = None) -> dict[str, int]:
        """Each port's usual speed in Gbit/s, in the order of the front panel.

        ``breakouts`` (port → ``4x25``) puts ``port:1`` … ``port:4`` in the place of a whole port.
        """
        found: dict[str, int] = {}
        for group in self.ports:
            for name in group.names():
                kind = (breakouts or {}).get(name)
                if kind is None:
                    found[name] = group.speed_gbps
                else:
                    parts, _, speed = kind.partition("x")
                    found |= {f"{name}:{part}": int(speed) for part in range(1, int(parts) + 1)}
        return found


class Load(Entry):
    """One row of a load test of one instance: the design's table 14, or the like.

    Times in ms, throughput in inferences per second, memory in GB, utilization in per cent.
    """

    server: str
    gpu: str
    gpus: int
    concurrency: int
    p95_ms: float
    client_wait_ms: float
    server_queue_ms: float
    throughput: float
    server_memory_gb: float
    gpu_memory_gb: float
    gpu_utilization: float


class Score(Entry):
    """Precision, recall and F1 of one label, in per cent (0 to 100)."""

    precision: float
    recall: float
    f1: float


class Model(Entry):
    """A model: GPU memory of one copy in GB, the fewest GPUs it is spread over, whether it is bundled.

    ``parameters_b`` in billions; ``memory_measured``: ``memory_gb`` was measured with one request at a time,
    else it is estimated; ``containers`` that it was validated in; ``servers`` that it was shown on;
    ``rte`` from 0 to 1; ``politeness`` by label; ``note`` is for people.
    """

    product: Annotated[str, _sourced]
    memory_gb: Annotated[float, Field(gt=0), _sourced]
    min_gpus: Annotated[Count, _sourced]
    shipped: Annotated[bool, _sourced]
    memory_measured: Annotated[bool, _sourced] = False
    parameters_b: Annotated[float | None, _sourced] = None
    precision: Annotated[Literal["BF16", "FP16", "FP32"] | None, _sourced] = None
    kind: Annotated[Literal["language", "image"], _sourced] = "language"
    containers: Annotated[tuple[str, ...], _sourced] = ()
    servers: Annotated[tuple[str, ...], _sourced] = ()
    load: Annotated[Load | None, _sourced] = None
    rte: Annotated[float | None, _sourced] = None
    politeness: Annotated[dict[str, Score], _sourced] = Field(default_factory=dict)
    note: Annotated[str, _sourced] = ""


class Distribution(Entry):
    """An operating system of the nodes.

    ``packages`` maps the roles' names of packages to its own where they differ.
    """

    product: str
    id: str
    version: str
    codename: str
    exercised: bool
    end_of_life: datetime.date
    packages: dict[str, str]
    services: dict[str, str]
    paths: dict[str, str]


class Tested(Entry):
    """A combination that somebody ran: component → version, where and by whom; what of it was emulated."""

    versions: dict[str, str]
    by: str
    emulated: tuple[str, ...] = ()


class Firmware(Entry):
    """The oldest firmware that is not warned of; None where no public source says one."""

    minimum: Annotated[str | None, Field(pattern=r"^[0-9][0-9A-Za-z.-]*$")] = None
    source: str


class Release(BaseModel):
    """Versions that were tested together. ``components`` maps a name to its facts, ``version`` among them.

    ``end_of_life`` of a component: the day after which its makers mend it no more, where they say one.
    ``firmware``: the servers' baseline, by ``bios``, ``idrac``, ``perc`` or a product's key.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    release: str
    status: str
    components: dict[str, dict[str, Any]]
    tested_together: tuple[Tested, ...] = ()
    firmware: dict[str, Firmware] = Field(default_factory=dict)

    @property
    def versions(self) -> Mapping[str, str]:
        """Version by component."""
        return {name: str(facts["version"]) for name, facts in sorted(self.components.items())}

    def ended(self, day: datetime.date) -> dict[str, datetime.date]:
        """Components whose makers mend them no more on ``day``, and since when."""
        ends = {name: facts.get("end_of_life") for name, facts in self.components.items()}
        return {
            name: end for name, end in sorted(ends.items()) if isinstance(end, datetime.date) and end < day
        }
