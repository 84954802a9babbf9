"""Where tensors live: the best device this machine has, or the one that was asked for."""

from __future__ import annotations

import functools

from .errors import ExplorerError


@functools.cache
def available() -> tuple[str, ...]:
    """Devices of this machine, best first; the CPU is always among them. Imports torch."""
    import torch

    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def resolve(wanted: str = "auto") -> str:
    """``wanted`` if this machine has it, the best there is for ``"auto"``."""
    if wanted == "auto":
        return available()[0]
    if wanted not in available():
        raise ExplorerError(f"This machine has no {wanted}; it has {', '.join(available())}.")
    return wanted
