"""The Redfish services, a module each; importing one adds its routes."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "root",
    "systems",
    "boot",
    "bios",
    "inventory",
    "storage",
    "volumes",
    "chassis",
    "adapters",
    "managers",
    "media",
    "dell",
    "accounts",
    "sessions",
    "certificates",
    "jobs",
    "updates",
    "logs",
    "registries",
    "eventing",
)


def load() -> None:
    """Register the routes of all services."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
