"""What one sequence does in a step: the word that the scheduler and the engine share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A sequence's slot, the position of its first token in this step, and the tokens.

    No tokens: the one that the sequence's last step decided, which is still on the GPU. `decides`: a next token
    follows from the last one here.
    """

    slot: int
    position: int
    tokens: tuple[int, ...] = ()
    decides: bool = True
