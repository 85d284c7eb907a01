"""A few lines that write SVG: elements as text, attributes escaped."""

from __future__ import annotations

from html import escape

INK = "#1b2733"
MUTED = "#5d6b79"
HAIR = "#d5dce4"
PANEL = "#f3f6f9"
GOOD = "#2e8b57"
BAD = "#c8372d"
NETWORK_COLOURS = {"external": "#d9822b", "management": "#2f6fde", "storage": "#7b57c9", "oob": "#7d8a97"}
HEAD_FILL, CONTROL_FILL, WORKER_FILL, SWITCH_FILL = "#dbe8ff", "#edf3ff", "#e6f4ea", "#e9edf1"
HEAD_EDGE, CONTROL_EDGE, WORKER_EDGE, SWITCH_EDGE = "#2f6fde", "#7da4e8", "#57ab77", "#7d8a97"


def element(name: str, content: str = "", /, **attributes: str | float) -> str:
    """One element; ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``."""
    said = []
    for key, value in attributes.items():
        text = f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        said.append(f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    return f"<{name}{''.join(said)}>{content}</{name}>" if content else f"<{name}{''.join(said)}/>"


def text(x: float, y: float, words: str, size: float = 11, fill: str = INK, **attributes: str | float) -> str:
    """A line of text; ``words`` is escaped."""
    return element(
        "text", escape(words), x=float(x), y=float(y), font_size=float(size), fill=fill, **attributes
    )


def box(
    x: float, y: float, width: float, height: float, fill: str, edge: str = "none", radius: float = 4
) -> str:
    """A rectangle with round corners."""
    size: dict[str, str | float] = {
        "x": float(x),
        "y": float(y),
        "width": float(width),
        "height": float(height),
    }
    return element("rect", rx=float(radius), fill=fill, stroke=edge, **size)


def line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, **more: str | float
) -> str:
    """A straight line with round ends."""
    ends: dict[str, str | float] = {"x1": float(x1), "y1": float(y1), "x2": float(x2), "y2": float(y2)}
    return element("line", stroke=colour, stroke_width=width, stroke_linecap="round", **ends, **more)


def titled(content: str, words: str) -> str:
    """A group with a tooltip."""
    return element("g", element("title", escape(words)) + content)


def drawing(width: float, height: float, content: str, label: str, about: str = "") -> str:
    """The whole drawing, as wide as its place allows; ``label`` and ``about`` are its title and description."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="100%" style="max-width: {width:.0f}px"'
    name = f'role="img" aria-label="{escape(label)}"'
    said = element("title", escape(label)) + (element("desc", escape(about)) if about else "")
    return (
        f'<svg {size} {name} xmlns="http://www.w3.org/2000/svg" font-family="inherit">{said}{content}</svg>'
    )


def fitted(words: str, width: float, size: float) -> str:
    """``words`` cut to a width in pixels at a font size, by the usual width of a character."""
    most = max(int(width / (size * 0.56)), 4)
    return words if len(words) <= most else words[: most - 1] + "…"
