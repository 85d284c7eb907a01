"""The passwords of BMCs, one for each, in a file that only Ansible's vault opens.

A password is written before the BMC gets it (``pending``), and counts as its own (``current``) when it has it: a run
that is cut off in between leaves both, and the next finds out which one works.

Inside it is JSON, which is YAML too: each stage of each server reads the whole file, and of a thousand servers YAML's
own reader takes a hundred times as long.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from rackwright.errors import RunFailure

LENGTH = 20
"""The longest password that every iDRAC takes, IPMI included (IPMI 2.0: 20 bytes)."""
# What no shell, URL, or old firmware trips over; still 120 bits.
ALPHABET = string.ascii_letters + string.digits + "-_.+"
HEADER = "$ANSIBLE_VAULT;"


class Vault(Protocol):
    """As Ansible's ``VaultLib``."""

    def encrypt(self, plaintext: bytes, /) -> bytes: ...

    def decrypt(self, vaulttext: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class Entry:
    """A server's account on its BMC. Both passwords empty: it was never claimed."""

    user: str
    current: str = field(default="", repr=False)
    pending: str = field(default="", repr=False)
    service_tag: str = ""


def password() -> str:
    """A new one: letters of both cases and digits are in it, as iDRAC's policies may want."""
    while True:
        word = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(kind(letter) for letter in word) for kind in kinds) and word[0].isalnum():
            return word


class Credentials:
    """The file; many workers at a time may use it."""

    def __init__(self, path: Path, vault: Vault | None) -> None:
        """``vault``: None where the run has no vault password, which is a failure at the first use."""
        self.path, self._vault = path, vault

    def get(self, name: str) -> Entry | None:
        """A server's entry, or None. Raises RunFailure where the file can't be opened."""
        with self._locked(fcntl.LOCK_SH):
            return _entry(self._read().get(name))

    def pend(self, name: str, user: str, service_tag: str, renew: bool = False) -> Entry:
        """The entry to claim the server with, on disk before this returns.

        A new password is made for a server that has none, for another server in its place (its service tag), and
        where ``renew`` asks for it; one that is pending stays, as the BMC may have it already.
        """
        with self._locked(fcntl.LOCK_EX):
            known = self._read()
            entry = _entry(known.get(name))
            other = entry is not None and entry.service_tag not in ("", service_tag)
            if entry is None or other:
                entry = Entry(user, "", password(), service_tag)
            elif (renew or not entry.current) and not entry.pending:
                entry = Entry(entry.user, entry.current, password(), service_tag)
            elif entry.service_tag:
                return entry
            self._put(known, name, entry)
            return entry

    def settle(self, name: str, word: str) -> None:
        """The BMC has this password, and no other any more."""
        with self._locked(fcntl.LOCK_EX):
            known = self._read()
            entry = _entry(known[name])
            if entry is not None and (entry.current != word or entry.pending):
                self._put(known, name, Entry(entry.user, word, "", entry.service_tag))

    def forget(self, name: str) -> None:
        """Drop a server's entry."""
        with self._locked(fcntl.LOCK_EX):
            known = self._read()
            if known.pop(name, None) is not None:
                self._write(known)

    def _put(self, known: dict[str, Any], name: str, entry: Entry) -> None:
        known[name] = {
            key: value
            for key, value in (
                ("user", entry.user),
                ("current", entry.current),
                ("pending", entry.pending),
                ("service_tag", entry.service_tag),
            )
            if value
        }
        self._write(known)

    def _read(self) -> dict[str, Any]:
        """Everything in the file; nothing where there is none yet."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        if not data.startswith(HEADER.encode()):
            raise self._failure("it is not encrypted", f"ansible-vault encrypt {self.path}")
        try:
            document = _parse(self._open().decrypt(data)) or {}
        except RunFailure:
            raise
        except Exception as error:  # VaultLib's errors are Ansible's, which isn't imported here
            raise self._failure(
                str(error).splitlines()[0], f"ansible-vault view {self.path} with the password of this run"
            ) from None
        servers = document.get("bmc", {})
        return dict(servers) if isinstance(servers, Mapping) else {}

    def _write(self, known: Mapping[str, Any]) -> None:
        """The whole file, or the one before."""
        text = json.dumps({"bmc": dict(sorted(known.items()))}, indent=1) + "\n"
        data = self._open().encrypt(text.encode())
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)

    def _open(self) -> Vault:
        if self._vault is None:
            raise self._failure(
                "this run has no vault password",
                "name a file with it: --vault-password-file FILE, or ANSIBLE_VAULT_PASSWORD_FILE=FILE",
            )
        return self._vault

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold the file for this process; the lock lies beside it, as the file itself is replaced."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _failure(self, evidence: str, next_command: str) -> RunFailure:
        return RunFailure(
            what="open the passwords of the BMCs",
            where=str(self.path),
            evidence=evidence,
            cause="they lie encrypted by Ansible's vault, so that every run needs its password",
            next_command=next_command,
        )


def _parse(text: bytes) -> Any:
    """As this program writes it, or as a person did."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _entry(data: Any) -> Entry | None:
    if not isinstance(data, Mapping):
        return None
    words = {key: str(data.get(key, "")) for key in ("user", "current", "pending", "service_tag")}
    return Entry(**words)
