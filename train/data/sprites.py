"""Sprites of known factors, drawn by us: after dSprites (Matthey et al. 2017), not a copy of it.

Every combination of shape, size, turn and place occurs once, at 32x32 with soft edges; dSprites
has 64x64 and hard ones, six sizes, forty turns and 32 places each way. Its turns are of a whole
circle, so that a square is drawn four times over; ours are of the angle after which a shape
repeats, so that no two pictures are alike.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.protocol import DataSpec

from .dataset import Dataset, Split

SHAPES = ("square", "ellipse", "heart")
SIZES, TURNS, PLACES = 4, 12, 12
SPRITES_SPEC = DataSpec("sprites", 1, 32, 32, SHAPES)
REPEATS = (4, 2, 1)  # of each shape in a whole circle
FACTORS = ("size", "turn", "across", "down")
FINE = 4  # points drawn for each pixel, along each side
STEP = 6  # fine points from one place to the next
RADII = np.linspace(3.2, 6.4, SIZES)  # pixels


def sprites() -> Dataset:
    """20,736 sprites in three shapes, a tenth held out; the factors are attributes."""
    x, y, factors = drawn()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(x) // 10], order[len(x) // 10 :]
    parts = [
        Split(x[pick], y[pick], {name: values[pick] for name, values in factors.items()})
        for pick in (train, held)
    ]
    return Dataset(
        SPRITES_SPEC,
        *parts,
        licence="MIT, as this program, which draws them",
        credit="Drawn by this program, after L. Matthey et al.: dSprites, 2017",
    )


@cache
def drawn() -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """All pictures ``(N, 1, 32, 32)``, their shapes ``(N,)`` and factors ``(N,)`` by name."""
    pictures, labels, factors = [], [], []
    places = [(down, across) for down in range(PLACES) for across in range(PLACES)]
    for shape in range(len(SHAPES)):
        for size in range(SIZES):
            for turn in range(TURNS):
                angle = 2 * np.pi * turn / (TURNS * REPEATS[shape])
                fine = template(shape, RADII[size], angle)
                for down, across in places:
                    pictures.append(placed(fine, down, across))
                    labels.append(shape)
                    factors.append((size, turn, across, down))
    columns = torch.tensor(factors, dtype=torch.float32).unbind(1)
    x = torch.from_numpy(np.stack(pictures))[:, None]
    return x, torch.tensor(labels), dict(zip(FACTORS, columns, strict=True))


def template(shape: int, radius: float, angle: float) -> NDArray[np.float32]:
    """``(n, n)``: 1 inside the shape, its middle in the middle, FINE points to the pixel."""
    half = 32 * FINE // 2 - STEP * (PLACES - 1) // 2
    at = (np.arange(-half, half) + 0.5) / (FINE * radius)
    v, u = np.meshgrid(at, at, indexing="ij")
    u, v = np.cos(angle) * u + np.sin(angle) * v, np.cos(angle) * v - np.sin(angle) * u
    if shape == 0:
        inside = np.maximum(abs(u), abs(v)) < 0.7
    elif shape == 1:
        inside = u**2 + (v / 0.55) ** 2 < 1
    else:  # the heart of algebra, its tip down
        a, b = 1.25 * u, 0.15 - 1.25 * v
        inside = (a**2 + b**2 - 1) ** 3 < a**2 * b**3
    return inside.astype(np.float32)


def placed(fine: NDArray[np.float32], down: int, across: int) -> NDArray[np.uint8]:
    """``(32, 32)``: the template at one of the places, each pixel the mean of its points."""
    board = np.zeros((32 * FINE, 32 * FINE), np.float32)
    n = len(fine)
    board[STEP * down : STEP * down + n, STEP * across : STEP * across + n] = fine
    grey = board.reshape(32, FINE, 32, FINE).mean((1, 3))
    return (255 * grey).round().astype(np.uint8)
