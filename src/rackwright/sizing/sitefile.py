"""The site file of a plan: complete and valid, with placeholders where only the delivery can say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rackwright import catalog
from rackwright.sizing.layout import MANAGERS, SWITCH, SWITCHES, Placed, place
from rackwright.sizing.size import Plan, machines_of
from rackwright.sizing.workload import Order

# The most replicas that the grammar lets one service have, and ports of a leaf switch for servers.
MOST_REPLICAS = 64
LEAF_PORTS = 48
FIRST_VIP, MOST_MODELS = 200, 50
FIRST_MANAGER, FIRST_WORKER, BMC_OFFSET = 11, 21, 100

HEAD = """\
---
# Written by `rackwright size`: {what}.
# Before a roll-out, put in what only the order, the delivery and your network people can say:
#   - service tags (PLH…) and MAC addresses (02:…) are placeholders: the service tags stand on the delivery note,
#     the MACs come with them or from the iDRACs
#   - networks, VLANs and addresses are a default plan: management 10.40.0.0/24, external 10.40.1.0/24, oob 10.40.3.0/24
#   - racks, units and switch ports are a proposal, from the top downwards
# Then: rackwright validate, and again after each change.
plugin: rackwright_site

site:
  name: {name}
  domain: {name}.example
  release: "{release}"

networks:
  management:
    cidr: 10.40.0.0/24
    gateway: 10.40.0.1
  external:
    cidr: 10.40.1.0/24
    gateway: 10.40.1.1
    vlan: 110
  oob:
    cidr: 10.40.3.0/24
    gateway: 10.40.3.1
    dhcp_range: 10.40.3.200-10.40.3.249

kubernetes:
  api_vip: 10.40.0.10
  pod_cidr: 10.244.0.0/16
  service_cidr: 10.96.0.0/16

"""


class NotWritableError(ValueError):
    """A plan that one pair of leaf switches, or the grammar, can't take."""


@dataclass(frozen=True)
class _Server:
    name: str
    placed: Placed
    roles: str
    number: int
    port: int


def site_file(plan: Plan, order: Order) -> str:
    """The site file of a plan. Raises NotWritableError where the default layout doesn't reach."""
    placed = place(order.catalogue, machines_of(plan.blocks, order.catalogue), order.workload.rack)
    servers = list(_servers(placed[SWITCHES:]))
    _refuse(plan, order, servers)
    lines = [
        *_switches(placed[:SWITCHES]),
        *_racks(placed, order),
        *(line for server in servers for line in _server(server)),
        *_serving(plan, order),
    ]
    current = [name for name, release in catalog.releases().items() if release.status == "current"]
    what = ", ".join(f"{block.servers} x {block.product} with {block.gpu}" for block in plan.blocks)
    head = HEAD.format(what=what, name=order.workload.site, release=current[-1])
    return head + "\n".join(lines) + "\n"


def _refuse(plan: Plan, order: Order, servers: Sequence[_Server]) -> None:
    if len(servers) > LEAF_PORTS:
        raise NotWritableError(
            f"{len(servers)} servers don't fit the {LEAF_PORTS} ports of one pair of {SWITCH}: "
            "start from inventories/rows, whose racks have switches of their own"
        )
    if len(order.workload.models) > MOST_MODELS:
        raise NotWritableError(
            f"{len(order.workload.models)} models, the default plan has {MOST_MODELS} addresses"
        )
    for entry in order.workload.models:
        if entry.model is None:
            raise NotWritableError(
                f"a site serves models of the catalogue: add {entry.label} to catalog/models.yml beside the workload"
            )
    for block in plan.blocks:
        for item in block.placements:
            if item.instances > MOST_REPLICAS:
                raise NotWritableError(
                    f"{item.name} needs {item.instances} instances, one service has at most {MOST_REPLICAS}: "
                    "split its users over several names in the workload"
                )


def _servers(placed: Sequence[Placed]) -> Iterator[_Server]:
    workers: dict[str, int] = {}
    for index, place_ in enumerate(placed):
        key = place_.machine.key
        if index < MANAGERS:
            roles = "[head, control_plane]" if index == 0 else "[control_plane]"
            yield _Server(f"{key}-{index + 1}", place_, roles, FIRST_MANAGER + index, index + 1)
        else:
            workers[key] = workers.get(key, 0) + 1
            number = FIRST_WORKER + index - MANAGERS
            yield _Server(f"{key}-{workers[key]}", place_, "[gpu_worker]", number, index + 1)


def _switches(placed: Sequence[Placed]) -> Iterator[str]:
    yield "switches:"
    for index, place_ in enumerate(placed):
        name = f"leaf-{'ab'[index]}"
        yield (
            f"  - {{name: {name}, product: {SWITCH}, rack: {place_.rack}, unit: {place_.unit}, "
            f"address: 10.40.3.{251 + index}}}"
        )
    yield ""
    yield "interconnects:"
    yield "  - {switches: [leaf-a, leaf-b], ports: [ethernet1/1/53, ethernet1/1/54]}"
    yield ""


def _racks(placed: Sequence[Placed], order: Order) -> Iterator[str]:
    limits = order.workload.rack
    power = f", power_w: {limits.power_w}" if limits.power_w is not None else ""
    yield "racks:"
    for rack in sorted({place_.rack for place_ in placed}, key=lambda name: (len(name), name)):
        yield f"  - {{name: {rack}, units: {limits.units}{power}}}"
    yield ""
    yield "servers:"


def _server(server: _Server) -> Iterator[str]:
    number, placed = server.number, server.placed
    mac = f"02:00:00:00:{number:02x}"
    yield f"  - name: {server.name}"
    yield f"    profile: {placed.machine.key}"
    yield f"    roles: {server.roles}"
    yield f"    rack: {placed.rack}"
    yield f"    unit: {placed.unit}"
    yield f"    service_tag: PLH{number:04d}    # placeholder"
    yield f'    bmc: {{address: 10.40.3.{BMC_OFFSET + number}, mac: "{mac}:00"}}    # placeholder'
    yield (
        f"    addresses: {{management: 10.40.0.{number}, external: 10.40.1.{number}, oob: 10.40.3.{number}}}"
    )
    yield "    ports:    # placeholders"
    yield f'      lom1: {{mac: "{mac}:01"}}'
    for index, leaf in enumerate(("leaf-a", "leaf-b")):
        port = f"ethernet1/1/{server.port}"
        yield f'      ocp{index + 1}: {{mac: "{mac}:1{index + 1}", switch: {leaf}, port: {port}}}'
    if placed.machine.gpus is not None:
        product, gpus = placed.machine.gpus
        yield f"    gpus: {{product: {product}, count: {gpus}}}"
    yield ""


def _serving(plan: Plan, order: Order) -> Iterator[str]:
    yield "serving:"
    yield f"  vip_range: 10.40.1.{FIRST_VIP}-10.40.1.{FIRST_VIP + MOST_MODELS - 1}"
    yield "  models:"
    models = {entry.label: entry.model for entry in order.workload.models}
    for block in plan.blocks:
        for item in block.placements:
            yield f"    - name: {item.name}"
            yield f"      model: {models[item.name]}"
            yield f"      replicas: {item.instances}"
            yield f"      gpus: {item.gpus_per_instance}"
            yield f"      profiles: [{block.profile}]"
