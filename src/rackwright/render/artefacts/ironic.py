"""Artefacts of bare metal on the head node: Ironic, its API's address, what servers boot from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.render.places import TLS_DIRECTORY
from rackwright.render.registry import Artefact, Options, Scope, Template

CONFIGURATION = "/etc/rackwright/ironic"
STATE = "/var/lib/ironic/rackwright"
BOOT_ROOT = "/srv/rackwright/boot"
BOOT_PORT = 8090
API_PORT = 6385
MARIADB = "mysql+pymysql://ironic@localhost/ironic?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"


def _has_boot_network(model: SiteModel, node: Node, options: Options) -> bool:
    """Every head node that gives addresses there says what to boot from."""
    return model.head.interface("oob") is not None


def _is_ours(model: SiteModel, node: Node, options: Options) -> bool:
    """Of two head nodes the first has Ironic: two that know nothing of each other would both switch power."""
    return node.name == model.head.name and _has_boot_network(model, node, options)


def _has_conductors(model: SiteModel, node: Node, options: Options) -> bool:
    return _is_ours(model, node, options) and bool(options["ironic_conductors"])


def _has_mariadb(model: SiteModel, node: Node, options: Options) -> bool:
    return _is_ours(model, node, options) and _database(options) == "mariadb"


def _conductors(model: SiteModel, node: Node, options: Options) -> Sequence[Mapping[str, Any]]:
    return [{"conductor": conductor} for conductor in options["ironic_conductors"]]


def _database(options: Options) -> str:
    return "elsewhere" if options["ironic_database_connection"] else str(options["ironic_database"])


def interfaces(types: Sequence[str], boot: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Ironic's interfaces by kind, for these hardware types: the first that a type knows is its default.

    Source: https://docs.openstack.org/ironic/2025.1/admin/drivers/idrac.html
    """
    found: dict[str, list[str]] = {
        "bios": ["redfish", "no-bios"],
        "boot": list(boot),
        "console": ["no-console"],
        "deploy": ["direct"],
        "firmware": ["redfish", "no-firmware"],
        "inspect": ["agent", "redfish", "no-inspect"],
        "management": ["redfish"],
        "network": ["noop"],
        "power": ["redfish"],
        "raid": ["redfish", "agent", "no-raid"],
        "rescue": ["no-rescue"],
        "storage": ["noop"],
        "vendor": ["redfish", "no-vendor"],
    }
    if "idrac" in types:
        # For BIOS, power and vendor's calls Ironic itself prefers its general interfaces by now.
        for kind in ("inspect", "management", "raid"):
            found[kind].append("idrac-redfish")
        if "redfish-virtual-media" in boot:
            found["boot"].append("idrac-redfish-virtual-media")
    if "fake-hardware" in types:
        for kind in sorted(found.keys() - {"network"}):
            found[kind].append("fake")
    return found


def ironic_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """What Ironic's templates need beside the model: addresses, paths, interfaces, the database."""
    port = model.head.interface("oob")
    database = _database(options)
    connections = {"sqlite": f"sqlite:///{STATE}/ironic.sqlite", "mariadb": MARIADB}
    return {
        "oob_address": port.address.ip if port and port.address else None,
        "tftp_interface": port.name if port and node.name == model.head.name else None,
        "api_port": API_PORT,
        "boot_port": BOOT_PORT,
        "boot_root": BOOT_ROOT,
        "configuration": CONFIGURATION,
        "state": STATE,
        "database": database,
        "connection": connections.get(database),
        "interfaces": interfaces(options["ironic_hardware_types"], options["ironic_boot_interfaces"]),
        # The last one named is the console that the kernel's own messages and systemd's go to.
        "kernel_params": f"{options['ironic_kernel_params']} console=tty0 console={options['ironic_console']}",
        "authority": "/etc/rackwright/ca/ca.crt",
        "certificate": f"{TLS_DIRECTORY}/ironic.crt",
        "key": f"{TLS_DIRECTORY}/ironic.key",
    }


ARTEFACTS = (
    Artefact(
        "ironic",
        role="ironic",
        scope=Scope.HEAD,
        values=ironic_values,
        files=(
            Template(
                "ironic/ironic.conf.j2",
                f"{CONFIGURATION}/ironic.conf",
                mode="0640",
                group="ironic",
                when=_is_ours,
            ),
            Template(
                "ironic/conductor.conf.j2",
                CONFIGURATION + "/conductors/{{ conductor.name }}.conf",
                mode="0640",
                group="ironic",
                when=_has_conductors,
                each=_conductors,
            ),
            Template(
                "ironic/rackwright-ironic.service.j2",
                "/etc/systemd/system/rackwright-ironic.service",
                when=_is_ours,
            ),
            Template(
                "ironic/rackwright-ironic-conductor.service.j2",
                "/etc/systemd/system/rackwright-ironic-conductor@.service",
                when=_has_conductors,
            ),
            Template(
                "ironic/mariadb.cnf.j2", "/etc/mysql/mariadb.conf.d/90-rackwright.cnf", when=_has_mariadb
            ),
        ),
    ),
    Artefact(
        "metal_boot",
        role="ironic",
        scope=Scope.HEAD,
        values=ironic_values,
        files=(
            Template("ironic/nginx.conf.j2", "/etc/nginx/rackwright.d/ironic.conf", when=_is_ours),
            Template("ironic/sysctl.conf.j2", "/etc/sysctl.d/92-rackwright-ironic.conf", when=_is_ours),
            Template("ironic/agent.conf.j2", f"{CONFIGURATION}/agent/rackwright.conf", when=_is_ours),
            Template("ironic/grub.cfg.j2", f"{CONFIGURATION}/agent/grub.cfg", when=_is_ours),
        ),
    ),
    Artefact(
        "metal_dhcp",
        role="ironic",
        scope=Scope.HEAD,
        values=ironic_values,
        files=(
            Template(
                "ironic/dnsmasq.conf.j2",
                "/etc/dnsmasq.d/rackwright-boot.conf",
                validate="dnsmasq --test --conf-file=%s",
                when=_has_boot_network,
            ),
        ),
    ),
)
