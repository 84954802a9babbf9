"""What pictures look like, and how a latent is divided: plain facts, known without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class DataSpec:
    """The images a model was trained on. Pixels are float32 in [0, 1], channels first."""

    name: str
    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        return self.channels, self.height, self.width

    @property
    def pixelated(self) -> bool:
        """Whether a viewer should show crisp pixels: small grey pictures such as digits."""
        return self.channels == 1 and self.height <= 32


@dataclass(frozen=True)
class Block:
    """A named slice of the flat latent and the shape it unflattens to."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)
