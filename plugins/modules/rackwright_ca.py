#!/usr/bin/python
"""Keep a certificate authority and the server certificates that it signs."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAVE_CRYPTOGRAPHY = True
except ImportError:
    HAVE_CRYPTOGRAPHY = False

DOCUMENTATION = """
module: rackwright_ca
short_description: A certificate authority on this machine and its server certificates
description:
  - Makes the authority's key once; the key never leaves the machine and is never shown.
  - Makes or renews a server certificate when it is missing, was signed by another key, names other names,
    or is about to expire. The authority's own certificate is renewed with the same key, so that what it
    signed stays valid.
options:
  directory: {description: Where C(ca.key) and C(ca.crt) lie., type: path, required: true}
  common_name: {description: The authority's name., type: str, required: true}
  days: {description: Validity of the authority in days., type: int, default: 3650}
  server_days: {description: Validity of a server certificate in days., type: int, default: 397}
  renew_before_days: {description: Renew what has fewer days left., type: int, default: 30}
  servers:
    description: The server certificates, as I(path)C(.crt) and I(path)C(.key).
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Path without extension., type: path, required: true}
      names: {description: DNS names; the first is its own., type: list, elements: str, required: true}
      addresses: {description: IP addresses., type: list, elements: str, default: []}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
ca_certificate:
  description: The authority's certificate in PEM; empty in check mode when there is none yet.
  type: str
  returned: always
changed_paths:
  description: Certificates that were, or would be, made.
  type: list
  elements: str
  returned: always
"""


def now() -> datetime:
    """The present, to the second, without a zone as cryptography's older releases want it."""
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


def days_left(certificate: Any) -> float:
    """Days until the certificate expires; less than 0 when it has."""
    end: datetime = getattr(certificate, "not_valid_after_utc", None) or certificate.not_valid_after
    return (end.replace(tzinfo=None) - now()) / timedelta(days=1)


def write(path: Path, data: bytes, mode: int) -> None:
    """Write a file in one step; it is never readable with wider rights than ``mode``."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".rackwright-")
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    Path(temporary).replace(path)


def load_key(path: Path) -> Any:
    """The private key in a file, or None."""
    return serialization.load_pem_private_key(path.read_bytes(), None) if path.exists() else None


def load_certificate(path: Path) -> Any:
    """The certificate in a file, or None."""
    return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None


def new_key(path: Path) -> Any:
    """Make a P-256 key, readable by root alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(path, pem, 0o600)
    return key


def same_key(certificate: Any, key: Any) -> bool:
    """Whether the certificate is for the key."""
    return bool(certificate.public_key().public_numbers() == key.public_key().public_numbers())


class Authority:
    """The authority in ``directory``."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.directory = Path(module.params["directory"])
        self.key = load_key(self.directory / "ca.key")
        self.certificate = load_certificate(self.directory / "ca.crt")
        self.changes: list[tuple[str, str]] = []

    def _builder(self, subject: Any, public_key: Any, days: int) -> Any:
        start = now() - timedelta(hours=1)  # machines whose clocks are a little behind
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.params["common_name"])])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
        )

    def keep(self) -> None:
        """Make or renew the authority itself."""
        why = ""
        if self.key is None:
            why = "no key yet"
        elif self.certificate is None:
            why = "no certificate yet"
        elif not same_key(self.certificate, self.key):
            why = "the certificate is not for the key"
        elif days_left(self.certificate) < self.params["renew_before_days"]:
            why = "about to expire"
        if not why:
            return
        self.changes.append((str(self.directory / "ca.crt"), why))
        if self.module.check_mode:
            return
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.key = self.key or new_key(self.directory / "ca.key")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.params["common_name"])])
        public = self.key.public_key()
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = (
            self._builder(subject, public, self.params["days"])
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        write(self.directory / "ca.crt", self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _why(self, server: dict[str, Any], key: Any, certificate: Any) -> str:
        if key is None or certificate is None:
            return "missing"
        if self.key is None or not same_key(certificate, key):
            return "not for its key"
        try:
            self.key.public_key().verify(
                certificate.signature,
                certificate.tbs_certificate_bytes,
                ec.ECDSA(certificate.signature_hash_algorithm),
            )
        except InvalidSignature:
            return "signed by another authority"
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        have = {
            str(value) for kind in (x509.DNSName, x509.IPAddress) for value in names.get_values_for_type(kind)
        }
        if have != {*server["names"], *server["addresses"]}:
            return "for other names: " + ", ".join(sorted(have))
        if days_left(certificate) < self.params["renew_before_days"]:
            return "about to expire"
        return ""

    def serve(self, server: dict[str, Any]) -> None:
        """Make or renew one server certificate."""
        key_path, path = Path(server["path"] + ".key"), Path(server["path"] + ".crt")
        key = load_key(key_path)
        why = self._why(server, key, load_certificate(path))
        if not why:
            return
        self.changes.append((str(path), why))
        if self.module.check_mode:
            return
        key = key or new_key(key_path)
        names = [x509.DNSName(name) for name in server["names"]]
        addresses = [x509.IPAddress(ip_address(address)) for address in server["addresses"]]
        certificate = (
            self._builder(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server["names"][0])]),
                key.public_key(),
                self.params["server_days"],
            )
            .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        write(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "common_name": {"type": "str", "required": True},
            "days": {"type": "int", "default": 3650},
            "server_days": {"type": "int", "default": 397},
            "renew_before_days": {"type": "int", "default": 30},
            "servers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "names": {"type": "list", "elements": "str", "required": True},
                    "addresses": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
        supports_check_mode=True,
    )
    if not HAVE_CRYPTOGRAPHY:
        if not module.check_mode:
            module.fail_json(msg=missing_required_lib("cryptography", reason="to make certificates"))
        paths = [
            module.params["directory"] + "/ca.crt",
            *(s["path"] + ".crt" for s in module.params["servers"]),
        ]
        module.exit_json(
            changed=True,
            changed_paths=paths,
            ca_certificate="",
            diff={"before": "", "after": "\n".join(paths)},
        )
    authority = Authority(module)
    authority.keep()
    for server in module.params["servers"]:
        authority.serve(server)
    pem = (
        ""
        if authority.certificate is None
        else authority.certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    module.exit_json(
        changed=bool(authority.changes),
        changed_paths=[path for path, _ in authority.changes],
        ca_certificate=pem,
        diff={
            "before": "",
            "after": "".join(f"{path}: made anew ({why})\n" for path, why in authority.changes),
        },
    )


if __name__ == "__main__":
    main()
