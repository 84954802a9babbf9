"""What a data set is: pictures to train on, pictures held out, and where both come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from explorer.protocol import DataSpec


@dataclass(frozen=True)
class Split:
    """Pictures and what is known of them.

    Attributes:
        x: ``(N, C, H, W)`` uint8; may be a file that is read as it is used, so never written to.
        y: ``(N,)`` int64 class numbers, or None.
        attributes: ``(N,)`` float32 by name; NaN where unknown.
    """

    x: Tensor
    y: Tensor | None = None
    attributes: dict[str, Tensor] = field(default_factory=dict)

    def mean_picture(self) -> Tensor:
        """``(C, H, W)`` float32 in [0, 1]; a few pictures at a time, as all may not fit."""
        total = sum(part.sum(0, dtype=torch.int64) for part in self.x.split(4096))
        return (torch.as_tensor(total) / (255 * len(self.x))).float()


@dataclass(frozen=True)
class Dataset:
    """A training part, a held-out part that is never trained on, and where both come from.

    Attributes:
        skipped: one line for every picture that could not be used: its name and the reason.
    """

    spec: DataSpec
    train: Split
    held: Split
    licence: str
    credit: str
    skipped: tuple[str, ...] = ()
