"""Where everything is known by formula: probabilistic PCA through the whole inference chain."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from explorer.distributions import centre, diag_normal, draw
from explorer.inference import log_likelihood, log_weights, picture, refine
from explorer.rng import seeded

B = 4


@pytest.fixture
def x(linear):
    """Pictures of the model itself, ``(B, 1, 3, 3)``."""
    with torch.no_grad(), seeded(0):
        flat = linear().marginal().sample((B,))
    return flat.unflatten(-1, (1, 3, 3))


def truth(model, x):
    return model.marginal().log_prob(x.flatten(1)).detach()


def best_diagonal(model, x):
    """The Gaussian with independent coordinates nearest to p(z | x), by KL(q‖p)."""
    exact = model.posterior(x)
    precision = exact.precision_matrix.diagonal(dim1=-2, dim2=-1)
    return diag_normal(exact.mean, precision.rsqrt().expand_as(exact.mean))


def gap(model, x, q):
    """KL(q‖p(z | x)) in nats, ``(B,)``, for independent coordinates."""
    flat = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    return kl_divergence(flat, model.posterior(x)).detach()


def test_the_posterior_is_bayes_rule(linear, x):
    model = linear()
    z = torch.randn(5, B, 3, dtype=torch.float64)
    joint = model.decode(z).log_prob(x) + model.prior().log_prob(z)
    torch.testing.assert_close(model.posterior(x).log_prob(z), joint - truth(model, x))


def test_with_the_exact_posterior_every_single_weight_is_log_p(linear, x):
    model = linear()
    log_w = log_weights(model, x, 7)
    torch.testing.assert_close(log_w.detach(), truth(model, x).expand(7, -1))


@pytest.mark.parametrize(("samples", "chunk"), [(1, 64), (6, 3), (7, 3), (5, 1), (64, 64)])
def test_chunks_of_samples_add_up_to_one_average(linear, x, samples, chunk):
    model = linear()
    found = log_likelihood(model, x, samples, chunk=chunk).detach()
    torch.testing.assert_close(found, truth(model, x))


def test_the_bound_misses_log_p_by_the_kl_to_the_posterior(linear, x):
    model = linear(wrong=0.3)
    with torch.no_grad():
        log_w = log_weights(model, x, 20_000)
    error = log_w.std(0) / 20_000**0.5
    wanted = truth(model, x) - gap(model, x, model.encode(x))
    assert ((log_w.mean(0) - wanted).abs() < 4 * error).all()
    assert (gap(model, x, model.encode(x)) > 20 * error).all()  # or it would show nothing


def test_the_importance_weighted_bound_climbs_to_log_p_and_not_over(linear, x):
    model = linear(wrong=0.3)
    many = x.repeat_interleave(500, 0)  # each picture 500 times: means with small errors
    bounds, errors = [], []
    for samples in (1, 4, 16, 256):
        with torch.no_grad():
            each = log_likelihood(model, many, samples).unflatten(0, (B, 500))
        bounds.append(each.mean(1))
        errors.append(each.std(1) / 500**0.5)
    short = truth(model, x) - torch.stack(bounds)
    error = torch.stack(errors)
    assert (short > -4 * error).all()
    assert (short[1:] < short[:-1] - 3 * error[1:]).all()
    assert (short[-1] < 0.05).all()


def test_refining_finds_the_best_gaussian(linear, x):
    model = linear(wrong=0.7)
    with seeded(1):
        q = refine(model, x, steps=400, lr=0.02, samples=32)
    best = best_diagonal(model, x)
    lost = gap(model, x, q) - gap(model, x, best)
    assert (gap(model, x, model.encode(x)) - gap(model, x, best) > 1).all()
    assert ((lost > -1e-9) & (lost < 0.05)).all()
    assert ((q.mean - best.mean).abs() < 0.3 * best.stddev).all()
    torch.testing.assert_close(q.stddev, best.stddev.detach(), rtol=0.2, atol=0)


def test_refining_leaves_the_shared_model_alone(linear, x):
    model = linear(wrong=0.7)
    before = {name: value.clone() for name, value in model.named_parameters()}
    q = refine(model, x, steps=3)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert not q.mean.requires_grad


def test_without_noise_a_picture_of_the_model_comes_back(linear):
    model = linear(noise=1e-4)
    z = torch.randn(B, 3, dtype=torch.float64)
    x = picture(model.decode(z))
    found = centre(model.encode(x))
    torch.testing.assert_close(found, z, atol=1e-6, rtol=0)
    torch.testing.assert_close(picture(model.decode(found)), x, atol=1e-6, rtol=0)


def test_draws_of_the_whole_model_have_its_mean_and_covariance(linear):
    model = linear()
    with torch.no_grad(), seeded(2):
        z, _ = draw(model.prior(), (100_000,))
        x = model.decode(z).sample().flatten(1)
    torch.testing.assert_close(x.mean(0), model.b.detach(), atol=0.03, rtol=0)
    wanted = model.marginal().covariance_matrix.detach()
    torch.testing.assert_close(torch.cov(x.T), wanted, atol=0.05 * float(wanted.max()), rtol=0)
