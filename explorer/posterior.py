"""One picture's posterior in a plane of two coordinates: the true one, and what the encoder says.

Both are cut through where the encoder's is centred, all other coordinates held there, so that the
true one is p(x, z) up to a number that a sum over the plane supplies (Cremer, Li & Duvenaud 2018,
arXiv:1801.03558, figure 2, for models of any number of coordinates).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from .distributions import centre, draw
from .protocol import LatentModel

REACH = 4.0  # spreads that the plane reaches to either side
COARSE = 25  # cells of a first look, which finds where the densities are
CHUNK = 1100  # places that are scored together

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """What every cell of a square holds of a density.

    Attributes:
        across, up: ``(n,)``: the cells' middles.
        shares: ``(n, n)``, up first; they sum to 1.
    """

    across: Floats
    up: Floats
    shares: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Mean ``(2,)`` and covariance ``(2, 2)``."""
        places = np.stack(np.meshgrid(self.across, self.up), -1).reshape(-1, 2)
        weights = self.shares.reshape(-1)
        loc = weights @ places
        away = places - loc
        return loc, (weights[:, None] * away).T @ away

    @property
    def lean(self) -> float:
        """The correlation of the two coordinates: 0 for every diagonal Gaussian."""
        spread = self.moments()[1]
        return float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))

    @property
    def bend(self) -> float:
        """Its KL from the Gaussian of its own mean and covariance, in nats: 0 for an ellipse."""
        loc, spread = self.moments()
        away = np.stack(np.meshgrid(self.across, self.up), -1) - loc
        log_p = -0.5 * np.einsum("ijk,kl,ijl->ij", away, np.linalg.inv(spread), away)
        return divergence(self.shares, normalised(log_p))

    def ellipse(self, points: int = 90) -> Floats:
        """``(points, 2)``: two spreads round its mean, were it that Gaussian."""
        loc, spread = self.moments()
        angle = np.linspace(0, 2 * np.pi, points)
        round_ = np.stack([np.cos(angle), np.sin(angle)], -1)
        return loc + 2 * round_ @ np.linalg.cholesky(spread).T


@dataclass(frozen=True)
class Cut:
    """The true posterior and the encoder's in the plane of ``pair``, coordinates from 0."""

    pair: tuple[int, int]
    truth: Density
    guess: Density

    @property
    def divergence(self) -> float:
        """KL(guess ‖ truth) in the plane, in nats."""
        return divergence(self.guess.shares, self.truth.shares)


def divergence(q: Floats, p: Floats) -> float:
    """Sum of q log q / p over cells."""
    there = q > 1e-12
    return float((q[there] * (np.log(q[there]) - np.log(np.maximum(p[there], 1e-300)))).sum())


def normalised(log_p: Floats) -> Floats:
    """What every cell holds of a density known up to a factor."""
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


def cut(
    model: LatentModel,
    x: Tensor,
    y: Tensor | None = None,
    pair: tuple[int, int] | None = None,
    cells: int = 33,
) -> Cut:
    """Of ``x: (1, C, H, W)``; the ``pair`` that the true posterior couples most by default."""
    with torch.no_grad():
        q = model.encode(x, y)
        middle, own = centre(q)[0], draw(q, (256,))[0].std(0)[0]
    curved = _curvature(model, x, y, middle)
    pair = pair or coupled(curved)
    reach = 2 * REACH * torch.maximum(own, curved.diagonal().clamp(min=1e-6).rsqrt())
    windows = [((middle - reach)[d].item(), (middle + reach)[d].item()) for d in pair]
    wide = _cut(model, q, x, y, middle, pair, windows, COARSE)
    return _cut(model, q, x, y, middle, pair, around(wide.truth, wide.guess), cells)


def around(*densities: Density) -> list[tuple[float, float]]:
    """From where to where each coordinate goes so that all of them are seen whole."""
    ends = []
    for density in densities:
        loc, spread = density.moments()
        reach = REACH * np.sqrt(spread.diagonal())
        ends.append((loc - reach, loc + reach))
    low, high = np.min([low for low, _ in ends], 0), np.max([high for _, high in ends], 0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


@torch.no_grad()
def _cut(
    model: LatentModel,
    q: Distribution,
    x: Tensor,
    y: Tensor | None,
    middle: Tensor,
    pair: tuple[int, int],
    windows: list[tuple[float, float]],
    cells: int,
) -> Cut:
    lines = [torch.linspace(low, high, cells).to(middle) for low, high in windows]
    up, across = torch.meshgrid(lines[1], lines[0], indexing="ij")
    z = middle.repeat(cells * cells, 1, 1)
    z[:, 0, pair[0]], z[:, 0, pair[1]] = across.reshape(-1), up.reshape(-1)
    prior = model.prior(y)
    scores = [_scores(model, q, prior, part, x, y) for part in z.split(CHUNK)]
    x_axis, y_axis = (line.double().cpu().numpy() for line in lines)
    truth, guess = (
        Density(
            x_axis, y_axis, normalised(torch.cat(each).view(cells, cells).double().cpu().numpy())
        )
        for each in zip(*scores, strict=True)
    )
    return Cut(pair, truth, guess)


def _scores(
    model: LatentModel,
    q: Distribution,
    prior: Distribution,
    z: Tensor,
    x: Tensor,
    y: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """``(n,)`` each, of ``z: (n, 1, D)``: log p(x, z) and log q(z | x)."""
    joint = model.decode(z, y).log_prob(x) + prior.log_prob(z)
    return joint[:, 0], q.log_prob(z)[:, 0]


def _curvature(model: LatentModel, x: Tensor, y: Tensor | None, z: Tensor) -> Tensor:
    """``(D, D)``: minus the second derivatives of log p(x, z) at ``z: (D,)``."""

    def joint(z: Tensor) -> Tensor:
        return (model.decode(z[None], y).log_prob(x) + model.prior(y).log_prob(z[None])).sum()

    found = torch.autograd.functional.hessian(joint, z)
    assert isinstance(found, Tensor)
    return -found


def coupled(curved: Tensor) -> tuple[int, int]:
    """The two coordinates that lean on each other most, all others held: of a precision matrix
    the greatest partial correlation."""
    scale = curved.diagonal().clamp(min=1e-6).sqrt()
    first, second = torch.triu_indices(*curved.shape, offset=1).unbind()
    most = int((curved / scale / scale[:, None]).abs()[first, second].argmax())
    return int(first[most]), int(second[most])
