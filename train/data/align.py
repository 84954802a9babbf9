"""From a picture and its eyes to a face in its place: one similarity, sampled with Lanczos."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIZE = 128
LEFT, RIGHT = 40.8 + 38.4j, 87.6 + 38.4j  # of the eyes, pixel edges at whole numbers
LOBES = 4
BORDER = 160  # pixels mirrored in beyond the picture, ample for the faces that were kept


def aligned(image: Image.Image, left: complex, right: complex) -> Image.Image:
    """128x128 RGB: the picture turned, scaled and shifted so that its eyes come to LEFT and RIGHT.

    ``left`` and ``right`` are the eyes' centres as x + iy, pixel edges at whole numbers. Sampled
    at twice the size, the border mirrored without repeating the edge, then reduced.
    """
    turn = (right - left) / (RIGHT - LEFT)  # the similarity, scale and angle in one number
    middle = (np.arange(2 * SIZE) + 0.5) / 2
    at = left + turn * (middle[None, :] + 1j * middle[:, None] - LEFT)
    sampled = lanczos(np.asarray(image, np.float32), at.real - 0.5, at.imag - 0.5)
    twice = Image.fromarray(sampled.round().clip(0, 255).astype(np.uint8))
    return twice.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def lanczos(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``(h, w, C)``: ``pixels: (H, W, C)`` at columns ``x: (h, w)`` and rows ``y: (h, w)``."""
    padded = np.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "reflect")
    height, width, channels = padded.shape
    x = (x + BORDER).clip(LOBES, width - LOBES - 1)
    y = (y + BORDER).clip(LOBES, height - LOBES - 1)

    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = _weights(x - left), _weights(y - top)  # (8, h, w) each
    flat = padded.reshape(-1, channels)
    corner = (top - LOBES + 1) * width + left - LOBES + 1
    total = np.zeros((*x.shape, channels), np.float32)
    for j in range(2 * LOBES):
        row = np.zeros_like(total)
        for i in range(2 * LOBES):
            row += across[i, ..., None] * flat[corner + j * width + i]
        total += down[j, ..., None] * row
    return total


def _weights(offset: np.ndarray) -> np.ndarray:
    """``(8, h, w)``: of the pixels from 3 before to 4 after; they add up to one."""
    distance = np.arange(1 - LOBES, LOBES + 1)[:, None, None] - offset
    weights = np.sinc(distance) * np.sinc(distance / LOBES)
    return (weights / weights.sum(0)).astype(np.float32)
