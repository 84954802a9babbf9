"""Densities of pixels add up to one, and their means, draws and gradients are their own."""

import pytest
import torch
from torch.distributions import Independent

from explorer.likelihoods import LIKELIHOODS, LOG_SCALE_FLOOR, DiscretizedLogistic
from explorer.rng import seeded

UNIT, LINE = torch.linspace(0, 1, 40_001), torch.linspace(-4, 5, 90_001)
SUPPORT = {  # every value a pixel can take; None: a sum, not an integral
    "bernoulli": (torch.tensor([0.0, 1.0]), None),
    "continuous_bernoulli": (UNIT, 1 / 40_000),
    "gaussian": (LINE, 1e-4),
    "learned_gaussian": (LINE, 1e-4),
    "laplace": (LINE, 1e-4),
    "discretized_logistic": (torch.arange(256) / 255, None),
}
CENTRES = torch.tensor([-9.0, -2.5, -0.3, 0.0, 1e-4, 0.8, 4.0])


@pytest.fixture(params=LIKELIHOODS)
def name(request):
    return request.param


@pytest.fixture
def likelihood(name):
    return LIKELIHOODS[name]().double()


def asked(likelihood, spread=0.0):
    """p(x | h) of pictures of one pixel, one for each of CENTRES."""
    h = CENTRES.double().reshape(-1, 1, 1, 1)
    if likelihood.per_pixel == 2:
        h = torch.cat([h, torch.full_like(h, spread)], 1)
    return likelihood(h)


def total(values, step):
    """The sum over a support ``(n, ...)``, or the integral by trapezoids of ``step``."""
    return values.sum(0) if step is None else torch.trapezoid(values, dx=step, dim=0)


def pixels(support):
    return support.double().reshape(-1, 1, 1, 1, 1)


def test_every_likelihood_has_its_support_told_here():
    assert set(SUPPORT) == set(LIKELIHOODS)


def test_it_adds_up_to_one(name, likelihood):
    support, step = SUPPORT[name]
    for spread in (-6.0, -2.0, 0.0, 2.0):
        mass = total(asked(likelihood, spread).log_prob(pixels(support)).exp(), step)
        torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-5, rtol=0)


def test_its_mean_is_the_integral_of_the_pixel(name, likelihood):
    support, step = SUPPORT[name]
    p = asked(likelihood, spread=-4.0)
    x = pixels(support)
    mean = total(p.log_prob(x).exp() * x[:, 0, :, 0, 0], step)
    # the discretised logistic calls its centre the mean, though the ends of the range cut it off
    slack = 0.005 if name == "discretized_logistic" else 1e-4
    torch.testing.assert_close(p.mean.flatten(), mean, atol=slack, rtol=0)


def test_draws_are_where_the_density_is(name, likelihood):
    support, step = SUPPORT[name]
    p, x = asked(likelihood), pixels(support)
    with seeded(0):
        drawn = p.sample((20_000,)).flatten(1)
    density, value = p.log_prob(x).exp(), x[:, 0, :, 0, 0]
    mean = total(density * value, step)
    sd = (total(density * value**2, step) - mean**2).clamp(min=0).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 4 * sd / 20_000**0.5 + 1e-4).all()
    torch.testing.assert_close(drawn.std(0), sd, atol=0.01, rtol=0.05)
    if step is None:
        assert torch.isin((drawn * 255).round(), (support * 255).round().double()).all()


@pytest.mark.parametrize("lead", [(), (5,), (2, 5)])
def test_a_picture_is_one_event(likelihood, lead):
    h = torch.randn(*lead, 3 * likelihood.per_pixel, 4, 6).double()
    p = likelihood(h)
    assert (p.batch_shape, p.event_shape) == (lead, (3, 4, 6))
    assert p.sample((7,)).shape == (7, *lead, 3, 4, 6)
    assert p.mean.shape == (*lead, 3, 4, 6)
    assert ((p.mean >= 0) & (p.mean <= 1)).all()
    x = torch.rand(3, 4, 6).double().round()
    each = p.base_dist.log_prob(x)
    torch.testing.assert_close(p.log_prob(x), each.sum((-3, -2, -1)))


@pytest.mark.parametrize("size", [0.0, 8.0, 80.0])
def test_the_most_extreme_net_has_finite_gradients_in_single_precision(name, size):
    likelihood = LIKELIHOODS[name]()
    h = torch.tensor([-size, size]).reshape(2, 1, 1, 1).repeat(1, likelihood.per_pixel, 1, 1)
    h.requires_grad_()
    for pixel in (0.0, 1.0, 128 / 255):
        p = likelihood(h).log_prob(torch.full((1, 1, 1), pixel))
        assert p.isfinite().all()
        slopes = torch.autograd.grad(p.sum(), [h, *likelihood.parameters()])
        assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("name", ["learned_gaussian", "laplace"])
def test_a_learned_scale_cannot_vanish(name):
    likelihood = LIKELIHOODS[name]()
    for asked_for in (-1.5, -6.0, -50.0):
        with torch.no_grad():
            likelihood.log_scale.fill_(asked_for)
        assert likelihood.scale().log() >= LOG_SCALE_FLOOR
        assert likelihood.scale().log() >= asked_for
    with torch.no_grad():
        likelihood.log_scale.fill_(-1.5)  # far above the floor it is what it says
    assert likelihood.scale().log().item() == pytest.approx(-1.5, abs=0.02)


def test_levels_of_the_discretised_logistic_have_the_logistics_mass():
    loc, log_scale = torch.tensor(0.3).double(), torch.tensor(-2.0).double()
    p = DiscretizedLogistic(loc, log_scale)

    def below(v):
        return torch.sigmoid((v - loc) / log_scale.exp())

    level = torch.arange(256).double() / 255
    wanted = below(level + 0.5 / 255) - below(level - 0.5 / 255)
    wanted[0], wanted[-1] = below(level[0] + 0.5 / 255), 1 - below(level[-1] - 0.5 / 255)
    torch.testing.assert_close(p.log_prob(level).exp(), wanted)


def test_the_discretised_logistic_expands_like_any_distribution():
    p = DiscretizedLogistic(torch.rand(2, 1), torch.zeros(1, 3))
    q = p.expand(torch.Size([4, 2, 3]))
    assert q.batch_shape == (4, 2, 3)
    x = torch.rand(4, 2, 3).mul(255).round() / 255
    torch.testing.assert_close(q.log_prob(x), p.log_prob(x))
    assert Independent(p, 2).log_prob(x).shape == (4,)
