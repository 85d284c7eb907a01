"""What the bundle offers over plain HTTP: programs, and model repositories for the inference server."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from rackwright.mirror.image import recipe_step
from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.release import Release
from rackwright.mirror.step import Step, StepContext, digest_tree


def binary_step(name: str, component: str, source: str, release: Release) -> Step:
    """The step ``store-<name>``: ``store/bin/<name>`` out of ``<step>/<path>``."""
    step, _, path = source.partition("/")

    def run(context: StepContext) -> None:
        target = context.out / FILES / "store" / "bin" / name
        target.parent.mkdir(parents=True)
        os.link(context.upstream[step] / path, target)
        record(
            context.out,
            {"store/": Origin("binary", name, release.version(component), release.source(component))},
        )

    return Step(f"store-{name}", run, {"version": release.version(component)}, (step,), 1)


def models(directory: Path) -> list[Path]:
    """The directories of models: those with a numbered version in them."""
    return sorted({version.parent for version in directory.glob("*/[0-9]*") if version.is_dir()})


def contents_of(model: Path) -> list[Path]:
    """What the server reads of a model: its numbered versions, and its configuration where it has one."""
    return sorted(p for p in model.iterdir() if p.name.isdigit() or p.name == "config.pbtxt")


def model_image_step(model: Path, release: Release) -> Step:
    """The step ``image-model-<model>``: a busybox and the model below ``/model``, for an init container."""
    recipe = {
        "repository": f"rackwright/models/{model.name}",
        "tag": release.name,
        "source": f"packaging/models/{model.name}",
        "layers": [
            {"applets": "bin"},
            {
                "trees": {f"model/{p.name}": f"./{p.name}" for p in contents_of(model) if p.is_dir()},
                "files": {f"model/{p.name}": f"./{p.name}" for p in contents_of(model) if p.is_file()},
                "without": ["*/__pycache__", "*/__pycache__/*"],
            },
        ],
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
    }
    return recipe_step(f"model-{model.name}", recipe, model, release)


def model_step(directory: Path, release: Release) -> Step:
    """The step ``store-<model>``: ``store/models/<model>.tar``, the model's repository directory."""
    name = directory.name
    contents = contents_of(directory)

    def clean(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if "__pycache__" in info.name:
            return None
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = release.epoch
        info.mode = 0o755 if info.isdir() else 0o644
        return info

    def run(context: StepContext) -> None:
        target = context.out / FILES / "store" / "models" / f"{name}.tar"
        target.parent.mkdir(parents=True)
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
            for path in contents:
                tar.add(path, f"{name}/{path.name}", filter=clean)
        record(context.out, {"store/": Origin("file", name, release.name, f"packaging/models/{name}")})

    inputs = {"files": [digest_tree(path) for path in contents], "epoch": release.epoch}
    return Step(f"store-{name}", run, inputs, seconds=1)
