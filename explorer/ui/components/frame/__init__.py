"""Two points on a picture, dragged to where they belong: eyes, or the edges of a frame."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike

from ..checks import numbers
from ..mount import show
from ..pictures import as_frames

Points = tuple[complex, complex]
FARTHEST = 1e5  # pixels; what is beyond was not dragged by a hand


def frame(
    key: str, picture: ArrayLike, points: Points, at: Points, size: tuple[int, int], names: str
) -> Points:
    """Where a visitor has put the two ``points`` of ``picture: (H, W, C)`` uint8, as x + iy.

    What will be cut out is outlined: a picture of ``size`` (width, height) in which the points
    come to ``at``. ``names`` is what the points are called.
    """
    pixels = as_frames(np.asarray(picture)[None])
    _, height, width, channels = pixels.shape
    digest = hashlib.blake2b(pixels.tobytes() + repr((points, at, size)).encode(), digest_size=8)
    corners = (0, size[0], complex(*size), 1j * size[1])
    shares = [(corner - at[0]) / (at[1] - at[0]) for corner in corners]
    header = dict(
        height=height,
        width=width,
        channels=channels,
        points=[xy for point in points for xy in (point.real, point.imag)],
        corners=[[share.real, share.imag] for share in shares],
        names=names,
        id=digest.hexdigest(),
    )
    states = show("frame", key, header, pixels, states=("points",), room=ROOM)
    sent = None if states is None else states["points"]
    if not isinstance(sent, dict) or sent.get("id") != header["id"]:
        return points
    found = numbers(sent.get("points"), 4, FARTHEST)
    if found is None or found[:2] == found[2:]:
        return points
    return complex(*found[:2]), complex(*found[2:])


ROOM = "max-width: 28rem; aspect-ratio: 1"
