"""Helm charts of the bundle, packed so that the same chart gives the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import yaml

from rackwright.mirror.image import fidelity_of
from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.release import Release
from rackwright.mirror.step import Step, StepContext, digest_tree


def pack(directory: Path, name: str, epoch: int) -> bytes:
    """The directory as a gzip tar below ``name/``: sorted, one time stamp, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(p for p in directory.rglob("*") if p.is_file()):
            info = tarfile.TarInfo(f"{name}/{path.relative_to(directory)}")
            info.size, info.mode, info.mtime = path.stat().st_size, 0o644, epoch
            with path.open("rb") as content:
                tar.addfile(info, content)
    return gzip.compress(buffer.getvalue(), 9, mtime=0)


def chart_step(name: str, component: str, source: str | Path, release: Release) -> Step:
    """The step ``chart-<name>``; ``source`` is a directory, or ``<step>/<path>`` in a step's result."""
    needs: tuple[str, ...] = (source.split("/")[0],) if isinstance(source, str) else ()
    version = release.version(component)

    def run(context: StepContext) -> None:
        directory = (
            source if isinstance(source, Path) else context.upstream[needs[0]] / source.partition("/")[2]
        )
        metadata = yaml.safe_load((directory / "Chart.yaml").read_text())
        if (metadata["name"], str(metadata["version"]).removeprefix("v")) != (name, version):
            raise ValueError(
                f"{directory}/Chart.yaml is {metadata['name']} {metadata['version']}, not {name} {version}"
            )
        target = context.out / FILES / "charts" / f"{name}-{version}.tgz"
        target.parent.mkdir(parents=True)
        target.write_bytes(pack(directory, name, release.epoch))
        origin = Origin(
            "chart", name, version, release.source(component), fidelity_of(release.components[component])
        )
        record(context.out, {"charts/": origin})

    inputs = {
        "version": version,
        "epoch": release.epoch,
        "files": digest_tree(source) if isinstance(source, Path) else {},
    }
    return Step(f"chart-{name}", run, inputs, needs, 1)
