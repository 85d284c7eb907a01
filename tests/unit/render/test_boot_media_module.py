"""rackwright_boot_media: a ramdisk that the kernel's own format tools read, made the same way each time."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path
from typing import Any

from render_tools import Run


def arguments(folder: Path, **more: Any) -> dict[str, Any]:
    """Sources and one added file."""
    for name, content in (
        ("kernel", b"k" * 1000),
        ("ramdisk", b"r" * 1001),
        ("ca.crt", b"authority\n"),
        ("loader", b"l" * 5000),
    ):
        (folder / name).write_bytes(content)
    (folder / "out").mkdir(exist_ok=True)
    return {
        "directory": str(folder / "out"),
        "owner": getpass.getuser(),
        "kernel": str(folder / "kernel"),
        "initramfs": str(folder / "ramdisk"),
        "files": [{"path": "/etc/agent/site-ca.crt", "source": str(folder / "ca.crt")}],
        "loaders": [{"path": "EFI/BOOT/BOOTX64.EFI", "source": str(folder / "loader")}],
        **more,
    }


def test_made_once(module: Run, tmp_path: Path) -> None:
    given = arguments(tmp_path)
    assert len(module("rackwright_boot_media", check=True, **given)["changed_paths"]) == 3
    assert list((tmp_path / "out").iterdir()) == []
    assert len(module("rackwright_boot_media", **given)["changed_paths"]) == 3
    assert module("rackwright_boot_media", **given)["changed_paths"] == []
    assert (tmp_path / "out" / "ipa.kernel").read_bytes() == b"k" * 1000


def test_archive_stands_where_the_kernel_looks_and_cpio_reads_it(module: Run, tmp_path: Path) -> None:
    module("rackwright_boot_media", **arguments(tmp_path))
    made = (tmp_path / "out" / "ipa.initramfs").read_bytes()
    assert made.startswith(b"r" * 1001)
    begin = made.index(b"070701")
    assert begin % 512 == 0
    target = tmp_path / "unpacked"
    target.mkdir()
    command = ["cpio", "--extract", "--make-directories", "--quiet", "--no-absolute-filenames"]
    subprocess.run(command, input=made[begin:], cwd=target, check=True, timeout=30)
    assert (target / "etc/agent/site-ca.crt").read_text() == "authority\n"
    assert (target / "etc/agent").stat().st_mode & 0o777 == 0o755


def test_loaders_lie_in_a_fat_image(module: Run, tmp_path: Path) -> None:
    module("rackwright_boot_media", **arguments(tmp_path))
    image = tmp_path / "out" / "esp.img"
    shown = subprocess.run(
        ["mcopy", "-i", str(image), "::EFI/BOOT/BOOTX64.EFI", "-"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert shown.stdout == b"l" * 5000


def test_another_authority_makes_another_ramdisk_only(module: Run, tmp_path: Path) -> None:
    given = arguments(tmp_path)
    module("rackwright_boot_media", **given)
    (tmp_path / "ca.crt").write_text("another\n", encoding="utf-8")
    assert module("rackwright_boot_media", **given)["changed_paths"] == [str(tmp_path / "out/ipa.initramfs")]


def test_says_what_the_bundle_lacks(module: Run, tmp_path: Path) -> None:
    given = arguments(tmp_path, kernel=str(tmp_path / "nowhere"))
    result = module("rackwright_boot_media", **given)
    assert result["failed"] and "nowhere" in result["msg"] and "bundle" in result["msg"]
    assert module("rackwright_boot_media", check=True, **given)["changed"]
