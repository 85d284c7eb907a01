"""What provisioning learned of the servers' hardware, kept on the workstation: a JSON file for each.

``{"inventory": …, "components": […], "stated": {…}}``: Ironic's inventory of the node, its firmware components, and
the BMC's Redfish resources by ``@odata.id``. ``conformance.compare`` takes the three.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.paths import build_dir


@dataclass(frozen=True)
class Collected:
    """What is known of one server."""

    inventory: Mapping[str, Any] = field(default_factory=dict)
    components: Sequence[Mapping[str, Any]] = ()
    stated: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def folder_of(model: SiteModel) -> Path:
    """Where they lie: ``build/metal/<site>/hardware``."""
    return build_dir() / "metal" / model.name / "hardware"


def keep(folder: Path, node: str, collected: Collected) -> None:
    """Write one server's file, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{node}.json"
    new = path.with_suffix(".new")
    data = {
        "inventory": collected.inventory,
        "components": list(collected.components),
        "stated": collected.stated,
    }
    new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def read(folder: Path, node: str) -> Collected | None:
    """One server's file; None where there is none. Raises UsageError where it can't be read."""
    path = folder / f"{node}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Collected(data["inventory"], data.get("components") or (), data.get("stated") or {})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"'{path}' is no inventory that provisioning collected: {error}", "remove it and provision again"
        ) from None
