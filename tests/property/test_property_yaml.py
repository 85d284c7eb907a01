"""Reading and writing YAML: positions true to the character, both of libyaml's halves like Python's own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from property_sites import SOME

from rackwright.intent.document import Path_, read_document
from rackwright.render.engine import _block_yaml

KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda key: key not in ("null", "y", "n", "yes", "no", "on", "off", "true", "false")
)
WORDS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9./:{} -]{1,30}", fullmatch=True).map(str.strip).filter(bool),
    st.sampled_from(["é", "日本", "10.0.0.1", "a: b", "# no comment", "it's", '"', "-", "x" * 200, "l1\nl2"]),
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        WORDS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)
        ),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


def places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every path with what stands there."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


@SOME
@given(
    tree=TREES,
    flow=st.sampled_from([None, False, True]),
    style=st.sampled_from([None, "'", '"']),
    indent=st.integers(2, 6),
    comments=st.integers(0, 3),
)
def test_every_mark_points_at_what_it_says(
    tree: dict[str, Any], flow: bool | None, style: str | None, indent: int, comments: int
) -> None:
    text = "# é\n" * comments + yaml.safe_dump(
        tree, default_flow_style=flow, default_style=style, indent=indent, allow_unicode=True, width=60
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yml"
        path.write_text(text, encoding="utf-8")
        document = read_document(path, "any.yml")
    assert document.findings == []
    assert document.data == tree
    lines = text.splitlines()
    for where, value in places(tree):
        if not where:
            continue
        mark = document.mark(where)
        assert mark.file == "any.yml"
        here = lines[mark.line - 1][mark.column - 1 :]
        if isinstance(value, str) and here[0] not in "\"'|>?!":
            assert here.startswith(value.split()[0][:20])
        if isinstance(where[-1], str):
            key = document.mark(where, key=True)
            assert lines[key.line - 1][key.column - 1 :].lstrip("\"'").startswith(where[-1])
        theirs = _composed(yaml.compose(text, Loader=yaml.SafeLoader), where)
        assert (mark.line - 1, mark.column - 1) == theirs


def _composed(node: Any, path: Path_) -> tuple[int, int]:
    """The place by Python's own parser."""
    for step in path:
        below = dict(enumerate(node.value)) if isinstance(step, int) else {k.value: v for k, v in node.value}
        node = below[step]
    return node.start_mark.line, node.start_mark.column


@SOME
@given(tree=TREES)
def test_settings_are_written_as_by_python(tree: dict[str, Any]) -> None:
    expected = yaml.safe_dump(tree, sort_keys=False, default_flow_style=False, width=120).rstrip("\n")
    assert _block_yaml(json.dumps(tree)) == expected
