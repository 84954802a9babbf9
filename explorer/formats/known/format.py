"""What every known format says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..plans import Choices, Exact
from ..sizes import Move

Tensors = dict[str, Tensor]
Facts = dict[str, Any]
USUAL = Choices()
SIGNED = (-1.0, 1.0)
HALVES = (-0.5, 0.5)


@dataclass(frozen=True)
class Format:
    """A program's way to write a model.

    Attributes:
        fits: whether tensors carry its fingerprint.
        start: what the program is known to do where no tensor says it.
        size: the side of its pictures where it has only one, else 0.
        up: what its decoder's convolutions do to sizes, where that is unusual.
        build: its model by its tensors and the notes beside them, where rows do not describe it.
    """

    name: str
    fits: Callable[[Tensors], bool]
    start: Choices = USUAL
    size: int = 0
    up: tuple[Move, ...] = ()
    build: Callable[[Tensors, Facts], list[Exact]] | None = None


def shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    return tuple(tensors[name].shape) if name in tensors else ()


def has(*names: str) -> Callable[[Tensors], bool]:
    """Whether there are tensors of all these names."""
    return lambda tensors: all(name in tensors for name in names)


def any_has(*parts: str) -> Callable[[Tensors], bool]:
    """Whether each of these is a part of some tensor's name."""
    return lambda tensors: all(any(part in name for name in tensors) for part in parts)
