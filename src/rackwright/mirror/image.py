"""Container images from recipes: layers of Debian, of programs that other steps built, of plain files."""

from __future__ import annotations

import datetime
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from rackwright.mirror.aptrepo import COMPONENT, index
from rackwright.mirror.oci import Layer, LayerWriter, RegistryTree, image_config, image_manifest
from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.release import Release
from rackwright.mirror.step import Step, StepContext, digest_tree

#: Nothing at run time reads these; licences stay.
NEVER = [
    "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/lintian/*",
    "var/cache/*", "var/log/*", "var/lib/apt/*", "var/lib/dpkg/*-old", "*.pyc", "run/*", "tmp/*",
]  # fmt: skip


def rootfs_step(name: str, suite: str, without: list[str], epoch: int) -> Step:
    """The step ``rootfs-<name>``: a layer of Debian's essential packages and the set ``debian-<name>``."""

    def run(context: StepContext) -> None:
        source = context.upstream[f"debian-{name}"]
        wanted = [item["name"] for item in json.loads((source / "index.json").read_text())]
        repository, tar = context.out / "repository", context.out / "rootfs.tar"
        pool = repository / "pool" / COMPONENT
        pool.mkdir(parents=True)
        for deb in (source / "pool").iterdir():
            os.link(deb, pool / deb.name)
        index(context, repository, suite)
        # Trusted without a signature: these very files were checked against Debian's when they were fetched.
        line = f"deb [trusted=yes] copy:{repository} {suite} {COMPONENT}"
        context.call(
            ["mmdebstrap", "--variant=essential", f"--include={','.join(wanted)}", "--architectures=amd64",
             "--aptopt=APT::Install-Recommends false", suite, tar, line],
            env={"SOURCE_DATE_EPOCH": str(epoch)},
        )  # fmt: skip
        writer = LayerWriter(epoch)
        with tarfile.open(tar) as archive:
            writer.archive(archive)
            writer.drop([*NEVER, *without])
            writer.keep_only("usr/share/doc/*", "*/copyright")
            keep_layer(context.out, writer.write(context.out / "layer.tar.zst"))
        context.call(["rm", "-r", repository, tar])

    inputs = {"suite": suite, "without": without, "never": NEVER, "epoch": epoch}
    return Step(f"rootfs-{name}", run, inputs, (f"debian-{name}",), 30)


def keep_layer(out: Path, layer: Layer) -> None:
    """Write down a layer's digests beside it."""
    facts = {"digest": layer.digest, "diff_id": layer.diff_id, "size": layer.size}
    (out / "layer.json").write_text(json.dumps(facts) + "\n")


def kept_layer(result: Path) -> Layer:
    """The layer in a step's result."""
    facts = json.loads((result / "layer.json").read_text())
    return Layer(facts["digest"], facts["diff_id"], facts["size"], result / "layer.tar.zst")


def layer_of(recipe: Mapping[str, Any], context: StepContext, base: Path, epoch: int, number: int) -> Layer:
    """Make one layer; sources are ``<step>/<path>`` in a step's result, or ``./<path>`` by the recipe."""
    if "rootfs" in recipe:
        return kept_layer(context.upstream[f"rootfs-{recipe['rootfs']}"])

    def find(source: str) -> Path:
        step, _, path = source.partition("/")
        return base / path if step == "." else context.upstream[step] / path

    writer = LayerWriter(epoch)
    for name, mode in (recipe.get("directories") or {}).items():
        writer.directory(name, int(str(mode), 8))
    for target, source in (recipe.get("trees") or {}).items():
        writer.tree(target, find(source))
    for target, source in (recipe.get("files") or {}).items():
        writer.file(target, find(source), 0o755)
    for target, destination in (recipe.get("links") or {}).items():
        writer.link(target, destination)
    if "applets" in recipe:
        add_busybox(writer, recipe["applets"], context)
    writer.drop(recipe.get("without") or [])
    return writer.write(context.out / f"layer-{number}.tar.zst")


def add_busybox(writer: LayerWriter, directory: str, context: StepContext) -> None:
    """The static busybox of Debian, with a link for every applet it has."""
    pool = context.upstream["debian-busybox"] / "pool"
    package = next(pool.glob("busybox-static_*.deb"))
    unpacked = context.out / "busybox"
    context.call(["dpkg-deb", "--extract", package, unpacked])
    binary = next(
        path
        for path in unpacked.rglob("busybox")
        if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK)
    )
    writer.file(f"{directory}/busybox", binary.read_bytes(), 0o755)
    applets = context.output([binary, "--list"]).decode().split()
    for applet in applets:
        if applet != "busybox":
            writer.link(f"{directory}/{applet}", "busybox")
    context.call(["rm", "-r", unpacked])


def sources_of(recipe: Mapping[str, Any]) -> Iterator[str]:
    """Names of the steps that an image's layers take from."""
    for layer in recipe["layers"]:
        if "rootfs" in layer:
            yield f"rootfs-{layer['rootfs']}"
        if "applets" in layer:
            yield "debian-busybox"
        for kind in ("trees", "files"):
            yield from (s.split("/")[0] for s in (layer.get(kind) or {}).values() if not s.startswith("./"))


def image_step(path: Path, release: Release) -> Step:
    """The step ``image-<name>`` of the recipe ``<name>/image.yml``: one image in a registry tree."""
    return recipe_step(path.parent.name, yaml.safe_load(path.read_text()), path.parent, release)


def recipe_step(name: str, recipe: Mapping[str, Any], base: Path, release: Release) -> Step:
    """The step ``image-<name>`` of a recipe; see ``packaging/images`` for what a recipe may say."""
    component = release.components.get(recipe.get("component", ""), {})
    tag = str(recipe["tag"]).format(version=component.get("version"))
    source = recipe["source"] if "source" in recipe else release.source(recipe["component"])
    created = datetime.datetime.fromtimestamp(release.epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def run(context: StepContext) -> None:
        layers = [
            layer_of(layer, context, base, release.epoch, n) for n, layer in enumerate(recipe["layers"])
        ]
        config = image_config(layers, recipe.get("config") or {}, created)
        annotations = {
            "org.opencontainers.image.title": recipe["repository"],
            "org.opencontainers.image.version": tag,
            "org.opencontainers.image.created": created,
        }
        manifest = image_manifest(layers, config, annotations)
        registry = RegistryTree(context.out / FILES / "registry")
        digest = registry.add(recipe["repository"], [tag], layers, config, manifest)
        (context.out / "digest").write_text(digest + "\n")
        origin = Origin("image", recipe["repository"], tag, source, fidelity_of(component))
        record(context.out, {"registry/": origin})

    local = [
        s for layer in recipe["layers"] for k in ("trees", "files") for s in (layer.get(k) or {}).values()
    ]
    files = {s: digest_tree(base / s[2:]) for s in local if s.startswith("./")}
    inputs = {"recipe": recipe, "tag": tag, "epoch": release.epoch, "files": files}
    return Step(f"image-{name}", run, inputs, tuple(sorted(set(sources_of(recipe)))), 8)


def fidelity_of(component: Mapping[str, Any]) -> str:
    """``real`` unless the release file says otherwise."""
    return str(component.get("fidelity", "real"))
