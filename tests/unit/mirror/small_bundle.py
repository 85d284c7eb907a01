"""A step for the tests: it writes a few small files."""

from __future__ import annotations

from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.step import Step, StepContext


def write_step(name: str, files: dict[str, str], runs: list[str] | None = None) -> Step:
    """A step whose result puts ``files`` into the bundle, and which notes every run in ``runs``."""

    def run(context: StepContext) -> None:
        if runs is not None:
            runs.append(name)
        for path, text in files.items():
            target = context.out / FILES / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        record(context.out, {"": Origin("file", name, "1", "test")})

    return Step(name, run, {"files": files})
