"""The drawing of a site: networks as buses over the servers, with the switches below.

A site with more servers than fit side by side is drawn by rack (rackwright.report.by_rack).
"""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.derive.model import Node, SiteModel
from rackwright.report import by_rack, svg
from rackwright.report.looks import buses, colours, gpu_text, network_text, short

WIDTH = 1240.0
GUTTER = 196.0
BUS_GAP = 44.0
BOX_HEIGHT = 138.0
MOST_SIDE_BY_SIDE = 14


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
    span = (WIDTH - GUTTER) / len(model.switches)
    wide = min(span - 60, 420.0)
    tints = ("#2a7f9e", "#9a6a2f", "#6d5aa8", "#5d6b79")
    at = {s.name: GUTTER + i * span + (span - wide) / 2 for i, s in enumerate(model.switches)}
    tint = {s.name: tints[i % len(tints)] for i, s in enumerate(model.switches)}
    parts = []
    for index, switch in enumerate(model.switches):
        plugged = [c for c in model.cables if switch.name in (c.a.device, c.b.device)]
        down = [c for c in plugged if (c.b.device if c.a.device == switch.name else c.a.device) in left]
        for number, cable in enumerate(down):
            node = cable.b if cable.a.device == switch.name else cable.a
            x1 = left[node.device] + width * (index + 1) / (len(model.switches) + 1)
            x2 = at[switch.name] + wide * (number + 1) / (len(down) + 1)
            bend = (switch_y - bottom) * 0.55
            away, towards = bottom + bend, switch_y - bend
            path = (
                f"M{x1:.1f} {bottom:.1f} C{x1:.1f} {away:.1f} {x2:.1f} {towards:.1f} {x2:.1f} {switch_y:.1f}"
            )
            curve = svg.element(
                "path", d=path, fill="none", stroke=tint[switch.name], stroke_width=1.3, opacity=0.75
            )
            parts.append(
                svg.titled(curve, f"{node.device} {node.port} to {switch.name}, {cable.speed_gbps} Gb/s")
            )
        title = f"{switch.name}  {short(switch.product)}  {switch.address}"
        middle = at[switch.name] + wide / 2
        parts.append(svg.box(at[switch.name], switch_y, wide, 26, svg.SWITCH_FILL, tint[switch.name], 5))
        parts.append(svg.text(middle, switch_y + 17, title, 11, text_anchor="middle"))
    between = [c for c in model.cables if c.a.device in at and c.b.device in at]
    for number, cable in enumerate(between):
        one, other = sorted((at[cable.a.device], at[cable.b.device]))
        y = switch_y + 13 + (number - (len(between) - 1) / 2) * 6
        link = svg.line(one + wide, y, other, y, svg.SWITCH_EDGE, 2.0)
        parts.append(
            svg.titled(link, f"{cable.a.device} {cable.a.port} to {cable.b.device}, {cable.speed_gbps} Gb/s")
        )
    return "".join(parts)
