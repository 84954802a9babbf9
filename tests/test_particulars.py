"""Numbers of levels, clusters and classes, against what is known of them."""

import itertools

import numpy as np
import pytest
import torch

from explorer import bundle
from explorer.cards import Card
from explorer.distributions import diag_normal, draw, kl_divergence
from explorer.rng import seeded
from train import particulars
from train.config import TrainConfig
from train.data import DATASETS

SPEC = DATASETS["digits-8x8"]().spec


def model(family, **config):
    torch.manual_seed(0)
    return bundle.build(Card("toy", family, config, SPEC)).eval().requires_grad_(False)


def test_clusters_are_matched_to_classes_as_trying_every_way_would():
    chance = np.random.default_rng(0)
    found, truth = chance.integers(4, size=200), chance.integers(4, size=200)
    best = max(np.mean(np.array(way)[found] == truth) for way in itertools.permutations(range(4)))
    assert particulars.accuracy(found, truth) == pytest.approx(best)
    assert particulars.accuracy((truth + 1) % 4, truth) == 1.0
    assert particulars.accuracy(np.zeros_like(truth), truth) == np.bincount(truth).max() / 200


def test_the_rates_of_levels_add_up_to_the_rate():
    ladder, data = model("ladder", top=2, bottom=3, hidden=16), DATASETS["digits-8x8"]()
    found = particulars.levels(ladder, data, TrainConfig())
    assert [m.name for m in found] == ["rate/whole", "rate/detail"]
    with seeded(0):
        q = ladder.encode(data.held.x.float() / 255)
        z, log_q = draw(q)
    crude = log_q - ladder.prior().log_prob(z)
    error = crude.std().item() / len(crude) ** 0.5
    assert sum(m.value for m in found) == pytest.approx(crude.mean().item(), abs=4 * error)
    top, exact = q.conditionals(z)[0], ladder.prior().conditionals(z)[0]
    assert found[0].value == pytest.approx(kl_divergence(top, exact).mean().item())


def test_a_model_that_draws_at_random_is_not_read_as_what_it_was_asked_for():
    data = DATASETS["digits-8x8"]()
    told = particulars.obedience(model("cvae", latent=2, hidden=16), data)
    assert 0.0 < told.value < 0.3
    read, sure = particulars.reader(data)
    assert sure > 0.9
    right = (read(data.held.x.float() / 255).argmax(-1) == data.held.y).float().mean()
    assert right.item() == sure


def test_each_number_is_for_the_models_it_belongs_to():
    data = DATASETS["digits-8x8"]()
    names = {
        family: {m.name for m in particulars.particulars(model(family), data, TrainConfig())}
        for family in ("vae", "ladder", "vade")
    }
    assert names["vae"] == {"gap/amortisation", "gap/approximation"}
    assert names["ladder"] == {"rate/whole", "rate/detail"}
    others = itertools.product(("kmeans", "gmm", "spectral"), ("pixels", "latents"))
    assert names["vade"] == names["vae"] | {"cluster_accuracy"} | {
        f"cluster_accuracy/{a}/{b}" for a, b in others
    }


def test_the_gap_is_whole_where_one_coordinate_is_the_factor_and_nothing_where_two_are():
    chance = np.random.default_rng(0)
    factor = chance.integers(4, size=8000)
    noise = chance.standard_normal((8000, 3))
    alone = np.column_stack([factor, noise]).astype(np.float32)
    assert particulars.gap(alone, factor) == pytest.approx(1, abs=0.01)
    twice = np.column_stack([factor, -factor, noise]).astype(np.float32)
    assert particulars.gap(twice, factor) == pytest.approx(0, abs=0.01)
    half = np.column_stack([factor // 2, noise]).astype(np.float32)  # one bit of the two
    assert particulars.gap(half, factor) == pytest.approx(0.5, abs=0.01)


def test_holes_are_where_no_posterior_reaches():
    """Codes as the prior puts them leave few, codes of no spread leave the whole plane."""
    data = DATASETS["digits-8x8"]()

    class Placed(type(model("vae", latent=2, hidden=16))):
        spread = 0.3

        def encode(self, x, y=None):
            with seeded(int(x.sum())):
                loc = torch.randn(len(x), 2)
            return diag_normal(loc, torch.full_like(loc, self.spread))

    placed = Placed(SPEC, Placed.Config(latent=2, hidden=16))
    assert particulars.holes(placed, data).value < 0.02
    placed.spread = 1e-4
    assert particulars.holes(placed, data).value > 0.98
