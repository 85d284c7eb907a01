"""The client of Ironic's API against a real HTTP server: versions, retries, errors in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rackwright.metal.ironic import Ironic, IronicError

# As ironic 29.0 words them; the body's text is JSON within JSON.
LOCKED = (
    "Node 1be26c0b is locked by host head.example, please retry after the current operation is completed."
)
REFUSED = (
    'The requested action "active" can not be performed on node "1be26c0b" while it is in state "manageable".'
)


class Script:
    """Answers in a row for each request; what was asked. ``newest``: the API's version."""

    def __init__(self) -> None:
        self.newest = "1.96"
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, str, Any]] = []


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            """Silent."""

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            if self.path == "/":
                status, said = 200, {"default_version": {"version": script.newest, "min_version": "1.1"}}
            else:
                version = self.headers["X-OpenStack-Ironic-API-Version"]
                assert self.headers["Authorization"] == "Basic dTpw"
                script.asked.append((self.command, self.path, version, body))
                status, said = script.answers.pop(0) if script.answers else (200, {})
            if status == 0:
                self.close_connection = True
                return
            if isinstance(said, str):
                said = {
                    "error_message": json.dumps(
                        {"faultcode": "Client", "faultstring": said, "debuginfo": None}
                    )
                }
            data = json.dumps(said).encode() if status != 204 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(url: str) -> Ironic:
    return Ironic(url, "u", "p", timeout=5, busy=30, sleep=lambda seconds: None)


@pytest.mark.parametrize(("newest", "spoken"), [("1.96", "1.95"), ("1.90", "1.90")])
def test_the_version_is_ours_or_the_server_s_newest(
    api: Ironic, script: Script, newest: str, spoken: str
) -> None:
    script.newest = newest
    api.node("x")
    assert script.asked == [("GET", "/v1/nodes/x", spoken, None)]


def test_an_api_too_old_is_said_to_be(api: Ironic, script: Script) -> None:
    script.newest = "1.58"
    with pytest.raises(IronicError, match=r"of version 1\.58, and 1\.87 is the oldest"):
        api.node("x")


def test_a_locked_node_and_a_busy_conductor_are_asked_again(api: Ironic, script: Script) -> None:
    script.answers = [(409, LOCKED), (503, "No free conductor workers available."), (202, {})]
    api.provision("x", "manage")
    assert [asked[3] for asked in script.asked] == [{"target": "manage"}] * 3


def test_an_ironic_that_starts_anew_behind_its_server_is_asked_again(api: Ironic, script: Script) -> None:
    script.answers = [(502, "Bad Gateway"), (504, "Gateway Time-out"), (202, {})]
    api.provision("x", "manage")
    assert len(script.asked) == 3


def test_what_is_refused_is_told_in_ironic_s_words_at_once(api: Ironic, script: Script) -> None:
    script.answers = [(400, REFUSED)]
    with pytest.raises(IronicError) as caught:
        api.provision("x", "active")
    assert (caught.value.status, caught.value.message) == (400, REFUSED) and len(script.asked) == 1


def test_a_lock_that_never_ends_is_told(url: str, script: Script) -> None:
    now = iter(range(0, 1000, 10))
    api = Ironic(url, "u", "p", busy=30, sleep=lambda seconds: None, clock=lambda: float(next(now)))
    script.answers = [(409, LOCKED)] * 9
    with pytest.raises(IronicError, match="is locked by host"):
        api.provision("x", "manage")
    assert len(script.asked) < 6


def test_a_connection_that_the_server_ended_is_opened_again(api: Ironic, script: Script) -> None:
    api.node("x")
    script.answers = [(0, {}), (200, {"uuid": "x"})]
    assert api.node("x") == {"uuid": "x"}


def test_nobody_there_is_told_and_404_is_none(url: str, api: Ironic, script: Script) -> None:
    script.answers = [(404, "Node x could not be found."), (404, "no"), (404, "no")]
    assert api.node("x") is None and api.inventory("x") is None and api.bios("x") == {}
    dead = Ironic("http://127.0.0.1:9", "u", "p", busy=0, sleep=lambda seconds: None)
    with pytest.raises(IronicError, match="no answer") as caught:
        dead.node("x")
    assert caught.value.status == 0 and "p" * 2 not in str(caught.value)


def test_a_node_that_is_there_already_is_taken_as_made(api: Ironic, script: Script) -> None:
    script.answers = [(409, "A node with name x already exists."), (200, {"uuid": "1", "name": "x"})]
    assert api.create_node({"uuid": "1", "name": "x"})["name"] == "x"
    script.answers = [(409, "A node with name x already exists."), (404, "no")]
    with pytest.raises(IronicError, match="already exists"):
        api.create_node({"uuid": "2", "name": "x"})


def test_pages_are_put_together(api: Ironic, script: Script) -> None:
    script.answers = [
        (200, {"nodes": [{"uuid": "1"}, {"uuid": "2"}], "next": "http://x/v1/nodes?marker=2"}),
        (200, {"nodes": [{"uuid": "3"}]}),
    ]
    assert [node["uuid"] for node in api.nodes()] == ["1", "2", "3"]
    assert "marker=2" in script.asked[1][1]
