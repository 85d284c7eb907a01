"""A small client of Ironic's REST API: what the flow of bare metal needs of it, and nothing that isn't in Python.

Every call is safe to repeat: what another one holds locked, or has no worker free for, is asked again. Source of
the API's facts: https://docs.openstack.org/api-ref/baremetal/.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from rackwright.errors import RackwrightError

WANTED = (1, 95)
"""The version of the API that is asked for; an older server is asked for its own newest."""
OLDEST = (1, 87)
"""Servicing of running servers came with this one."""

BUSY_SECONDS = 180.0
"""For so long a node that is locked, or a conductor that has no free worker, is asked again."""

Json = Mapping[str, Any]


class IronicError(RackwrightError):
    """Ironic refused: HTTP ``status`` (0: no answer at all) and what it said."""

    def __init__(self, status: int, message: str, request: str) -> None:
        super().__init__(f"{request}: {f'{status}: ' if status else ''}{message}")
        self.status = status
        self.message = message
        self.request = request


class Ironic:
    """A connection to one API. Not for use by several threads at a time."""

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        ca: str = "",
        timeout: float = 60.0,
        busy: float = BUSY_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``url``: ``https://host:6385``; ``ca``: the authority's certificate, a path or PEM text."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise IronicError(0, "no http or https address", url)
        self.url = url.rstrip("/")
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        self._context = context(ca) if self._tls else None
        self._timeout, self._busy, self._sleep, self._clock = timeout, busy, sleep, clock
        self._headers = {"Accept": "application/json"}
        if user:
            word = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {word}"
        self._connection: http.client.HTTPConnection | None = None
        self._version = ""

    def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def version(self) -> str:
        """The version of the API that is spoken, agreed upon with the server at the first use."""
        if not self._version:
            said = self._call("GET", "/", None)
            offered = said.get("default_version") or {}
            newest = _version(str(offered.get("version", "0.0")))
            if newest < OLDEST:
                raise IronicError(
                    0,
                    f"its API is of version {newest[0]}.{newest[1]}, "
                    f"and {OLDEST[0]}.{OLDEST[1]} is the oldest that will do",
                    self.url,
                )
            self._version = "{}.{}".format(*min(WANTED, newest))
        return self._version

    # --- nodes

    def nodes(self, fields: Sequence[str] = ("uuid", "name", "provision_state")) -> list[Json]:
        """All nodes, with these fields."""
        return self._pages("/v1/nodes", "nodes", {"fields": ",".join(fields)})

    def node(self, ident: str, fields: Sequence[str] = ()) -> Json | None:
        """A node by UUID or name; None where there is none. Passwords come as asterisks."""
        query = f"?{urlencode({'fields': ','.join(fields)})}" if fields else ""
        return self._optional("GET", f"/v1/nodes/{ident}{query}")

    def create_node(self, body: Json) -> Json:
        """Enrol a node; one that is there already under this UUID and name is given back as it is."""
        try:
            return self._ask("POST", "/v1/nodes", body)
        except IronicError as error:
            there = self.node(str(body["uuid"])) if error.status == 409 else None
            if there is None or there.get("name") != body.get("name"):
                raise
            return there

    def patch_node(self, ident: str, patch: Sequence[Json]) -> Json:
        """Change a node by a JSON patch."""
        return self._ask("PATCH", f"/v1/nodes/{ident}", list(patch))

    def delete_node(self, ident: str) -> None:
        """Forget a node; one that is gone is no error."""
        self._optional("DELETE", f"/v1/nodes/{ident}")

    def ports(self, node: str) -> list[Json]:
        """A node's ports in full."""
        return self._pages("/v1/ports", "ports", {"node": node, "detail": "true"})

    def create_port(self, body: Json) -> Json:
        """Add a port."""
        return self._ask("POST", "/v1/ports", body)

    def patch_port(self, uuid: str, patch: Sequence[Json]) -> Json:
        """Change a port by a JSON patch."""
        return self._ask("PATCH", f"/v1/ports/{uuid}", list(patch))

    def delete_port(self, uuid: str) -> None:
        """Forget a port; one that is gone is no error."""
        self._optional("DELETE", f"/v1/ports/{uuid}")

    # --- states

    def provision(self, ident: str, verb: str, **more: Any) -> None:
        """Ask for a transition: ``manage``, ``inspect``, ``clean``, ``provide``, ``active``, ``rebuild``, ….

        ``more``: ``configdrive``, ``clean_steps``, ``service_steps``.
        """
        self._ask("PUT", f"/v1/nodes/{ident}/states/provision", {"target": verb, **more})

    def power(self, ident: str, target: str, timeout: int | None = None) -> None:
        """``power on``, ``power off``, ``rebooting``, ``soft power off``, ``soft rebooting``."""
        more = {"timeout": timeout} if timeout else {}
        self._ask("PUT", f"/v1/nodes/{ident}/states/power", {"target": target, **more})

    def maintenance(self, ident: str, reason: str | None) -> None:
        """Take a node into maintenance for a reason, or out of it (None)."""
        if reason is None:
            self._ask("DELETE", f"/v1/nodes/{ident}/maintenance")
        else:
            self._ask("PUT", f"/v1/nodes/{ident}/maintenance", {"reason": reason})

    def target_raid(self, ident: str, config: Json) -> None:
        """Set the volumes that the step ``raid.create_configuration`` makes."""
        self._ask("PUT", f"/v1/nodes/{ident}/states/raid", config)

    # --- what is known of the hardware

    def bios(self, ident: str) -> dict[str, Any]:
        """Attribute → value, as Ironic saw them last; empty before it has."""
        listed = self._optional("GET", f"/v1/nodes/{ident}/bios") or {}
        return {str(one["name"]): one.get("value") for one in listed.get("bios", ())}

    def bios_registry(self, ident: str) -> list[Json]:
        """The same with what each attribute takes: ``allowable_values``, ``read_only``, ``reset_required``."""
        return list((self._optional("GET", f"/v1/nodes/{ident}/bios?detail=true") or {}).get("bios", ()))

    def firmware(self, ident: str) -> list[Json]:
        """Components with ``component``, ``current_version``, …; empty where the driver tells none."""
        return list((self._optional("GET", f"/v1/nodes/{ident}/firmware") or {}).get("firmware", ()))

    def inventory(self, ident: str) -> Json | None:
        """What inspection found: ``{"inventory": …, "plugin_data": …}``; None before it."""
        return self._optional("GET", f"/v1/nodes/{ident}/inventory")

    def history(self, ident: str) -> list[Json]:
        """What went wrong with a node, oldest first: ``event``, ``severity``, ``created_at``."""
        listed = self._optional("GET", f"/v1/nodes/{ident}/history?detail=true") or {}
        return sorted(listed.get("history", ()), key=lambda one: str(one.get("created_at")))

    # --- the wire

    def _pages(self, path: str, key: str, query: Mapping[str, str]) -> list[Json]:
        """All entries of a listing that comes in pages."""
        found: list[Json] = []
        marker = ""
        while True:
            words = urlencode({**query, **({"marker": marker} if marker else {})})
            page = self._ask("GET", f"{path}?{words}")
            found += page[key]
            if not page.get("next") or not page[key]:
                return found
            marker = str(page[key][-1]["uuid"])

    def _optional(self, method: str, path: str) -> Json | None:
        try:
            return self._ask(method, path)
        except IronicError as error:
            if error.status == 404:
                return None
            raise

    def _ask(self, method: str, path: str, body: Any = None) -> Json:
        """One call, asked again while the node is locked or no worker is free."""
        version = self.version
        until = self._clock() + self._busy
        pause = 0.5
        while True:
            try:
                return self._call(method, path, body, version)
            except IronicError as error:
                # 502 and 504 are the server's in front of Ironic, while that starts anew.
                again = error.status in (502, 503, 504)
                again = again or (error.status == 409 and "locked" in error.message.lower())
                again = again or (error.status == 0 and method != "POST")
                if not again or self._clock() + pause > until:
                    raise
            self._sleep(pause)
            pause = min(pause * 1.7, 10.0)

    def _call(self, method: str, path: str, body: Any, version: str = "") -> Json:
        headers = dict(self._headers)
        if version:
            headers["X-OpenStack-Ironic-API-Version"] = version
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = f"{method} {self.url}{path}"
        fresh = self._connection is None
        try:
            status, text = self._exchange(method, self._path + path, data, headers)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise IronicError(
                495, f"its certificate isn't the site's: {error.verify_message}", request
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not fresh and method != "POST":  # the server ended a connection that had been idle
                return self._call(method, path, body, version)
            raise IronicError(0, f"no answer: {error or type(error).__name__}", request) from None
        if status >= 400:
            raise IronicError(status, fault(text), request)
        if not text:
            return {}
        try:
            answer = json.loads(text)
        except ValueError:
            raise IronicError(status, "its answer is no JSON: is this Ironic's address?", request) from None
        return answer if isinstance(answer, dict) else {"items": answer}

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        if self._connection is None:
            self._connection = (
                http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout, context=self._context
                )
                if self._context
                else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            )
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def context(ca: str) -> ssl.SSLContext:
    """TLS that trusts this authority alone (a path or PEM text), or the system's where none is given."""
    if not ca:
        return ssl.create_default_context()
    if "-----BEGIN" in ca:
        return ssl.create_default_context(cadata=ca)
    return ssl.create_default_context(cafile=ca)


def fault(text: str) -> str:
    """What an error's body says: Ironic wraps it in JSON, in older releases twice."""
    try:
        said: Any = json.loads(text)
        while True:
            if isinstance(said, dict):
                said = said.get("error_message") or said.get("faultstring") or said.get("message") or text
            elif isinstance(said, str) and said.lstrip().startswith("{"):
                said = json.loads(said)
            else:
                return str(said)
    except ValueError:
        return text.strip()[:500] or "no reason given"


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major or 0), int(minor or 0)
