"""A film of pictures to scrub through, playing to and fro."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..mount import show
from ..pictures import as_frames


def film(
    key: str,
    frames: ArrayLike,
    *,
    pixelated: bool,
    labels: Sequence[str] | None = None,
    gauge: ArrayLike | None = None,
) -> None:
    """Shows ``frames: (n, H, W, C)`` uint8; ``gauge: (n,)`` is each one's typicality in [0, 1]."""
    pictures = as_frames(frames)
    n, height, width, channels = pictures.shape
    header = dict(
        n=n,
        height=height,
        width=width,
        channels=channels,
        pixelated=pixelated,
        labels=None if labels is None else [str(label) for label in labels],
        gauge=None if gauge is None else np.asarray(gauge, float).clip(0, 1).round(4).tolist(),
    )
    show("film", key, header, pictures, room="max-width: 36rem; aspect-ratio: 0.8")
