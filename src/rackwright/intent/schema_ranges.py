"""The grammar of ranges: many racks, switches or servers that are alike, written once."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from rackwright.intent.fields import FieldError, Gpus, Mac, PortName, Profile, Role, ServiceTag, Strict, Unit
from rackwright.intent.series import series

_UNITS_HINT = "write the lowest unit of each machine of a rack: [3, 5, 7], or 3..25..2 for every second"


def _units(value: object) -> object:
    """``3..25..2`` as the numbers that it stands for."""
    if not isinstance(value, str):
        return value
    try:
        text = value if value.startswith("{") or ".." not in value else f"{{{value}}}"
        return [int(number) for number in series(text)]
    except ValueError as error:
        message = str(error) if isinstance(error, FieldError) else f"'{value}' is not a list of rack units"
        raise FieldError(message, _UNITS_HINT) from None


def _first(value: object) -> object:
    """A bare value is the first of those that follow."""
    return {"first": value} if isinstance(value, str) else value


def _first_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return {"first": IPv4Address(value)}
    except ValueError:
        raise PydanticCustomError("ip_v4_address", "not an IPv4 address") from None


Units = Annotated[
    tuple[Unit, ...],
    BeforeValidator(_units, json_schema_input_type=tuple[Unit, ...] | str),
    Field(min_length=1),
]


class AddressSeries(Strict):
    """Addresses that follow one another. Just the first one may be written in place of the block."""

    first: IPv4Address = Field(description="The address of the range's first machine.")
    step: int = Field(1, ge=1, le=65536, description="From one machine to the next.")
    rack_step: int | None = Field(
        None,
        ge=1,
        le=2**24,
        description="From a rack's first machine to the next rack's; left out, racks follow without a gap.",
    )


class MacSeries(Strict):
    """MAC addresses that follow one another. Just the first one may be written in place of the block."""

    first: Mac = Field(description="The MAC address of the range's first server.")
    step: int = Field(1, ge=1, le=65536, description="From one server to the next.")


Addresses_ = Annotated[
    AddressSeries, BeforeValidator(_first_address, json_schema_input_type=AddressSeries | IPv4Address)
]
Macs = Annotated[MacSeries, BeforeValidator(_first, json_schema_input_type=MacSeries | Mac)]


class RackRange(Strict):
    """Racks that are alike."""

    names: str = Field(description="Their names as a series: r{01..32}.")
    units: Unit = Field(42, description="Their height in rack units.")
    power_w: int | None = Field(
        None,
        ge=1,
        description="As in racks[]: watts that each one's feeds can give while one of them is out.",
    )


class UplinkRange(Strict):
    """Where a port of each switch of a range goes. Series give one value for each switch of a rack, each rack, or all."""

    switch: str = Field(
        description="The switch at the other end: spine-1, or spine-{1,3} for each rack's two."
    )
    port: str = Field(
        description="That switch's port: ethernet1/1/{1..32}, or its parts: ethernet1/1/{1..8}:{1..4}."
    )


class SwitchRange(Strict):
    """Switches that are alike, as many in each rack as there are units."""

    names: str = Field(description="Their names: leaf-{001..064}, or by rack: leaf-{rack}{a,b}.")
    product: str = Field(description="A key of catalog/switches.yml.")
    racks: str = Field(description="The racks they stand in, filled one after the other: r{01..32}.")
    units: Units = Field(description="The units that they take in each rack: [41, 42].")
    address: Addresses_ = Field(description="The first one's management address on the oob network.")
    breakouts: dict[str, str] = Field(
        {}, description="As in switches[]; ports may be a series: ethernet1/1/{1..8}."
    )
    interlinks: tuple[str, ...] = Field(
        (),
        description="Ports that connect the first with the second switch of each rack, the third with the fourth …",
    )
    uplinks: dict[PortName, UplinkRange] = Field(
        {}, description="Ports that connect each switch with another one's, such as a spine's, and which."
    )


class BmcRange(Strict):
    """The iDRACs of a range."""

    address: Addresses_ = Field(description="The first one's address on the oob network.")
    mac: Macs | None = Field(
        None, description="The first one's MAC address; left out, from the hardware file."
    )


class PortRange(Strict):
    """A port of each server of a range. Series here give one value for each server of a rack, each rack, or all."""

    mac: Macs | None = Field(
        None, description="The first one's MAC address; left out, from the hardware file."
    )
    switch: str | None = Field(None, description="The switch at the other end: leaf-{rack}a.")
    port: str | None = Field(
        None, description="The switch's port: ethernet1/1/{slot}, or ethernet1/1/{1..12}."
    )


class AddressRanges(Strict):
    """The servers' addresses by network."""

    management: Addresses_ = Field(description="The first one's on the management network.")
    external: Addresses_ | None = Field(None, description="On the external network; needed on GPU workers.")
    storage: Addresses_ | None = Field(None, description="On the storage network.")
    oob: Addresses_ | None = Field(None, description="Of the LOM on the oob network.")


class ServerRange(Strict):
    """Servers that are alike: as many in each rack as there are units, rack after rack.

    Texts may hold series, ``{0001..0512}``, ``{2..20..2}`` or ``{a,b}``, and the placeholders ``{name}``,
    ``{rack}``, ``{rack_n}``, ``{slot}``, ``{unit}`` and ``{n}`` (numbers within the range, from 1).
    """

    names: str = Field(description="Their names: gpu-{0001..0512}, or by place: gpu-{rack}-{slot}.")
    profile: Profile = Field(description="As in servers[].")
    roles: tuple[Role, ...] = Field(min_length=1, description="As in servers[].")
    racks: str = Field(description="The racks they stand in, filled one after the other: r{01..32}.")
    units: Units = Field(
        description="The lowest unit of each server of a rack: [3, 9, 15], or 3..25..2 for every second."
    )
    service_tag: ServiceTag | None = Field(
        None,
        description="The first one's service tag, if they follow one another, counted in base 36: … 09, 0A … 0Z, 10. "
        "Dell's hardly ever do: left out, they come from the hardware file.",
    )
    bmc: BmcRange = Field(description="The iDRACs.")
    addresses: AddressRanges = Field(description="The first server's address on each network.")
    ports: dict[str, PortRange] = Field(description="As in servers[]; a port from the hardware file is {}.")
    gpus: Gpus | None = Field(None, description="As in servers[].")
