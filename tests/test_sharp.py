"""A photograph changed by what a model draws differently, and nothing else."""

import numpy as np
import pytest

from explorer.sharp import changed


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(60, 190, (96, 96, 3), np.uint8)


def test_what_the_model_leaves_alone_stays_bit_for_bit(photo):
    drawn = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    assert (changed(photo, drawn, drawn) == photo).all()


def test_the_whole_difference_arrives_where_it_was_drawn(photo):
    before = np.full((32, 32, 3), 100, np.uint8)
    after = before.copy()
    after[8:24, 8:24, 0] += 40
    seen = changed(photo, before, after).astype(int) - photo
    assert (seen[30:66, 30:66, 0] == 40).all()
    assert (seen[:12] == 0).all()
    assert (seen[..., 1:] == 0).all()
    assert seen[..., 0].mean() == pytest.approx(40 / 4, rel=0.05)


def test_at_its_own_size_a_reconstruction_that_is_perfect_gives_the_models_picture():
    before, after = np.random.default_rng(2).integers(0, 256, (2, 16, 16, 1), np.uint8)
    assert (changed(before, before, after) == after).all()


def test_what_would_leave_the_range_stops_at_black_and_white():
    white, black = np.full((4, 4, 1), 255, np.uint8), np.zeros((4, 4, 1), np.uint8)
    assert (changed(white, black, white) == 255).all()
    assert (changed(black, white, black) == 0).all()
