"""Triton's python backend for the synthetic GPT: an acceptance workload, not an engine for production.

Requests are handed to a scheduler thread and answered when their tokens are there (in-flight batching): Triton
sends the next ones meanwhile. The inputs and the output are those of every model here; a prompt's tokens are
its bytes, and the answer is its tokens' numbers, which mean nothing.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import queue
import sys
import threading
from typing import Any

# Triton's stub may be built to run isolated, and then it ignores PYTHONPATH: numpy below 2 must come first.
sys.path[:0] = [
    place for place in os.environ.get("PYTHONPATH", "").split(":") if place and place not in sys.path
]

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from gpt import SIZES, Engine  # noqa: E402
from schedule import Generation, Scheduler  # noqa: E402

DEFAULT_MAX_TOKENS = 20
SENDERS = 4
"""Threads that send answers: each waits until the server has taken one, while others send theirs."""
ASK_EVERY = 32
"""Tokens of an answer between two looks whether its client is still there."""

Replies = queue.SimpleQueue[tuple[Any, str | Exception, bool] | None]
"""Whom to answer, what, and whether it is the last; None ends the thread that sends them."""


class TritonPythonModel:
    """What Triton's stub process makes one of per instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Make the weights and record the graphs; the parameters are `size`, `slots` and `context`."""
        if int(np.__version__.partition(".")[0]) >= 2:
            # Else its stub would die at the first text, without a word of why.
            raise pb_utils.TritonModelException(
                f"numpy {np.__version__}; this backend works with numpy below 2"
            )
        config = json.loads(args["model_config"])
        given = {name: entry["string_value"] for name, entry in config.get("parameters", {}).items()}
        self.decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        size = given.get("size", "345m")
        if size not in SIZES:
            raise pb_utils.TritonModelException(f"size is {size}; it must be one of {', '.join(SIZES)}")
        # The scheduler's thread must not wait 5 ms for its turn while requests come in, nor for the garbage of
        # hundreds of thousands of objects that PyTorch made on import.
        sys.setswitchinterval(0.00005)
        self.engine = Engine(
            SIZES[size], slots=int(given.get("slots", "16")), context=int(given.get("context", "128"))
        )
        self.engine.record()
        gc.freeze()
        self.scheduler = Scheduler(self.engine)
        self.replies: list[Replies] = [queue.SimpleQueue() for _ in range(SENDERS)]
        self.turn = itertools.cycle(self.replies)
        self.threads = [
            threading.Thread(target=self.scheduler.run, name="steps", daemon=True),
            *(
                threading.Thread(target=reply, args=[one], name="replies", daemon=True)
                for one in self.replies
            ),
        ]
        for thread in self.threads:
            thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Hand the requests over; each is answered through its own sender, or refused at once."""
        for request in requests:
            sender, replies = request.get_response_sender(), next(self.turn)
            try:
                self.scheduler.submit(self.generation(request, sender, replies))
            except ValueError as error:
                replies.put((sender, error, True))

    def generation(self, request: Any, sender: Any, replies: Replies) -> Generation:
        """What the request asks for. Raises ValueError for what can't be served."""
        text = value_of(request, "text_input")
        prompt = text if isinstance(text, bytes) else str(text).encode()
        max_tokens = int(value_of(request, "max_tokens", DEFAULT_MAX_TOKENS))
        if float(value_of(request, "temperature", 0.0)) != 0:
            raise ValueError("temperature must be 0: this model is greedy")
        said: list[int] = []

        def on_token(token: int, last: bool) -> None:
            said.append(token)
            if self.decoupled:
                replies.put((sender, f"{token} ", last))
            elif last:
                replies.put((sender, " ".join(map(str, said)), True))

        def on_failure(words: str) -> None:
            replies.put((sender, RuntimeError(words), True))

        # Asking whether the client has gone takes a turn of the server's: not for every token.
        return Generation(
            tuple(prompt),
            max_tokens,
            on_token,
            on_failure,
            lambda: len(said) % ASK_EVERY != ASK_EVERY - 1 or not sender.is_cancelled(),
        )

    def finalize(self) -> None:
        """End after what is in flight."""
        self.scheduler.close()
        self.threads[0].join(timeout=20)
        for replies in self.replies:
            replies.put(None)
        for thread in self.threads[1:]:
            thread.join(timeout=5)


def reply(replies: Replies) -> None:
    """Send responses in their order, off the scheduler's thread."""
    while (entry := replies.get()) is not None:
        sender, said, last = entry
        response = answer(said) if isinstance(said, str) else refusal(str(said))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if last else 0)


def value_of(request: Any, name: str, default: Any = None) -> Any:
    """The single element of an input tensor, or the default where an optional one is left out."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    if len(values) != 1:
        raise ValueError(f"{name} has {len(values)} elements; it must have one")
    return values[0]


def answer(text: str) -> Any:
    """A response that holds `text` as text_output."""
    output = pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))
    return pb_utils.InferenceResponse(output_tensors=[output])


def refusal(words: str) -> Any:
    """A response that says what is wrong with the request."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(words, pb_utils.TritonError.INVALID_ARG))
