"""What an atlas answers about latents, against a density and a map that are known."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from explorer import atlas, cards
from explorer.atlas import Atlas, Direction, Mixture
from explorer.errors import BundleError
from explorer.spec import DataSpec

N, D = 2_000, 5


def close(found, wanted, atol=1e-6, rtol=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def charted(n=N):
    """An atlas whose known latents are draws of its own mixture of three lumps."""
    chance = np.random.default_rng(3)
    loc = 2 * chance.standard_normal((3, D), np.float32)
    root = np.tril(chance.uniform(-0.4, 0.4, (3, D, D))).astype(np.float32)
    root[:, range(D), range(D)] = chance.uniform(0.3, 1.3, (3, D))
    mixture = Mixture(np.array([0.5, 0.2, 0.3], np.float32), loc, root)
    z = mixture.draws(1, n)
    part = chance.integers(0, 3, n)
    return Atlas(
        latents=z,
        kl=chance.random(n, np.float32),
        error=chance.random(n, np.float32),
        axes=np.eye(D, dtype=np.float32),
        mixture=mixture,
        labels=part,
        maps={"pca": 10 * chance.random((n, 2), np.float32)},
        attributes={"size": np.where(part == 0, np.nan, z[:, 0])},
        directions={"size": Direction(z[0], z[1], 0.25, 0.875)},
    )


@pytest.fixture(scope="module")
def known():
    return charted()


def test_typicality_is_uniform_on_the_densitys_own_draws(known):
    level = np.sort(known.typicality(known.draws(seed=11, n=N)))
    # Kolmogorov-Smirnov with two samples of N: 1.95 at a level of one in a thousand
    assert np.abs(level - (np.arange(N) + 0.5) / N).max() < 1.95 * (2 / N) ** 0.5


def test_the_density_is_that_of_its_gaussians(known):
    z = known.draws(4, 20)
    each = [
        MultivariateNormal(torch.tensor(loc), scale_tril=torch.tensor(root)).log_prob(
            torch.tensor(z)
        )
        for loc, root in zip(known.mixture.loc, known.mixture.root, strict=True)
    ]
    joint = torch.stack(each, 1).numpy() + np.log(known.mixture.weights)
    close(known.mixture.log_joint(z), joint, rtol=1e-4)
    close(known.mixture.log_prob(z), np.logaddexp.reduce(joint, axis=1), rtol=1e-4)


def test_typicality_ranks_the_known_by_their_density(known):
    density = known.mixture.log_prob(known.latents)
    order = known.typicality(known.latents)[density.argsort()]
    close(order, np.arange(N) / N)
    assert known.typicality(np.full((1, D), 50.0)) == 0


def test_draws_are_the_seeds_and_cool_to_the_centres(known):
    assert (known.draws(5, 7) == known.draws(5, 7)).all()
    assert not (known.draws(5, 7) == known.draws(6, 7)).any()
    weights, loc, root = known.mixture.weights, known.mixture.loc, known.mixture.root
    cold = known.draws(5, 50, temperature=0.0)
    assert np.linalg.norm(cold[:, None] - loc, axis=2).min(1).max() < 1e-5
    many = known.draws(5, 100_000)
    mean = weights @ loc
    close(many.mean(0), mean, atol=0.05)
    apart = loc - mean
    within = np.einsum("m,mij,mkj->ik", weights, root, root)
    close(np.cov(many.T), within + (weights * apart.T) @ apart, atol=0.1)


def test_the_nearest_of_a_known_latent_is_itself(known):
    assert (known.nearest(known.latents[:50]) == np.arange(50)).all()
    nudged = known.latents[:50] + 1e-4
    assert (known.nearest(nudged) == np.arange(50)).all()


def test_nearness_is_measured_in_units_of_spread():
    z = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1.0], [1000.0, 1.0]])
    flat = dataclasses.replace(charted(4), latents=z)
    # 300 along the wide coordinate is less than 0.9 along the narrow one
    assert flat.nearest(np.array([[300.0, 0.05]])) == 0
    assert flat.nearest(np.array([[300.0, 0.9]])) == 2


def test_on_a_known_point_of_the_map_is_its_latent(known):
    xy = known.maps["pca"][:100]
    close(known.at("pca", xy), known.latents[:100], atol=1e-4)


def test_between_points_of_the_map_is_a_blend_of_neighbours(known):
    z = known.at("pca", np.array([[5.0, 5.0]]))[0]
    near = np.linalg.norm(known.maps["pca"] - 5.0, axis=1).argsort()[:8]
    around = known.latents[near]
    assert ((z >= around.min(0)) & (z <= around.max(0))).all()


def test_nothing_jumps_as_one_moves_over_the_map(known):
    way = np.linspace([2.0, 3.0], [7.0, 6.0], 4001)
    steps = np.abs(np.diff(known.at("pca", way), axis=0)).max(1)
    assert steps.max() < 12 * steps.mean()


def test_a_map_of_few_points_can_be_asked_too():
    few = charted(3)
    close(few.at("pca", few.maps["pca"]), few.latents, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 2.0, 4.0])
def test_a_snapped_latent_is_typical(known, size):
    for z in known.mean + size * (known.draws(21, 20) - known.mean):
        snapped = known.snapped(z)
        before, after = known.typicality(np.stack([z, snapped]))
        assert after >= before
        assert after >= 0.1
        if before >= 0.1:
            assert (snapped == z).all()  # what is typical stays


def test_it_comes_back_from_disk_as_it_was(known, tmp_path):
    atlas.save(tmp_path, known)
    card = cards.write_card(tmp_path, cards.Card("toy", "vae", {}, DataSpec("toy", 1, 8, 8)))
    again = atlas.load(tmp_path, card.files[cards.ATLAS])
    assert again is not None
    for name in ("latents", "kl", "error", "axes"):
        close(getattr(again, name), getattr(known, name), rtol=1e-3)
    for name in ("weights", "loc", "root"):
        close(getattr(again.mixture, name), getattr(known.mixture, name), rtol=1e-3)
    assert (again.labels == known.labels).all()
    assert (again.maps["pca"] == known.maps["pca"]).all()
    close(again.attributes["size"], known.attributes["size"], rtol=1e-3)
    close(again.directions["size"].move, known.directions["size"].move)
    assert (again.directions["size"].threshold, again.directions["size"].auc) == (0.25, 0.875)


def test_a_card_without_an_atlas_has_none(tmp_path):
    assert atlas.load(tmp_path, None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"axes": np.eye(D + 1)},
        {"mixture": Mixture(np.ones(1), np.ones((1, D)), np.ones((1, D, D - 1)))},
        {"maps": {"pca": np.zeros((N - 1, 2))}},
        {"kl": np.zeros(N + 1)},
        {"directions": {"size": Direction(np.zeros(2), np.zeros(2), 0.0, 0.5)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parts_that_do_not_fit_are_told_with_the_remedy(known, tmp_path, change):
    atlas.save(tmp_path, dataclasses.replace(known, **change))
    with pytest.raises(BundleError, match="Build it again"):
        atlas.load(tmp_path, cards.sha256(tmp_path / cards.ATLAS))
