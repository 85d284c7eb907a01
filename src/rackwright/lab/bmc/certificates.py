"""The BMC's own certificate: self-signed from the factory, replaced by one that somebody signs on its request."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from rackwright.lab.bmc.events import now
from rackwright.lab.bmc.store import write_private

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: Parts of a subject, by the parameter of GenerateCSR that gives them.
SUBJECT = {
    "Country": NameOID.COUNTRY_NAME,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "City": NameOID.LOCALITY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "Email": NameOID.EMAIL_ADDRESS,
}


class Certificates:
    """Key and certificate in ``tls/`` below the BMC's state, and the TLS context made of them."""

    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc
        self._folder = bmc.config.state_dir / "tls"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._context: tuple[object, ssl.SSLContext] | None = None
        if not self.certificate_file.exists():
            self.factory()

    @property
    def certificate_file(self) -> Path:
        """The certificate that is shown, PEM."""
        return self._folder / "certificate.pem"

    @property
    def key_file(self) -> Path:
        """Its key."""
        return self._folder / "key.pem"

    @property
    def pem(self) -> str:
        """The certificate that is shown."""
        return self.certificate_file.read_text(encoding="ascii")

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate that is shown; of a chain the first."""
        return x509.load_pem_x509_certificates(self.pem.encode())[0]

    @property
    def last_csr(self) -> str:
        """The request that was made last, empty if none was."""
        path = self._folder / "request.pem"
        return path.read_text(encoding="ascii") if path.exists() else ""

    def factory(self) -> None:
        """A self-signed certificate under the name that an iDRAC gives itself."""
        self._self_signed(f"idrac-{self._bmc.config.service_tag}", self.key_file, self.certificate_file)
        self._context = None

    def _self_signed(self, name: str, key_file: Path, certificate_file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        write_private(key_file, _pem(key))
        write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM).decode())

    def request(self, subject: Mapping[str, str], names: Sequence[str], algorithm: str, bits: int) -> str:
        """A new key and a certificate signing request for it, PEM; the key stays here.

        ``names`` are DNS names and addresses; ValueError for a subject that no certificate can have.
        """
        key: Key = (
            ec.generate_private_key(ec.SECP384R1() if bits == 384 else ec.SECP256R1())
            if algorithm == "TPM_ALG_ECDSA"
            else rsa.generate_private_key(65537, bits or 2048)
        )
        attributes = [x509.NameAttribute(SUBJECT[part], value) for part, value in subject.items() if value]
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(n) for n in names]), critical=False
            )
        request = builder.sign(key, hashes.SHA256())
        text = request.public_bytes(serialization.Encoding.PEM).decode()
        write_private(self._folder / "request-key.pem", _pem(key))
        write_private(self._folder / "request.pem", text)
        return text

    def replace(self, pem: str) -> None:
        """Take a signed certificate (chain); ValueError if it isn't for a key that this BMC has."""
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        wanted = _public(certificate.public_key())
        for key_file in (self._folder / "request-key.pem", self.key_file):
            if key_file.exists():
                key = serialization.load_pem_private_key(key_file.read_bytes(), None)
                if _public(key.public_key()) == wanted:
                    break
        else:
            raise ValueError("the certificate is not for a key of this BMC")
        write_private(self._folder / "next-key.pem", key_file.read_text(encoding="ascii"))
        write_private(self._folder / "next-certificate.pem", pem)
        self._bmc.events.write("certificate", serial=format(certificate.serial_number, "x"), time_taken=now())
        if not self._bmc.config.factory.get("certificate_needs_reset", False):
            self.activate()

    def activate(self) -> None:
        """Show the certificate that was taken last."""
        if (self._folder / "next-certificate.pem").exists():
            (self._folder / "next-key.pem").replace(self.key_file)
            (self._folder / "next-certificate.pem").replace(self.certificate_file)
        self._context = None

    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection; under a fault with another certificate."""
        wrong = self._bmc.faults.option("certificate_mismatch") is not None
        key, certificate = self.key_file, self.certificate_file
        if wrong:
            key, certificate = self._folder / "other-key.pem", self._folder / "other-certificate.pem"
            if not certificate.exists():
                self._self_signed("somebody-else", key, certificate)
        stamp = (wrong, certificate.stat().st_mtime_ns, certificate.stat().st_ino)
        if self._context is None or self._context[0] != stamp:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certificate, key)
            self._context = (stamp, context)
        return self._context[1]


def _pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _name(text: str) -> x509.GeneralName:
    text = text.removeprefix("DNS:").removeprefix("IP:").strip()
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
