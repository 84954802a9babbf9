"""What a data set is: pictures to train on, pictures held out, and where both come from."""

from __future__ import annotations

from dataclasses import dataclass, field

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
