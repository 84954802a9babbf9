"""Joint, conditional and marginal agree, whichever way a question is put."""

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from explorer.distributions import (
    Chain,
    centre,
    diag_normal,
    draw,
    rate,
    rate_per_coordinate,
    responsibilities,
)
from explorer.rng import seeded

A = torch.tensor([[1.5, -0.4], [0.3, 0.8], [0.0, -1.1]], dtype=torch.float64)
S1, S2 = 0.7, 0.4


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def told(mean):
    """A chain of z1 ~ N(mean, S1²) of two coordinates and z2 ~ N(A z1, S2²) of three."""

    def walk():
        z1 = yield diag_normal(mean, torch.full_like(mean, S1))
        mean2 = z1 @ A.T
        yield diag_normal(mean2, torch.full_like(mean2, S2))

    return Chain(walk, (2, 3), mean.shape[:-1])


def written(mean):
    """The same joint as one Gaussian, by hand."""
    top = S1**2 * torch.eye(2)
    cross = S1**2 * A
    below = S1**2 * A @ A.T + S2**2 * torch.eye(3)
    covariance = torch.cat([torch.cat([top, cross.T], 1), torch.cat([cross, below], 1)])
    return MultivariateNormal(torch.cat([mean, mean @ A.T], -1), covariance)


MEAN = torch.tensor([[0.5, -1.0], [2.0, 0.0], [0.0, 0.0], [-1.0, 3.0]], dtype=torch.float64)


def test_a_diagonal_normal_is_a_normal_with_a_diagonal_covariance():
    loc, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.1
    p, known = diag_normal(loc, scale), MultivariateNormal(loc, torch.diag_embed(scale**2))
    z = torch.randn(6, 4, 3)
    assert (p.batch_shape, p.event_shape) == ((4,), (3,))
    torch.testing.assert_close(p.log_prob(z), known.log_prob(z))


def test_a_chain_scores_like_the_joint_written_by_hand():
    z = 2 * torch.randn(7, 4, 5)
    assert (told(MEAN).batch_shape, told(MEAN).event_shape) == ((4,), (5,))
    torch.testing.assert_close(told(MEAN).log_prob(z), written(MEAN).log_prob(z))


def test_a_chain_draws_from_the_joint_written_by_hand():
    with seeded(0):
        z = told(MEAN).rsample((100_000,))
    assert z.shape == (100_000, 4, 5)
    torch.testing.assert_close(z.mean(0), written(MEAN).mean, atol=0.02, rtol=0)
    for b in range(4):
        wanted = written(MEAN).covariance_matrix[b]
        torch.testing.assert_close(torch.cov(z[:, b].T), wanted, atol=0.03, rtol=0)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("mean", [MEAN, MEAN[0]], ids=["batch", "single"])
def test_a_draw_brings_its_own_density(mean, shape):
    z, log_p = draw(told(mean), shape)
    assert z.shape == (*shape, *mean.shape[:-1], 5)
    torch.testing.assert_close(log_p, told(mean).log_prob(z))
    z, log_p = draw(written(mean), shape)
    torch.testing.assert_close(log_p, written(mean).log_prob(z))


def test_a_draw_can_be_learned_through():
    mean = MEAN.clone().requires_grad_()
    z, _ = draw(told(mean), (2,))
    (slope,) = torch.autograd.grad(z.sum(), mean)
    # each of two draws moves one for one, and takes its image under A along
    torch.testing.assert_close(slope, 2 * (1 + A.sum(0)).expand(4, 2))


def test_noise_coordinates_carry_the_density_by_their_jacobian():
    chain = told(MEAN[0])
    eps = torch.randn(5)
    z = chain.from_noise(eps)
    jacobian = torch.autograd.functional.jacobian(chain.from_noise, eps)
    noise = diag_normal(torch.zeros(5), torch.ones(5)).log_prob(eps)
    torch.testing.assert_close(chain.log_prob(z), noise - jacobian.slogdet().logabsdet)


def test_no_noise_is_the_centre_and_the_mean_path():
    path = torch.cat([MEAN, MEAN @ A.T], -1)
    torch.testing.assert_close(told(MEAN).from_noise(torch.zeros(4, 5)), path)
    torch.testing.assert_close(centre(told(MEAN)), path)
    torch.testing.assert_close(centre(diag_normal(MEAN, MEAN.exp())), MEAN)


def test_noise_and_latent_of_a_chain_are_two_names_of_one_thing():
    chain, eps = told(MEAN), torch.randn(7, 4, 5)
    torch.testing.assert_close(chain.to_noise(chain.from_noise(eps)), eps)


def test_the_rate_is_the_exact_kl_where_there_is_a_formula():
    q = diag_normal(torch.randn(4, 3), torch.rand(4, 3) + 0.2)
    p = diag_normal(torch.zeros(3), torch.ones(3))
    exact = 0.5 * (q.variance + q.mean**2 - 1 - q.variance.log()).sum(-1)
    torch.testing.assert_close(rate(q, p, *draw(q)), exact)


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_torchs_kl_is_what_draws_average_to(family):
    loc, scale = torch.tensor([0.4, -1.0, 0.0]), torch.tensor([0.5, 1.0, 1.7])
    q, p = Independent(family(loc, scale), 1), Independent(family(0 * loc, 1 + 0 * loc), 1)
    with seeded(0):
        z, log_q = draw(q, (200_000,))
    each = log_q - p.log_prob(z)
    error = each.std() / len(each) ** 0.5
    assert (each.mean() - kl_divergence(q, p)).abs() < 4 * error


def test_the_rate_to_a_mixture_averages_to_the_integral():
    parts = diag_normal(torch.tensor([[-2.0], [1.0]]), torch.tensor([[0.5], [1.0]]))
    p = MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7])), parts)
    q = diag_normal(torch.tensor([0.2]), torch.tensor([0.8]))
    line = torch.linspace(-12, 12, 20_001).unsqueeze(-1)
    log_q = q.log_prob(line)
    known = torch.trapezoid(log_q.exp() * (log_q - p.log_prob(line)), line[:, 0])
    with seeded(0):
        each = rate(q, p, *draw(q, (200_000,)))
    error = each.std() / len(each) ** 0.5
    assert (each.mean() - known).abs() < 4 * error
    assert error < 0.1 * known


def test_the_rate_is_the_sum_of_its_coordinates():
    q = diag_normal(torch.randn(4, 3), torch.rand(4, 3) + 0.2)
    p = diag_normal(torch.zeros(3), torch.ones(3))
    shares = rate_per_coordinate(q, p, q.mean)
    assert shares.shape == (4, 3)
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(-1), kl_divergence(q, p))


def shifted(mean):
    """A chain of the same blocks as ``told``, in which nothing depends on anything."""
    zero = torch.zeros(*mean.shape[:-1], 5)
    return diag_normal(zero, zero + 1)


@pytest.mark.parametrize("other", [told, shifted], ids=["chain", "normal"])
def test_the_rate_of_a_chain_is_its_kl_on_average_and_steadier_than_one_weight(other):
    q, p = told(MEAN[0]), other(MEAN[1])
    joint = written(MEAN[1]) if other is told else MultivariateNormal(torch.zeros(5), torch.eye(5))
    exact = kl_divergence(written(MEAN[0]), joint)
    with seeded(0):
        z, log_q = draw(q, (50_000,))
    each, crude = rate(q, p, z, log_q), log_q - p.log_prob(z)
    assert (each.mean() - exact).abs() < max(4 * each.std() / 50_000**0.5, 1e-9)
    assert each.std() < 0.8 * crude.std()
    shares = rate_per_coordinate(q, p, z)
    assert shares.shape == (50_000, 5)
    torch.testing.assert_close(shares.sum(-1), each)


def test_what_does_not_factorise_has_no_share_per_coordinate():
    with pytest.raises(NotImplementedError, match="factorise"):
        rate_per_coordinate(written(MEAN), shifted(MEAN), MEAN)


def test_the_centre_of_a_mixture_is_that_of_its_heaviest_part():
    loc = torch.randn(3, 2)
    p = MixtureSameFamily(Categorical(torch.tensor([0.2, 0.5, 0.3])), diag_normal(loc, loc.exp()))
    torch.testing.assert_close(centre(p), loc[1])


def test_responsibilities_are_bayes_rule_over_the_parts():
    weights = torch.tensor([0.2, 0.5, 0.3])
    loc, scale = torch.randn(3, 2), torch.rand(3, 2) + 0.3
    p = MixtureSameFamily(Categorical(weights), diag_normal(loc, scale))
    z = 2 * torch.randn(4, 6, 2)
    found = responsibilities(p, z)
    joint = [
        w * diag_normal(m, s).log_prob(z).exp()
        for w, m, s in zip(weights, loc, scale, strict=True)
    ]
    by_hand = torch.stack(joint, -1) / p.log_prob(z).exp().unsqueeze(-1)
    torch.testing.assert_close(found, by_hand)
