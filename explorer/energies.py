"""Four shapes of the plane that no Gaussian has, and flows that were bent into them (Rezende &
Mohamed 2015, arXiv:1505.05770, table 1 and figure 3).

Differs: three of the energies go on for ever along the first axis, so that nothing is proportional
to exp(-U); a wall from ``WALL`` on keeps them in the square that the paper draws. The fits are
numbers in ``energies.json`` (`python -m train energies`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Transform, TransformedDistribution

from .distributions import diag_normal, draw
from .models.flow import Planar

SHIPPED = Path(__file__).with_name("energies.json")
STEPS = (0, 2, 8, 32)  # of a flow; without any it is a diagonal Gaussian
WALL, THICK = 4.0, 0.2  # where the wall begins along the first axis, and its spread
EDGE, CELLS = 7.0, 1400  # of the square over which densities are added up
FEW = 2000  # places at a time: of more torch makes two threads, which wait for each other

Energy = Callable[[Tensor], Tensor]


def _strip(distance: Tensor, spread: float) -> Tensor:
    return -0.5 * (distance / spread).square()


def _wave(z: Tensor) -> Tensor:
    return torch.sin(0.5 * math.pi * z[..., 0])


def _walled(z: Tensor) -> Tensor:
    return -_strip((z[..., 0].abs() - WALL).clamp(min=0), THICK)


def ring(z: Tensor) -> Tensor:
    """U1: a ring, heavy on its left and on its right."""
    both = _strip(z[..., 0] - 2, 0.6), _strip(z[..., 0] + 2, 0.6)
    return -_strip(z.norm(dim=-1) - 2, 0.4) - torch.logaddexp(*both)


def wave(z: Tensor) -> Tensor:
    """U2: a wave."""
    return -_strip(z[..., 1] - _wave(z), 0.4) + _walled(z)


def bump(z: Tensor) -> Tensor:
    """U3: a wave that parts and joins again."""
    below = z[..., 1] - _wave(z)
    beside = below + 3 * _strip(z[..., 0] - 1, 0.6).exp()
    return -torch.logaddexp(_strip(below, 0.35), _strip(beside, 0.35)) + _walled(z)


def fork(z: Tensor) -> Tensor:
    """U4: a wave that parts for good."""
    below = z[..., 1] - _wave(z)
    beside = below + 3 * ((z[..., 0] - 1) / 0.3).sigmoid()
    return -torch.logaddexp(_strip(below, 0.4), _strip(beside, 0.35)) + _walled(z)


ENERGIES: dict[str, Energy] = {"ring": ring, "wave": wave, "bump": bump, "fork": fork}


def square(edge: float, cells: int) -> Tensor:
    """``(cells, cells, 2)``: the middles of the cells of a square, its top row first."""
    at = (torch.arange(cells) + 0.5) / cells * 2 * edge - edge
    y, x = torch.meshgrid(at.flip(0), at, indexing="ij")
    return torch.stack([x, y], -1)


@cache
def log_volume(name: str) -> float:
    """log of the integral of exp(-U) over the plane, in nats, by adding up small cells."""
    cell = (2 * EDGE / CELLS) ** 2
    return (-ENERGIES[name](square(EDGE, CELLS))).flatten().logsumexp(0).item() + math.log(cell)


@dataclass(frozen=True)
class Fit:
    """A diagonal Gaussian and planar steps.

    Attributes:
        loc, scale: ``(*S, 2)``, of the Gaussian.
        u, w: ``(*S, K, 2)``; b: ``(*S, K)``, of the steps.
    """

    loc: Tensor
    scale: Tensor
    u: Tensor
    w: Tensor
    b: Tensor

    def density(self, steps: int | None = None) -> Distribution:
        """Over the plane, after the first ``steps``; after all of them by default."""
        base = diag_normal(self.loc, self.scale)
        each = zip(self.u.unbind(-2), self.w.unbind(-2), self.b.unbind(-1), strict=True)
        every: list[Transform] = [Planar(*one) for one in each]
        bends = every[:steps]
        return TransformedDistribution(base, bends, validate_args=False) if bends else base

    def picture(self, z: Tensor, steps: int | None = None) -> Tensor:
        """``(...)``: the density at ``z: (..., 2)``, after the first ``steps``."""
        q = self.density(steps)
        parts = [q.log_prob(part) for part in z.view(-1, 2).split(FEW)]
        return torch.cat(parts).exp().view(z.shape[:-1])


def divergences(name: str, q: Distribution, samples: int) -> Tensor:
    """``(samples, *S)`` in nats, whose mean is KL(q ‖ p), p the density of that energy."""
    z, log_q = draw(q, Size([samples]))
    return log_q + ENERGIES[name](z) + log_volume(name)


def from_numbers(told: Mapping[str, Any]) -> Fit:
    """The flow whose fields are lists of numbers in ``told``."""
    loc, scale, u, w, b = (torch.tensor(told[name]) for name in ("loc", "scale", "u", "w", "b"))
    return Fit(loc, scale, u.view(-1, 2), w.view(-1, 2), b)


@dataclass(frozen=True)
class Shipped:
    """What `python -m train energies` found.

    Attributes:
        protocol: how it was fitted and measured, in words.
        fits, kl: the flow, and its KL to the shape with its standard error in nats, by name and
            number of steps.
    """

    protocol: str
    fits: dict[tuple[str, int], Fit]
    kl: dict[tuple[str, int], tuple[float, float]]


def shipped() -> Shipped:
    """The fits that come with this program."""
    told: dict[str, Any] = json.loads(SHIPPED.read_text(encoding="utf-8"))
    fits, kl = {}, {}
    for one in told["fits"]:
        key = one["shape"], one["steps"]
        fits[key], kl[key] = from_numbers(one), (one["kl"], one["error"])
    return Shipped(told["protocol"], fits, kl)
