"""What a YAML text may not do to its reader: nest without end, or multiply itself by aliases."""

from __future__ import annotations

import yaml

#: A site's own files nest to about ten; the readers of YAML give up at some hundreds.
DEPTH = 64
#: Values with every alias written out; 4,000 servers written one by one have a quarter of a million.
VALUES = 4_000_000


def beyond_bounds(text: str) -> tuple[int, int, str, str] | None:
    """Line, column, message and hint of the first place that is too deep or too much; None without one.

    Reads events only: neither recursion nor memory grows with the text. Raises yaml.YAMLError where the
    text is no YAML up to there.
    """
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    sizes: dict[str, int] = {}
    # Of each open list or block: its anchor and the values within, so far; the first is the text's own.
    open_: list[tuple[str | None, int]] = [(None, 0)]

    def add(values: int) -> None:
        anchor, before = open_[-1]
        open_[-1] = anchor, before + values

    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values = open_.pop()
            if anchor is not None:
                sizes[anchor] = values
            add(values + 1)
        elif isinstance(event, yaml.AliasEvent):
            add(sizes.get(event.anchor or "", 1))
        elif isinstance(event, yaml.ScalarEvent):
            add(1)
        deep, much = len(open_) > DEPTH, open_[-1][1] > VALUES
        if not (deep or much) or event.start_mark is None:
            continue
        place = event.start_mark.line + 1, event.start_mark.column + 1
        if deep:
            return *place, f"blocks within blocks, more than {DEPTH} deep", "close the brackets before this"
        return *place, f"aliases make more than {VALUES:,} values of the file", "write out what is meant"
    return None
