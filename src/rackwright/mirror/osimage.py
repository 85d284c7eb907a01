"""Images of operating systems for whole disks: GPT, UEFI with the distribution's signed boot loader, cloud-init.

Nothing is mounted: the file systems are filled by the programs that make them, so no loop device is needed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rackwright.mirror.lock import METAL
from rackwright.mirror.metal import Recipe, install, settle_times
from rackwright.mirror.parts import FILES, Origin, record
from rackwright.mirror.release import Release
from rackwright.mirror.step import Step, StepContext, sha256_file

#: Facts of an image, beside the step's results: one entry of ``metal/images.json``.
FACTS = "image.json"
INDEX = "images.json"
MIB = 1 << 20
#: GPT types, as sfdisk calls them; room before the first partition and after the last, in MiB.
ESP_TYPE, ROOT_TYPE = "U", "L"
BEFORE, AFTER = 1, 1
SHIM, GRUB = "usr/lib/shim", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"


def identity(name: str, release: str, part: str) -> uuid.UUID:
    """The unique id of a part of an image: another one in each release, the same in each build."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{part}.{name}.{release}.rackwright")


def fat_serial(esp: uuid.UUID) -> str:
    """The eight digits that serve a FAT file system as a unique id, as mkfs.vfat takes them."""
    return esp.hex[:8].upper()


def fstab(root: uuid.UUID, esp: uuid.UUID) -> str:
    """The image's /etc/fstab."""
    serial = fat_serial(esp)
    return (
        f"UUID={root} / ext4 errors=remount-ro 0 1\n"
        f"UUID={serial[:4]}-{serial[4:]} /boot/efi vfat umask=0077,nofail 0 1\n"
    )


def grub_menu(root: uuid.UUID, kernel: str, title: str, arguments: str) -> str:
    """The image's first /boot/grub/grub.cfg; the distribution's own takes its place with the next kernel."""
    version = kernel.removeprefix("vmlinuz-")
    return (
        f"set timeout=1\nsearch --no-floppy --fs-uuid --set=root {root}\n"
        f"menuentry '{title}' {{\n"
        f"  linux /boot/{kernel} root=UUID={root} ro {arguments}\n"
        f"  initrd /boot/initrd.img-{version}\n}}\n"
    )


def partition_table(name: str, release: str, esp_mib: int, root_mib: int) -> str:
    """sfdisk's script. The root is last, so that it can grow to the end of any disk."""
    ids = {part: identity(name, release, part) for part in ("disk", "esp-partition", "root-partition")}
    return (
        f"label: gpt\nlabel-id: {ids['disk']}\n"
        f"start={BEFORE}MiB, size={esp_mib}MiB, type={ESP_TYPE}, uuid={ids['esp-partition']}, name=esp\n"
        f"start={BEFORE + esp_mib}MiB, size={root_mib}MiB, type={ROOT_TYPE}, "
        f"uuid={ids['root-partition']}, name=root\n"
    )


def fill_esp(root: Path, esp: Path, directory: str, root_id: uuid.UUID) -> None:
    """Lay out the EFI system partition: the firmware's default path, and the distribution's own."""
    shim = root / SHIM

    def found(*names: str) -> Path:
        # Ubuntu's names differ, and its plain one is a link that leads out of the tree.
        return next(shim / name for name in names if (shim / name).is_file())

    own, default = esp / "EFI" / directory, esp / "EFI" / "BOOT"
    for place, first in ((own, "shimx64.efi"), (default, "BOOTX64.EFI")):
        place.mkdir(parents=True)
        shutil.copyfile(found("shimx64.efi.signed.latest", "shimx64.efi.signed"), place / first)
        shutil.copyfile(root / GRUB, place / "grubx64.efi")
        shutil.copyfile(found("mmx64.efi.signed", "mmx64.efi"), place / "mmx64.efi")
    shutil.copyfile(shim / "BOOTX64.CSV", own / "BOOTX64.CSV")
    (own / "grub.cfg").write_text(
        f"search --no-floppy --fs-uuid --set=root {root_id}\n"
        "set prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
    )


def make_esp(context: StepContext, tree: Path, image: Path, mib: int, serial: str) -> None:
    """A FAT file system with the content of ``tree``."""
    context.call(
        ["mkfs.vfat", "--invariant", "-F", "32", "-n", "ESP", "-i", serial, "-C", image, str(mib * 1024)]
    )
    context.call(["mcopy", "-smQi", image, *sorted(tree.iterdir()), "::/"], env={"TZ": "UTC"})


def make_root(context: StepContext, tree: Path, image: Path, mib: int, ids: uuid.UUID, epoch: int) -> None:
    """An ext4 file system with the content of ``tree``, that any grub, kernel and fsck can read."""
    context.call(
        ["mkfs.ext4", "-q", "-F", "-L", "root", "-m", "1", "-J", "size=64", "-U", str(ids), "-E",
         f"hash_seed={ids},nodiscard", "-O", "^metadata_csum_seed,^orphan_file", "-d", tree, image, f"{mib}M"],
        env={"E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip


def make_disk(context: StepContext, disk: Path, table: str, parts: Sequence[tuple[Path, int]]) -> None:
    """A sparse disk image with a partition table, and ``parts`` (file, offset in MiB) written into it."""
    last, offset = parts[-1]
    with disk.open("wb") as stream:
        stream.truncate((offset + AFTER) * MIB + last.stat().st_size)
    script = disk.with_suffix(".table")
    script.write_text(table)
    context.call(["sh", "-c", 'sfdisk --quiet "$1" < "$2"', "sh", disk, script])
    for part, offset in parts:
        context.call(["dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={offset}", "conv=sparse,notrunc"])
        part.unlink()
    script.unlink()


def os_image_step(recipe: Recipe, release: Release) -> Step:
    """The step ``metal-<name>``: ``metal/images/<name>.raw.zst``, and the facts of the raw image."""
    name, disk = recipe.name, recipe.document["disk"]
    boot = recipe.document["boot"]
    root_id, esp_id = (identity(name, release.name, part) for part in ("root", "esp"))

    def run(context: StepContext) -> None:
        root, esp = context.out / "root", context.out / "esp"
        install(context, recipe, root, release.epoch)
        (kernel,) = (root / "boot").glob("vmlinuz-*")
        (root / "etc/fstab").write_text(fstab(root_id, esp_id))
        (root / "boot/efi").mkdir(exist_ok=True)
        (root / "boot/grub").mkdir(exist_ok=True)
        (root / "boot/grub/grub.cfg").write_text(
            grub_menu(root_id, kernel.name, boot["title"], boot["arguments"])
        )
        fill_esp(root, esp, boot["directory"], root_id)
        for tree in (root, esp):
            settle_times(tree, release.epoch)
        make_esp(context, esp, context.out / "esp.img", disk["esp_mib"], fat_serial(esp_id))
        make_root(context, root, context.out / "root.img", disk["root_mib"], root_id, release.epoch)
        for tree in (root, esp):
            shutil.rmtree(tree)
        raw = context.out / f"{name}.raw"
        table = partition_table(name, release.name, disk["esp_mib"], disk["root_mib"])
        parts = ((context.out / "esp.img", BEFORE), (context.out / "root.img", BEFORE + disk["esp_mib"]))
        make_disk(context, raw, table, parts)
        packed = context.out / FILES / METAL / "images" / f"{name}.raw.zst"
        packed.parent.mkdir(parents=True)
        context.call(["zstd", "-q", "-T0", "-10", raw, "-o", packed])
        facts = {
            "name": name,
            "distribution": recipe.document["distribution"],
            "file": f"images/{raw.name}",
            "packed": f"images/{packed.name}",
            "sha256": sha256_file(raw),
            "size": raw.stat().st_size,
            "min_disk_gb": disk["min_disk_gb"],
        }
        raw.unlink()
        (context.out / FACTS).write_text(json.dumps(facts) + "\n")
        record(context.out, {f"{METAL}/": Origin("disk", name, release.name, recipe.source)})

    return Step(f"metal-{name}", run, recipe.inputs(release.epoch), (recipe.packages_step,), 150)


def images_index_step(images: Sequence[str], release: Release) -> Step:
    """The step ``metal-images``: ``metal/images.json``, what each image is once it is unpacked.

    A list of {name, distribution, file, packed, sha256 and size (bytes) of ``file``, min_disk_gb}.
    """
    needs = tuple(f"metal-{name}" for name in images)

    def run(context: StepContext) -> None:
        facts: list[dict[str, Any]] = [json.loads((context.upstream[n] / FACTS).read_text()) for n in needs]
        target = context.out / FILES / METAL / INDEX
        target.parent.mkdir(parents=True)
        target.write_text(json.dumps(facts, indent=1) + "\n")
        record(context.out, {f"{METAL}/": Origin("index", "images", release.name, "packaging/metal")})

    return Step("metal-images", run, {}, needs, 1)
