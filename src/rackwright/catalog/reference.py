"""Writes docs/reference/catalogue.md from the catalogue: ``python -m rackwright.catalog.reference``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright import catalog
from rackwright.catalog import Catalogue
from rackwright.catalog.grammar import PortRange, Server
from rackwright.paths import checkout

PAGE = "docs/reference/catalogue.md"
HEAD = """\
# The catalogue

The products that a site file can name, by key. Each fact and its source stand in `src/rackwright/catalog/*.yml`;
a site may have [products of its own](../how-to/add-your-own-products.md) beside it.
This page is made by `python -m rackwright.catalog.reference`.
"""


def catalogue_reference() -> str:
    """The whole page."""
    known = catalog.builtin()
    return HEAD + "".join(_sections(known))


def _table(title: str, about: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(heads)
    yield f"\n## {title}\n\n{about}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}\n"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |\n"


def _sections(known: Catalogue) -> Iterator[str]:
    yield from _table(
        "Servers",
        "`servers[].profile`. Units: how many it takes in the rack. Of the GPUs the first option is the usual one;\n"
        "another is stated in `servers[].gpus`. Ports in brackets are of adapters that it may be bought without.\n"
        "Watts: with the usual GPUs, all at their limits, for planning.",
        ("Key", "Product", "Units", "Roles", "CPU", "Memory", "GPUs", "Ports (Gbit/s)", "Watts"),
        (_server(known, key, server) for key, server in known.servers.items()),
    )
    yield from _table(
        "How servers are set up",
        "BIOS attributes that provisioning sets, by an iDRAC9's names; others stay as they are. The volume that a RAID\n"
        "controller makes of the data disks; what the first boot makes of the second disk.",
        ("Key", "BIOS", "RAID", "Second disk"),
        (_setup(key, server) for key, server in known.servers.items()),
    )
    yield from _table(
        "GPUs",
        "`servers[].gpus.product`.",
        ("Key", "Product", "Form", "Memory", "Watts"),
        (
            (f"`{key}`", gpu.product, gpu.form_factor, f"{gpu.memory_gb} GB", gpu.power_w)
            for key, gpu in known.gpus.items()
        ),
    )
    yield from _table(
        "Switches",
        "`switches[].product`. Ports by the names that `switch`/`port` of a server, `interconnects` and `breakouts` use.",
        ("Key", "Product", "Units", "Ports", "Watts"),
        (
            (f"`{key}`", one.product, one.height, "<br>".join(map(_ports, one.ports)), one.power_w or "")
            for key, one in known.switches.items()
        ),
    )
    yield from _table(
        "Models",
        "`serving.models[].model`. Memory of one copy; the fewest GPUs that it is spread over; whether the release's\n"
        "bundle carries its weights, so that it can be rolled out.",
        ("Key", "Model", "Memory", "Fewest GPUs", "In the bundle"),
        (
            (f"`{key}`", one.product, f"{one.memory_gb:g} GB", one.min_gpus, "yes" if one.shipped else "no")
            for key, one in known.models.items()
        ),
    )
    yield from _table(
        "Releases",
        "`site.release`.",
        ("Key", "Status", "Kubernetes", "Triton"),
        (
            (f"`{key}`", one.status, one.versions.get("kubernetes", ""), one.versions.get("triton", ""))
            for key, one in catalog.releases().items()
        ),
    )
    yield from _table(
        "Firmware",
        "The oldest version that [conformance](../how-to/provision-metal.md) doesn't warn of, by release. Nothing is\n"
        "invented: where no public source says one, a site may state its own (`server_firmware`).",
        ("Release", "Component", "At least", "Source"),
        (
            (f"`{key}`", f"`{name}`", firmware.minimum or "not stated", firmware.source)
            for key, one in catalog.releases().items()
            for name, firmware in one.firmware.items()
        ),
    )
    yield from _table(
        "Operating systems",
        "`site.distribution`.",
        ("Key", "Product", "Exercised in rehearsals"),
        (
            (f"`{key}`", one.product, "yes" if one.exercised else "no")
            for key, one in catalog.distributions().items()
        ),
    )


def _server(known: Catalogue, key: str, server: Server) -> tuple[object, ...]:
    options = [
        f"{' or '.join(str(count) for count in option.counts)} x `{option.product}`" for option in server.gpus
    ]
    usual = [f"{name} ({port.speed_gbps})" for name, port in server.ports.items() if not port.optional]
    more = [f"{name} ({port.speed_gbps})" for name, port in server.ports.items() if port.optional]
    first = server.gpus[0] if server.gpus else None
    parts = known.power_parts(key, first.product, first.counts[0]) if first else known.power_parts(key)
    return (
        f"`{key}`",
        server.product,
        server.height,
        ", ".join(f"`{role}`" for role in server.roles),
        f"{server.cpu.sockets} x {server.cpu.product}",
        f"{server.memory_gb} GB",
        "; ".join(options) or "none",
        ", ".join(usual) + (f" [{', '.join(more)}]" if more else ""),
        sum(parts.values()) if parts else "",
    )


def _setup(key: str, server: Server) -> tuple[object, ...]:
    raid, volumes = server.raid, server.storage.volumes if server.storage else ()
    return (
        f"`{key}`",
        "<br>".join(f"`{name}={value}`" for name, value in server.bios.items()),
        f"{raid.level}, {raid.size_gib} GiB" if raid else "none",
        ", ".join(f"`{volume.mount}` {volume.percent} %" for volume in volumes) or "none",
    )


def _ports(group: PortRange) -> str:
    names = group.names()
    speeds = "/".join(str(speed) for speed in group.all_speeds)
    split = f", {' or '.join(group.breakouts)}" if group.breakouts else ""
    more = f" to {names[-1].rpartition('/')[2]}" if len(names) > 1 else ""
    return f"{names[0]}{more}: {speeds} Gbit/s{split}"


if __name__ == "__main__":
    (checkout() / PAGE).write_text(catalogue_reference(), encoding="utf-8")
