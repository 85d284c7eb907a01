"""Evidence recorded on a real lab of the minimal site, when that had one GPU server; every check passes on it.

``recorded.json`` was cut down to what the checks read; certificates were taken out, and Triton's metrics were
written by hand in its documented format. Of the pods, their restart policies were added by hand, and one Cilium pod that was
still starting was set to running.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.checks import Evidence
from rackwright.derive.model import SiteModel
from rackwright.paths import checkout
from rackwright.site import load_site

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.fixture(scope="session")
def minimal(tmp_path_factory: pytest.TempPathFactory) -> SiteModel:
    text = (checkout() / "inventories/minimal/site.yml").read_text()
    begin, end = text.index("  - name: r760xa-2"), text.index("serving:")
    site = tmp_path_factory.mktemp("minimal") / "site.yml"
    site.write_text(text[:begin] + text[end:])
    return load_site(site)


@pytest.fixture(scope="session")
def reference() -> SiteModel:
    return load_site("reference")


@pytest.fixture
def recorded() -> Evidence:
    return Evidence.from_dict(RECORDED)
