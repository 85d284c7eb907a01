"""Which steps make a bundle: the graph, from the release file and the recipes under ``packaging/``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rackwright.errors import UsageError
from rackwright.mirror.aptrepo import apt_step
from rackwright.mirror.chart import chart_step
from rackwright.mirror.deb import deb_step
from rackwright.mirror.debian import debian_step, ubuntu_keys_step
from rackwright.mirror.gobuild import go_step
from rackwright.mirror.image import image_step, rootfs_step
from rackwright.mirror.metal import packages_step, read_recipe
from rackwright.mirror.osimage import images_index_step, os_image_step
from rackwright.mirror.ramdisk import ramdisk_step
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


def make_plan(release: Release, packaging: Path, key: SigningKey, extra_images: Collection[str] = ()) -> Plan:
    """The plan of a release's bundle; ``packaging`` is the directory of recipes.

    Raises:
        UsageError: there is no recipe of an extra image.
    """
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
    fetched, made = metal_steps(release, packaging / "metal", extra_images)
    steps += fetched
    parts += made
    parts += [
        chart_step("cilium", "cilium", "go-cilium/chart", release),
        chart_step("gpu-operator", "gpu_operator", packaging / "gpu-operator", release),
        binary_step("crane", "crane", "go-crane/crane", release),
    ]
    return Plan(tuple(in_order([*steps, *parts])), tuple(part.name for part in parts))


def metal_steps(
    release: Release, directory: Path, extra_images: Collection[str] = ()
) -> tuple[list[Step], list[Step]]:
    """Steps that fetch packages, and steps that make what bare servers are given.

    Images are those whose recipe says ``always``, and the extra ones.

    Raises:
        UsageError: there is no recipe of an extra image.
    """
    ramdisk = read_recipe(directory / "ipa" / "ramdisk.yml")
    known = {
        path.parent.name: read_recipe(path) for path in sorted((directory / "images").glob("*/image.yml"))
    }
    for name in extra_images:
        if name not in known:
            raise UsageError(f"there is no image {name}", f"known images: {', '.join(known)}")
    images = [r for r in known.values() if r.document.get("always") or r.name in extra_images]
    fetched = [packages_step(recipe) for recipe in (ramdisk, *images)]
    if any(recipe.system["archive"] == "ubuntu" for recipe in images):
        fetched.append(ubuntu_keys_step())
    made = [ramdisk_step(ramdisk, release), *(os_image_step(recipe, release) for recipe in images)]
    return fetched, [*made, images_index_step([recipe.name for recipe in images], release)]


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
