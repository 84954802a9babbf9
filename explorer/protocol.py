"""What every model is: three conditional distributions over flat latents."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.distributions import Distribution

from .spec import Block, DataSpec

__all__ = ["Block", "DataSpec", "LatentModel"]


class LatentModel(nn.Module, abc.ABC):
    """p(z | y), q(z | x, y), p(x | z, y). Abstract; every family is a final subclass.

    Attributes:
        data: what ``x`` looks like.
        blocks: named slices of the flat latent, outermost first.
        Config: the frozen dataclass that, with ``data``, builds the family.
        conditional: whether ``y`` makes a difference. A class is its number in ``data.classes``;
            None, or a negative number, is unknown.
    """

    Config: ClassVar[type[Any]]
    conditional: bool = False
    data: DataSpec
    blocks: tuple[Block, ...]

    @property
    def latent_size(self) -> int:
        """D, the length of the flat latent."""
        return sum(block.size for block in self.blocks)

    def start_at(self, mean: Tensor) -> None:
        """Prepares an untrained model to draw the mean picture ``(C, H, W)`` before it learns."""

    @abc.abstractmethod
    def prior(self, y: Tensor | None = None) -> Distribution:
        """p(z | y); event ``(D,)``, batch ``()`` or ``(B,)``."""

    @abc.abstractmethod
    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """q(z | x, y) for ``x: (B, C, H, W)``; batch ``(B,)``, event ``(D,)``."""

    @abc.abstractmethod
    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        """p(x | z, y) for ``z: (*S, B, D)``; batch ``(*S, B)``, event ``(C, H, W)``."""
