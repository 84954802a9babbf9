"""Numbers of levels, clusters and classes, against what is known of them."""

import itertools

import numpy as np
import pytest
import torch

from explorer import bundle
from explorer.cards import Card, read_card
from explorer.distributions import diag_normal, draw, kl_divergence
from explorer.errors import BundleError
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
    bounds = {"few/encoder", "few/refined", "few/log_p"}
    assert names["vae"] == {"gap/amortisation", "gap/approximation"} | bounds
    assert names["ladder"] == {"rate/whole", "rate/detail"}
    others = itertools.product(("kmeans", "gmm", "spectral"), ("pixels", "latents"))
    assert names["vade"] == names["vae"] | {"cluster_accuracy"} | {
        f"cluster_accuracy/{a}/{b}" for a, b in others
    }


def test_gaps_are_the_distances_of_three_bounds_in_order(tmp_path):
    config = TrainConfig(model=dict(latent=2, hidden=16))
    spoilt = model("vae", **config.model)
    spoilt.encoder[-1][-1].bias[:2] += 3.0  # haste: every code is put too far to one side
    card = Card("toy", "vae", config.model, SPEC, training=config.as_dict())
    bundle.save(tmp_path / "toy", spoilt.state_dict(), card)
    found = {m.name: m for m in particulars.tabled(tmp_path / "toy")}
    encoder, refined, log_p = (found[f"few/{k}"].value for k in ("encoder", "refined", "log_p"))
    assert encoder + 3 < refined <= log_p + 0.05  # (3²) / 2 nats for each coordinate
    assert found["gap/amortisation"].value == pytest.approx(refined - encoder, abs=1e-3)
    assert found["gap/approximation"].value == pytest.approx(log_p - refined, abs=1e-3)
    assert all(m.error > 0 and m.n == particulars.FEW for m in found.values())
    particulars.tabled(tmp_path / "toy")
    assert len(read_card(tmp_path / "toy").metrics) == len(found)


def test_a_bent_posterior_has_no_gaussian_to_refine(tmp_path):
    config = TrainConfig(family="flow", model=dict(latent=2, hidden=16, steps=1))
    card = Card("toy", "flow", config.model, SPEC, training=config.as_dict())
    bundle.save(tmp_path / "toy", model("flow", **config.model).state_dict(), card)
    with pytest.raises(BundleError, match="vae or cvae"):
        particulars.tabled(tmp_path / "toy")


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
