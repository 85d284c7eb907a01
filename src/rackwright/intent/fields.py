"""The kinds of value that a site file is written with: each says what is wrong with a value, and how it should look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rackwright import catalog


class FieldError(ValueError):
    """A value that is wrong in itself; ``hint`` says how it should look."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class _Matching:
    """Text of a pattern: any other is refused in words. Editors get the pattern with the JSON Schema."""

    pattern: str
    what: str
    hint: str

    def check(self, value: str) -> str:
        """The value itself; FieldError where the pattern doesn't match all of it."""
        if not re.fullmatch(self.pattern, value):
            raise FieldError(f"'{value}' is not {self.what}", self.hint)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


def _address_range(value: object) -> object:
    """``first-last`` as a pair of addresses."""
    if not isinstance(value, str):
        return value
    hint = "write it as first-last, such as 10.0.0.100-10.0.0.199"
    parts = [part.strip() for part in value.split("-")]
    if len(parts) != 2:
        raise FieldError(f"'{value}' is not a range of addresses", hint)
    try:
        first, last = IPv4Address(parts[0]), IPv4Address(parts[1])
    except ValueError:
        raise FieldError(f"'{value}' is not a range of addresses", hint) from None
    if last < first:
        raise FieldError(f"the range '{value}' ends before it begins", "put the lower address first")
    return first, last


def _network(value: object) -> object:
    """A network; an address with host bits set is refused with the network that it lies in."""
    if not isinstance(value, str):
        return value
    if "/" not in value:
        raise FieldError(f"'{value}' has no prefix length", f"write it as network/length, such as {value}/24")
    try:
        return IPv4Network(value)
    except ValueError:
        pass
    try:
        lying_in = IPv4Network(value, strict=False)
    except ValueError:
        raise FieldError(
            f"'{value}' is not an IPv4 network", "write it as network/length, such as 10.0.0.0/24"
        ) from None
    raise FieldError(f"'{value}' is an address within a network, not the network", f"write {lying_in}")


def _profile(value: str, info: ValidationInfo) -> str:
    """A key of the catalogue's servers; the site's own catalogue comes as the validation's context."""
    known = (info.context or {}).get("profiles") or catalog.builtin().servers
    if value not in known:
        raise PydanticCustomError("unknown_choice", "not a profile", {"choices": sorted(known)})
    return value


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
Name = Annotated[
    str,
    _Matching(
        _LABEL,
        "a valid DNS name",
        "use lower-case letters, digits and hyphens; at most 63, no hyphen at either end",
    ),
]
Domain = Annotated[
    str,
    Field(max_length=200),
    _Matching(
        rf"{_LABEL}(\.{_LABEL})+",
        "a valid domain name",
        "use lower-case labels joined by dots, such as dc1.example",
    ),
]
Host = Annotated[
    str,
    _Matching(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
        "a host name or address",
        "such as ntp1.example or 192.0.2.1",
    ),
]
Mac = Annotated[
    str,
    _Matching(
        r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}",
        "a MAC address",
        "write six pairs of hex digits, such as b0:7b:25:00:00:01",
    ),
    AfterValidator(str.lower),
]
ServiceTag = Annotated[
    str,
    _Matching(
        r"[0-9A-Za-z]{7}", "a service tag", "it is the 7 letters and digits on the server's pull-out tag"
    ),
    AfterValidator(str.upper),
]
RackName = Annotated[
    str,
    _Matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", "a rack's name", "use letters, digits, '-', '_' or '.'"),
]
PublicKey = Annotated[
    str,
    _Matching(
        r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?",
        "an ssh public key",
        "paste the one line of the .pub file; never a private key",
    ),
]
PortName = Annotated[
    str,
    _Matching(
        r"[A-Za-z]+[A-Za-z0-9/:.-]{0,30}", "a port's name", "use the switch's own, such as ethernet1/1/1"
    ),
]
Breakout = Annotated[
    str,
    _Matching(
        r"[1-9]x[1-9][0-9]{0,2}",
        "a way to break a port out",
        "write ports x Gbit/s, such as 4x25 for four of 25 Gbit/s",
    ),
]
ExportPath = Annotated[
    str, _Matching(r"(/[A-Za-z0-9._-]+)+", "an export's path", "write it from the root, such as /ifs/models")
]
Profile = Annotated[str, AfterValidator(_profile)]
# As they are written, for the JSON Schema.
_QUAD = r"([0-9]{1,3}\.){3}[0-9]{1,3}"
_NetworkText = Annotated[str, Field(pattern=rf"^{_QUAD}/[0-9]{{1,2}}$")]
_RangeText = Annotated[str, Field(pattern=rf"^{_QUAD} *- *{_QUAD}$")]
Network4 = Annotated[IPv4Network, BeforeValidator(_network, json_schema_input_type=_NetworkText)]
AddressRange = Annotated[
    tuple[IPv4Address, IPv4Address], BeforeValidator(_address_range, json_schema_input_type=_RangeText)
]
Unit = Annotated[int, Field(ge=1, le=52)]
Role = Literal["head", "control_plane", "gpu_worker"]


class Strict(BaseModel):
    """Base of the grammar: unknown fields are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Gpus(Strict):
    """GPUs other than the profile's usual ones."""

    product: str = Field(description="A key of catalog/gpus.yml that the profile takes, such as l40.")
    count: int = Field(ge=1, le=16, description="How many.")
