"""rackwright_bundle on the head node's side: what is missing, what is refused, what a lock there proves."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from render_tools import Run

FILES = {"apt/a.deb": b"first", "registry/blob": b"second"}


def lock_of(files: dict[str, bytes]) -> str:
    """A lock as the bundle has it, as far as this module reads it."""
    entries = [
        {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for path, data in files.items()
    ]
    return json.dumps({"entries": entries})


class Head:
    """The module on one directory with one lock."""

    def __init__(self, module: Run, tmp_path: Path, files: dict[str, bytes]) -> None:
        self.run = module
        self.tmp = tmp_path
        self.root = tmp_path / "mirror"
        self.lock = lock_of(files)

    def step(self, operation: str, **more: Any) -> dict[str, Any]:
        """One operation."""
        digest = hashlib.sha256(self.lock.encode()).hexdigest()
        given = {"lock": self.lock, **more}
        return self.run("rackwright_bundle", operation=operation, root=str(self.root), digest=digest, **given)

    def send(self, files: dict[str, bytes]) -> dict[str, Any]:
        """Pack files into an archive and have it received."""
        archive = self.tmp / "bundle.tar"
        with tarfile.open(archive, "w") as tar:
            for path, data in files.items():
                file = self.tmp / "content"
                file.write_bytes(data)
                tar.add(file, arcname=path)
        return self.step("receive", archive=str(archive))

    def load(self, files: dict[str, bytes]) -> None:
        """A whole load."""
        self.send(files)
        self.step("finish")


def test_loads_and_then_vouches_without_the_lock_being_sent(module: Run, tmp_path: Path) -> None:
    head = Head(module, tmp_path, FILES)
    assert head.step("plan", lock="") == head.step("plan", lock="") | {"known": False}
    assert head.step("plan")["missing"] == sorted(FILES)
    head.load(FILES)
    plan = head.step("plan", lock="")
    assert plan["known"] and plan["vouched"] and plan["missing"] == plan["stale"] == []


def test_interrupted_load_keeps_what_arrived_and_vouches_for_nothing(module: Run, tmp_path: Path) -> None:
    head = Head(module, tmp_path, FILES)
    head.send({"apt/a.deb": FILES["apt/a.deb"]})
    plan = head.step("plan")
    assert plan["missing"] == ["registry/blob"] and not plan["vouched"]


def test_wrong_byte_is_refused_by_name(module: Run, tmp_path: Path) -> None:
    head = Head(module, tmp_path, FILES)
    result = head.send({"apt/a.deb": b"f1rst"})
    assert result["failed"] and "apt/a.deb has sha256" in result["msg"]
    assert not list((head.root / "apt").iterdir())


def test_file_outside_the_lock_is_refused(module: Run, tmp_path: Path) -> None:
    head = Head(module, tmp_path, FILES)
    assert "not in the lock" in head.send({"../../evil": b"x"})["msg"]


def test_next_release_removes_what_it_does_not_list(module: Run, tmp_path: Path) -> None:
    Head(module, tmp_path, FILES).load(FILES)
    new = {"apt/a.deb": FILES["apt/a.deb"], "apt/b.deb": b"third"}
    head = Head(module, tmp_path, new)
    assert head.step("plan") | {"missing": ["apt/b.deb"], "stale": ["registry/blob"]} == head.step("plan")
    head.load({"apt/b.deb": b"third"})
    assert not (head.root / "registry").exists()
    assert head.step("plan", lock="")["vouched"]


def test_truncated_file_is_noticed_under_the_same_lock(module: Run, tmp_path: Path) -> None:
    head = Head(module, tmp_path, FILES)
    head.load(FILES)
    (head.root / "apt" / "a.deb").write_bytes(b"")
    assert head.step("plan", lock="")["missing"] == ["apt/a.deb"]


def packed_image(tmp_path: Path, content: bytes) -> dict[str, bytes]:
    """What bare servers are given, with one image, as the bundle has it."""
    raw = tmp_path / "content.raw"
    raw.write_bytes(content)
    packed = subprocess.run(["zstd", "-q", "-c", raw], check=True, capture_output=True).stdout
    facts = {
        "file": "images/x.raw",
        "packed": "images/x.raw.zst",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {"images/x.raw.zst": packed, "images.json": json.dumps([facts]).encode()}


def test_images_are_unpacked_and_files_of_others_left_alone(module: Run, tmp_path: Path) -> None:
    files = packed_image(tmp_path, b"first")
    head = Head(module, tmp_path, files)
    (head.root / "boot").mkdir(parents=True)
    (head.root / "boot" / "site.initramfs").write_text("made by another role")
    head.send(files)
    plan = head.step("plan", shared=True)
    assert (plan["missing"], plan["packed"], plan["stale"]) == ([], ["images/x.raw"], [])
    head.step("finish", shared=True)
    assert (head.root / "images/x.raw").read_bytes() == b"first"
    assert (head.root / "boot" / "site.initramfs").exists()
    plan = head.step("plan", shared=True, lock="")
    assert plan["vouched"] and plan["missing"] == plan["packed"] == plan["stale"] == []


def test_a_newer_image_takes_the_olders_place_and_one_that_is_gone_goes(module: Run, tmp_path: Path) -> None:
    first = packed_image(tmp_path, b"first")
    head = Head(module, tmp_path, first)
    head.send(first)
    head.step("finish", shared=True)
    second = packed_image(tmp_path, b"other")
    head.lock = lock_of(second)
    head.send(second)
    head.step("finish", shared=True)
    assert (head.root / "images/x.raw").read_bytes() == b"other"
    head.lock = lock_of({"images.json": b"[]"})
    stale = head.step("plan", shared=True)["stale"]
    assert stale == ["images/x.raw", "images/x.raw.zst"]
    head.send({"images.json": b"[]"})
    head.step("finish", shared=True, stale=stale)
    assert not (head.root / "images").exists()


def test_an_image_that_unpacks_to_something_else_is_refused(module: Run, tmp_path: Path) -> None:
    files = packed_image(tmp_path, b"first")
    facts = json.loads(files["images.json"])
    facts[0]["sha256"] = "0" * 64
    files["images.json"] = json.dumps(facts).encode()
    head = Head(module, tmp_path, files)
    head.send(files)
    result = head.step("finish", shared=True)
    assert result["failed"] and "images/x.raw.zst doesn't unpack" in result["msg"]
    assert [p.name for p in (head.root / "images").iterdir()] == ["x.raw.zst"]
    assert not (head.root / "lock.json").exists()
