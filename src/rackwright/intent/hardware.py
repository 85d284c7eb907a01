"""What a stated server is by the catalogue."""

from __future__ import annotations

from rackwright import catalog
from rackwright.intent import schema

# The ports that make the bond, the first of which every server has.
BOND_PORTS = ("ocp1", "ocp2")


# The ports of the optional second adapter: bond1, which then carries the storage network.
STORAGE_PORTS = ("nic1", "nic2")


def port_speeds(switch: schema.Switch, catalogue: catalog.Catalogue) -> dict[str, int]:
    """Each port's speed in Gbit/s in the order of the front panel, a broken-out port's parts in its place."""
    return catalogue.switches[switch.product].speeds(switch.breakouts)


def chosen_gpus(server: schema.Server, catalogue: catalog.Catalogue) -> tuple[catalog.GpuOption, int] | None:
    """The GPU option of a server and how many: as stated, else its profile's usual ones.

    None where the profile takes none, or not the stated ones.
    """
    options = catalogue.servers[server.profile].gpus
    if server.gpus is None:
        return (options[0], options[0].counts[0]) if options else None
    stated = server.gpus
    return next(((option, stated.count) for option in options if option.product == stated.product), None)
