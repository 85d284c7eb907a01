"""A site with a server for each case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from rackwright.derive.model import SiteModel
from rackwright.paths import checkout
from rackwright.site import load_site

HEIGHT, PER_RACK = 2, 18


def site_of(folder: Path, names: Sequence[str], raid: Sequence[str]) -> SiteModel:
    """The example site ``minimal`` with two R660s called ``raid``, and an R760xa for each of ``names``.

    Racks, units, MACs and service tags follow from the order.
    """
    site = yaml.safe_load((checkout() / "inventories/minimal/site.yml").read_text(encoding="utf-8"))
    head, *others = (server for server in site["servers"] if server["profile"] == "r660")
    for server, name in zip(others, raid, strict=True):
        server["name"] = name
    site["servers"] = [head, *others, *(_worker(number, name) for number, name in enumerate(names))]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "site.yml"
    path.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
    return load_site(path)


def _worker(number: int, name: str) -> dict[str, object]:
    last, hexed = number + 30, f"{number + 0x30:02x}"
    return {
        "name": name,
        "profile": "r760xa",
        "roles": ["gpu_worker"],
        "rack": f"w{number // PER_RACK + 1}",
        "unit": 1 + HEIGHT * (number % PER_RACK),
        "service_tag": f"9RW{number:02}T4",
        "bmc": {"address": f"10.40.3.{last + 100}", "mac": f"b0:7b:25:40:{hexed}:00"},
        "addresses": {
            "management": f"10.40.0.{last + 100}", "external": f"10.40.1.{last}", "oob": f"10.40.3.{last}",
        },
        "ports": {
            "lom1": {"mac": f"b0:7b:25:40:{hexed}:01"},
            "ocp1": {"mac": f"b8:3f:d2:40:{hexed}:01"},
            "ocp2": {"mac": f"b8:3f:d2:40:{hexed}:02"},
        },
    }  # fmt: skip
