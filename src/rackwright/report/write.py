"""Writing a report into the directory of a rollout or rehearsal."""

from __future__ import annotations

import json
from pathlib import Path

from rackwright.derive.model import SiteModel
from rackwright.report.data import Report, gather, scrub
from rackwright.report.html import page


def write_report(model: SiteModel, output: Path, lock: Path | None) -> Report:
    """Gather, write ``report.json`` and ``report.html``; UsageError when there is nothing to report."""
    report = gather(model, output, lock)
    texts = {"report.json": scrub(json.dumps(report.to_dict(), indent=1)) + "\n", "report.html": page(report)}
    for name, text in texts.items():
        scratch = output / f".{name}"
        scratch.write_text(text)
        scratch.replace(output / name)
    return report
