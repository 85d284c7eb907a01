"""Python wheels whose files go into images; the requirements file's hashes are the lock."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from rackwright.mirror.step import Step, StepContext, digest_tree

#: The wheels must fit Debian 12's Python 3.11 and glibc 2.36, whatever Python runs the builder.
TARGET = [
    "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311",
    "--platform=manylinux_2_35_x86_64", "--platform=manylinux2014_x86_64", "--platform=manylinux_2_17_x86_64",
]  # fmt: skip


def wheel_step(directory: Path) -> Step:
    """The step ``wheel-<name>``: the wheels of ``<directory>/requirements.txt``, unpacked."""

    def run(context: StepContext) -> None:
        wheels = context.out / ".wheels"
        context.call(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *TARGET,
             "--dest", wheels, "--requirement", directory / "requirements.txt"]
        )  # fmt: skip
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                for item in archive.infolist():
                    path = Path(archive.extract(item, context.out))
                    if not item.is_dir():
                        path.chmod(0o755 if item.external_attr >> 16 & 0o100 else 0o644)
        context.call(["rm", "-r", wheels])

    return Step(f"wheel-{directory.name}", run, {"recipe": digest_tree(directory)}, seconds=15)
