"""CertificateService: the certificate of the web server, on request signed by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509

from rackwright.lab.bmc.certificates import SUBJECT
from rackwright.lab.bmc.http import MANAGER, ROOT, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import BASE, RedfishError, missing
from rackwright.lab.bmc.routing import get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICE = f"{ROOT}/CertificateService"
HTTPS = f"{MANAGER}/NetworkProtocol/HTTPS/Certificates"
CERTIFICATE = f"{HTTPS}/SecurityCertificate.1"


@get(SERVICE)
def service(bmc: Bmc, request: Request) -> Json:
    """The service."""
    return resource(
        SERVICE,
        "CertificateService.v1_0_4.CertificateService",
        "Certificate Service",
        CertificateLocations=link(f"{SERVICE}/CertificateLocations"),
        Actions={
            "#CertificateService.GenerateCSR": {
                "target": f"{SERVICE}/Actions/CertificateService.GenerateCSR"
            },
            "#CertificateService.ReplaceCertificate": {
                "target": f"{SERVICE}/Actions/CertificateService.ReplaceCertificate",
                "CertificateType@Redfish.AllowableValues": ["PEM"],
            },
            "Oem": {
                "#DellCertificateService.GetLastGeneratedCSR": {
                    "target": f"{SERVICE}/Actions/Oem/DellCertificateService.GetLastGeneratedCSR",
                }
            },
        },
    )


@get(f"{SERVICE}/CertificateLocations")
def locations(bmc: Bmc, request: Request) -> Json:
    """Where certificates are."""
    return resource(
        f"{SERVICE}/CertificateLocations",
        "CertificateLocations.v1_0_3.CertificateLocations",
        "Certificate Locations",
        Links={"Certificates": [link(CERTIFICATE)], "Certificates@odata.count": 1},
    )


@get(HTTPS)
def certificates(bmc: Bmc, request: Request) -> Json:
    """One."""
    return collection(HTTPS, "Certificate", "HTTPS Certificates", ["SecurityCertificate.1"])


def _serial(number: int) -> str:
    digits = format(number, "X")
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _subject(name: x509.Name) -> Json:
    values: Json = {}
    for part, oid in SUBJECT.items():
        found = name.get_attributes_for_oid(oid)
        if found:
            values[part] = str(found[0].value)
    return values


@get(CERTIFICATE)
def certificate(bmc: Bmc, request: Request) -> Json:
    """The one that is shown."""
    parsed = bmc.certificates.parsed
    return resource(
        CERTIFICATE,
        "Certificate.v1_8_2.Certificate",
        "SSL Certificate",
        CertificateString=bmc.certificates.pem,
        CertificateType="PEM" if bmc.certificates.pem.count("BEGIN") == 1 else "PEMchain",
        CertificateUsageTypes=["Web"],
        Subject=_subject(parsed.subject),
        Issuer=_subject(parsed.issuer),
        SerialNumber=_serial(parsed.serial_number),
        ValidNotBefore=parsed.not_valid_before_utc.isoformat(),
        ValidNotAfter=parsed.not_valid_after_utc.isoformat(),
        Actions={},
    )


def _ours(request: Request, name: str, action: str, wanted: tuple[str, ...]) -> None:
    given = request.body.get(name)
    if not isinstance(given, dict) or "@odata.id" not in given:
        raise missing(action, name)
    if str(given["@odata.id"]).rstrip("/") not in wanted:
        raise RedfishError(404, f"{BASE}.ResourceMissingAtURI", str(given["@odata.id"]))


@post(f"{SERVICE}/Actions/CertificateService.GenerateCSR")
def generate(bmc: Bmc, request: Request) -> Json:
    """A new key and a request for it. An iDRAC wants all parts of a subject but the e-mail address."""
    action = "CertificateService.GenerateCSR"
    _ours(request, "CertificateCollection", action, (HTTPS,))
    subject: dict[str, str] = {}
    for part in SUBJECT:
        value = request.body.get(part)
        if value is None and part != "Email":
            raise missing(action, part)
        subject[part] = str(value or "")
    names = request.body.get("AlternativeNames") or []
    if isinstance(names, str):
        names = [names]
    split = [n.strip() for entry in names for n in str(entry).split(",") if n.strip()]
    algorithm = str(request.body.get("KeyPairAlgorithm", "TPM_ALG_RSA"))
    if algorithm not in ("TPM_ALG_RSA", "TPM_ALG_ECDSA"):
        raise RedfishError(
            400, f"{BASE}.ActionParameterValueNotInList", algorithm, "KeyPairAlgorithm", action
        )
    bits: Any = request.body.get("KeyBitLength", 256 if algorithm.endswith("ECDSA") else 2048)
    if bits not in (256, 384, 2048, 3072, 4096):
        raise RedfishError(400, f"{BASE}.ActionParameterValueNotInList", str(bits), "KeyBitLength", action)
    try:
        text = bmc.certificates.request(subject, split, algorithm, bits)
    except ValueError as error:
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", str(error), "Country") from error
    return {"CSRString": text, "CertificateCollection": link(HTTPS)}


@post(f"{SERVICE}/Actions/Oem/DellCertificateService.GetLastGeneratedCSR")
def last(bmc: Bmc, request: Request) -> Json:
    """The request that was made last."""
    return {"CSRString": bmc.certificates.last_csr, "CertificateCollection": link(HTTPS)}


@post(f"{SERVICE}/Actions/CertificateService.ReplaceCertificate")
def replace(bmc: Bmc, request: Request) -> Response:
    """Take the signed certificate."""
    action = "CertificateService.ReplaceCertificate"
    _ours(request, "CertificateUri", action, (CERTIFICATE,))
    for name in ("CertificateString", "CertificateType"):
        if name not in request.body:
            raise missing(action, name)
    install(bmc, str(request.body["CertificateString"]))
    return Response(204, None, {"Location": CERTIFICATE})


def install(bmc: Bmc, pem: str) -> None:
    """Take a certificate; RedfishError 400 for one that isn't for a key of this BMC."""
    try:
        bmc.certificates.replace(pem)
    except ValueError as error:
        raise RedfishError(
            400,
            f"{BASE}.PropertyValueFormatError",
            str(error).splitlines()[0],
            "CertificateString",
            related=["#/CertificateString"],
        ) from error
