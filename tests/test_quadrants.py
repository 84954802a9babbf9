"""Completing from quadrants: nothing sees what is hidden, the bound is what it is said to be, and
where two things may follow, draws of one at a time beat a blur of both."""

import math

import pytest
import torch
from torch.distributions import Bernoulli

from explorer import bundle, quadrants
from explorer.cards import QUADRANTS, Card, read_card
from explorer.errors import BundleError, DataError
from explorer.protocol import DataSpec
from explorer.quadrants import GIVEN, Quadrants, known, log_likelihood, log_rest
from explorer.rng import seeded
from train.config import TrainConfig
from train.data import Dataset, Split
from train.quadrants import bounds, entropies, fit, grey, trained

SPEC = DataSpec("toy", 1, 8, 8)
close = torch.testing.assert_close


@pytest.fixture
def net():
    with seeded(0):
        return Quadrants(SPEC, 16).double()


@pytest.fixture
def x():
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round().double()


given = torch.tensor([1, 2, 3, 1, 2, 3])


def test_quadrants_are_given_in_the_papers_order_each_with_those_before():
    one, two, three = known(torch.tensor([1, 2, 3]), 8, 8)[:, 0]
    assert [int(each.sum()) for each in (one, two, three)] == [16, 32, 48]
    assert one[4:, :4].all()
    assert two[:, :4].all()
    assert not three[4:, 4:].any()
    assert (two | ~one).all()
    assert (three | ~two).all()


def test_nothing_but_the_posterior_sees_what_is_hidden(net, x):
    there = known(given, 8, 8)
    other = torch.where(there, x, 1 - x)
    z = torch.randn(6, 32).double()
    close(net.guess(other, given), net.guess(x, given))
    close(net.prior(other, given).mean, net.prior(x, given).mean)
    close(net.decode(z, other, given), net.decode(z, x, given))
    assert not torch.allclose(net.posterior(other, given).mean, net.posterior(x, given).mean)
    changed = torch.where(there, 1 - x, x)
    assert not torch.allclose(net.guess(changed, given), net.guess(x, given))
    assert not torch.allclose(net.prior(changed, given).mean, net.prior(x, given).mean)


def test_only_hidden_pixels_are_scored(net, x):
    logits = net.guess(x, given)
    for b in range(6):
        total = 0.0
        for i in range(8):
            for j in range(8):
                if not known(given, 8, 8)[b, 0, i, j]:
                    total += Bernoulli(logits=logits[b, 0, i, j]).log_prob(x[b, 0, i, j]).item()
        assert log_rest(logits, x, given)[b].item() == pytest.approx(total)


def test_the_bound_is_the_log_of_a_mean_over_the_prior(net, x):
    """Importance sampling from q and plain sampling from the prior meet as samples grow."""
    with torch.no_grad():  # close to each other, so that few weights do not count for all
        for weight in (*net.before[-1].parameters(), *net.after[-1].parameters()):
            weight.mul_(0.2)
    with torch.no_grad(), seeded(2):
        found = log_likelihood(net, x, given, 20_000)
        z = net.prior(x, given).sample((20_000,))
        weights = log_rest(net.decode(z, x, given), x, given)
    plain = weights.logsumexp(0) - math.log(len(z))
    spread = (weights - plain).exp().std(0) / len(z) ** 0.5
    assert ((found - plain).abs() < 6 * spread + 0.02).all()
    with torch.no_grad(), seeded(3):
        elbo = torch.stack([bounds(net, x, given) for _ in range(2000)]).mean(0)
    assert (elbo - log_rest(net.guess(x, given), x, given) < found + 0.1).all()


def test_where_two_things_may_follow_it_draws_one_at_a_time():
    """The left is always the same, the right all black or all white: a nat is log 2 of it, while
    pixel by pixel the best one can say is a half."""
    pictures = torch.zeros(256, 1, 8, 8, dtype=torch.uint8)
    pictures[::2, :, :, 4:] = 255
    config = TrainConfig(binarise="dynamic", batch=64)
    with seeded(4):
        net = trained(Quadrants(SPEC, 32), Split(pictures), config, epochs=150, batch=64)
    x, two = pictures[:64].float() / 255, torch.full((64,), 2)
    with torch.no_grad(), seeded(5):
        plain = log_rest(net.guess(x, two), x, two).mean().item()
        cvae = log_likelihood(net, x, two).mean().item()
        blur, drawn = quadrants.completions(net, x[:1], 2, 40)
    assert plain == pytest.approx(-32 * math.log(2), abs=1)
    assert cvae == pytest.approx(-math.log(2), abs=0.7)
    right = drawn[:, 0, :, 4:].mean((1, 2))
    assert ((right < 0.2) | (right > 0.8)).float().mean() > 0.7
    assert 0.2 < (right > 0.5).float().mean() < 0.8
    assert (blur[0, :, 4:] - 0.5).abs().max() < 0.2
    assert torch.equal(drawn[:, :, :, :4], x[:1, :, :, :4].expand(40, -1, -1, -1))


@pytest.fixture
def folder(tmp_path):
    config = TrainConfig(binarise="dynamic", model=dict(latent=2, hidden=16), epochs=1)
    spec = DataSpec("digits-8x8", 1, 8, 8, tuple("0123456789"))
    card = Card("toy", "vae", config.model, spec, training=config.as_dict())
    bundle.save(tmp_path / "toy", bundle.build(card).state_dict(), card)
    return tmp_path / "toy"


def test_it_is_written_beside_a_model_and_comes_back_with_it(folder):
    numbers = fit(folder, epochs=1)
    assert len(numbers) == 3 * len(GIVEN)
    assert read_card(folder).metrics == tuple(numbers)
    model, card = bundle.load(folder)
    assert QUADRANTS in card.files
    net = quadrants.beside(model)
    assert net is not None
    assert not net.training
    fit(folder, epochs=1)  # again: the numbers are replaced
    assert len(read_card(folder).metrics) == len(numbers)


def test_grey_pixels_are_measured_and_nothing_else_is_changed(folder):
    fit(folder, epochs=1)
    before = read_card(folder)
    numbers = grey(folder, epochs=1)
    after = read_card(folder)
    assert after.files == before.files
    assert after.metrics == (*before.metrics, *numbers)
    grey(folder, epochs=1)
    assert len(read_card(folder).metrics) == len(after.metrics)


def test_a_grey_cross_entropy_is_the_one_of_the_formula():
    """-x log p - (1 - x) log(1 - p), summed over the hidden pixels."""
    net = Quadrants(SPEC, 16)
    held = Split((255 * torch.rand(40, 1, 8, 8)).byte())
    spec = DataSpec("toy", 1, 8, 8)
    found = {m.name: m for m in entropies(net, Dataset(spec, held, held, "", ""), TrainConfig())}
    seen = held.x.float() / 255
    for count in GIVEN:
        which = torch.full((40,), count)
        p, hidden = net.guess(seen, which).sigmoid(), ~known(which, 8, 8)
        each = -(seen * p.log() + (1 - seen) * (1 - p).log())
        expected = (each * hidden).sum((1, 2, 3)).mean().item()
        assert found[f"grey/network, {count} given"].value == pytest.approx(expected, rel=1e-4)


def test_what_does_not_fit_is_told(folder):
    fit(folder, epochs=1)
    card = read_card(folder)
    quadrants.save(folder, Quadrants(DataSpec("other", 1, 6, 6), 16), card)
    with pytest.raises(BundleError, match="train quadrants"):
        bundle.load(folder)


def test_grey_pictures_are_refused(folder):
    card = read_card(folder)
    bundle.write_card(folder, Card(**{**vars(card), "training": TrainConfig().as_dict()}))
    with pytest.raises(DataError, match="binarise = dynamic"):
        fit(folder)
