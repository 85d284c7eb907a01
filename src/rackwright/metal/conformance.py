"""Whether the hardware that is there is the hardware that was ordered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rackwright.derive.model import Node, SiteModel

Severity = Literal["blocking", "warning"]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as ordered.

    ``check`` is its kind (``CHECKS``), ``what`` the part in words, ``waived`` the reason for which it is accepted,
    or empty. A ``blocking`` one that isn't waived holds the server.
    """

    node: str
    check: str
    what: str
    ordered: str
    found: str
    severity: Severity
    hint: str
    waived: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the server must not be given an operating system before this is mended or accepted."""
        return self.severity == "blocking" and not self.waived


def compare(
    model: SiteModel,
    node: Node,
    inventory: Mapping[str, Any],
    components: Sequence[Mapping[str, Any]] = (),
    stated: Mapping[str, Mapping[str, Any]] | None = None,
    waived: Mapping[str, str] | None = None,
) -> tuple[Difference, ...]:
    """Everything that differs from the profile, in the order of ``CHECKS``; more than ordered is as ordered.

    ``inventory``: what Ironic gives at ``/v1/nodes/{id}/inventory`` (``{"inventory": …, "plugin_data": …}``).
    ``components``: the list ``firmware`` of ``/v1/nodes/{id}/firmware``. ``stated``: Redfish resources of the
    server's BMC by their ``@odata.id``; where it speaks of a part it is believed before the agent.
    ``waived``: check → the reason for which its differences are accepted. Raises ValueError for a check that
    isn't known.
    """
    raise NotImplementedError


def table(differences: Iterable[Difference]) -> str:
    """The differences as a table of text, one line each with its hint below; empty text where there are none."""
    raise NotImplementedError


def as_json(differences: Iterable[Difference]) -> str:
    """The differences as a JSON list of objects with the fields of ``Difference`` and ``blocks``."""
    return json.dumps([{**asdict(one), "blocks": one.blocks} for one in differences], indent=2)
