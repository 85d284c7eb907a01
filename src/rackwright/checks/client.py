"""Requests from the workstation: HTTP(S), TLS handshakes, gRPC to Triton. Each gives an ``Output``, never
raises.

Names need not resolve where the engineer stands: every request says which address to connect to, and uses the
site's name for the certificate and the ``Host`` header.
"""

from __future__ import annotations

import functools
import http.client
import json
import queue
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, ParamSpec

from rackwright.checks.base import Evidence, NoEvidenceError, Output

P = ParamSpec("P")

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""The kinds of manifest that are accepted from a registry."""


def _guarded(ask: Callable[P, str]) -> Callable[P, Output]:
    """Turn text or an exception into an Output."""

    @functools.wraps(ask)
    def run(*args: P.args, **kwargs: P.kwargs) -> Output:
        begin = time.monotonic()
        try:
            text, code, problem = ask(*args, **kwargs), 0, ""
        except ssl.SSLCertVerificationError as error:
            text, code, problem = "", -1, f"certificate refused: {error.verify_message}"
        except (OSError, http.client.HTTPException, NoEvidenceError, ValueError, RuntimeError) as error:
            text, code, problem = "", -1, str(error) or type(error).__name__
        return Output(code, text, problem, round(time.monotonic() - begin, 3))

    return run


def trust(authority: str) -> ssl.SSLContext:
    """A context that trusts only the given authority (PEM text)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority)
    return context


class _PinnedHTTPS(http.client.HTTPSConnection):
    """HTTPS to a given address under another name."""

    def __init__(self, name: str, port: int, address: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(name, port, timeout=timeout, context=context)
        self._address, self._trust = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)


def _connection(
    address: str, port: int, name: str, authority: str | None, timeout: float
) -> http.client.HTTPConnection:
    if authority is None:
        return http.client.HTTPConnection(address, port, timeout=timeout)
    return _PinnedHTTPS(name, port, address, trust(authority), timeout)


def _refuse_status(response: http.client.HTTPResponse, path: str) -> None:
    if not 200 <= response.status < 300:
        body = response.read(300).decode(errors="replace").strip()
        raise RuntimeError(f"{path}: HTTP {response.status} {response.reason}: {body}"[:400])


@_guarded
def get(
    address: str, port: int, path: str, name: str = "", authority: str | None = None, timeout: float = 15
) -> str:
    """GET; the body. Over TLS when ``authority`` (PEM) is given."""
    connection = _connection(address, port, name or address, authority, timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        _refuse_status(response, path)
        return response.read().decode(errors="replace")
    finally:
        connection.close()


@_guarded
def post(address: str, port: int, path: str, body: dict[str, Any], timeout: float = 60) -> str:
    """POST JSON over plain HTTP; the body."""
    connection = _connection(address, port, address, None, timeout)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        _refuse_status(response, path)
        return response.read().decode(errors="replace")
    finally:
        connection.close()


@_guarded
def stream(address: str, port: int, path: str, body: dict[str, Any], timeout: float = 60) -> str:
    """POST JSON and read server-sent events as they come; JSON list of [seconds since the request, event
    data].
    """
    connection = _connection(address, port, address, None, timeout)
    try:
        begin = time.monotonic()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        _refuse_status(response, path)
        events = []
        while line := response.readline():
            if line.startswith(b"data:"):
                events.append([round(time.monotonic() - begin, 4), line[5:].decode(errors="replace").strip()])
        return json.dumps(events)
    finally:
        connection.close()


@_guarded
def manifests(address: str, port: int, name: str, authority: str, images: list[str]) -> str:
    """Ask a registry over TLS for every image's manifest; JSON: image (``repository:tag``) → HTTP status."""
    connection = _connection(address, port, name, authority, 15)
    try:
        answers: dict[str, int] = {}
        for image in images:
            repository, _, tag = image.rpartition(":")
            connection.request(
                "HEAD", f"/v2/{repository.strip('/')}/manifests/{tag}", headers={"Accept": MANIFESTS}
            )
            response = connection.getresponse()
            response.read()
            answers[image] = response.status
        return json.dumps(answers)
    finally:
        connection.close()


@_guarded
def infer_grpc(address: str, port: int, model: str, text: str, streaming: bool, timeout: float = 60) -> str:
    """Ask a Triton model over gRPC; JSON list of [seconds since the request, text of that response].

    The model takes BYTES ``text_input`` and gives BYTES ``text_output``. ``streaming``: by ModelStreamInfer,
    which a decoupled model answers piece by piece; else by ModelInfer, one answer.
    """
    import numpy
    from tritonclient import grpc

    client = grpc.InferenceServerClient(f"{address}:{port}")
    try:
        begin = time.monotonic()
        metadata = client.get_model_metadata(model, client_timeout=timeout)
        declared = next(tensor.shape for tensor in metadata.inputs if tensor.name == "text_input")
        tensor = grpc.InferInput("text_input", [abs(size) for size in declared], "BYTES")
        tensor.set_data_from_numpy(
            numpy.array([text.encode()], dtype=object).reshape([abs(size) for size in declared])
        )
        if not streaming:
            answer = _text_output(client.infer(model, [tensor], client_timeout=timeout))
            return json.dumps([[round(time.monotonic() - begin, 4), answer]])
        return json.dumps(_stream_grpc(client, model, tensor, timeout))
    except grpc.InferenceServerException as error:
        raise RuntimeError(f"gRPC: {error}") from None
    finally:
        client.close()


def _text_output(result: Any) -> str:
    """The text of a response, empty when it has none (a closing response)."""
    tensor = result.as_numpy("text_output") if result.get_response().outputs else None
    if tensor is None or not tensor.size:
        return ""
    return str(tensor.reshape(-1)[0].decode(errors="replace"))


def _stream_grpc(client: Any, model: str, tensor: Any, timeout: float) -> list[list[Any]]:
    """Pieces of one streamed answer as [seconds since the request, text]; RuntimeError when the end does
    not come.
    """
    answers: queue.Queue[Any] = queue.Queue()
    begin = time.monotonic()
    client.start_stream(callback=lambda result, error: answers.put((time.monotonic() - begin, result, error)))
    try:
        client.async_stream_infer(model, [tensor], enable_empty_final_response=True)
        pieces: list[list[Any]] = []
        while True:
            left = timeout - (time.monotonic() - begin)
            try:
                seconds, result, error = answers.get(timeout=max(left, 0.01))
            except queue.Empty:
                raise RuntimeError(f"no end within {timeout:g} s, {len(pieces)} pieces before") from None
            if error is not None:
                raise RuntimeError(f"gRPC: {error}")
            if text := _text_output(result):
                pieces.append([round(seconds, 4), text])
            if result.get_response().parameters["triton_final_response"].bool_param:
                return pieces
    finally:
        client.stop_stream(cancel_requests=True)


def authority_of(evidence: Evidence, place: str, key: str) -> str:
    """The PEM text of an authority that a node handed over; raises NoEvidenceError."""
    text = evidence.text(place, key)
    if "BEGIN CERTIFICATE" not in text:
        raise NoEvidenceError(f"'{key}' of {place} holds no certificate")
    return text


def with_authority(evidence: Evidence, place: str, key: str, ask: Callable[[str], Output]) -> Output:
    """Make a request that needs an authority; a missing one is the request's failure."""
    try:
        return ask(authority_of(evidence, place, key))
    except NoEvidenceError as reason:
        return Output(-1, "", str(reason))
