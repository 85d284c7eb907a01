"""Ansible's own view of a site's variables, for rendering without a playbook."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rackwright.errors import UsageError
from rackwright.paths import checkout


def host_variables(site_file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Host → its variables: inventory, ``group_vars``, ``host_vars``, with Ansible's precedence.

    What the vault keeps is read where the run has its password (``ANSIBLE_VAULT_PASSWORD_FILE``); files that are
    encrypted as a whole are left out where it hasn't. Raises UsageError where variables can't be read.
    Empty for every host where nothing but the site file says anything: that sets no role's option, and on a
    large site Ansible takes longer to say so than all templates.
    """
    if not _overrides(site_file):
        return defaultdict(dict)
    os.environ.setdefault("ANSIBLE_CONFIG", str(checkout() / "ansible.cfg"))
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager  # after the setting above: read at import
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    _plugins()
    loader = _loader(DataLoader)
    inventory = InventoryManager(loader=loader, sources=[str(site_file)])
    manager = VariableManager(loader=loader, inventory=inventory)
    found: dict[str, Mapping[str, Any]] = {}
    for host in inventory.get_hosts():
        try:
            variables = manager.get_vars(host=host, include_hostvars=False)
        except AnsibleError as error:
            raise UsageError(f"the variables of {host.name} can't be read: {error}") from None
        found[host.name] = LazyVariables(variables, Templar(loader=loader, variables=variables))
    return found


def _loader(kind: type[Any]) -> Any:
    """Ansible's reader of files, that does without the vault's password."""
    from ansible import constants
    from ansible.cli import CLI
    from ansible.parsing.vault import is_encrypted

    class Loader(kind):  # type: ignore[misc]
        def _decrypt_if_vault_data(self, data: bytes) -> tuple[bytes, bool]:
            if is_encrypted(data) and not self._vault.secrets:
                return b"{}", False
            plain: tuple[bytes, bool] = super()._decrypt_if_vault_data(data)
            return plain

    loader = Loader()
    files = [constants.DEFAULT_VAULT_PASSWORD_FILE] if constants.DEFAULT_VAULT_PASSWORD_FILE else []
    identities = list(constants.DEFAULT_VAULT_IDENTITY_LIST or ())
    if files or identities:
        loader.set_vault_secrets(CLI.setup_vault_secrets(loader, identities, files, auto_prompt=False))
    return loader


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
