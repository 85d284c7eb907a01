"""The example sites as models, and a way to run a module as Ansible would, on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from render_tools import Run

from rackwright.derive.model import SiteModel
from rackwright.paths import checkout
from rackwright.site import load_site

# Ansible carries the checkout's own module_utils along with a module.
START = (
    "import runpy, sys, ansible.module_utils as utils; utils.__path__.append(sys.argv[1] + '/module_utils'); "
    "del sys.argv[:2]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="session", params=["reference", "minimal", "l40", "hundred-gig", "air-gapped-ha"])
def site(request: pytest.FixtureRequest) -> SiteModel:
    """The example sites."""
    return load_site(str(checkout() / "inventories" / request.param))


@pytest.fixture
def module(tmp_path: Path) -> Run:
    """``module(name, check=False, **arguments)`` runs a module in a process of its own and gives its result."""

    def run(name: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}}
        file = tmp_path / "arguments.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        plugins = checkout() / "plugins"
        command = [
            sys.executable,
            "-c",
            START,
            str(plugins),
            str(plugins / "modules" / f"{name}.py"),
            str(file),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run
