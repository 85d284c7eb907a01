"""Requests from the workstation, against servers of our own: a refused certificate, a stream, an error."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rackwright.checks import client


class Answers(BaseHTTPRequestHandler):
    """Speaks as the API, Triton and a registry would."""

    def do_GET(self) -> None:
        self._say(200 if self.path == "/readyz" else 404, b"ok")

    def do_HEAD(self) -> None:
        self._say(200 if self.path == "/v2/k8s/pause/manifests/3.10" else 404, b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("generate_stream"):
            events = b"".join(b'data: {"text_output": "%s"}\n\n' % word for word in (b"Aus", b"tin"))
            self._say(200, events)
        else:
            self._say(200, json.dumps({"text_output": body["text_input"].upper()}).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests' output is theirs."""


def certificate(directory: Path, name: str) -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and the certificate as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = made.public_bytes(form)
    path = directory / f"{name}.pem"
    path.write_bytes(private + pem)
    return path, pem.decode()


@pytest.fixture
def plain() -> Iterator[int]:
    """The port of a plain server."""
    yield from serve(ThreadingHTTPServer(("127.0.0.1", 0), Answers))


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The port of a TLS server called api.example, and the authority to trust."""
    path, pem = certificate(tmp_path, "api.example")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for port in serve(server):
        yield port, pem


def serve(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_the_name_is_checked_though_the_address_is_connected_to(secured: tuple[int, str]) -> None:
    port, pem = secured
    good = client.get("127.0.0.1", port, "/readyz", name="api.example", authority=pem)
    assert (good.rc, good.stdout) == (0, "ok")
    other = client.get("127.0.0.1", port, "/readyz", name="other.example", authority=pem)
    assert other.rc == -1
    assert "certificate refused" in other.stderr


def test_another_authority_is_refused(secured: tuple[int, str], tmp_path: Path) -> None:
    _, stranger = certificate(tmp_path, "stranger.example")
    output = client.get("127.0.0.1", secured[0], "/readyz", name="api.example", authority=stranger)
    assert "certificate refused" in output.stderr


def test_an_http_error_is_a_failure_with_its_status(plain: int) -> None:
    output = client.get("127.0.0.1", plain, "/nowhere")
    assert output.rc == -1
    assert "HTTP 404" in output.stderr


def test_nobody_listening_is_a_failure_in_words() -> None:
    output = client.get("127.0.0.1", 1, "/readyz", timeout=2)
    assert output.rc == -1
    assert "refused" in output.stderr


def test_a_question_is_posted_as_json(plain: int) -> None:
    output = client.post("127.0.0.1", plain, "/v2/models/m/generate", {"text_input": "hi"})
    assert json.loads(output.stdout)["text_output"] == "HI"


def test_a_stream_keeps_its_pieces_apart(plain: int) -> None:
    output = client.stream("127.0.0.1", plain, "/v2/models/m-stream/generate_stream", {"text_input": "hi"})
    pieces = json.loads(output.stdout)
    assert [json.loads(data)["text_output"] for _, data in pieces] == ["Aus", "tin"]


def test_every_image_is_asked_for(secured: tuple[int, str]) -> None:
    port, pem = secured
    output = client.manifests("127.0.0.1", port, "api.example", pem, ["k8s/pause:3.10", "k8s/etcd:v9"])
    assert json.loads(output.stdout) == {"k8s/pause:3.10": 200, "k8s/etcd:v9": 404}


def test_grpc_without_a_server_is_a_failure_in_words() -> None:
    output = client.infer_grpc("127.0.0.1", 1, "m", "hi", streaming=False, timeout=3)
    assert output.rc == -1
    assert "gRPC" in output.stderr
