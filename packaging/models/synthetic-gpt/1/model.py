"""Triton's python backend for the synthetic GPT: an acceptance workload, not an engine for production.

Each instance is a front: it hands requests over to the process that owns the GPU (core.py) and answers them when
that has their tokens, while Triton sends the next ones. The inputs and the output are those of every model here; a
prompt's tokens are its bytes, and the answer is its tokens' numbers, which mean nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

# Triton's stub may be built to run isolated, and then it ignores PYTHONPATH: numpy below 2 must come first.
sys.path[:0] = [
    place for place in os.environ.get("PYTHONPATH", "").split(":") if place and place not in sys.path
]

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from core import CANCEL, FAILED, HEAD, LAST, PIECES, WHOLE, connect  # noqa: E402

DEFAULT_MAX_TOKENS = 20
ASK_EVERY = 32
"""Pieces of an answer between two looks whether its client is still there."""
PATIENCE = 170
"""Seconds that the weights and graphs may take."""


class TritonPythonModel:
    """What Triton's stub process makes one of per instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Have the core started, by one of its fronts, and wait until it is ready.

        Parameters are `size`, `slots`, `context`, and `engines`: how many cores the instances are fronts of.
        """
        if int(np.__version__.partition(".")[0]) >= 2:
            # Else its stub would die at the first text, without a word of why.
            raise pb_utils.TritonModelException(
                f"numpy {np.__version__}; this backend works with numpy below 2"
            )
        config = json.loads(args["model_config"])
        given = {name: entry["string_value"] for name, entry in config.get("parameters", {}).items()}
        self.decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        index = int(args["model_instance_name"].rpartition("_")[2])
        engines = int(given.get("engines", "1"))
        server = os.getppid()
        address = f"rackwright-{args['model_name']}-{server}-{index % engines}"
        self.core: subprocess.Popen[bytes] | None = None
        if index < engines:
            words = [given.get("size", "345m"), given.get("slots", "16"), given.get("context", "128")]
            program = shutil.which("python3") or sys.executable
            core = str(Path(__file__).with_name("core.py"))
            self.core = subprocess.Popen([program, core, *words, address, str(server)])
        try:
            self.link = connect("\0" + address, PATIENCE)
        except ConnectionError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self.waiting: dict[int, tuple[Any, int]] = {}
        self.number = 0
        sys.setswitchinterval(0.00005)
        self.thread = threading.Thread(target=self.reply, name="replies", daemon=True)
        self.thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Hand the requests over; each is answered through its own sender, or refused at once."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                message = self.message(request)
                self.waiting[self.number] = (sender, 0)
                self.link.send_bytes(message)
            except (ValueError, OSError) as error:
                self.waiting.pop(self.number, None)
                sender.send(refusal(str(error)), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def message(self, request: Any) -> bytes:
        """The request as the core takes it. Raises ValueError for what can't be served."""
        text = value_of(request, "text_input")
        prompt = text if isinstance(text, bytes) else str(text).encode()
        most = int(value_of(request, "max_tokens", DEFAULT_MAX_TOKENS))
        if float(value_of(request, "temperature", 0.0)) != 0:
            raise ValueError("temperature must be 0: this model is greedy")
        self.number = (self.number + 1) % 2**32
        return HEAD.pack(PIECES if self.decoupled else WHOLE, self.number, most) + prompt

    def reply(self) -> None:
        """Send what the core says, off the thread that takes requests."""
        final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        while True:
            try:
                message = self.link.recv_bytes()
            except (EOFError, OSError):
                break
            kind, number, _ = HEAD.unpack_from(message)
            text = message[HEAD.size :]
            if kind in (LAST, FAILED):
                sender, _ = self.waiting.pop(number)
                sender.send(refusal(text.decode()) if kind == FAILED else answer(text), flags=final)
                continue
            sender, pieces = self.waiting[number]
            self.waiting[number] = (sender, pieces + 1)
            sender.send(answer(text), flags=0)
            # Asking whether the client has gone takes a turn of the server's: not for every token.
            if pieces % ASK_EVERY == ASK_EVERY - 1 and sender.is_cancelled():
                self.link.send_bytes(HEAD.pack(CANCEL, number, 0))
        for sender, _ in list(self.waiting.values()):
            sender.send(refusal("the process with the weights has ended"), flags=final)
        self.waiting.clear()

    def finalize(self) -> None:
        """Hang up; the core ends with the front that started it."""
        if self.core is not None:
            self.core.terminate()
            self.core.wait(timeout=20)
        self.link.close()


def value_of(request: Any, name: str, default: Any = None) -> Any:
    """The single element of an input tensor, or the default where an optional one is left out."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    if len(values) != 1:
        raise ValueError(f"{name} has {len(values)} elements; it must have one")
    return values[0]


def answer(text: bytes) -> Any:
    """A response that holds `text` as text_output."""
    output = pb_utils.Tensor("text_output", np.array([text], dtype=np.object_))
    return pb_utils.InferenceResponse(output_tensors=[output])


def refusal(words: str) -> Any:
    """A response that says what is wrong with the request."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(words, pb_utils.TritonError.INVALID_ARG))
