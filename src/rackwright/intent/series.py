"""Series, as ranges are written with: ``gpu-{0001..0512}``, first addresses that count on, placeholders."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from ipaddress import IPv4Address

from rackwright.intent.fields import FieldError

#: What a range's texts may hold in braces, and what it stands for.
PLACEHOLDERS: Mapping[str, str] = {
    "name": "the server's own name",
    "rack": "the name of its rack",
    "rack_n": "the number of its rack within the range, from 1",
    "slot": "its place within the rack, from 1",
    "unit": "its rack unit",
    "n": "its number within the range, from 1",
}
_BRACE = re.compile(r"\{([^{}]*)\}")
_STEPS = re.compile(r"([0-9]{1,9}|[A-Za-z])\.\.([0-9]{1,9}|[A-Za-z])(?:\.\.([1-9][0-9]{0,8}))?")
_PLACEHOLDER = re.compile(r"[a-z_]+")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TAG_LENGTH = 7
# More machines than any site; a slip of a digit must not fill the memory.
MOST = 100_000


def series(text: str) -> list[str]:
    """Every text that ``text`` stands for, the rightmost braces changing fastest; placeholders stay.

    ``{1..12}``, ``{01..12}`` (as many digits), ``{2..20..2}`` (every second), ``{a..f}`` and ``{a,b}`` are
    written out as a shell does. Raises FieldError.
    """
    parts: list[list[str]] = []
    end = 0
    for brace in _BRACE.finditer(text):
        parts.append([text[end : brace.start()]])
        parts.append(_choices(brace.group(1)))
        end = brace.end()
    parts.append([text[end:]])
    if any("{" in part[0] or "}" in part[0] for part in parts[::2]):
        raise FieldError(f"'{text}' has a brace that is not closed", "write it as {1..12}")
    count = 1
    for part in parts:
        count *= len(part)
    if count > MOST:
        raise FieldError(f"'{text}' stands for {count} of them", f"a range holds {MOST} at most")
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _choices(inside: str) -> list[str]:
    steps = _STEPS.fullmatch(inside)
    if steps:
        return _counted(*steps.groups())
    if "," in inside and ".." not in inside:
        return [part.strip() for part in inside.split(",")]
    if _PLACEHOLDER.fullmatch(inside):
        if inside in PLACEHOLDERS:
            return [f"{{{inside}}}"]
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise FieldError(f"'{{{inside}}}' is not a placeholder", f"known: {known}")
    raise FieldError(
        f"'{{{inside}}}' is not a series", "write {1..12}, {01..12}, {2..20..2} for every second, or {a,b}"
    )


def _counted(first: str, last: str, step: str | None) -> list[str]:
    by = int(step or 1)
    written = f"{{{first}..{last}{f'..{step}' if step else ''}}}"
    if first.isdigit() != last.isdigit():
        raise FieldError(f"'{written}' mixes a number and a letter", "count from number to number")
    low, high = (int(first), int(last)) if first.isdigit() else (ord(first), ord(last))
    if high < low:
        raise FieldError(f"'{written}' ends before it begins", "put the lower one first")
    if (high - low) // by >= MOST:
        raise FieldError(f"'{written}' is too long", f"a range holds {MOST} at most")
    if not first.isdigit():
        return [chr(number) for number in range(low, high + 1, by)]
    padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return [f"{number:0{width}}" for number in range(low, high + 1, by)]


def has_placeholder(text: str) -> bool:
    """Whether ``text`` holds one of the placeholders."""
    return any(f"{{{name}}}" in text for name in PLACEHOLDERS)


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its placeholders replaced."""
    if "{" not in text:
        return text
    return _BRACE.sub(lambda brace: values[brace.group(1)], text)


def address_after(first: IPv4Address, steps: int) -> str | None:
    """The address ``steps`` after the first; None beyond the last there is."""
    number = int(first) + steps
    return str(IPv4Address(number)) if 0 <= number < 2**32 else None


def mac_after(first: str, steps: int) -> str | None:
    """The MAC address ``steps`` after the first, within the same maker's number (its first three pairs)."""
    maker, number = first[:8].lower(), int(first[9:].replace(":", ""), 16) + steps
    if not 0 <= number < 2**24:
        return None
    digits = f"{number:06x}"
    return f"{maker}:{digits[:2]}:{digits[2:4]}:{digits[4:]}"


def tag_after(first: str, steps: int) -> str | None:
    """The service tag ``steps`` after the first: seven digits and letters, counted like a number."""
    number = int(first, len(_DIGITS)) + steps
    tag = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        tag = _DIGITS[digit] + tag
    tag = tag.rjust(TAG_LENGTH, "0")
    return tag if len(tag) == TAG_LENGTH else None
