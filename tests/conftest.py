"""What many tests start from. One thread, so that numbers and times are the same everywhere."""

import math
import os
from pathlib import Path

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from explorer import bundle
from explorer.distributions import diag_normal
from explorer.protocol import Block, DataSpec, LatentModel
from train.data import DATASETS

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]


class LinearGaussian(LatentModel):
    """Probabilistic PCA (Tipping & Bishop 1999) in float64: all that is asked has a formula.

    x = W z + b + noise of one standard deviation, so that p(x) and p(z | x) are Gaussian.
    ``encode`` is exact unless ``wrong`` moves and widens it.
    """

    def __init__(self, latent=3, side=3, noise=0.3, wrong=0.0):
        super().__init__()
        self.data, self.blocks = DataSpec("lines", 1, side, side), (Block("z", (latent,)),)
        chance = torch.Generator().manual_seed(4)
        w = torch.randn(side * side, latent, generator=chance, dtype=torch.float64)
        w[:, 1] += 2 * w[:, 0]  # columns that overlap: the posterior's coordinates are correlated
        self.w = torch.nn.Parameter(0.5 * w)
        self.b = torch.nn.Parameter(torch.linspace(-1, 1, side * side, dtype=torch.float64))
        self.noise, self.wrong = noise, wrong

    def prior(self, y=None):
        zero = self.w.new_zeros(self.latent_size)
        return diag_normal(zero, zero + 1)

    def posterior(self, x, known=None):
        """p(z | x), or p(z | known pixels of x), by the rule for Gaussians."""
        seen = slice(None) if known is None else known.flatten()
        w = self.w[seen]
        precision = torch.eye(self.latent_size).to(w) + w.T @ w / self.noise**2
        pull = (x.flatten(1) - self.b)[:, seen] @ w / self.noise**2
        mean = torch.linalg.solve(precision, pull.T).T
        return MultivariateNormal(mean, precision_matrix=precision)

    def marginal(self):
        """p(x) over flat pictures."""
        eye = torch.eye(len(self.b)).to(self.w)
        return MultivariateNormal(self.b, self.w @ self.w.T + self.noise**2 * eye)

    def encode(self, x, y=None):
        q = self.posterior(x)
        if not self.wrong:
            return q
        spread = q.variance.sqrt() * math.exp(self.wrong)
        return diag_normal(q.mean + self.wrong * spread, spread)

    def decode(self, z, y=None):
        mean = (z @ self.w.T + self.b).unflatten(-1, self.data.shape)
        return Independent(Normal(mean, self.noise), 3)


@pytest.fixture
def linear():
    """Makes a LinearGaussian."""
    return LinearGaussian


@pytest.fixture(scope="session")
def digits():
    """The shipped model of digits and held-out MNIST ``(10000, 1, 28, 28)`` in [0, 1]."""
    if not os.environ.get("LATENT_DATA"):
        pytest.skip("needs real digits: LATENT_DATA names no folder that holds mnist/")
    model, _ = bundle.load(ROOT / "pretrained" / "digits")
    return model, DATASETS["mnist"]().held.x.float() / 255
