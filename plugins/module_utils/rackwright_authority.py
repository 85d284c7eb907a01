"""Keys and certificates of the site's authority, on the machine that has it."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAVE_CRYPTOGRAPHY = True
except ImportError:
    HAVE_CRYPTOGRAPHY = False


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


def builder(issuer: str, subject: Any, public_key: Any, days: float) -> Any:
    """A certificate in the name of the authority called ``issuer``, without extensions."""
    start = now() - timedelta(hours=1)  # machines whose clocks are a little behind
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def server_certificate(
    key: Any, issuer: str, public_key: Any, names: list[str], addresses: list[str], days: float
) -> Any:
    """A server's certificate for these DNS names (the first is its own) and addresses, signed with ``key``."""
    alternatives = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ip_address(address)) for address in addresses]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    return (
        builder(issuer, subject, public_key, days)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def signed_by(certificate: Any, key: Any) -> bool:
    """Whether the authority with this key signed the certificate."""
    try:
        key.public_key().verify(
            certificate.signature,
            certificate.tbs_certificate_bytes,
            ec.ECDSA(certificate.signature_hash_algorithm),
        )
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def names_of(certificate: Any) -> set[str]:
    """The DNS names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        str(value) for kind in (x509.DNSName, x509.IPAddress) for value in names.get_values_for_type(kind)
    }


def sign_request(directory: Path, request: str, names: list[str], addresses: list[str], days: float) -> str:
    """The certificate, in PEM, that a device asks for with a request in PEM.

    Names and addresses are what the site says of the device: those in the request are not taken over. Raises
    ValueError where the request isn't signed with its own key, OSError where the authority isn't there.
    """
    asked = x509.load_pem_x509_csr(request.encode())
    if not asked.is_signature_valid:
        raise ValueError("the request for a certificate is not signed with its own key")
    key, own = load_key(directory / "ca.key"), load_certificate(directory / "ca.crt")
    if key is None or own is None:
        raise FileNotFoundError(2, "there is no authority", str(directory))
    issuer = own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    days = min(days, days_left(own))
    made = server_certificate(key, str(issuer), asked.public_key(), names, addresses, days)
    return made.public_bytes(serialization.Encoding.PEM).decode()
