"""The drawing of a large site: a card per rack, the switches that join the racks above them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rackwright.derive.model import Cable, Node, SiteModel, Switch
from rackwright.report import svg
from rackwright.report.looks import buses, network_text, short

WIDTH = 1240.0
SPINE = 26.0
TRUNK = "#2a7f9e"


@dataclass(frozen=True)
class Layout:
    """How the cards lie: how many side by side, how high, how far apart; whether they name the switches."""

    columns: int
    height: float
    gap: float
    above: float
    switches: bool

    @property
    def step(self) -> float:
        """From one card to the next, sideways."""
        return (WIDTH - SPINE) / self.columns

    @property
    def row(self) -> float:
        """From one row to the next."""
        return self.height + self.gap + self.above


ROOMY = Layout(6, 132.0, 14.0, 18.0, True)
# So many racks that the drawing would not fit a page.
DENSE = Layout(12, 58.0, 8.0, 10.0, False)
MOST_ROOMY = 36


@dataclass
class Card:
    """What a rack's card says. ``links``: cables to switches that join racks, by speed."""

    rack: str
    nodes: list[Node] = field(default_factory=list)
    leaves: list[Switch] = field(default_factory=list)
    links: Counter[int] = field(default_factory=Counter)


def joining(model: SiteModel) -> tuple[Switch, ...]:
    """The switches that no server is plugged into."""
    servers = {node.name for node in model.nodes}
    serving = {
        end.device for cable in model.cables if _devices(cable) & servers for end in (cable.a, cable.b)
    }
    return tuple(switch for switch in model.switches if switch.name not in serving)


def _devices(cable: Cable) -> set[str]:
    return {cable.a.device, cable.b.device}


def cards(model: SiteModel) -> list[Card]:
    """A card for each rack that has servers, by name."""
    spines = {switch.name for switch in joining(model)}
    made: dict[str, Card] = {}
    for node in model.nodes:
        made.setdefault(node.rack, Card(node.rack)).nodes.append(node)
    racks = {}
    for switch in model.switches:
        racks[switch.name] = switch.rack
        if switch.rack in made and switch.name not in spines:
            made[switch.rack].leaves.append(switch)
    for cable in model.cables:
        for near, far in ((cable.a, cable.b), (cable.b, cable.a)):
            rack = racks.get(near.device, "")
            if far.device in spines and near.device not in spines and rack in made:
                made[rack].links[cable.speed_gbps] += 1
    return [made[rack] for rack in sorted(made)]


def topology(model: SiteModel) -> str:
    """Networks, joining switches, and the racks in rows below them."""
    spines, racks = joining(model), cards(model)
    networks, top = _networks(model)
    parts = [networks]
    lay = ROOMY if len(racks) <= MOST_ROOMY else DENSE
    rows = [racks[start : start + lay.columns] for start in range(0, len(racks), lay.columns)]
    if spines:
        parts.append(_spines(spines, model, top))
        top += 44
        linked = [i for i, row in enumerate(rows) if any(card.links for card in row)]
        if linked:
            last = top + linked[-1] * lay.row + 6
            parts.append(svg.line(8, top - 18, 8, last, TRUNK, 3.0))
    for number, row in enumerate(rows):
        y = top + number * lay.row
        joined = [i for i, card in enumerate(row) if card.links]
        if joined:
            parts.append(svg.line(8, y + 6, SPINE + (joined[-1] + 0.5) * lay.step, y + 6, TRUNK, 3.0))
        for column, card in enumerate(row):
            parts.append(_card(card, SPINE + column * lay.step, y + lay.above, lay))
    height = top + len(rows) * lay.row
    about = f"{len(model.nodes)} servers in {len(racks)} racks, one card a rack; {len(spines)} switches join them."
    return svg.drawing(WIDTH, height, "".join(parts), f"Racks and switches of {model.name}", about)


def _networks(model: SiteModel) -> tuple[str, float]:
    """A line for each network, and where the drawing goes on below them."""
    parts = []
    on = Counter(str(i.network) for node in model.nodes for i in node.interfaces if i.address is not None)
    for number, purpose in enumerate(buses(model)):
        y = 16 + number * 24.0
        colour = svg.NETWORK_COLOURS[purpose]
        what = "iDRACs and switches" if purpose == "oob" else "servers"
        count = len(model.nodes) + len(model.switches) if purpose == "oob" else on[purpose]
        parts.append(svg.text(0, y, purpose, 12, colour, font_weight="600"))
        parts.append(svg.text(96, y, network_text(model.networks[purpose]), 11, svg.MUTED))
        parts.append(svg.line(262, y - 4, WIDTH - 190, y - 4, colour, 4.0))
        parts.append(svg.text(WIDTH - 178, y, f"{count} {what}", 11, svg.MUTED))
    return "".join(parts), 16 + len(buses(model)) * 24.0 + 8


def _spines(spines: Sequence[Switch], model: SiteModel, top: float) -> str:
    step = WIDTH / len(spines)
    wide = min(step - 12, 300.0)
    plugged = Counter(name for cable in model.cables for name in _devices(cable))
    parts = [svg.line(8, top + 26, WIDTH - step / 2, top + 26, TRUNK, 3.0)]
    for number, switch in enumerate(spines):
        x = number * step + (step - wide) / 2
        words = f"{switch.name}  {short(switch.product)}  {plugged[switch.name]} links"
        parts.append(svg.line(x + wide / 2, top + 20, x + wide / 2, top + 26, TRUNK, 3.0))
        box = svg.box(x, top - 6, wide, 26, svg.SWITCH_FILL, TRUNK, 5)
        name = svg.text(x + wide / 2, top + 11, svg.fitted(words, wide - 8, 11), 11, text_anchor="middle")
        parts.append(svg.titled(box + name, f"{switch.name}, rack {switch.rack}, {switch.address}"))
    return "".join(parts)


def _card(card: Card, x: float, y: float, lay: Layout) -> str:
    width = lay.step - lay.gap
    kinds = Counter(short(node.product) for node in card.nodes)
    gpus: Mapping[str, int] = _gpus(card.nodes)
    parts = [svg.box(x, y, width, lay.height, svg.WORKER_FILL, svg.WORKER_EDGE, 6)]
    if card.links:
        parts.append(svg.line(x + width / 2, y - lay.above + 6, x + width / 2, y, TRUNK, 3.0))
    if card.links and lay.switches:
        links = ", ".join(f"{count} x {speed}G" for speed, count in sorted(card.links.items()))
        parts.append(svg.text(x + width / 2 + 6, y - 3, links, 9.5, TRUNK))
    edge = 10 if lay.switches else 7
    name = svg.fitted(f"Rack {card.rack}" if lay.switches else card.rack, width * 0.6, 12)
    parts.append(svg.text(x + edge, y + 17, name, 12, font_weight="600"))
    if lay.switches:
        count = f"{len(card.nodes)} servers" if len(card.nodes) > 1 else "1 server"
        parts.append(svg.text(x + width - edge, y + 17, count, 10, svg.MUTED, text_anchor="end"))
    said = [f"{number} x {product}" for product, number in sorted(kinds.items())]
    said += [f"{number} x {product}" + (" GPUs" if lay.switches else "") for product, number in gpus.items()]
    room = 4 if lay.switches else 2
    size = 10.5 if lay.switches else 9.5
    lines = said if len(said) <= room else [*said[: room - 1], f"{said[room - 1]} …"]
    for number, words in enumerate(lines):
        down = y + (36 if lay.switches else 33) + number * 14
        parts.append(svg.text(x + edge, down, svg.fitted(words, width - 2 * edge, size), size))
    if lay.switches:
        parts += _leaves(card, x, y, width, lay)
    leaves = [leaf.name for leaf in card.leaves]
    return svg.titled("".join(parts), f"Rack {card.rack}: {', '.join([*said, *leaves])}")


def _gpus(nodes: Sequence[Node]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for node in nodes:
        if node.gpus is not None:
            product = node.gpus.product.removeprefix("NVIDIA ").split(" ")[0]
            counts[f"{product} {node.gpus.form_factor}"] += node.gpus.count
    return counts


def _leaves(card: Card, x: float, y: float, width: float, lay: Layout) -> list[str]:
    """The rack's own switches along the bottom of its card; how many more there are than fit."""
    parts = []
    shown = card.leaves[:2]
    step = (width - 16) / max(len(shown), 1)
    for number, leaf in enumerate(shown):
        left = x + 8 + number * step
        label = svg.fitted(leaf.name, step - 10, 9.5)
        if number == 1 and len(card.leaves) > 2:
            label = f"{svg.fitted(leaf.name, step - 34, 9.5)} +{len(card.leaves) - 2}"
        parts.append(
            svg.box(left + 2, y + lay.height - 30, step - 4, 22, svg.SWITCH_FILL, svg.SWITCH_EDGE, 4)
        )
        parts.append(svg.text(left + step / 2, y + lay.height - 15.5, label, 9.5, text_anchor="middle"))
    return parts
