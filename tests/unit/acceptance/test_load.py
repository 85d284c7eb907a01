"""The closed-loop clients against a small HTTP server that answers like Triton's /generate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rackwright.acceptance.load import Load, answer, closed_loop, percentile, rate

DELAY = 0.02


class Generate(BaseHTTPRequestHandler):
    """Answers after DELAY, in chunks as Triton does; refuses a prompt that begins with "bad"."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(DELAY)
        if asked["text_input"].startswith("bad"):
            body = b'{"error":"no"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        body = json.dumps({"text_output": " ".join(["7"] * asked["max_tokens"])}).encode()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Generate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_every_client_asks_again_when_it_has_its_answer(address: str) -> None:
    load = closed_loop(address, "m", ["a", "b", "c"], 5, seconds=0.6, warm=0.1)
    assert load.failures == ()
    assert len(load.ends) == 3
    assert all(len(ends) >= 3 for ends in load.ends)
    assert load.percentile(0.5) >= DELAY * 1e3
    assert load.tokens == 5 * len(load.latencies_ms)
    assert load.inferences_per_second <= 3 / DELAY
    assert load.tokens_per_second == pytest.approx(5 * load.inferences_per_second)


def test_a_refusal_is_a_failure_and_ends_its_client_only(address: str) -> None:
    load = closed_loop(address, "m", ["bad", "b"], 5, seconds=1.5, warm=0.0)
    assert load.failures == ('HTTP 400: {"error":"no"}',)
    assert len(load.latencies_ms) >= 2


def test_nobody_listens() -> None:
    load = closed_loop("127.0.0.1:9", "m", ["a"], 5, seconds=0.2, warm=0.0)
    assert load.latencies_ms == ()
    assert len(load.failures) == 1


def test_rates_count_whole_answers_only() -> None:
    assert rate([10.0, 10.5, 11.0]) == 2.0
    assert rate([10.0]) == 0.0
    load = Load(2, 3.0, 40, (1.0,) * 4, ((0.0, 1.0), (0.5, 1.0)), ())
    assert load.inferences_per_second == 3.0
    assert load.tokens_per_second == 30.0
    slow = Load(2, 4.0, 20, (3000.0,) * 2, ((3.0,), (3.0,)), ())
    assert slow.inferences_per_second == 0.5


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([3.0], 0.95) == 3.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    "whole",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ],
)
def test_an_answer_is_one_when_all_of_it_has_come(whole: bytes) -> None:
    assert answer(whole) == (200, b"hello")
    # The end of a chunked answer's last line may come later: nothing of the next one is in it.
    assert all(answer(whole[:length]) is None for length in range(len(whole) - 5))
