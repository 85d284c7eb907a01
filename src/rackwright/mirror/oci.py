"""Container images written straight into the storage tree that docker-registry serves.

The layout is docker-registry 2.8's filesystem driver: blobs by digest, and small ``link`` files that say
which repository holds which blob, manifest and tag. Manifests are OCI image manifests with zstd layers.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
STORAGE = Path("docker/registry/v2")
#: A file's content: where it is, itself, or how to open it.
Content = Path | bytes | Callable[[], IO[bytes]]
#: zstd level: 6 is within a few percent of 12 and several times faster.
LEVEL = 6


@dataclass(frozen=True)
class Layer:
    """A compressed layer: digests of the compressed and of the plain tar, compressed size in bytes."""

    digest: str
    diff_id: str
    size: int
    file: Path


class LayerWriter:
    """Collects files and writes them as one layer: sorted, one time stamp, numeric owners."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._members: dict[str, tuple[tarfile.TarInfo, Content | None]] = {}

    def _put(self, name: str, source: Content | None, info: tarfile.TarInfo) -> None:
        info.name = name.strip("/")
        info.mtime = self.epoch
        info.uname = info.gname = ""
        info.pax_headers = {k: v for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.")}
        if info.name:
            self._members[info.name] = (info, source)

    def _parents(self, name: str) -> None:
        for parent in Path(name.strip("/")).parents:
            if str(parent) != "." and str(parent) not in self._members:
                self.directory(str(parent))

    def directory(self, name: str, mode: int = 0o755, uid: int = 0) -> None:
        """An empty directory owned by ``uid``."""
        self._parents(name)
        info = tarfile.TarInfo()
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, uid
        self._put(name, None, info)

    def file(self, name: str, source: Path | bytes, mode: int = 0o644, uid: int = 0) -> None:
        """A file with the content of ``source``."""
        self._parents(name)
        info = tarfile.TarInfo()
        info.size = source.stat().st_size if isinstance(source, Path) else len(source)
        info.mode, info.uid, info.gid = mode, uid, uid
        self._put(name, source, info)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._parents(name)
        info = tarfile.TarInfo()
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        self._put(name, None, info)

    def tree(self, name: str, source: Path, uid: int = 0) -> None:
        """A directory with everything below it; executable bits are kept."""
        self.directory(name, uid=uid)
        for path in sorted(source.rglob("*")):
            inside = f"{name.strip('/')}/{path.relative_to(source)}"
            if path.is_symlink():
                self.link(inside, str(path.readlink()))
            elif path.is_dir():
                self.directory(inside, uid=uid)
            else:
                self.file(inside, path, 0o755 if os.access(path, os.X_OK) else 0o644, uid)

    def archive(self, tar: tarfile.TarFile) -> None:
        """Everything in an open tar except devices; hard links become files. Keep ``tar`` open."""
        for member in tar:
            if member.isdev():
                continue
            info = member.replace(name=member.name.removeprefix("./"), deep=True)
            opener: Callable[[], IO[bytes]] | None = None
            if member.isreg() or member.islnk():
                target = tar.getmember(member.linkname) if member.islnk() else member
                info.type, info.size, info.linkname = tarfile.REGTYPE, target.size, ""
                opener = functools.partial(_open_member, tar, target)
            self._put(info.name, opener, info)

    def drop(self, patterns: Iterable[str]) -> None:
        """Leave out what matches one of the shell patterns (``*`` crosses directories)."""
        for pattern in patterns:
            for name in fnmatch.filter(list(self._members), pattern):
                del self._members[name]

    def keep_only(self, pattern: str, kept: str) -> None:
        """Leave out what matches ``pattern``, except what matches ``kept``."""
        for name in fnmatch.filter(list(self._members), pattern):
            info, _ = self._members[name]
            if not info.isdir() and not fnmatch.fnmatch(name, kept):
                del self._members[name]

    def write(self, target: Path) -> Layer:
        """Write ``target`` (``.tar.zst``) and return its digests."""
        plain = hashlib.sha256()
        with target.open("wb") as out, Compressor(out.fileno()) as compressor:
            stream = Tee(compressor.stdin, plain)
            with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
                for name in sorted(self._members):
                    info, source = self._members[name]
                    if source is None:
                        tar.addfile(info)
                    else:
                        with _open(source) as content:
                            tar.addfile(info, content)
        return describe(target, "sha256:" + plain.hexdigest())


def _open(source: Content) -> IO[bytes]:
    if isinstance(source, Path):
        return source.open("rb")
    return io.BytesIO(source) if isinstance(source, bytes) else source()


def _open_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise OSError(f"{member.name} in the archive has no content")
    return stream


class Tee:
    """A write-only stream that hashes what passes."""

    def __init__(self, out: Any, digest: Any) -> None:
        self.out = out
        self.digest = digest

    def write(self, data: bytes) -> int:
        """Pass the bytes on."""
        self.digest.update(data)
        self.out.write(data)
        return len(data)


class Compressor:
    """zstd as a pipe; ``-T2`` gives the same bytes with any number of cores."""

    def __init__(self, out: int) -> None:
        self._process = subprocess.Popen(
            ["nice", "-n", "5", "zstd", f"-{LEVEL}", "-T2", "-q", "-c"],
            stdin=subprocess.PIPE, stdout=out, start_new_session=True,
        )  # fmt: skip
        if self._process.stdin is None:
            raise OSError("zstd has no input pipe")
        self.stdin = self._process.stdin

    def __enter__(self) -> Compressor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stdin.close()
        if self._process.wait():
            raise OSError(f"zstd ended with status {self._process.returncode}")


def describe(file: Path, diff_id: str) -> Layer:
    """The layer in an existing compressed file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Layer("sha256:" + digest, diff_id, file.stat().st_size, file)


def image_config(layers: Sequence[Layer], config: Mapping[str, Any], created: str) -> bytes:
    """The image configuration document: ``config`` is its OCI ``config`` object (Entrypoint, Env, User …)."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def image_manifest(layers: Sequence[Layer], config: bytes, annotations: Mapping[str, str]) -> bytes:
    """The OCI manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        "annotations": dict(annotations),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    """``sha256:<hex>`` of the bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class RegistryTree:
    """A storage tree under ``root`` (the directory that holds ``docker/``)."""

    def __init__(self, root: Path) -> None:
        self.storage = root / STORAGE

    def _blob(self, digest: str) -> Path:
        algorithm, _, hexadecimal = digest.partition(":")
        path = self.storage / "blobs" / algorithm / hexadecimal[:2] / hexadecimal / "data"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _link(self, repository: str, place: str, digest: str) -> None:
        link = self.storage / "repositories" / repository / place / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(digest)

    def add(
        self, repository: str, tags: Iterable[str], layers: Sequence[Layer], config: bytes, manifest: bytes
    ) -> str:
        """Put an image in under its tags; the manifest's digest."""
        for layer in layers:
            if not self._blob(layer.digest).exists():
                os.link(layer.file, self._blob(layer.digest))
        digest = digest_of(manifest)
        for content in (config, manifest):
            self._blob(digest_of(content)).write_bytes(content)
        for blob in (*(layer.digest for layer in layers), digest_of(config)):
            self._link(repository, f"_layers/{blob.replace(':', '/')}", blob)
        self._link(repository, f"_manifests/revisions/{digest.replace(':', '/')}", digest)
        for tag in tags:
            self._link(repository, f"_manifests/tags/{tag}/current", digest)
            self._link(repository, f"_manifests/tags/{tag}/index/{digest.replace(':', '/')}", digest)
        return digest
