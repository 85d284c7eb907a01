"""A site file as an Ansible inventory: a thin wrapper over ``rackwright.site``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

try:
    import rackwright  # noqa: F401
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rackwright.errors import RackwrightError
from rackwright.site import host_groups, host_variables, load_site, site_variables

DOCUMENTATION = """
name: rackwright_site
plugin_type: inventory
short_description: A Rackwright site file as inventory
description:
  - Loads, validates and derives a site file; an invalid one stops here with all its errors.
  - "Groups: C(head), C(control_plane), C(gpu_worker), C(kubernetes), C(profile_…) and C(rack_…)."
  - The environment variable E(RACKWRIGHT_OVERLAY) may name a YAML file with variables of groups and hosts.
options:
  plugin:
    description: Marks the file as a site.
    required: true
    choices: [rackwright_site]
"""

EXAMPLES = """
# ansible-inventory -i inventories/reference/site.yml --graph
plugin: rackwright_site
"""

_MARK = re.compile(r"^plugin:\s*['\"]?rackwright_site['\"]?\s*(#.*)?$", re.MULTILINE)


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Groups and variables of a site."""

    NAME = "rackwright_site"
    # As a YAML inventory's: else `--list` shows every string wrapped as unsafe.
    trusted_by_default = True

    def verify_file(self, path: str) -> bool:
        """Whether the file says, in its first lines, that it is a site."""
        if not super().verify_file(path) or not path.endswith((".yml", ".yaml")):
            return False
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return bool(_MARK.search(file.read(4096)))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory. Raises AnsibleParserError with all findings of an invalid site."""
        super().parse(inventory, loader, path, cache)
        try:
            model = load_site(path)
        except RackwrightError as error:
            raise AnsibleParserError(f"{path} is not a valid site:\n{error}") from None
        for group, children in host_groups(model).items():
            inventory.add_group(group)
            for child in children:
                inventory.add_host(child, group=group)
        for name, value in site_variables(model).items():
            inventory.set_variable("all", name, value)
        for node in model.nodes:
            for name, value in host_variables(model, node).items():
                inventory.set_variable(node.name, name, value)
        overlay = os.path.expanduser(os.environ.get("RACKWRIGHT_OVERLAY", ""))
        if overlay:
            self._lay_over(inventory, loader, overlay)

    def _lay_over(self, inventory: Any, loader: Any, path: str) -> None:
        """Set the overlay file's variables: a mapping of groups (``all`` as a rule) and hosts to variables."""
        groups = (
            loader.load_from_file(path, cache="none", trusted_as_template=True)
            if Path(path).is_file()
            else None
        )
        if not isinstance(groups, dict):
            raise AnsibleParserError(
                f"RACKWRIGHT_OVERLAY names {path}, which is no file with a mapping 'all: …'"
            )
        for entity, variables in groups.items():
            known = entity in inventory.groups or entity in inventory.hosts
            if not known or not isinstance(variables, dict):
                names = ", ".join(sorted(inventory.groups))
                raise AnsibleParserError(
                    f"{path}: '{entity}' is not a group or host with variables; groups here: {names}"
                )
            for name, value in variables.items():
                inventory.set_variable(entity, name, value)
