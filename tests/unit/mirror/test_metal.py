"""What bare servers are given: the plan of it, what stays of modules and firmware, the disk's layout."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rackwright.errors import UsageError
from rackwright.mirror.debian import UBUNTU_KEYS, Source, debian_step
from rackwright.mirror.engine import Engine
from rackwright.mirror.lock import Entry, Lock
from rackwright.mirror.metal import keep_firmware, matches, read_recipe, remove, settle_times
from rackwright.mirror.osimage import (
    FACTS,
    GRUB,
    SHIM,
    fat_serial,
    fill_esp,
    fstab,
    grub_menu,
    images_index_step,
    make_disk,
    make_esp,
    make_root,
    partition_table,
)
from rackwright.mirror.parts import FILES
from rackwright.mirror.plan import in_order, metal_steps
from rackwright.mirror.ramdisk import kept_modules
from rackwright.mirror.release import read_release
from rackwright.mirror.step import Step, StepContext, step_keys
from rackwright.paths import checkout

METAL = checkout() / "packaging" / "metal"
RELEASE = read_release("2026.11")
IMAGES = sorted((METAL / "images").glob("*/image.yml"))
SOME_ID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


def names(steps: list[Step]) -> list[str]:
    """The steps' names."""
    return [step.name for step in steps]


def test_a_bundle_holds_the_ramdisk_and_debian_and_no_ubuntu_unless_asked() -> None:
    fetched, made = metal_steps(RELEASE, METAL)
    assert names(made) == ["metal-ipa", "metal-debian-13", "metal-images"]
    assert names(fetched) == ["debian-metal-ipa", "debian-metal-debian-13"]


def test_an_image_that_is_asked_for_comes_with_its_archives_keys() -> None:
    fetched, made = metal_steps(RELEASE, METAL, ["ubuntu-24.04"])
    assert "metal-ubuntu-24.04" in names(made) and UBUNTU_KEYS in names(fetched)
    ordered = names(in_order([*made, *fetched]))
    assert ordered.index(UBUNTU_KEYS) < ordered.index("debian-metal-ubuntu-24.04")
    assert ordered[-1] == "metal-images"


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"known images: debian-13, ubuntu-22\.04, ubuntu-24\.04"):
        metal_steps(RELEASE, METAL, ["plan9"])


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.parent.name)
def test_every_image_has_what_the_roles_and_a_server_need(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.document["distribution"] == recipe.name
    needed = {"apt", "cloud-init", "netplan.io", "openssh-server", "python3", "python3-apt", "shim-signed"}
    assert needed <= set(recipe.system["packages"])
    settings = yaml.safe_load((recipe.files / "etc/cloud/cloud.cfg.d/90-rackwright.cfg").read_text())
    assert settings["datasource_list"][0] == "ConfigDrive"
    assert settings["network"] == {"config": "disabled"} and settings["ssh_pwauth"] is False


def test_a_changed_recipe_is_a_changed_step(tmp_path: Path) -> None:
    keys = []
    for title in ("one", "two"):
        directory = tmp_path / title / "images" / "x"
        directory.mkdir(parents=True)
        document = yaml.safe_load(IMAGES[0].read_text())
        document["boot"]["title"] = title
        document["files"] = document["files"].replace("..", str(METAL / "images"))
        (directory / "image.yml").write_text(yaml.safe_dump(document))
        ramdisk = tmp_path / title / "ipa" / "ramdisk.yml"
        ramdisk.parent.mkdir()
        ramdisk.write_text(
            (METAL / "ipa" / "ramdisk.yml").read_text().replace("files: files", f"files: {METAL}/ipa/files")
        )
        fetched, made = metal_steps(RELEASE, tmp_path / title)
        keys.append(step_keys([*fetched, *made]))
    one, two = keys
    assert one["metal-x"] != two["metal-x"] and one["metal-images"] != two["metal-images"]
    assert one["debian-metal-x"] == two["debian-metal-x"] and one["metal-ipa"] == two["metal-ipa"]


def test_what_is_usual_does_not_change_the_keys_of_older_steps() -> None:
    assert debian_step("x", "trixie", ["b", "a"]).inputs == {"suite": "trixie", "packages": ["a", "b"]}
    assert debian_step("x", Source("noble", ("main",), "ubuntu"), []).needs == (UBUNTU_KEYS,)


def test_modules_stay_with_what_they_need() -> None:
    needed = {"a/x.ko": ["lib/y.ko", "lib/z.ko"], "lib/y.ko": [], "lib/z.ko": [], "b/w.ko": ["lib/y.ko"]}
    assert kept_modules(needed, ["a/*"]) == {"a/x.ko", "lib/y.ko", "lib/z.ko"}
    assert matches("kernel/drivers/net/mlx5/core.ko.xz", ["kernel/drivers/net/*"])


def test_firmware_that_nobody_named_goes_and_links_keep_their_target(tmp_path: Path) -> None:
    for name in ("tigon/a.bin", "wifi/b.bin", "real/c.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "tigon" / "link.bin").symlink_to("../real/c.bin")
    keep_firmware(tmp_path, ["tigon/*"])
    assert sorted(p.name for p in tmp_path.rglob("*.bin")) == ["a.bin", "c.bin", "link.bin"]
    assert not (tmp_path / "wifi").exists()


def test_removing_follows_patterns_and_never_links(tmp_path: Path) -> None:
    (tmp_path / "etc/ssh").mkdir(parents=True)
    (tmp_path / "etc/ssh/ssh_host_key").write_text("secret")
    (tmp_path / "kept").mkdir()
    (tmp_path / "etc/link").symlink_to("../kept")
    remove(tmp_path, ["etc/ssh/ssh_host_*", "etc/link", "nothing/*"])
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["etc", "etc/ssh", "kept"]


def test_nothing_is_younger_than_the_release(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "link").symlink_to("nowhere")
    settle_times(tmp_path, RELEASE.epoch)
    assert {p.lstat().st_mtime for p in (tmp_path, *tmp_path.iterdir())} == {RELEASE.epoch}


def test_fstab_and_menu_name_the_same_root() -> None:
    esp = uuid.UUID("abcdef01-0000-0000-0000-000000000000")
    assert f"UUID={SOME_ID} / ext4" in fstab(SOME_ID, esp) and "UUID=ABCD-EF01 /boot/efi vfat" in fstab(
        SOME_ID, esp
    )
    menu = grub_menu(SOME_ID, "vmlinuz-6.1-amd64", "Test", "console=ttyS0")
    assert f"linux /boot/vmlinuz-6.1-amd64 root=UUID={SOME_ID} ro console=ttyS0" in menu
    assert "initrd /boot/initrd.img-6.1-amd64" in menu


@pytest.mark.parametrize(
    ("shim", "manager"),
    [("shimx64.efi.signed", "mmx64.efi.signed"), ("shimx64.efi.signed.latest", "mmx64.efi")],
    ids=["debian", "ubuntu"],
)
def test_the_firmwares_default_path_starts_the_signed_chain(tmp_path: Path, shim: str, manager: str) -> None:
    root, esp = tmp_path / "root", tmp_path / "esp"
    names = {f"{SHIM}/{shim}": "shim", f"{SHIM}/{manager}": "mm", f"{SHIM}/BOOTX64.CSV": "csv", GRUB: "grub"}
    for name, text in names.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    fill_esp(root, esp, "vendor", SOME_ID)
    found = {str(p.relative_to(esp / "EFI")): p.read_text() for p in esp.rglob("*") if p.is_file()}
    assert found["BOOT/BOOTX64.EFI"] == found["vendor/shimx64.efi"] == "shim"
    assert found["BOOT/grubx64.efi"] == found["vendor/grubx64.efi"] == "grub"
    assert found["BOOT/mmx64.efi"] == "mm" and found["vendor/BOOTX64.CSV"] == "csv"
    assert f"--set=root {SOME_ID}" in found["vendor/grub.cfg"]


def test_the_mirror_does_without_what_bare_servers_are_given() -> None:
    entries = [Entry(path, "file", "x", "1", "test", "0" * 64, 1) for path in ("apt/a", "metal/images/b")]
    lock = Lock(1, "test", tuple(entries))
    assert [entry.path for entry in lock.mirror().entries] == ["apt/a"]
    assert [entry.path for entry in lock.metal().entries] == ["images/b"]
    assert Lock(1, "test", (entries[0],)).mirror().dump() == Lock(1, "test", (entries[0],)).dump()


def small_disk(context: StepContext) -> None:
    """A disk of the same making as an image's, with one file in each of its file systems."""
    for tree, file in (("esp", "EFI/BOOT/BOOTX64.EFI"), ("root", "etc/hostname")):
        (context.out / tree / file).parent.mkdir(parents=True)
        (context.out / tree / file).write_text(tree)
        settle_times(context.out / tree, RELEASE.epoch)
    make_esp(context, context.out / "esp", context.out / "esp.img", 40, fat_serial(SOME_ID))
    make_root(context, context.out / "root", context.out / "root.img", 300, SOME_ID, RELEASE.epoch)
    table = partition_table("test", "1", 40, 300)
    make_disk(
        context, context.out / "d.raw", table, ((context.out / "esp.img", 1), (context.out / "root.img", 41))
    )


def test_a_disk_is_gpt_with_a_system_partition_and_a_root_that_can_grow(
    tmp_path: Path, quiet: Callable[[str], None]
) -> None:
    disk = Engine(tmp_path, quiet).run([Step("disk", small_disk)])["disk"] / "d.raw"
    found = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True).stdout
    table = json.loads(found)["partitiontable"]
    esp, root = table["partitions"]
    assert table["label"] == "gpt"
    assert esp["type"] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" and esp["start"] == 2048
    assert root["start"] == 41 * 2048 and root["size"] == 300 * 2048
    assert disk.stat().st_blocks * 512 < disk.stat().st_size / 2  # holes stay holes
    listed = subprocess.run(
        ["mdir", "-b", "-i", f"{disk}@@1M", "::/EFI/BOOT"], check=True, capture_output=True, text=True
    )
    assert "BOOTX64.EFI" in listed.stdout
    with disk.open("rb") as stream:
        stream.seek((41 << 20) + 1024 + 0x38)
        assert stream.read(2) == b"\x53\xef"  # ext4's magic number


def test_the_index_says_what_each_image_is_once_unpacked(
    tmp_path: Path, quiet: Callable[[str], None]
) -> None:
    facts = {"name": "x", "file": "images/x.raw", "sha256": "0" * 64, "size": 1, "min_disk_gb": 8}

    def image(context: StepContext) -> None:
        (context.out / FACTS).write_text(json.dumps(facts))

    steps = [Step("metal-x", image), images_index_step(["x"], RELEASE)]
    result = Engine(tmp_path, quiet).run(steps)["metal-images"]
    assert json.loads((result / FILES / "metal" / "images.json").read_text()) == [facts]
