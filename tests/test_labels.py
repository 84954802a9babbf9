"""A few labels go as far as the pictures lead them, and are drawn class by class."""

import numpy as np
import pytest
import torch

from explorer import bundle
from explorer.cards import Card, read_card
from explorer.errors import DataError
from train import labels
from train.config import TrainConfig
from train.data import DATASETS


def moons(n=100):
    """Two half circles that reach into each other, and which of them each point is on."""
    chance = np.random.default_rng(0)
    way = chance.uniform(0, np.pi, n)
    kind = np.arange(n) % 2
    x = np.where(kind == 0, np.cos(way), 1 - np.cos(way))
    y = np.where(kind == 0, np.sin(way), 0.5 - np.sin(way))
    points = np.stack([x, y], 1) + 0.05 * chance.standard_normal((n, 2))
    return points.astype(np.float32), kind


def test_a_label_goes_all_along_its_half_circle_where_the_nearest_one_would_err():
    points, kind = moons()
    ends = np.array([points[kind == 0, 0].argmin() * 2, points[kind == 1, 0].argmax() * 2 + 1])
    found = labels.spread(points[ends], kind[ends], points)
    distance = np.linalg.norm(points[:, None] - points[ends], axis=-1)
    nearest = kind[ends][distance.argmin(1)]
    assert (found == kind).mean() > 0.98
    assert (nearest == kind).mean() < 0.9


def test_every_class_is_told_equally_often_and_another_seed_tells_others():
    y = np.random.default_rng(1).integers(10, size=5000)
    told = labels.chosen(y, 100, 0)
    assert (np.bincount(y[told]) == 10).all()
    assert len(set(told)) == 100
    assert (labels.chosen(y, 100, 0) == told).all()
    assert len(set(told) & set(labels.chosen(y, 100, 1))) < 20
    assert np.ptp(np.bincount(y[labels.chosen(y, 35, 0)])) == 1


def toy(family="vae"):
    spec = DATASETS["digits-8x8"]().spec
    config = TrainConfig(family=family, model=dict(latent=4, hidden=16), binarise="dynamic")
    torch.manual_seed(0)
    card = Card("toy", family, config.model, spec, training=config.as_dict())
    return bundle.build(card).eval(), card


def test_on_small_digits_labels_spread_along_pixels_and_the_card_is_told_once(tmp_path):
    model, card = toy()
    bundle.save(tmp_path / "toy", model.state_dict(), card)
    for _ in range(2):
        pixels, latents = labels.few(tmp_path / "toy")
    assert pixels.name == "label_error/pixels"
    assert pixels.value < 0.15  # published for a nearest neighbour with all labels: 2 %
    assert latents.value > pixels.value  # of a model that has learned nothing
    assert read_card(tmp_path / "toy").metrics == (pixels, latents)


def test_a_model_that_is_told_the_class_is_no_judge_of_it():
    with pytest.raises(DataError, match="told the class"):
        labels.errors(toy("cvae")[0], DATASETS["digits-8x8"]())


def test_pictures_without_classes_are_refused():
    data = DATASETS["digits-8x8"]()
    bare = type(data)(data.spec, type(data.train)(data.train.x), data.held, "", "")
    with pytest.raises(DataError, match="no classes"):
        labels.errors(toy()[0], bare)
