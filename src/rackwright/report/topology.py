"""The drawing of a site: networks as buses over the servers, with the switches below.

A site with more servers than fit side by side is drawn by rack (rackwright.report.by_rack).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rackwright.derive.model import Cable, Node, SiteModel, Switch
from rackwright.report import by_rack, svg
from rackwright.report.looks import buses, colours, gpu_text, network_text, short

WIDTH = 1240.0
GUTTER = 196.0
BUS_GAP = 44.0
BOX_HEIGHT = 138.0
MOST_SIDE_BY_SIDE = 14
#: From the row of the servers' switches down to that of the switches that join them.
TIER = 84.0
TINTS = ("#2a7f9e", "#9a6a2f", "#6d5aa8", "#5d6b79")


def topology(model: SiteModel, results: Mapping[str, str]) -> str:
    """Networks, servers, switches, cables.

    ``results`` is name of node → ``passed`` or ``failed``; empty where nothing ran.
    """
    if len(model.nodes) > MOST_SIDE_BY_SIDE:
        return by_rack.topology(model)
    step = (WIDTH - GUTTER) / max(len(model.nodes), 1)
    width = min(step - 8, 130.0)
    left = {n.name: GUTTER + i * step + (step - width) / 2 for i, n in enumerate(model.nodes)}
    top = 24 + BUS_GAP * len(buses(model))
    parts = [_bus(model, purpose, 24 + i * BUS_GAP) for i, purpose in enumerate(buses(model))]
    for node in model.nodes:
        parts.append(_drops(model, node, left[node.name], width, top))
    switch_y = top + BOX_HEIGHT + 70
    parts.append(_cables(model, left, width, top + BOX_HEIGHT, switch_y))
    parts += [_server(n, left[n.name], top, width, results.get(n.name, "")) for n in model.nodes]
    if model.switches:
        parts.append(svg.text(0, switch_y + 14, "Switches", 12, font_weight="600"))
        parts.append(svg.text(0, switch_y + 29, f"{len(model.cables)} cables", 10.5, svg.MUTED))
    height = switch_y + 44 if model.switches else top + BOX_HEIGHT + 8
    leaves, spines = _tiers(model)
    if spines:
        parts.append(_spines(model, leaves, spines, switch_y))
        height += TIER
    about = (
        f"{len(model.nodes)} servers hang on {len(buses(model))} networks drawn as lines above them; "
        f"{len(model.cables)} cables lead to {len(model.switches)} switches below."
    )
    return svg.drawing(
        WIDTH, height, "".join(parts), f"Networks, servers and switches of {model.name}", about
    )


def _bus(model: SiteModel, purpose: str, y: float) -> str:
    network = model.networks[purpose]
    colour = svg.NETWORK_COLOURS[purpose]
    extra = ""
    if purpose == "management":
        extra = f"API {model.api_vip}:{model.api_port}"
    elif purpose == "external" and model.serving:
        vips = sorted({served.vip for served in model.serving})
        more = f" to .{str(vips[-1]).rsplit('.', 1)[1]}" if len(vips) > 1 else ""
        extra = f"models {vips[0]}{more}"
    return (
        svg.text(0, y - 3, purpose, 12, colour, font_weight="600")
        + svg.text(0, y + 10, network_text(network), 10.5, svg.MUTED)
        + (svg.text(0, y + 22, extra, 10.5, svg.MUTED) if extra else "")
        + svg.line(GUTTER - 14, y, WIDTH - 4, y, colour, 4.0)
    )


def _drops(model: SiteModel, node: Node, left: float, width: float, top: float) -> str:
    parts = []
    purposes = buses(model)
    for index, purpose in enumerate(purposes):
        interface = node.interface(purpose)
        if interface is None or interface.address is None:
            continue
        x = left + width * (index + 1) / (len(purposes) + 1)
        y = 24 + index * BUS_GAP
        colour = svg.NETWORK_COLOURS[purpose]
        mark = svg.element("circle", cx=x, cy=y, r=3.6, fill="#fff", stroke=colour, stroke_width=2.0)
        drop = svg.line(x, y, x, top, colour, 1.4)
        parts.append(svg.titled(drop + mark, f"{node.name} {interface.name} {interface.address}"))
    return "".join(parts)


def _server(node: Node, x: float, y: float, width: float, result: str) -> str:
    fill, edge = colours(node)
    middle = x + width / 2

    def put(down: float, words: str, size: float, colour: str = svg.INK, weight: str = "400") -> str:
        fitted = svg.fitted(words, width - 4, size)
        return svg.text(middle, y + down, fitted, size, colour, text_anchor="middle", font_weight=weight)

    parts = [
        svg.box(x, y, width, BOX_HEIGHT, fill, edge, 6),
        put(19, node.name, 12.5, weight="600"),
        put(34, short(node.product), 10.5, svg.MUTED),
    ]
    roles = [
        name for name, here in (("head", node.is_head), ("control plane", node.is_control_plane)) if here
    ]
    parts += [put(54 + 14 * i, role, 10.5, svg.HEAD_EDGE, "600") for i, role in enumerate(roles)]
    if node.gpus:
        parts.append(_gpus(middle, y + 46, node.gpus.count))
        parts.append(put(88, gpu_text(node), 10))
        kind = {"nvlink_bridge": "NVLink bridges", "nvlink": "NVLink", "nvswitch": "NVSwitch", "none": ""}
        parts.append(put(101, kind[node.gpus.interconnect], 10, svg.MUTED))
    parts.append(put(BOX_HEIGHT - 12, str(node.address), 9.5, svg.MUTED))
    if result:
        colour = svg.GOOD if result == "passed" else svg.BAD
        parts.append(svg.element("circle", cx=x + width - 9, cy=y + 9, r=4.0, fill=colour))
    said = f": {result}" if result else ""
    return svg.titled("".join(parts), f"{node.fqdn}, rack {node.rack} unit {node.unit}{said}")


def _gpus(middle: float, y: float, count: int) -> str:
    size, gap, row = 11.0, 4.0, 4
    parts = []
    for index in range(count):
        in_row = min(count - index // row * row, row)
        x = middle - (in_row * (size + gap) - gap) / 2 + index % row * (size + gap)
        parts.append(svg.box(x, y + index // row * (size + gap), size, size, svg.WORKER_EDGE, radius=2))
    return "".join(parts)


def _cables(model: SiteModel, left: Mapping[str, float], width: float, bottom: float, switch_y: float) -> str:
    if not model.switches:
        return ""
    switches = _tiers(model)[0]
    at, wide = _row(switches)
    tint = {s.name: TINTS[i % len(TINTS)] for i, s in enumerate(switches)}
    parts = []
    for index, switch in enumerate(switches):
        plugged = [c for c in model.cables if switch.name in (c.a.device, c.b.device)]
        down = [c for c in plugged if (c.b.device if c.a.device == switch.name else c.a.device) in left]
        for number, cable in enumerate(down):
            node = cable.b if cable.a.device == switch.name else cable.a
            x1 = left[node.device] + width * (index + 1) / (len(switches) + 1)
            x2 = at[switch.name] + wide * (number + 1) / (len(down) + 1)
            curve = _curve((x1, bottom), (x2, switch_y), tint[switch.name])
            parts.append(
                svg.titled(curve, f"{node.device} {node.port} to {switch.name}, {cable.speed_gbps} Gb/s")
            )
        title = f"{switch.name}  {short(switch.product)}  {switch.address}"
        middle = at[switch.name] + wide / 2
        parts.append(svg.box(at[switch.name], switch_y, wide, 26, svg.SWITCH_FILL, tint[switch.name], 5))
        parts.append(svg.text(middle, switch_y + 17, title, 11, text_anchor="middle"))
    return "".join(parts) + _beside(model, at, wide, switch_y)


def _tiers(model: SiteModel) -> tuple[Sequence[Switch], Sequence[Switch]]:
    """The servers' switches, and those that join them; all in the first where nothing tells them apart."""
    spines = by_rack.joining(model)
    leaves = [switch for switch in model.switches if switch not in spines]
    return (leaves, spines) if leaves else (model.switches, ())


def _row(switches: Sequence[Switch]) -> tuple[dict[str, float], float]:
    """The left edge of each box of a row, and how wide they are."""
    span = (WIDTH - GUTTER) / len(switches)
    wide = max(min(span - 60, 420.0), span / 2)
    return {s.name: GUTTER + i * span + (span - wide) / 2 for i, s in enumerate(switches)}, wide


def _curve(start: tuple[float, float], end: tuple[float, float], colour: str) -> str:
    (x1, y1), (x2, y2) = start, end
    bend = (y2 - y1) * 0.55
    path = f"M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return svg.element("path", d=path, fill="none", stroke=colour, stroke_width=1.3, opacity=0.75)


def _beside(model: SiteModel, at: Mapping[str, float], wide: float, y: float) -> str:
    """The cables between switches of one row."""
    parts = []
    between = [c for c in model.cables if c.a.device in at and c.b.device in at]
    for number, cable in enumerate(between):
        one, other = sorted((at[cable.a.device], at[cable.b.device]))
        level = y + 13 + (number - (len(between) - 1) / 2) * 6
        link = svg.line(one + wide, level, other, level, svg.SWITCH_EDGE, 2.0)
        parts.append(svg.titled(link, _said(cable)))
    return "".join(parts)


def _said(cable: Cable) -> str:
    far = cable.b.device if cable.a.port == cable.b.port else f"{cable.b.device} {cable.b.port}"
    return f"{cable.a.device} {cable.a.port} to {far}, {cable.speed_gbps} Gb/s"


def _spines(model: SiteModel, leaves: Sequence[Switch], spines: Sequence[Switch], leaf_y: float) -> str:
    """The switches that join those of the servers, below these, with the cables to them."""
    above, leaf_wide = _row(leaves)
    at, wide = _row(spines)
    y = leaf_y + TIER
    parts = []
    for spine in spines:
        up = [c for c in model.cables if spine.name in (c.a.device, c.b.device)]
        up = [c for c in up if (c.a.device in above) != (c.b.device in above)]
        for number, cable in enumerate(up):
            leaf = cable.a.device if cable.a.device in above else cable.b.device
            mine = [c for c in model.cables if leaf in (c.a.device, c.b.device)]
            mine = [c for c in mine if c.a.device in at or c.b.device in at]
            x1 = above[leaf] + leaf_wide * (mine.index(cable) + 1) / (len(mine) + 1)
            x2 = at[spine.name] + wide * (number + 1) / (len(up) + 1)
            curve = _curve((x1, leaf_y + 26), (x2, y), svg.SWITCH_EDGE)
            parts.append(svg.titled(curve, _said(cable)))
        title = f"{spine.name}  {short(spine.product)}  {spine.address}"
        middle = at[spine.name] + wide / 2
        parts.append(svg.box(at[spine.name], y, wide, 26, svg.SWITCH_FILL, svg.SWITCH_EDGE, 5))
        text = svg.text(middle, y + 17, svg.fitted(title, wide - 6, 11), 11, text_anchor="middle")
        parts.append(svg.titled(text, title))
    return "".join(parts) + _beside(model, at, wide, y)
