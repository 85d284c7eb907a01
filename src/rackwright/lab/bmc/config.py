"""The configuration of virtual BMCs: JSON, one object or ``{"bmcs": [...]}`` for many in one process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.errors import UsageError


@dataclass(frozen=True)
class BmcConfig:
    """One BMC.

    ``address`` and ``port``: where it listens (port 0: a free one); ``mac``: the BMC's own; ``model`` and
    ``profile``: the product's name and the catalogue's key; ``machine``: the backend (``{"kind": "fake"}`` or
    ``{"kind": "qemu", …}``); ``hardware``: see ``rackwright.lab.bmc.hardware``, empty: the profile's own;
    ``faults``: on at the first start; ``factory``: ``user``, ``password``, ``password_change_required``,
    ``certificate_needs_reset`` (a new certificate is shown only after a reset of the manager);
    ``timing``: seconds of ``job`` and ``manager_reset``.
    """

    name: str
    service_tag: str
    state_dir: Path
    address: str = "127.0.0.1"
    port: int = 443
    mac: str = "02:00:00:00:00:01"
    model: str = "PowerEdge R660"
    profile: str = ""
    machine: Mapping[str, Any] = field(default_factory=lambda: {"kind": "fake"})
    hardware: Mapping[str, Any] = field(default_factory=dict)
    faults: Any = ()
    factory: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)

    @property
    def factory_user(self) -> str:
        """The account that the BMC leaves the factory with."""
        return str(self.factory.get("user", "root"))

    @property
    def factory_password(self) -> str:
        """Its password: as printed on the server's tag, so made up from the service tag unless it is given."""
        return str(self.factory.get("password", f"Factory-{self.service_tag}"))

    def seconds(self, name: str, default: float) -> float:
        """How long something takes on this BMC."""
        return float(self.timing.get(name, default))


def config_of(data: Mapping[str, Any]) -> BmcConfig:
    """A configuration from its JSON; UsageError for an unknown or missing key."""
    known = set(BmcConfig.__dataclass_fields__)
    unknown = sorted(set(data) - known)
    if unknown:
        raise UsageError(
            f"a virtual BMC has no setting {', '.join(unknown)}", f"there are {', '.join(sorted(known))}"
        )
    missing = [key for key in ("name", "service_tag", "state_dir") if not data.get(key)]
    if missing:
        raise UsageError(f"a virtual BMC's configuration lacks {', '.join(missing)}")
    return BmcConfig(**{**data, "state_dir": Path(data["state_dir"])})


def read_configs(path: Path) -> list[BmcConfig]:
    """The BMCs of a configuration file; UsageError if it can't be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    return [config_of(entry) for entry in data.get("bmcs", [data])]
