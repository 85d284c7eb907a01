"""A BMC's Redfish service, as much of it as claiming a server needs, with what Python has."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
import time
from typing import Any

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/System.Embedded.1"
MANAGER = f"{ROOT}/Managers/iDRAC.Embedded.1"
ACCOUNTS = f"{ROOT}/AccountService/Accounts"
CERTIFICATES = f"{MANAGER}/NetworkProtocol/HTTPS/Certificates"
JOBS = f"{MANAGER}/Oem/Dell/Jobs"
LOG = f"{MANAGER}/LogServices/Lclog/Entries"


class BmcError(Exception):
    """A BMC doesn't do what it is asked; ``fault`` is one of ``unreachable``, ``busy``, ``credentials``,
    ``certificate``, ``refused``.
    """

    def __init__(self, fault: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.fault, self.status = fault, status


class Bmc:
    """A connection to one BMC.

    Its certificate is verified against ``ca``. Where that fails (a BMC from the factory has its own), the first one
    seen is the only one that is accepted for as long as this object lives, and ``verified`` is false.
    """

    def __init__(
        self, address: str, port: int = 443, ca: str = "", timeout: float = 20, patience: float = 60
    ):
        self.address, self.port, self.timeout, self.patience = address, port, timeout, patience
        self.verified = False
        self.fingerprint = ""
        self._ca, self._authorization = ca, ""
        self._connection: http.client.HTTPSConnection | None = None

    def login(self, user: str, password: str) -> None:
        """Use these credentials from now on."""
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def forget_certificate(self) -> None:
        """It has another certificate from now on."""
        self.close()
        self.fingerprint, self.verified = "", False

    def _open(self) -> http.client.HTTPSConnection:
        if self._connection is not None:
            return self._connection
        if self._ca and (not self.fingerprint or self.verified):
            try:
                trusting = ssl.create_default_context(cafile=self._ca)
                self._connection = self._connect(trusting)
                self.verified = True
                self.fingerprint = self._shown()
                return self._connection
            except (ssl.SSLCertVerificationError, FileNotFoundError):
                if self.verified:
                    raise BmcError("certificate", "it shows another certificate than a moment ago") from None
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        self._connection = self._connect(blind)
        shown = self._shown()
        if self.fingerprint and shown != self.fingerprint:
            self.close()
            raise BmcError("certificate", "it shows another certificate than a moment ago")
        self.fingerprint = shown
        return self._connection

    def _connect(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self.address, self.port, timeout=self.timeout, context=context
        )
        connection.connect()
        return connection

    def _shown(self) -> str:
        """SHA-256 of the certificate that is shown."""
        assert self._connection is not None and isinstance(self._connection.sock, ssl.SSLSocket)
        return hashlib.sha256(self._connection.sock.getpeercert(binary_form=True) or b"").hexdigest()

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 0) -> dict[str, Any]:
        """One request; a BMC that is busy, or doesn't answer yet, is asked again for ``patience`` seconds."""
        until = time.monotonic() + self.patience
        pause = 1.0
        while True:
            try:
                return self._ask(method, path, body, timeout or self.timeout)
            except BmcError as error:
                self.close()
                # A request that changes something and got lost may have been carried out.
                again = error.fault == "busy" or (error.fault == "unreachable" and method == "GET")
                if not again or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 10)

    def _ask(self, method: str, path: str, body: Any, timeout: float) -> dict[str, Any]:
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection = self._open()
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text, status = answer.read().decode(errors="replace"), answer.status
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise BmcError("unreachable", f"no answer at {self.address}: {reason(error)}") from None
        if status in (502, 503, 504, 429):
            raise BmcError("busy", f"{method} {path}: {status}: {told(text)}", status)
        if status == 401:
            raise BmcError("credentials", f"{method} {path}: 401: {told(text)}", status)
        if status >= 400:
            raise BmcError("refused", f"{method} {path}: {status}: {told(text)}", status)
        try:
            said = json.loads(text) if text.strip() else {}
        except ValueError:
            raise BmcError("refused", f"{method} {path}: no JSON: is this address a BMC's?", status) from None
        return said if isinstance(said, dict) else {}


def reason(error: Exception) -> str:
    """A failure of the network in a few words."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def told(text: str) -> str:
    """What an error's body says: the messages of Redfish's extended information."""
    try:
        error = json.loads(text)["error"]
        messages = [str(one.get("Message", "")) for one in error.get("@Message.ExtendedInfo", [])]
        return " ".join(word for word in messages if word) or str(error.get("message", text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return text.strip()[:200] or "no reason given"


def must_change_password(error: BmcError) -> bool:
    """Whether the credentials are right, but are to be changed before anything else."""
    return error.status == 403 and "password" in str(error).lower() and "chang" in str(error).lower()


def identity(bmc: Bmc) -> dict[str, str]:
    """What a BMC tells anyone: service tag, MAC, product, as far as it does."""
    root = bmc.ask("GET", ROOT)
    dell = (root.get("Oem") or {}).get("Dell") or {}
    return {
        "service_tag": str(dell.get("ServiceTag") or ""),
        "mac": str(dell.get("ManagerMACAddress") or "").lower(),
        "product": str(root.get("Product") or ""),
    }
