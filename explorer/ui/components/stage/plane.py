"""The endless plane: wherever one drags there is a latent, and every place has an address.

plane.js is the same in the browser; a test in a real one holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CORNERS = 256


@dataclass(frozen=True, eq=False)
class Plane:
    """Latents at the points of a lattice, blended between them.

    Attributes:
        corners: ``(256, D)`` latents; a lattice point takes the one that its hash names.
        seed: which of them goes where.
    """

    corners: NDArray[np.float32]
    seed: int = 0

    def at(self, place: tuple[float, float]) -> NDArray[np.float32]:
        """``(D,)`` latent at a place; the data's spread is kept between the lattice points too."""
        corners = np.asarray(self.corners, np.float64)
        i, j = np.floor(place).astype(int)
        u, v = (_smoothstep(p - np.floor(p)) for p in place)
        weights = np.array([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])
        around = [_hash(i + (k & 1), j + (k >> 1), self.seed) for k in range(4)]
        mean = corners.mean(0)
        blend = weights @ (corners[around] - mean) / np.linalg.norm(weights)
        return (mean + blend).astype(np.float32)

    def through(self, z: NDArray[np.float32]) -> Plane:
        """This plane with ``z: (D,)`` at place (0, 0), for the corner that lay there."""
        corners = np.array(self.corners, np.float32)
        corners[_hash(0, 0, self.seed)] = z
        return Plane(corners, self.seed)


def _smoothstep(t: float) -> float:
    return t * t * (3 - 2 * t)


def _hash(i: int, j: int, seed: int) -> int:
    """0 to 255, the same 32-bit arithmetic as in plane.js."""
    whole = 0xFFFFFFFF
    h = (int(i) * 0x27D4EB2D ^ int(j) * 0x165667B1 ^ int(seed)) & whole
    h = (h ^ h >> 15) * 0x85EBCA6B & whole
    h = (h ^ h >> 13) * 0xC2B2AE35 & whole
    return (h ^ h >> 16) & 255
