"""From a picture and its eyes to a face in its place: one similarity, sampled with Lanczos."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
    sampled = lanczos(np.asarray(image), at.real - 0.5, at.imag - 0.5)
    twice = Image.fromarray(sampled.round().clip(0, 255).astype(np.uint8))
    return twice.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def lanczos(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``(h, w, C)``: ``pixels: (H, W, C)`` at columns ``x: (h, w)`` and rows ``y: (h, w)``."""
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
