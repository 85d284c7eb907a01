"""Layers and images: the same bytes every time, and a real registry serves them."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.mirror.oci import MANIFEST, Layer, LayerWriter, RegistryTree, image_config, image_manifest
from rackwright.paths import cache_dir

EPOCH = 1_793_491_200


def tiny_layer(directory: Path, name: str = "layer.tar.zst") -> Layer:
    """A layer with a program, a link and a directory."""
    directory.mkdir(exist_ok=True)
    program = directory / "program"
    program.write_bytes(b"\x7fELF tiny")
    writer = LayerWriter(EPOCH)
    writer.link("usr/bin/other", "program")
    writer.file("usr/bin/program", program, 0o755)
    writer.directory("tmp", 0o1777)
    return writer.write(directory / name)


def plain_tar(layer: Layer, target: Path) -> tarfile.TarFile:
    """The layer, decompressed."""
    subprocess.run(["zstd", "-q", "-d", "-o", target, layer.file], check=True)
    return tarfile.open(target)


def test_layers_are_reproducible_and_sorted(tmp_path: Path) -> None:
    one, two = tiny_layer(tmp_path / "one"), tiny_layer(tmp_path / "two")
    assert (one.digest, one.diff_id, one.size) == (two.digest, two.diff_id, two.size)
    with plain_tar(one, tmp_path / "plain.tar") as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == ["tmp", "usr", "usr/bin", "usr/bin/other", "usr/bin/program"]
    assert {m.mtime for m in members} == {EPOCH} and {m.uid for m in members} == {0}
    assert members[0].mode == 0o1777 and members[4].mode == 0o755


def test_an_archive_loses_devices_and_dropped_files_and_keeps_hard_links_content(tmp_path: Path) -> None:
    source = tmp_path / "source.tar"
    (tmp_path / "file").write_text("content")
    with tarfile.open(source, "w") as tar:
        tar.add(tmp_path / "file", "./a/file")
        for name, kind, target in (
            ("a/again", tarfile.LNKTYPE, "./a/file"),
            ("dev/null", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        tar.add(tmp_path / "file", "./usr/share/doc/x/copyright")
        tar.add(tmp_path / "file", "./usr/share/doc/x/changelog")
    writer = LayerWriter(EPOCH)
    with tarfile.open(source) as archive:
        writer.archive(archive)
        writer.drop(["a/f*"])
        writer.keep_only("usr/share/doc/*", "*/copyright")
        layer = writer.write(tmp_path / "layer.tar.zst")
    with plain_tar(layer, tmp_path / "plain.tar") as tar:
        assert tar.getnames() == ["a/again", "usr/share/doc/x/copyright"]
        stream = tar.extractfile("a/again")
        assert stream is not None and stream.read() == b"content"


def put_image(root: Path, work: Path) -> str:
    """A tiny image ``test/tiny:1`` in a registry tree; its digest."""
    layers = [tiny_layer(work)]
    config = image_config(layers, {"Entrypoint": ["/usr/bin/program"]}, "2026-11-01T00:00:00Z")
    manifest = image_manifest(layers, config, {"org.opencontainers.image.title": "tiny"})
    return RegistryTree(root).add("test/tiny", ["1"], layers, config, manifest)


def test_the_tree_is_the_same_every_time(tmp_path: Path) -> None:
    digests = {put_image(tmp_path / name, tmp_path / f"work-{name}") for name in ("x", "y")}
    assert len(digests) == 1


def registry_program() -> str:
    """docker-registry of this machine, else out of the cache's bundle, else from the apt sources."""
    installed = shutil.which("docker-registry")
    if installed:
        return installed
    target = cache_dir() / "tests" / "docker-registry"
    if not (target / "usr").is_dir():
        target.mkdir(parents=True, exist_ok=True)
        package = next(cache_dir().glob("bundles/*/apt/pool/main/d/docker-registry_*.deb"), None)
        if package is None:
            subprocess.run(["apt-get", "download", "docker-registry"], cwd=target, check=True)
            package = next(target.glob("docker-registry_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package, target], check=True)
    return str(target / "usr" / "bin" / "docker-registry")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A real registry over a tree with one image; its address."""
    program = registry_program()
    put_image(tmp_path / "registry", tmp_path / "work")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "storage": {
            "filesystem": {"rootdirectory": str(tmp_path / "registry")},
            "maintenance": {"readonly": {"enabled": True}},
        },
        "http": {"addr": address},
    }
    (tmp_path / "config.yml").write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", tmp_path / "config.yml"], stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(address.split(":")[1]))) == 0:
                    break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def fetch(registry: str, what: str) -> tuple[bytes, str]:
    """GET something of ``test/tiny`` as a container runtime would; the body and its media type."""
    connection = http.client.HTTPConnection(registry, timeout=10)
    connection.request("GET", f"/v2/test/tiny/{what}", headers={"Accept": MANIFEST})
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read(), answer.headers["Content-Type"]


def test_a_real_registry_serves_the_tree(registry: str, tmp_path: Path) -> None:
    body, kind = fetch(registry, "manifests/1")
    assert kind == MANIFEST
    manifest = json.loads(body)
    for blob in (manifest["config"], *manifest["layers"]):
        content, _ = fetch(registry, f"blobs/{blob['digest']}")
        assert len(content) == blob["size"]
    if shutil.which("skopeo"):
        image = f"docker://{registry}/test/tiny:1"
        command = ["skopeo", "copy", "-q", "--src-tls-verify=false", image, f"dir:{tmp_path}/out"]
        subprocess.run(command, check=True)
