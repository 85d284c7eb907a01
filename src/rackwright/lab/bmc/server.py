"""The HTTPS side: any number of BMCs in one process, each on its own address and port.

One thread accepts for all; a connection has a thread of its own while it lasts.
"""

from __future__ import annotations

import contextlib
import io
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rackwright.lab.bmc.bmc import Bmc
from rackwright.lab.bmc.config import BmcConfig
from rackwright.lab.bmc.http import Request, Response
from rackwright.lab.bmc.messages import BASE, RedfishError

IDLE_SECONDS = 70
BODY_LIMIT = 4_000_000


class _Connection(BaseHTTPRequestHandler):
    """One connection to one BMC."""

    protocol_version = "HTTP/1.1"
    server_version = "Appweb/4.5.4"
    sys_version = ""
    timeout = IDLE_SECONDS
    bmc: Bmc

    def __init__(self, connection: socket.socket, peer: Any, bmc: Bmc) -> None:
        self.bmc = bmc
        super().__init__(connection, peer, self)  # type: ignore[arg-type]

    def setup(self) -> None:
        super().setup()
        self.wfile = io.BufferedWriter(
            _Raw(self.connection), 65536
        )  # an answer is one record, not one a header

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the console: events.jsonl has it."""

    def _serve(self) -> None:
        slow = self.bmc.faults.option("slow")
        if slow is not None:
            time.sleep(float(slow.get("seconds", 5)))
        if closed(self.bmc):
            self.close_connection = True
            return
        try:
            response = self._respond()
        except RedfishError as error:
            response = Response(error.status, error.body(), error.headers)
            self.close_connection = True
        self._send(response)

    def _respond(self) -> Response:
        parts = urlsplit(self.path)
        raw = self._body()
        body: Any = {}
        if raw.strip():
            kind = self.headers.get("Content-Type", "application/json").split(";")[0].strip().lower()
            if kind not in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
                return Response(415, RedfishError(415, f"{BASE}.HeaderInvalid", "Content-Type").body())
            try:
                body = json.loads(raw)
            except ValueError:
                return Response(400, RedfishError(400, f"{BASE}.MalformedJSON").body())
            if isinstance(body, str):  # dellemc.openmanage sends some empty bodies as a JSON text of JSON
                body = {}
            if not isinstance(body, dict):
                return Response(400, RedfishError(400, f"{BASE}.UnrecognizedRequestBody").body())
        accept = self.headers.get("Accept", "*/*")
        if not any(
            kind in accept
            for kind in (
                "*/*",
                "application/json",
                "application/*",
                "application/xml",
                "application/yaml",
                "text/",
            )
        ):
            return Response(406, RedfishError(406, f"{BASE}.HeaderInvalid", "Accept").body())
        version = self.headers.get("OData-Version", "4.0")
        if version != "4.0":
            return Response(412, RedfishError(412, f"{BASE}.HeaderInvalid", "OData-Version").body())
        request = Request(
            method=self.command,
            path=parts.path.rstrip("/").replace("//", "/") or "/",
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()}
            | {"_peer": self.client_address[0]},
            body=body,
        )
        return self.bmc.handle(request, self.headers.get("Authorization"))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            raise RedfishError(413, f"{BASE}.UnrecognizedRequestBody")
        return self.rfile.read(int(length))

    def _send(self, response: Response) -> None:
        body = response.body
        data = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(response.status)
        headers = {
            "OData-Version": "4.0",
            "Cache-Control": "no-cache",
            "X-Frame-Options": "DENY",
            "Strict-Transport-Security": "max-age=63072000",
            **response.headers,
        }
        if response.status not in (204, 304):
            headers["Content-Length"] = str(len(data))
        if data:
            headers["Content-Type"] = response.content_type
        if self.close_connection:
            headers["Connection"] = (
                "close"  # else the client may send its next request into the closing connection
            )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and response.status not in (204, 304):
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = _serve  # noqa: N815


class _Raw(io.RawIOBase):
    """The writing end of a socket as a raw stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._connection.sendall(data)
        return len(data)


def closed(bmc: Bmc) -> bool:
    """Whether the BMC gives no answer now: a fault, or its own reset."""
    return bmc.busy() or bmc.faults.option("unreachable") is not None


class BmcServer:
    """BMCs and their listening sockets.

    >>> with BmcServer(config) as server:
    ...     server.url, server.bmc.faults.set({"slow": {"seconds": 1}})
    """

    def __init__(self, *configs: BmcConfig) -> None:
        self.bmcs = {config.name: Bmc(config) for config in configs}
        self._sockets: dict[str, socket.socket] = {}
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def bmc(self) -> Bmc:
        """The first BMC."""
        return next(iter(self.bmcs.values()))

    @property
    def url(self) -> str:
        """Where the first BMC answers, without a path."""
        return self.url_of(self.bmc.config.name)

    @property
    def certificate_file(self) -> str:
        """The certificate that the first BMC shows, PEM."""
        return str(self.bmc.certificates.certificate_file)

    def url_of(self, name: str) -> str:
        """Where a BMC answers, without a path."""
        host, port = self._sockets[name].getsockname()[:2]
        return f"https://{host}:{port}"

    def start(self) -> BmcServer:
        """Listen; OSError if an address is not there or in use."""
        selector = selectors.DefaultSelector()
        for name, bmc in self.bmcs.items():
            listener = socket.create_server((bmc.config.address, bmc.config.port), backlog=64)
            listener.setblocking(False)
            self._sockets[name] = listener
            selector.register(listener, selectors.EVENT_READ, bmc)
        threading.stack_size(512 * 1024)
        self._thread = threading.Thread(target=self._accept, args=(selector,), name="bmc-accept", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close all connections; the state is on disk, machines stay as they are."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=5)
        for connection in [*self._sockets.values(), *self._open]:
            with contextlib.suppress(OSError):
                connection.close()
        for bmc in self.bmcs.values():
            bmc.close()

    def __enter__(self) -> BmcServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        while not self._stopping.is_set():
            for key, _ in selector.select(timeout=0.2):
                with contextlib.suppress(OSError):
                    connection, peer = key.fileobj.accept()  # type: ignore[union-attr]
                    threading.Thread(
                        target=self._serve, args=(connection, peer, key.data), daemon=True
                    ).start()
        selector.close()

    def _serve(self, connection: socket.socket, peer: Any, bmc: Bmc) -> None:
        self._open.add(connection)
        secure: socket.socket | None = None
        try:
            connection.settimeout(IDLE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            gone = bmc.faults.option("unreachable")
            if gone is not None and gone.get("mode") == "silent":
                self._stopping.wait(IDLE_SECONDS)
            if not closed(bmc):
                with bmc.lock:
                    context = bmc.certificates.context()
                secure = context.wrap_socket(connection, server_side=True)
                self._open.add(secure)
                _Connection(secure, peer, bmc)
        except (OSError, ValueError) as error:  # the client went away, or did not like the certificate
            bmc.events.write("connection ended", reason=repr(error))
        finally:
            for used in (secure, connection):
                self._open.discard(used) if used else None
                with contextlib.suppress(OSError):
                    used.close() if used else None


def serve(configs: Iterable[BmcConfig], until: threading.Event) -> None:
    """Serve until the event is set."""
    with BmcServer(*configs):
        until.wait()
