"""Observation models p(x | h) over pixels, by name. Add one: a class and a line in LIKELIHOODS.

Each turns a network's output ``h: (*S, B, per_pixel·C, H, W)`` into a distribution with event
``(C, H, W)``. Those on the unit interval squash their centre with a sigmoid, since pixels live
in [0, 1]. A scale that is learned is one parameter of the model, shared by all pixels (the
sigma-VAE of Rybkin et al. 2021, arXiv:2006.13202).
"""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    Distribution,
    Independent,
    Laplace,
    Normal,
)
from torch.nn import functional as F

LOG_SCALE_FLOOR = -6.0  # a scale free to vanish makes the density, and so the bound, unbounded

# what families beside the plain VAE offer: one for pixels of ink, one for grey and colour
Pixels = Literal["bernoulli", "learned_gaussian"]


def _over_pixels(p: Distribution) -> Independent:
    return Independent(p, 3, validate_args=False)


class Likelihood(nn.Module, abc.ABC):
    """From parameters per pixel to p(x | h). Abstract; every likelihood is final.

    Attributes:
        per_pixel: how many numbers a network gives for each channel of each pixel.
        binary: whether it is a likelihood of black-and-white pictures only.
    """

    per_pixel: ClassVar[int] = 1
    binary: ClassVar[bool] = False

    @abc.abstractmethod
    def forward(self, h: Tensor) -> Distribution:
        """p(x | h), event ``(C, H, W)``."""


class BernoulliPixels(Likelihood):
    """Ink or no ink: ``h`` are logits. Grey pictures must be binarised before it is a density."""

    binary = True

    def forward(self, h: Tensor) -> Distribution:
        return _over_pixels(Bernoulli(logits=h, validate_args=False))


class ContinuousBernoulliPixels(Likelihood):
    """Grey values as they are (Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845)."""

    def forward(self, h: Tensor) -> Distribution:
        return _over_pixels(ContinuousBernoulli(logits=h, validate_args=False))


class GaussianPixels(Likelihood):
    """N(sigmoid(h), 0.1²): a squared error with a fixed exchange rate to nats."""

    sigma: ClassVar[float] = 0.1

    def forward(self, h: Tensor) -> Distribution:
        loc = h.sigmoid()
        return _over_pixels(Normal(loc, torch.full_like(loc, self.sigma), validate_args=False))


class _OneScale(Likelihood):
    """Holds the one learned scale of the final classes below."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-1.5))

    def scale(self) -> Tensor:
        """``()``, softly kept above ``exp(LOG_SCALE_FLOOR)``."""
        return (LOG_SCALE_FLOOR + F.softplus(self.log_scale - LOG_SCALE_FLOOR)).exp()


class LearnedGaussianPixels(_OneScale):
    """N(sigmoid(h), σ²) with one learned σ."""

    def forward(self, h: Tensor) -> Distribution:
        loc = h.sigmoid()
        return _over_pixels(Normal(loc, self.scale().expand_as(loc), validate_args=False))


class LaplacePixels(_OneScale):
    """Laplace(sigmoid(h), b) with one learned b: absolute error, kinder to edges."""

    def forward(self, h: Tensor) -> Distribution:
        loc = h.sigmoid()
        return _over_pixels(Laplace(loc, self.scale().expand_as(loc), validate_args=False))


class DiscretizedLogistic(Distribution):
    """Logistic mass on the 256 levels {0, 1/255, …, 1} (Salimans et al. 2017, one component)."""

    arg_constraints = {}  # pyright: ignore[reportAssignmentType]

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        self.loc, self.log_scale = loc, log_scale.clamp(min=-7.0)
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The centre, which is the mean but for what the ends of the range cut off."""
        return self.loc

    def log_prob(self, value: Tensor) -> Tensor:
        half, inverse = 0.5 / 255, (-self.log_scale).exp()
        upper = (value + half - self.loc) * inverse
        lower = (value - half - self.loc) * inverse
        # log(σ(u) - σ(l)) = logσ(u) + logσ(-l) + log(1 - e^{l-u}), exact in both tails
        inside = (
            F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
        )
        ends = torch.where(value < half, F.logsigmoid(upper), F.logsigmoid(-lower))
        return torch.where((value < half) | (value > 1 - half), ends, inside)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, device=self.loc.device).clamp(1e-5, 1 - 1e-5)
        x = self.loc + self.log_scale.exp() * (u.log() - (-u).log1p())
        return (x.clamp(0, 1) * 255).round() / 255

    def expand(self, batch_shape: torch.Size, _instance: None = None) -> DiscretizedLogistic:
        return DiscretizedLogistic(
            self.loc.expand(batch_shape), self.log_scale.expand(batch_shape)
        )


class DiscretizedLogisticPixels(Likelihood):
    """256 grey levels with a centre and a spread for every pixel: nats are comparable as bits."""

    per_pixel = 2

    def forward(self, h: Tensor) -> Distribution:
        loc, log_scale = h.chunk(2, -3)
        return _over_pixels(DiscretizedLogistic(loc.sigmoid(), log_scale - 2.0))


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": BernoulliPixels,
    "continuous_bernoulli": ContinuousBernoulliPixels,
    "gaussian": GaussianPixels,
    "learned_gaussian": LearnedGaussianPixels,
    "laplace": LaplacePixels,
    "discretized_logistic": DiscretizedLogisticPixels,
}
