"""Acceptance of a GPU server: what was promised, what the hardware could do at most, and what was measured.

Runs on the server itself (``rackwright accept`` or ``python -m rackwright.acceptance``); it needs PyTorch and a
Triton server there, and changes no setting of a GPU.
"""
