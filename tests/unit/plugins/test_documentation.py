"""What Ansible loads documents itself in a form that ansible-doc can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
DOCUMENTED = sorted(
    path for folder in ("modules", "inventory", "callback") for path in (PLUGINS / folder).glob("*.py")
)


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_the_documentation_is_yaml_and_names_the_plugin(path: Path) -> None:
    texts = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == "DOCUMENTATION"
    }
    document = yaml.safe_load(texts["DOCUMENTATION"])
    assert path.stem in (document.get("module"), document.get("name"))
    assert document["short_description"] and not document["short_description"].endswith(".")
