"""What one optimiser step changes, and what loss falls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from explorer.protocol import LatentModel

from ..data import Split

Terms = dict[str, Tensor]


@dataclass
class Phase:
    """One optimiser step per batch: ``loss(x, y, step)`` gives terms, ``terms["loss"]`` falls.

    ``module`` owns what the step changes, so that a critic or a multiplier is saved with it.
    Steps before ``begins`` leave the phase out. ``momentum`` is Adam's first beta.
    """

    name: str
    module: nn.Module
    loss: Callable[[Tensor, Tensor | None, int], Terms]
    begins: int = 0
    momentum: float = 0.9


class Objective(Protocol):
    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        """What is done at every batch of ``data``, in this order.

        ``data`` is for what has to know all of it: how many pictures there are, or where a
        mixture is to begin.
        """
        ...
