"""The JSON Schemas of a workload and of its sizing: ``python -m rackwright.sizing.schemas`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rackwright.paths import checkout
from rackwright.sizing.size import Sizing
from rackwright.sizing.workload import Workload

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[Path, dict[str, Any]]:
    """Each schema by its file."""
    folder = checkout() / "docs/reference/schemas"
    workload = Workload.model_json_schema()
    output = Sizing.model_json_schema(mode="serialization")
    promise = "Fields may be added; those here keep their meaning."
    return {
        folder / "workload.schema.json": {
            "$schema": DIALECT,
            **workload,
            "title": "A workload file of rackwright size",
        },
        folder / "size.schema.json": {
            "$schema": DIALECT,
            **output,
            "title": "Output of rackwright size --format json",
            "description": f"{output['description']} {promise}",
        },
    }


def main() -> None:
    """Write them."""
    for path, schema in schemas().items():
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
