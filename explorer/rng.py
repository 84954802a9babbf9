"""Reproducible draws in a process shared by many visitors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

_LOCK = threading.RLock()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws inside depend on ``seed`` alone; torch's generator is one per process, so a lock."""
    with _LOCK, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
