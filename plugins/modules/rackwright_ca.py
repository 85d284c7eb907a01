#!/usr/bin/python
"""Keep a certificate authority and the server certificates that it signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rackwright_authority import (
    HAVE_CRYPTOGRAPHY,
    builder,
    days_left,
    load_certificate,
    load_key,
    names_of,
    new_key,
    same_key,
    server_certificate,
    signed_by,
    write,
)

if HAVE_CRYPTOGRAPHY:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

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


class Authority:
    """The authority in ``directory``."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.directory = Path(module.params["directory"])
        self.key = load_key(self.directory / "ca.key")
        self.certificate = load_certificate(self.directory / "ca.crt")
        self.changes: list[tuple[str, str]] = []

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
            builder(self.params["common_name"], subject, public, self.params["days"])
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
        if not signed_by(certificate, self.key):
            return "signed by another authority"
        have = names_of(certificate)
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
        certificate = server_certificate(
            self.key,
            self.params["common_name"],
            key.public_key(),
            server["names"],
            server["addresses"],
            self.params["server_days"],
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
