"""The BMCs' passwords: written before they are used, encrypted, and never lost."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from rackwright.errors import RunFailure
from rackwright.metal.credentials import LENGTH, Credentials, Entry, password


def vault(word: bytes = b"site") -> VaultLib:
    return VaultLib([("default", VaultSecret(word))])


@pytest.fixture
def store(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path / "bmc.vault.yml", vault())


def test_passwords_are_long_mixed_and_never_the_same() -> None:
    words = {password() for _ in range(200)}
    assert len(words) == 200
    for word in words:
        assert len(word) == LENGTH == 20 and re.fullmatch(r"[A-Za-z0-9_.+-]+", word)
        assert re.search("[a-z]", word) and re.search("[A-Z]", word) and re.search("[0-9]", word)


def test_pending_is_on_disk_before_it_is_given_out(store: Credentials) -> None:
    first = store.pend("r660-2", "root", "TAG")
    assert first.pending and not first.current
    again = Credentials(store.path, vault())
    assert again.get("r660-2") == first == again.pend("r660-2", "root", "TAG")  # a run that was cut off
    again.settle("r660-2", first.pending)
    assert again.get("r660-2") == Entry("root", first.pending, "", "TAG")
    assert again.pend("r660-2", "root", "TAG").pending == ""


def test_a_new_password_keeps_the_old_one_until_the_bmc_has_it(store: Credentials) -> None:
    old = store.pend("a", "root", "TAG").pending
    store.settle("a", old)
    renewed = store.pend("a", "root", "TAG", renew=True)
    assert renewed.current == old and renewed.pending not in ("", old)


def test_another_server_gets_another_password(store: Credentials) -> None:
    old = store.pend("a", "root", "TAG").pending
    store.settle("a", old)
    other = store.pend("a", "root", "OTHER")
    assert (other.current, other.service_tag) == ("", "OTHER") and other.pending != old


def test_the_file_shows_nothing_and_is_its_owner_s_alone(store: Credentials) -> None:
    word = store.pend("a", "root", "TAG").pending
    assert store.path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256")
    assert word.encode() not in store.path.read_bytes() and word not in repr(store.get("a"))
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_what_a_person_wrote_is_read_and_kept(store: Credentials) -> None:
    text = "bmc:\n  a: {user: admin, current: by-hand, service_tag: TAG}  # moved here\n"
    store.path.write_bytes(vault().encrypt(text))
    assert store.get("a") == Entry("admin", "by-hand", "", "TAG")
    store.pend("b", "root", "OTHER")
    assert store.get("a") == Entry("admin", "by-hand", "", "TAG")
    assert json.loads(vault().decrypt(store.path.read_bytes()))["bmc"].keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("opener", "text", "said"),
    [
        (None, None, "no vault password"),
        (vault(b"other"), None, "Decryption failed"),
        (vault(), "bmc: {}\n", "not encrypted"),
    ],
)
def test_what_can_t_be_opened_says_why(
    store: Credentials, opener: VaultLib | None, text: str | None, said: str
) -> None:
    store.pend("a", "root", "TAG")
    if text is not None:
        store.path.write_text(text)
    with pytest.raises(RunFailure, match=said):
        Credentials(store.path, opener).get("a")


def _claim(path: Path, name: str) -> None:
    store = Credentials(path, vault())
    store.settle(name, store.pend(name, "root", name).pending)


def test_many_workers_lose_nothing(store: Credentials) -> None:
    names = [f"server-{number}" for number in range(8)]
    workers = [
        multiprocessing.get_context("fork").Process(target=_claim, args=(store.path, name)) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    found = [store.get(name) for name in names]
    assert all(entry is not None and entry.current and not entry.pending for entry in found)
    store.forget("server-3")
    assert store.get("server-3") is None and store.get("server-4") == found[4]
