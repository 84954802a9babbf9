"""A posterior in a plane against a linear Gaussian model's, which is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from explorer import bundle
from explorer.cards import Card
from explorer.distributions import diag_normal
from explorer.posterior import Density, coupled, cut, normalised
from explorer.protocol import Block, DataSpec, LatentModel

SPEC = DataSpec("toy", 1, 2, 3)
NOISE = 0.5


class Linear(LatentModel):
    """x = Wz + noise, so that p(z | x) is a Gaussian in closed form; q is that Gaussian without
    its off-diagonal."""

    def __init__(self):
        super().__init__()
        self.data, self.blocks = SPEC, (Block("z", (4,)),)
        chance = torch.Generator().manual_seed(3)
        self.w = nn.Parameter(torch.randn(6, 4, generator=chance))

    @property
    def precision(self):
        return torch.eye(4) + self.w.T @ self.w / NOISE**2

    def loc(self, x):
        return torch.linalg.solve(self.precision, self.w.T @ x.flatten() / NOISE**2)

    def prior(self, y=None):
        return diag_normal(torch.zeros(4), torch.ones(4))

    def encode(self, x, y=None):
        return diag_normal(self.loc(x)[None], self.precision.diagonal().rsqrt()[None])

    def decode(self, z, y=None):
        mean = (z @ self.w.T).unflatten(-1, SPEC.shape)
        return Independent(Normal(mean, NOISE), 3)


@pytest.fixture(scope="module")
def known():
    torch.manual_seed(0)
    return Linear(), torch.randn(1, *SPEC.shape)


def block(model, pair):
    """Covariance in the plane, the others held: the inverse of a block of the precision."""
    pick = list(pair)
    return model.precision[pick][:, pick].inverse().detach()


@pytest.mark.parametrize("pair", [(0, 1), (2, 0), (3, 1)])
def test_the_truth_in_a_plane_is_the_known_gaussian(known, pair):
    model, x = known
    found = cut(model, x, pair=pair, cells=81)
    loc, spread = found.truth.moments()
    np.testing.assert_allclose(loc, model.loc(x)[list(pair)].detach(), atol=1e-4)
    np.testing.assert_allclose(spread, block(model, pair), rtol=0.01, atol=1e-5)
    assert found.truth.bend == pytest.approx(0, abs=1e-3)
    assert found.guess.lean == pytest.approx(0, abs=1e-6)


def test_the_divergence_is_that_of_the_two_gaussians(known):
    model, x = known
    found = cut(model, x, cells=81)
    truth = MultivariateNormal(torch.zeros(2), block(model, found.pair))
    own = model.precision.diagonal()[list(found.pair)].detach()
    q = MultivariateNormal(torch.zeros(2), torch.diag(1 / own))
    kl = torch.distributions.kl_divergence(q, truth).item()
    assert found.divergence == pytest.approx(kl, rel=0.02)


def test_the_plane_is_that_of_the_greatest_partial_correlation(known):
    model, x = known
    held = {
        (i, j): abs(float(s[0, 1]) / math.sqrt(s[0, 0] * s[1, 1]))
        for i in range(4)
        for j in range(i + 1, 4)
        for s in [block(model, (i, j))]
    }
    assert cut(model, x).pair == max(held, key=held.__getitem__)
    assert coupled(torch.tensor([[1.0, 0.1, 0], [0.1, 1, -0.9], [0, -0.9, 1]])) == (1, 2)


def test_an_arc_bends_and_an_ellipse_does_not():
    line = np.linspace(-6, 6, 121)
    across, up = np.meshgrid(line, line)
    leaning = normalised(-0.5 * (across**2 + up**2 - 1.2 * across * up) / (1 - 0.36))
    arc = normalised(-0.5 * (across / 0.7) ** 2 - 0.5 * ((up - across**2) / 0.5) ** 2)
    assert Density(line, line, leaning).bend == pytest.approx(0, abs=1e-3)
    assert Density(line, line, leaning).lean == pytest.approx(0.6, abs=1e-3)
    # KL of a bent Gaussian from the unbent: its entropy is that of its two independent parts
    _, spread = Density(line, line, arc).moments()
    expected = 0.5 * math.log(np.linalg.det(spread) / (0.7 * 0.5) ** 2)
    assert Density(line, line, arc).bend == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("flow", ["planar", "iaf", "none"])
def test_a_flows_posterior_is_cut_where_it_is(flow):
    torch.manual_seed(0)
    config = dict(latent=3, hidden=16, flow=flow, steps=2)
    model = bundle.build(Card("toy", "flow", config, SPEC))
    found = cut(model, torch.rand(1, *SPEC.shape).round())
    for density in (found.truth, found.guess):
        rim = np.concatenate([density.shares[[0, -1]].ravel(), density.shares[:, [0, -1]].ravel()])
        assert rim.sum() < 0.02
        assert density.shares.sum() == pytest.approx(1)
