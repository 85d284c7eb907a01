"""What others call the things of a site file: columns of factory lists, ports, MAC notations, products."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Field of a row → headers that mean it, without regard to case, blanks and punctuation.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "service_tag": (
        "Service Tag",
        "SVCTAG",
        "SvcTag No",
        "Dell Service Tag",
        "Tag",
        "Serial",
        "Serial Number",
        "S/N",
    ),
    "name": ("Name", "Host", "Host Name", "Server", "Server Name", "Device", "Device Name", "System Name"),
    "rack": ("Rack", "Rack Name", "Rack ID", "Cabinet"),
    "unit": ("Unit", "U", "RU", "Rack Unit", "Rack Position", "Position", "U Position", "Lowest U"),
    "model": ("Model", "System Model", "Product", "Product Name", "Platform", "Profile", "Configuration"),
    "bmc": (
        "iDRAC",
        "iDRAC9",
        "DRAC",
        "BMC",
        "IPMI",
        "OOB",
        "iDRAC.Embedded.1",
        "iDRAC.Embedded.1-1",
        "bmc_mac",
    ),
    "lom1": ("LOM1", "LOM Port 1", "NIC.Embedded.1-1", "Embedded NIC 1", "eno1", "eno8303"),
    "lom2": ("LOM2", "LOM Port 2", "NIC.Embedded.2-1", "Embedded NIC 2", "eno2", "eno8403"),
    "ocp1": (
        "OCP1",
        "OCP Port 1",
        "NIC.Integrated.1-1",
        "Integrated NIC 1",
        "Integrated NIC 1 Port 1",
        "rNDC1",
    ),
    "ocp2": (
        "OCP2",
        "OCP Port 2",
        "NIC.Integrated.1-2",
        "Integrated NIC 2",
        "Integrated NIC 1 Port 2",
        "rNDC2",
    ),
    "nic1": ("NIC1", "NIC Port 1", "PCIe NIC 1", "Slot NIC 1"),
    "nic2": ("NIC2", "NIC Port 2", "PCIe NIC 2", "Slot NIC 2"),
}
#: The fields that hold a MAC address; all but the first are ports of the server.
MACS = ("bmc", "lom1", "lom2", "ocp1", "ocp2", "nic1", "nic2")

_SLOT = re.compile(r"nic\.slot\.\d+-(\d+)", re.IGNORECASE)
# iDRAC's full names end with the partition, which is always the first: NIC.Integrated.1-2-1.
_PARTITION = re.compile(r"((?:nic)\.[a-z]+\.\d+-\d+)-1\b", re.IGNORECASE)
_ENDS = ("permanentmacaddress", "macaddress", "macaddr", "mac")
_MACS = (
    re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"),
    re.compile(r"(?:[0-9a-f]{2}-){5}[0-9a-f]{2}"),
    re.compile(r"(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}"),
    re.compile(r"[0-9a-f]{12}"),
)


def plain_name(words: str) -> str:
    """Letters and digits only, lower case."""
    return "".join(character for character in words.lower() if character.isalnum())


_KNOWN = {plain_name(alias): field for field, aliases in HEADERS.items() for alias in aliases}


def field_of(header: str) -> str | None:
    """The field that a column's header, or an interface's name, means; None where nobody knows."""
    words = _PARTITION.sub(r"\1", header.strip())
    slot = _SLOT.search(words)
    if slot:
        return {"1": "nic1", "2": "nic2"}.get(slot.group(1))
    name = plain_name(words)
    found = _KNOWN.get(name)
    if found is None:
        end = next((end for end in _ENDS if name.endswith(end) and name != end), "")
        found = _KNOWN.get(name.removesuffix(end))
        return found if found in MACS else None
    return found


def mac(text: str) -> str | None:
    """A MAC address of any of the usual notations as ``b0:7b:25:00:00:01``; None where it is none."""
    lower = text.strip().lower()
    if not any(form.fullmatch(lower) for form in _MACS):
        return None
    digits = plain_name(lower)
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def product_key(words: str, known: Mapping[str, str]) -> str | None:
    """The catalogue's first key of a product by what others call it; ``known`` is product by key."""
    return next(iter(product_keys(words, known)), None)


def product_keys(words: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """The catalogue's keys of a product by what others call it: a site may have several kinds of one product.

    ``PowerEdge XE9680``, ``dell-poweredge-xe9680`` and ``XE9680`` are the same.
    """
    name = plain_name(words).removeprefix("dell").removeprefix("emc")
    return tuple(key for key, product in known.items() if name in _called(key, product))


def _called(key: str, product: str) -> Iterable[str]:
    return plain_name(key), plain_name(product), plain_name(product.rpartition(" ")[2])
