"""Packages from the Debian archive, with all they need, checked by the archive's signatures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rackwright.debian import archive
from rackwright.errors import RunFailure
from rackwright.mirror.step import Step, StepContext, sha256_file

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: The step that fetches Ubuntu's public keys, out of Debian's archive: so they are vouched for, too.
UBUNTU_KEYS = "debian-ubuntu-keys"
#: Before a package's name: the packages that its candidate depends on, such as the kernel of the day of linux-image-amd64.
NEEDS_OF = "needs-of:"
UBUNTU = "http://archive.ubuntu.com/ubuntu"


@dataclass(frozen=True)
class Source:
    """What apt may take from: ``archive`` is debian (as this machine's own apt has it) or ubuntu."""

    suite: str
    components: tuple[str, ...] = ("main",)
    archive: str = "debian"

    def inputs(self) -> dict[str, Any]:
        """What of it goes into a step's key; what is usual stays unsaid."""
        unusual = (
            {"components": self.components, "archive": self.archive} if self != Source(self.suite) else {}
        )
        return {"suite": self.suite, **unusual}


def apt_sources(
    suite: str, main: str, security: str, components: str = "main", keyring: Path = KEYRING
) -> str:
    """A deb822 source: the suite, its updates and its security fixes, signed by the archive's keys."""
    return (
        f"Types: deb\nURIs: {main}\nSuites: {suite} {suite}-updates\n"
        f"Components: {components}\nSigned-By: {keyring}\n\n"
        f"Types: deb\nURIs: {security}\nSuites: {suite}-security\n"
        f"Components: {components}\nSigned-By: {keyring}\n"
    )


def private_apt(root: Path, sources: str) -> list[str]:
    """Make an apt of its own below ``root``, that thinks its machine empty; returns its options."""
    for directory in ("etc/preferences.d", "lists/partial", "archives/partial", "cache"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "status").write_text("")
    (root / "etc" / "debian.sources").write_text(sources)
    settings = {
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::Etc": root / "etc",
        "Dir::Etc::sourcelist": root / "etc" / "debian.sources",
        "Dir::Etc::sourceparts": "/nonexistent",
        "Dir::Etc::trusted": "/nonexistent",
        "Dir::Etc::trustedparts": "/nonexistent",
        "Dir::State::status": root / "status",
        "Dir::State::lists": root / "lists",
        "Dir::Cache": root / "cache",
        "Dir::Cache::archives": root / "archives",
        "Debug::NoLocking": "true",
    }
    return [f"-o{name}={value}" for name, value in settings.items()]


def plain_name(file: str) -> str:
    """apt's ``name_1%3a2.3_amd64.deb`` without the epoch, as Debian's own pool names it."""
    return re.sub(r"_\d+%3a", "_", file)


def deb_fields(path: Path, fields: Iterable[str]) -> dict[str, str]:
    """Fields of a .deb's control file."""
    output = subprocess.run(
        ["dpkg-deb", "-f", path, *fields], check=True, capture_output=True, text=True
    ).stdout
    return {
        line.split(":", 1)[0]: line.split(":", 1)[1].strip() for line in output.splitlines() if ":" in line
    }


def needs_of(options: Iterable[str], package: str) -> list[str]:
    """The packages that the candidate of ``package`` depends on, the first of each alternative, without versions.

    ``options``: of ``private_apt``, after an update. An archive often holds two versions of a package, one of them among
    its security fixes; only the one that apt would install counts.

    Raises:
        RunFailure: there is no such package, or it depends on nothing.
    """
    command = ["apt-cache", *options, "show", "--no-all-versions", package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.search(r"^Depends: (.+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RunFailure(
            what=f"looking up what {package} depends on",
            where="the distribution's archive",
            evidence=(done.stderr or done.stdout).strip() or "it depends on nothing",
            cause="the package has another name in this suite",
            next_command="mend the recipe under packaging/metal, then: rackwright bundle build",
        )
    return [re.split(r"[ :(|]", word.strip(), maxsplit=1)[0] for word in found[1].split(",")]


def keyring_of(context: StepContext, source: Source) -> tuple[str, str, Path]:
    """The archive, its security archive, and the public keys that must have signed them.

    Raises:
        RunFailure: Debian's keys are not on this machine.
    """
    if not KEYRING.is_file():
        raise RunFailure(
            what=f"checking the signatures of Debian {source.suite}",
            where=str(KEYRING),
            evidence="no such file",
            cause="the Debian archive's public keys are not installed on this machine",
            next_command="apt-get install debian-archive-keyring, then: rackwright bundle build",
        )
    if source.archive == "debian":
        return (*archive(), KEYRING)
    (package,) = (context.upstream[UBUNTU_KEYS] / "unpacked").glob("*.deb")
    context.call(["dpkg-deb", "--extract", package, context.out / "keys"])
    return UBUNTU, UBUNTU, context.out / "keys/usr/share/keyrings/ubuntu-archive-keyring.gpg"


def debian_step(
    name: str, source: str | Source, packages: Iterable[str], unpacked: Iterable[str] = ()
) -> Step:
    """The step ``debian-<name>``: ``pool/*.deb`` and ``index.json`` [{file, name, version, sha256}].

    ``packages`` come with all they need; those of ``unpacked`` (names, or ``NEEDS_OF`` and a name) without, and lie in
    ``unpacked/*.deb``. The result is what the archive held when the step ran; it stays until ``--refresh``.
    """
    origin = Source(source) if isinstance(source, str) else source
    packages, unpacked = list(packages), list(unpacked)

    def run(context: StepContext) -> None:
        main, security, keyring = keyring_of(context, origin)
        root = context.out / "apt"
        components = " ".join(origin.components)
        options = private_apt(root, apt_sources(origin.suite, main, security, components, keyring))
        context.call(["apt-get", *options, "update", "--error-on=any"])
        if packages:
            wanted = ["?essential", *packages]
            context.call(["apt-get", *options, "--yes", "--download-only", "install", *wanted])
        pool = context.out / "pool"
        pool.mkdir()
        index: list[dict[str, Any]] = []
        for deb in sorted((root / "archives").glob("*.deb")):
            target = pool / plain_name(deb.name)
            deb.rename(target)
            target.chmod(0o644)
            fields = deb_fields(target, ["Package", "Version"])
            index.append(
                {
                    "file": target.name,
                    "name": fields["Package"],
                    "version": fields["Version"],
                    "source": f"{origin.archive}:{origin.suite}",
                    "sha256": sha256_file(target),
                }
            )
        (context.out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
        if unpacked:
            (context.out / "unpacked").mkdir()
            names: list[str] = []
            for word in unpacked:
                package = word.removeprefix(NEEDS_OF)
                names += [word] if package == word else needs_of(options, package)
            context.call(["apt-get", *options, "download", *names], cwd=context.out / "unpacked")
        context.call(["rm", "-rf", root, context.out / "keys"])

    inputs = {**origin.inputs(), "packages": sorted(packages)}
    if unpacked:
        inputs["unpacked"] = sorted(unpacked)
    needs = (UBUNTU_KEYS,) if origin.archive == "ubuntu" else ()
    return Step(f"debian-{name}", run, inputs, needs, 40)


def ubuntu_keys_step() -> Step:
    """The step that fetches Ubuntu's public keys: a package of Debian's, vouched for by Debian's keys."""
    return debian_step(UBUNTU_KEYS.removeprefix("debian-"), "trixie", (), ("ubuntu-keyring",))
