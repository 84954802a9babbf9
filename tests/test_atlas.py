"""What an atlas answers about latents, against a density and a map that are known."""

import dataclasses

import pytest
import torch

from explorer import atlas, bundle
from explorer.atlas import Atlas, Direction
from explorer.errors import BundleError
from explorer.protocol import DataSpec
from explorer.rng import seeded

N, D = 2_000, 5
close = torch.testing.assert_close


def charted(n=N):
    """An atlas whose known latents are draws of its own mixture of three lumps."""
    with seeded(3):
        loc, scale = 2 * torch.randn(3, D), torch.rand(3, D) + 0.3
        weights = torch.tensor([0.5, 0.2, 0.3])
        part = torch.multinomial(weights, n, replacement=True)
        z = loc[part] + scale[part] * torch.randn(n, D)
        xy = 10 * torch.rand(n, 2)
    return Atlas(
        latents=z,
        kl=torch.rand(n),
        error=torch.rand(n),
        axes=torch.eye(D),
        weights=weights,
        loc=loc,
        scale=scale,
        labels=part,
        maps={"pca": xy},
        attributes={"size": torch.where(part == 0, torch.nan, z[:, 0])},
        directions={"size": Direction(z[0], z[1], 0.25, 0.875)},
    )


@pytest.fixture(scope="module")
def known():
    return charted()


def test_typicality_is_uniform_on_the_densitys_own_draws(known):
    level = known.typicality(known.draws(seed=11, n=N)).sort().values
    # Kolmogorov-Smirnov with two samples of N: 1.95 at a level of one in a thousand
    assert (level - (torch.arange(N) + 0.5) / N).abs().max() < 1.95 * (2 / N) ** 0.5


def test_typicality_ranks_the_known_by_their_density(known):
    density = known.mixture.log_prob(known.latents)
    order = known.typicality(known.latents)[density.argsort()]
    close(order, torch.arange(N) / N)
    assert known.typicality(known.loc[:1]).item() > 0.95
    assert known.typicality(torch.full((1, D), 50.0)).item() == 0


def test_draws_are_the_seeds_and_cool_to_the_centres(known):
    assert torch.equal(known.draws(5, 7), known.draws(5, 7))
    assert not torch.equal(known.draws(5, 7), known.draws(6, 7))
    cold = known.draws(5, 50, temperature=0.0)
    assert torch.cdist(cold, known.loc).min(1).values.max() < 1e-5
    many = known.draws(5, 50_000)
    close(many.mean(0), known.weights @ known.loc, atol=0.05, rtol=0)


def test_the_nearest_of_a_known_latent_is_itself(known):
    assert torch.equal(known.nearest(known.latents[:50]), torch.arange(50))
    nudged = known.latents[:50] + 1e-4
    assert torch.equal(known.nearest(nudged), torch.arange(50))


def test_nearness_is_measured_in_units_of_spread():
    z = torch.tensor([[0.0, 0.0], [1000.0, 0.0], [0.0, 1.0], [1000.0, 1.0]])
    flat = dataclasses.replace(charted(4), latents=z)
    # 300 along the wide coordinate is less than 0.9 along the narrow one
    assert flat.nearest(torch.tensor([[300.0, 0.05]])).item() == 0
    assert flat.nearest(torch.tensor([[300.0, 0.9]])).item() == 2


def test_on_a_known_point_of_the_map_is_its_latent(known):
    xy = known.maps["pca"][:100]
    close(known.at("pca", xy), known.latents[:100], atol=1e-4, rtol=0)


def test_between_points_of_the_map_is_a_blend_of_neighbours(known):
    z = known.at("pca", torch.tensor([[5.0, 5.0]]))[0]
    index = torch.cdist(torch.tensor([[5.0, 5.0]]), known.maps["pca"])[0].topk(8, largest=False)
    around = known.latents[index.indices]
    assert ((z >= around.min(0).values) & (z <= around.max(0).values)).all()


def test_a_map_of_few_points_can_be_asked_too():
    few = charted(3)
    close(few.at("pca", few.maps["pca"]), few.latents, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [1.0, 2.0, 4.0])
def test_a_snapped_latent_is_typical(known, size):
    for z in known.mean + size * (known.draws(21, 20) - known.mean):
        snapped = known.snapped(z)
        before, after = known.typicality(torch.stack([z, snapped])).tolist()
        assert after >= before
        assert after >= 0.1
        if before >= 0.1:
            assert torch.equal(snapped, z)  # what is typical stays


def test_it_comes_back_from_disk_as_it_was(known, tmp_path):
    atlas.save(tmp_path, known)
    card = bundle.write_card(tmp_path, bundle.Card("toy", "vae", {}, DataSpec("toy", 1, 8, 8)))
    again = atlas.load(tmp_path, card.files[bundle.ATLAS])
    assert again is not None
    for name in ("latents", "kl", "error", "axes", "weights", "loc", "scale"):
        close(getattr(again, name), getattr(known, name), atol=0, rtol=1e-3)
    assert torch.equal(again.labels, known.labels)
    assert torch.equal(again.maps["pca"], known.maps["pca"])
    close(again.attributes["size"], known.attributes["size"], atol=0, rtol=1e-3, equal_nan=True)
    close(again.directions["size"].move, known.directions["size"].move)
    assert (again.directions["size"].threshold, again.directions["size"].auc) == (0.25, 0.875)


def test_a_card_without_an_atlas_has_none(tmp_path):
    assert atlas.load(tmp_path, None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"axes": torch.eye(D + 1)},
        {"scale": torch.ones(2, D)},
        {"maps": {"pca": torch.zeros(N - 1, 2)}},
        {"kl": torch.zeros(N + 1)},
        {"directions": {"size": Direction(torch.zeros(2), torch.zeros(2), 0.0, 0.5)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parts_that_do_not_fit_are_told_with_the_remedy(known, tmp_path, change):
    atlas.save(tmp_path, dataclasses.replace(known, **change))
    with pytest.raises(BundleError, match="Build it again"):
        atlas.load(tmp_path, bundle.sha256(tmp_path / bundle.ATLAS))
