"""Which steps make a bundle: the graph, from the release file and the recipes under ``packaging/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rackwright.mirror.aptrepo import apt_step
from rackwright.mirror.chart import chart_step
from rackwright.mirror.deb import deb_step
from rackwright.mirror.debian import debian_step
from rackwright.mirror.gobuild import go_step
from rackwright.mirror.image import image_step, rootfs_step
from rackwright.mirror.release import Release
from rackwright.mirror.signing import SigningKey
from rackwright.mirror.step import Step
from rackwright.mirror.store import binary_step, model_image_step, model_step, models
from rackwright.mirror.wheel import wheel_step

#: The Debian package set that goes into the bundle's repository; the others go into images.
NODES = "nodes"


@dataclass(frozen=True)
class Plan:
    """The steps in order, and the names of those whose results the bundle consists of."""

    steps: tuple[Step, ...]
    parts: tuple[str, ...]


def make_plan(release: Release, packaging: Path, key: SigningKey) -> Plan:
    """The plan of a release's bundle; ``packaging`` is the directory of recipes."""
    steps = [go_step(path.parent.name, release.version(path.parent.name), path.parent)
             for path in sorted((packaging / "go").glob("*/recipe.yml"))]  # fmt: skip
    steps.append(go_step("silicon", release.version("gpu_driver"), packaging / "silicon"))
    sets = yaml.safe_load((packaging / "debian" / "sets.yml").read_text())
    steps += [debian_step(name, entry["suite"], entry["packages"]) for name, entry in sets.items()]
    steps += [wheel_step(path.parent) for path in sorted((packaging / "wheels").glob("*/requirements.txt"))]
    own: dict[str, str] = {}
    for recipe in sorted((packaging / "debs").glob("*/deb.yml")):
        step = deb_step(recipe.parent, release.versions, release.epoch)
        steps.append(step)
        own[step.name] = release.source(yaml.safe_load(recipe.read_text())["component"])
    parts = [apt_step(key, release.name, own, (f"debian-{NODES}",))]
    for path in sorted((packaging / "images").glob("*/image.yml")):
        parts.append(image_step(path, release))
        for layer in yaml.safe_load(path.read_text())["layers"]:
            if "rootfs" in layer:
                suite = sets[layer["rootfs"]]["suite"]
                steps.append(rootfs_step(layer["rootfs"], suite, layer.get("without") or [], release.epoch))
    for model in models(packaging / "models"):
        parts += [model_step(model, release), model_image_step(model, release)]
    parts += [
        chart_step("cilium", "cilium", "go-cilium/chart", release),
        chart_step("gpu-operator", "gpu_operator", packaging / "gpu-operator", release),
        binary_step("crane", "crane", "go-crane/crane", release),
    ]
    return Plan(tuple(in_order([*steps, *parts])), tuple(part.name for part in parts))


def in_order(steps: list[Step]) -> list[Step]:
    """The steps with each after what it needs, and the longest chains first.

    Raises:
        KeyError: a step needs one that does not exist.
    """
    by_name = {step.name: step for step in steps}
    ahead: dict[str, float] = {}

    def weight(step: Step, users: Mapping[str, list[Step]]) -> float:
        if step.name not in ahead:
            ahead[step.name] = step.seconds + max((weight(u, users) for u in users[step.name]), default=0.0)
        return ahead[step.name]

    users: dict[str, list[Step]] = {name: [] for name in by_name}
    for step in steps:
        for need in step.needs:
            users[need].append(step)
    return sorted(steps, key=lambda step: -weight(step, users))
