"""Accounts, sessions, certificates and Redfish's rules of protocol in the virtual BMC."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from bmc_client import MANAGER, SYSTEM, Client, Make
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ACCOUNT = "/redfish/v1/AccountService/Accounts/2"
SERVICE = "/redfish/v1/CertificateService/Actions/CertificateService"
HTTPS = f"{MANAGER}/NetworkProtocol/HTTPS/Certificates"


def test_only_the_root_is_open(bmc_of: Make) -> None:
    _, client = bmc_of()
    assert client("GET", "/redfish/v1", auth=False).body["Vendor"] == "Dell"
    refused = client("GET", SYSTEM, auth=False)
    assert (refused.status, refused.message_id) == (401, "NoValidSession")
    assert "WWW-Authenticate" in refused.headers
    client.password = "wrong"
    assert client("GET", SYSTEM).status == 401


def test_a_session_is_a_token_until_it_is_ended(bmc_of: Make) -> None:
    _, client = bmc_of()
    made = client(
        "POST",
        "/redfish/v1/SessionService/Sessions",
        {"UserName": client.user, "Password": client.password},
        auth=False,
    )
    assert made.status == 201
    client.token = made.headers["X-Auth-Token"]
    assert client("GET", SYSTEM).status == 200
    assert client("DELETE", made.headers["Location"]).status == 204
    assert client("GET", SYSTEM).status == 401


def test_the_factory_password_must_go_before_anything_else(bmc_of: Make) -> None:
    _, client = bmc_of(factory={"password": "calvin", "password_change_required": True})
    refused = client("GET", SYSTEM)
    assert (refused.status, refused.message_id) == (403, "PasswordChangeRequired")
    assert client("GET", ACCOUNT).body["PasswordChangeRequired"] is True
    assert client("PATCH", ACCOUNT, {"Password": "A-better-one-9"}).status == 200
    assert client("GET", ACCOUNT).status == 401
    client.password = "A-better-one-9"
    assert client("GET", SYSTEM).status == 200


def test_secrets_stand_nowhere_in_plain(bmc_of: Make) -> None:
    server, client = bmc_of()
    client("PATCH", ACCOUNT, {"Password": "Do-not-write-me-1"})
    folder = server.bmc.config.state_dir
    for file in ("state.json", "events.jsonl"):
        text = (folder / file).read_text()
        assert "Do-not-write-me-1" not in text
        assert "Factory-" not in text
    assert (folder / "state.json").stat().st_mode & 0o077 == 0


def test_an_account_of_ones_own_and_what_a_reader_may_not(bmc_of: Make) -> None:
    _, client = bmc_of()
    new = {"UserName": "watch", "Password": "W4tch-it-please", "RoleId": "ReadOnly"}
    made = client("POST", "/redfish/v1/AccountService/Accounts", new)
    assert made.status == 201
    assert client("POST", "/redfish/v1/AccountService/Accounts", new).message_id == "ResourceAlreadyExists"
    reader = Client(client.url, "watch", "W4tch-it-please")
    assert reader("GET", SYSTEM).status == 200
    assert reader("POST", f"{SYSTEM}/Actions/ComputerSystem.Reset", {"ResetType": "On"}).status == 403
    assert client("DELETE", made.headers["Location"]).status == 204
    assert reader("GET", SYSTEM).status == 401
    assert client("DELETE", ACCOUNT).message_id == "ResourceCannotBeDeleted"


def request_csr(client: Client, names: list[str]) -> x509.CertificateSigningRequest:
    subject = {
        "Country": "DE",
        "State": "BE",
        "City": "Berlin",
        "Organization": "O",
        "OrganizationalUnit": "U",
    }
    body = {
        **subject,
        "CommonName": "r660-1-bmc.site.example",
        "AlternativeNames": names,
        "CertificateCollection": {"@odata.id": HTTPS},
        "KeyPairAlgorithm": "TPM_ALG_ECDSA",
    }
    assert client("POST", f"{SERVICE}.GenerateCSR", {**body, "Country": None}).status == 400
    return x509.load_pem_x509_csr(client("POST", f"{SERVICE}.GenerateCSR", body).body["CSRString"].encode())


def signed(csr: x509.CertificateSigningRequest, folder: Path) -> tuple[str, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Site CA")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)

    def certificate(subject: x509.Name, public: Any, extensions: Any) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=2))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    authority = folder / "ca.pem"
    authority.write_text(certificate(name, key.public_key(), [x509.BasicConstraints(True, None)]))
    return certificate(csr.subject, csr.public_key(), [e.value for e in csr.extensions]), authority


def replace(client: Client, pem: str) -> Any:
    uri = {"@odata.id": f"{HTTPS}/SecurityCertificate.1"}
    body = {"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": uri}
    return client("POST", f"{SERVICE}.ReplaceCertificate", body)


@pytest.mark.parametrize("needs_reset", [False, True])
def test_a_certificate_of_the_site(bmc_of: Make, tmp_path: Path, needs_reset: bool) -> None:
    _, client = bmc_of(factory={"certificate_needs_reset": needs_reset})
    pem, authority = signed(request_csr(client, ["127.0.0.1"]), tmp_path)
    assert replace(client, pem).status == 204
    trusting = Client(client.url, client.user, client.password, str(authority))
    trusting.context.check_hostname = True
    if needs_reset:
        with pytest.raises(OSError, match="self-signed"):
            trusting("GET", SYSTEM)
        client("POST", f"{MANAGER}/Actions/Manager.Reset", {"ResetType": "GracefulRestart"})
    assert trusting("GET", SYSTEM).status == 200


def test_a_certificate_for_another_key_is_refused(bmc_of: Make, tmp_path: Path) -> None:
    _, client = bmc_of()
    first = request_csr(client, [])
    pem, _ = signed(first, tmp_path)
    request_csr(client, [])
    assert replace(client, pem).status == 400
    assert replace(client, "no certificate at all").status == 400


def test_rules_of_the_protocol(bmc_of: Make) -> None:
    _, client = bmc_of()
    assert client("GET", "/redfish/v1/Nowhere").status == 404
    wrong = client("DELETE", SYSTEM)
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD, PATCH")
    assert client("PATCH", SYSTEM, b"{no json").message_id == "MalformedJSON"
    assert client("PATCH", SYSTEM, {"Moon": 1}).message_id == "PropertyUnknown"
    assert client("GET", f"{SYSTEM}?$moon=1").status == 501
    tag = client("GET", SYSTEM).headers["ETag"]
    assert client("PATCH", SYSTEM, {"AssetTag": "a"}, {"If-Match": 'W/"old"'}).status == 412
    assert client("PATCH", SYSTEM, {"AssetTag": "a"}, {"If-Match": tag}).status == 200
    tag = client("GET", SYSTEM).headers["ETag"]
    assert client("GET", SYSTEM, headers={"If-None-Match": tag}).status == 304


def test_expanded_and_selected(bmc_of: Make) -> None:
    _, client = bmc_of()
    members = client("GET", f"{SYSTEM}/Memory?$expand=*($levels=1)").body["Members"]
    assert {m["CapacityMiB"] for m in members} == {16 * 1024}
    chosen = client("GET", f"{MANAGER}?$select=FirmwareVersion").body
    assert set(chosen) - {"@odata.id", "@odata.type", "@odata.etag"} == {"FirmwareVersion"}


def test_every_link_leads_somewhere(bmc_of: Make) -> None:
    _, client = bmc_of(profile="xe9680", service_tag="GPU1234")
    seen: set[str] = set()
    waiting = ["/redfish/v1"]
    while waiting:
        uri = waiting.pop()
        if uri in seen:
            continue
        seen.add(uri)
        answer = client("GET", uri)
        assert answer.status == 200, uri
        text = json.dumps(answer.body)
        waiting += [
            part.split('"')[0] for part in text.split('"@odata.id": "')[1:] if "#" not in part.split('"')[0]
        ]
    assert len(seen) > 150


def test_many_in_one_process(tmp_path: Path) -> None:
    from rackwright.lab.bmc import BmcConfig, BmcServer

    configs = [
        BmcConfig(
            f"n{i}", f"TAG{i:04d}", tmp_path / f"n{i}", port=0, profile="xe8640", model="PowerEdge XE8640"
        )
        for i in range(40)
    ]
    with BmcServer(*configs) as server:
        for config in configs[::13]:
            client = Client(server.url_of(config.name), "root", config.factory_password)
            assert client("GET", SYSTEM).body["SKU"] == config.service_tag


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(bmc_of: Make) -> None:
    server, _ = bmc_of()
    context = ssl._create_unverified_context()  # noqa: S323
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    address = server.url.removeprefix("https://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)
