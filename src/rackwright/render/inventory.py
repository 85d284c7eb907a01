"""Ansible's own view of a site's variables, for rendering without a playbook."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rackwright.paths import checkout


def host_variables(site_file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Host → its variables: inventory, ``group_vars``, ``host_vars``, with Ansible's precedence.

    Empty for every host where nothing but the site file says anything: that sets no role's option, and on a
    large site Ansible takes longer to say so than all templates.
    """
    if not _overrides(site_file):
        return defaultdict(dict)
    os.environ.setdefault("ANSIBLE_CONFIG", str(checkout() / "ansible.cfg"))
    from ansible.inventory.manager import InventoryManager  # after the setting above: read at import
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    _plugins()
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(site_file)])
    manager = VariableManager(loader=loader, inventory=inventory)
    found: dict[str, Mapping[str, Any]] = {}
    for host in inventory.get_hosts():
        variables = manager.get_vars(host=host, include_hostvars=False)
        found[host.name] = LazyVariables(variables, Templar(loader=loader, variables=variables))
    return found


@cache
def _plugins() -> None:
    """Ansible's plugins, made findable: once a process."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()


def _overrides(site_file: Path) -> bool:
    """Whether anything beside the site file, or laid over it, sets variables."""
    folders = (site_file.parent / name for name in ("group_vars", "host_vars"))
    return "RACKWRIGHT_OVERLAY" in os.environ or any(folder.exists() for folder in folders)


class LazyVariables(Mapping[str, Any]):
    """Variables that are templated only when they are asked for."""

    def __init__(self, raw: Mapping[str, Any], templar: Any) -> None:
        self._raw = raw
        self._templar = templar

    def __getitem__(self, name: str) -> Any:
        return self._templar.template(self._raw[name])

    def __iter__(self) -> Any:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
