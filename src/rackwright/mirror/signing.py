"""The builder's signing key: made once, kept beside the cache, never put into a bundle."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.errors import RunFailure

NAME = "Rackwright bundle signing"
#: How long to wait for an ended agent; a loaded machine needs more than a moment.
AGENT_SECONDS = 10.0


class SigningKey:
    """An Ed25519 key in a GnuPG home of its own; no agent is left running."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def _gpg(self, *arguments: str | Path) -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--no-tty", *map(str, arguments)]
        done = subprocess.run(argv, capture_output=True, check=False)
        if done.returncode:
            raise RunFailure(
                what=f"gpg {arguments[0]}",
                where=str(self.home),
                evidence=done.stderr.decode(errors="replace").strip(),
                cause="the key directory is damaged, not writable, or its path too long for a socket",
                next_command=f"gpg --homedir {self.home} --list-secret-keys",
            )
        return done.stdout

    @contextmanager
    def _agent(self) -> Iterator[None]:
        """gpg starts an agent for what needs the secret key; end it, and wait until it has gone."""
        gpgconf = ["gpgconf", "--homedir", str(self.home)]
        try:
            yield
        finally:
            listed = subprocess.run(
                [*gpgconf, "--list-dirs", "agent-socket"], capture_output=True, check=False
            )
            socket = Path(listed.stdout.decode().strip() or "/nonexistent")
            subprocess.run([*gpgconf, "--kill", "gpg-agent"], capture_output=True, check=False)
            deadline = time.monotonic() + AGENT_SECONDS
            # a new gpg that still finds the dying agent's socket would fail
            while socket.exists() and time.monotonic() < deadline:
                time.sleep(0.02)

    def ensure(self) -> str:
        """Make the key where there is none; its fingerprint."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.home.chmod(0o700)
        if not self.fingerprint():
            with self._agent():
                self._gpg(
                    *("--pinentry-mode", "loopback", "--passphrase", ""),
                    *("--quick-generate-key", NAME, "ed25519", "sign", "never"),
                )
        return self.fingerprint()

    def fingerprint(self) -> str:
        """The key's fingerprint; empty when there is none."""
        listing = self._gpg("--with-colons", "--list-keys").decode()
        return next((line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")), "")

    def public(self) -> bytes:
        """The public key, binary: what apt's ``Signed-By`` wants."""
        return self._gpg("--export", self.fingerprint())

    def sign(self, release: Path) -> None:
        """Write InRelease and Release.gpg beside ``release``."""
        with self._agent():
            self._gpg("--clearsign", "--digest-algo", "SHA512", "-o", release.with_name("InRelease"), release)
            self._gpg("--detach-sign", "--armor", "-o", release.with_name("Release.gpg"), release)


def signature_fault(keyring: Path, signed: Path) -> str | None:
    """What is wrong with the signature of a clear-signed file; None when it is good."""
    for argv in (
        ["gpgv", "--keyring", str(keyring), str(signed)],
        ["sqv", "--keyring", str(keyring), "--cleartext", "--output", "/dev/null", str(signed)],
    ):
        try:
            done = subprocess.run(argv, capture_output=True, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return None
        return done.stderr.decode(errors="replace").strip().replace("\n", " | ")
    return "neither gpgv nor sqv is installed, so the signature could not be checked"
