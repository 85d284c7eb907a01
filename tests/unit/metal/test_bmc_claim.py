"""Claiming a BMC: the module against a virtual one over TLS, cut off anywhere, and the faults by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rackwright_bmc
from ansible.module_utils.rackwright_authority import builder, new_key, sign_request
from ansible.module_utils.rackwright_redfish import Bmc, BmcError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from rackwright.lab.bmc import BmcConfig, BmcServer

FACTORY = "Factory-KFSBGL4"
NEW = "a-new-password-12345"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A site's authority."""
    folder = tmp_path / "ca"
    key = new_key(folder / "ca.key")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rackwright site test")])
    certificate = (
        builder("Rackwright site test", name, key.public_key(), 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder


Make = Callable[..., BmcServer]


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Make]:
    """Starts a virtual BMC; settings as in BmcConfig."""
    running: list[BmcServer] = []

    def start(**settings: Any) -> BmcServer:
        config = {
            "name": "r660-2",
            "service_tag": "KFSBGL4",
            "state_dir": tmp_path / "bmc",
            "port": 0,
            **settings,
        }
        timing = {"job": 0, "manager_reset": 1}
        running.append(BmcServer(BmcConfig(**{"timing": timing, "profile": "r660", **config})).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


def claim(server: BmcServer, authority: Path, check: bool = False, **more: Any) -> dict[str, Any]:
    """One run of the operation."""
    port = int(server.url.rsplit(":", 1)[1])
    params = {
        "address": "127.0.0.1", "port": port, "names": ["r660-2-bmc.minimal.example"], "service_tag": "KFSBGL4",
        "user": "root", "password": NEW, "others": [], "factory_password": FACTORY, "directory": str(authority),
        "certificate_days": 1825, "renew_before_days": 60, "patience": 1, **more,
    }  # fmt: skip
    connection = Bmc("127.0.0.1", port, str(authority / "ca.crt"), patience=params["patience"])
    try:
        module = SimpleNamespace(params=params, check_mode=check)
        return rackwright_bmc.Claim(module, connection).run()  # type: ignore[arg-type]
    finally:
        connection.close()


def test_from_the_factory_to_the_site_s_own_and_again_nothing(bmc: Make, authority: Path) -> None:
    server = bmc()
    first = claim(server, authority)
    assert first == {
        "account": "factory", "service_tag": "KFSBGL4", "verified": True,
        "changes": ["certificate: signed by the site's authority", "password: replaced"],
    }  # fmt: skip
    assert claim(server, authority)["changes"] == []
    with pytest.raises(BmcError, match="none of 1 passwords"):
        claim(server, authority, password=FACTORY, factory_password="")


def test_check_mode_says_the_same_and_changes_nothing(bmc: Make, authority: Path) -> None:
    server = bmc()
    assert len(claim(server, authority, check=True, password="")["changes"]) == 2
    assert claim(server, authority)["account"] == "factory"


def test_the_password_goes_over_a_verified_connection(
    bmc: Make, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, seen = bmc(), []
    ask = Bmc.ask

    def watched(self: Bmc, method: str, path: str, body: Any = None, timeout: float = 0) -> Any:
        result = ask(self, method, path, body, timeout)
        if body and "Password" in body:
            seen.append(self.verified)
        return result

    monkeypatch.setattr(Bmc, "ask", watched)
    claim(server, authority)
    assert seen == [True]


@pytest.mark.parametrize("step", ["_certificate", "_password"])
def test_cut_off_after_either_step_the_next_run_goes_on(
    bmc: Make, authority: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server = bmc()
    whole = getattr(rackwright_bmc.Claim, step)

    def cut(self: Any, *words: Any) -> None:
        whole(self, *words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rackwright_bmc.Claim, step, cut)
        claim(server, authority)
    rest = claim(server, authority)["changes"]
    assert rest == (["password: replaced"] if step == "_certificate" else [])
    assert claim(server, authority)["changes"] == []


def test_a_password_of_an_earlier_run_is_replaced(bmc: Make, authority: Path) -> None:
    server = bmc()
    claim(server, authority)
    again = claim(server, authority, password="yet-another-word-123", others=[NEW])
    assert (again["account"], again["changes"]) == ("other", ["password: replaced"])


def test_a_bmc_that_demands_another_password_first_gets_it(bmc: Make, authority: Path) -> None:
    server = bmc(factory={"password_change_required": True})
    assert set(claim(server, authority)["changes"]) == {
        "certificate: signed by the site's authority",
        "password: replaced",
    }
    assert claim(server, authority)["changes"] == []


def test_older_firmware_is_restarted_for_its_certificate(
    bmc: Make, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows = rackwright_bmc.Claim._shows_it
    monkeypatch.setattr(
        rackwright_bmc.Claim,
        "_shows_it",
        lambda self, seconds: shows(self, min(seconds, 30) if seconds > 20 else 1),
    )
    server = bmc(factory={"certificate_needs_reset": True})
    assert claim(server, authority)["verified"]


def test_another_server_at_the_address_is_refused(bmc: Make, authority: Path) -> None:
    server = bmc(service_tag="YGC97T4", factory={"password": FACTORY})
    with pytest.raises(BmcError, match="is YGC97T4") as caught:
        claim(server, authority)
    assert caught.value.fault == "identity"
    assert claim(server, authority, service_tag="YGC97T4")["account"] == "factory"  # nothing was changed


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"wrong_credentials": {}}, "credentials"),
        ({"unreachable": {}}, "unreachable"),
        ({"busy_503": {}}, "busy"),
    ],
)
def test_faults_have_their_names_and_the_next_run_goes_on(
    bmc: Make, authority: Path, fault: dict[str, Any], kind: str
) -> None:
    server = bmc()
    server.bmc.faults.set(fault)
    with pytest.raises(BmcError) as caught:
        claim(server, authority)
    assert caught.value.fault == kind
    server.bmc.faults.set({})
    assert claim(server, authority)["verified"]


def test_discovery_knows_factory_claimed_and_silent(bmc: Make, authority: Path, tmp_path: Path) -> None:
    server = bmc(mac="b0:7b:25:40:0c:00")
    leases = tmp_path / "leases"
    leases.write_text(
        "1700000000 b0:7b:25:40:0c:00 127.0.0.1 * *\n1700000000 02:00:00:00:00:09 127.0.0.9 * *\n"
    )
    asked = {
        "addresses": [], "leases": str(leases), "port": int(server.url.rsplit(":", 1)[1]), "directory": str(authority),
    }  # fmt: skip
    found = {one["address"]: one for one in rackwright_bmc.discover(asked)}
    assert (found["127.0.0.1"]["service_tag"], found["127.0.0.1"]["state"]) == ("KFSBGL4", "factory")
    assert (found["127.0.0.9"]["mac"], found["127.0.0.9"]["state"]) == ("02:00:00:00:00:09", "silent")
    claim(server, authority)
    assert rackwright_bmc.discover(asked)[0]["state"] == "claimed"


def test_names_are_the_site_s_and_a_broken_request_is_not_signed(authority: Path, tmp_path: Path) -> None:
    key = new_key(tmp_path / "device.key")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil.example")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    made = x509.load_pem_x509_certificate(
        sign_request(authority, pem, ["own.x"], ["10.0.0.1"], 9999).encode()
    )
    own = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    assert made.subject.rfc4514_string() == "CN=own.x"
    assert made.not_valid_after_utc <= own.not_valid_after_utc
    other = request.public_bytes(serialization.Encoding.DER).replace(b"evil", b"good")
    changed = x509.load_der_x509_csr(other).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(ValueError, match="not signed with its own key"):
        sign_request(authority, changed, ["own.x"], [], 10)
