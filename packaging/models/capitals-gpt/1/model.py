"""Triton's python backend for the capitals model: text in, answer out.

One file serves both ways. Where the configuration says `decoupled`, each piece of text is sent as soon as it
is decided (gRPC streams, /generate_stream); else the whole answer is one response (HTTP and gRPC inference,
/generate).
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from gpt import Gpt, PromptError, Tokenizer, stream_text

DEFAULT_MAX_TOKENS = 32
LONGEST_TEXT = 4096
"""Characters; anything longer cannot fit the context and need not be tokenised to know it."""


class TritonPythonModel:
    """What Triton's stub process makes one of per instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights beside this file."""
        config = json.loads(args["model_config"])
        self.decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        here = Path(__file__).resolve().parent
        self.tokenizer = Tokenizer.load(here / "tokenizer.json")
        self.model = Gpt.load(here / "weights.npz")

    def execute(self, requests: list[Any]) -> list[Any] | None:
        """Answer each request; a bad one gets its own error and the others their answers."""
        if not self.decoupled:
            return [self.respond(request) for request in requests]
        for request in requests:
            self.send(request)
        return None

    def respond(self, request: Any) -> Any:
        """The one response with the whole text."""
        try:
            return answer("".join(self.pieces(request)))
        except PromptError as error:
            return refusal(error)

    def send(self, request: Any) -> None:
        """A response per piece of text, until the end or until the client has gone."""
        sender = request.get_response_sender()
        try:
            for piece in self.pieces(request):
                if sender.is_cancelled():
                    break
                sender.send(answer(piece))
        except PromptError as error:
            sender.send(refusal(error))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def pieces(self, request: Any) -> Iterator[str]:
        """The answer's text, piece by piece. Raises PromptError for inputs that cannot be served."""
        text = value_of(request, "text_input")
        try:
            prompt = text.decode() if isinstance(text, bytes) else str(text)
        except UnicodeDecodeError as error:
            raise PromptError(f"text_input is not UTF-8: {error}") from None
        if not prompt.strip():
            raise PromptError("text_input is empty")
        if len(prompt) > LONGEST_TEXT:
            raise PromptError(
                f"text_input has {len(prompt)} characters; {LONGEST_TEXT} are the most that is looked at"
            )
        max_tokens = int(value_of(request, "max_tokens", DEFAULT_MAX_TOKENS))
        if max_tokens < 1:
            raise PromptError(f"max_tokens is {max_tokens}; it must be at least 1")
        temperature = float(value_of(request, "temperature", 0.0))
        if not (math.isfinite(temperature) and temperature >= 0):
            raise PromptError(f"temperature is {temperature}; it must be a finite number, 0 (greedy) or more")
        tokens = self.model.generate(
            self.tokenizer.encode(prompt), max_tokens, temperature, secrets.randbits(32)
        )
        return stream_text(self.tokenizer, tokens)


def value_of(request: Any, name: str, default: Any = None) -> Any:
    """The single element of an input tensor, or the default where an optional one is left out."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    if len(values) != 1:
        raise PromptError(f"{name} has {len(values)} elements; it must have one")
    return values[0]


def answer(text: str) -> Any:
    """A response that holds `text` as text_output."""
    output = pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))
    return pb_utils.InferenceResponse(output_tensors=[output])


def refusal(error: PromptError) -> Any:
    """A response that says what is wrong with the request."""
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
    )
