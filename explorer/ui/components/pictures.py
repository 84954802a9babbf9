"""What the browser parts are told about pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.shelf import Opened


def spec_of(opened: Opened) -> dict[str, Any]:
    """The shape of a model's pictures, and whether their pixels are to be seen."""
    data = opened.data
    return dict(
        height=data.height, width=data.width, channels=data.channels, pixelated=data.pixelated
    )


def as_frames(frames: ArrayLike) -> NDArray[np.uint8]:
    """``(n, H, W, C)`` with C = 1 or 3, ready to be sent; grey ones may come as ``(n, H, W)``."""
    array = np.asarray(frames)
    if array.ndim == 3:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise TypeError(f"frames should be uint8 (n, H, W, C), not {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)
