"""Painting over a picture, or drawing a digit, with mouse, finger, pen or keys."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from ..checks import flags
from ..mount import show
from ..pictures import as_frames

LARGEST = 1024  # pixels on a side


def brush(
    key: str,
    picture: ArrayLike | None,
    *,
    size: tuple[int, int],
    purpose: Literal["mask", "ink"] = "mask",
) -> NDArray[np.bool_] | None:
    """``(H, W)`` of what is painted on ``picture: (H, W, C)`` uint8, None where nothing is.

    ``size`` is ``(H, W)``. A mask is painted over a picture; ink is white on black.
    Another picture begins afresh; the same one, come back to from another page, as it was left.
    """
    height, width = size
    if not (0 < height <= LARGEST and 0 < width <= LARGEST):
        raise ValueError(f"size {size}: 1 to {LARGEST} pixels on a side")
    pictures = [] if picture is None else [as_frames(np.asarray(picture)[None])]
    if pictures and pictures[0].shape[1:3] != (height, width):
        raise ValueError(f"a picture of {pictures[0].shape[1:3]} does not fit size {size}")
    identity = _name(size, purpose, *pictures)
    header: dict[str, Any] = dict(
        height=height,
        width=width,
        channels=pictures[0].shape[-1] if pictures else 0,
        pixelated=max(height, width) <= 32,
        purpose=purpose,
        id=identity,
    )
    kept: dict[str, Any] = st.session_state.setdefault(
        f"{key}/kept", {"begun": None, "last": None}
    )
    if key not in st.session_state:  # the browser has nothing yet
        kept["begun"] = kept["last"]
    begun = painted(kept["begun"], identity, size)
    header["begun"] = None if begun is None else kept["begun"]["bits"]
    states = show("brush", key, header, *pictures, states=("painted",), room=ROOM)
    if states is None:
        return None
    if states["painted"] is None:
        return begun
    found = painted(states["painted"], identity, size)
    kept["last"] = states["painted"] if found is not None else None
    return found


ROOM = "max-width: 36rem; aspect-ratio: 0.85"


def _name(size: tuple[int, int], purpose: str, *pictures: NDArray[np.uint8]) -> str:
    digest = hashlib.blake2b(repr((size, purpose)).encode(), digest_size=8)
    for pixels in pictures:
        digest.update(pixels.tobytes())
    return digest.hexdigest()


def painted(sent: Any, name: str, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """``(H, W)`` in what a browser sent; None where it is empty or not of this picture."""
    if not isinstance(sent, dict) or sent.get("id") != name:
        return None
    mask = flags(sent.get("bits"), size[0] * size[1])
    return None if mask is None or not mask.any() else mask.reshape(size)
