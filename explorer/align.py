"""From a picture and two points in it to one in its place: one similarity, sampled with Lanczos.

The points are the eyes of a face, or where the left and the right edge of a frame have their
middles.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from .spec import DataSpec

SIZE = 128
LEFT, RIGHT = 40.8 + 38.4j, 87.6 + 38.4j  # of the eyes, pixel edges at whole numbers
LOBES = 4
BORDER = 160  # pixels mirrored in beyond the picture, ample for the faces that were kept


Points = tuple[complex, complex]
FACE = (LEFT, RIGHT)


def places(data: DataSpec) -> tuple[Points, tuple[int, int]]:
    """Where the two points of a picture of ``data`` lie, and its width and height before it is
    brought to the data's own."""
    if data.name == "faces":
        times = max(1, data.width / SIZE)
        side = round(times * SIZE)
        return (times * LEFT, times * RIGHT), (side, side)
    return (0.5j * data.height, data.width + 0.5j * data.height), (data.width, data.height)


def framed(image: Image.Image, points: Points, data: DataSpec) -> Image.Image:
    """The picture as ``data`` have it, of their size, its ``points`` where theirs are."""
    at, size = places(data)
    many = abs(points[1] - points[0]) / abs(at[1] - at[0])
    if many > 2:  # pixels for one: fewer first, or what is sampled would shimmer
        smaller = image.resize(
            tuple(max(1, round(2 * side / many)) for side in image.size),  # pyright: ignore
            Image.Resampling.LANCZOS,
        )
        x, y = (new / old for new, old in zip(smaller.size, image.size, strict=True))
        points = tuple(complex(p.real * x, p.imag * y) for p in points)  # pyright: ignore
        image = smaller
    turned = aligned(image, *points, at, size)
    return turned.resize((data.width, data.height), Image.Resampling.LANCZOS)


def aligned(
    image: Image.Image,
    left: complex,
    right: complex,
    at: Points = FACE,
    size: tuple[int, int] = (SIZE, SIZE),
) -> Image.Image:
    """The picture turned, scaled and shifted so that ``left`` and ``right`` come to ``at``.

    Points are x + iy, pixel edges at whole numbers; ``size`` is width and height of what comes
    back. Sampled at twice the size, the border mirrored without repeating the edge, then reduced.
    """
    turn = (right - left) / (at[1] - at[0])  # the similarity, scale and angle in one number
    across, down = ((np.arange(2 * side) + 0.5) / 2 for side in size)
    place = left + turn * (across[None, :] + 1j * down[:, None] - at[0])
    sampled = lanczos(np.asarray(image), place.real - 0.5, place.imag - 0.5)
    twice = Image.fromarray(sampled.round().clip(0, 255).astype(np.uint8).squeeze())
    return twice.resize(size, Image.Resampling.LANCZOS)


def lanczos(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``(h, w, C)``: ``pixels: (H, W, C)`` or ``(H, W)`` at columns ``x``, rows ``y: (h, w)``."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    padded = np.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "reflect")
    x = (x + BORDER).clip(LOBES, padded.shape[1] - LOBES - 1)
    y = (y + BORDER).clip(LOBES, padded.shape[0] - LOBES - 1)

    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = _weights(x - left), _weights(y - top)  # (h, w, 8)
    windows = sliding_window_view(padded, (2 * LOBES, 2 * LOBES), (0, 1))
    around = windows[top - LOBES + 1, left - LOBES + 1].astype(np.float32)  # (h, w, C, 8, 8)
    rows = around @ across[:, :, None, :, None]
    return (rows[..., 0] * down[:, :, None]).sum(-1)


def _weights(offset: np.ndarray) -> np.ndarray:
    """``(h, w, 8)``: of the pixels from 3 before to 4 after; they add up to one."""
    distance = np.arange(1 - LOBES, LOBES + 1) - offset[..., None]
    weights = np.sinc(distance) * np.sinc(distance / LOBES)
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)
