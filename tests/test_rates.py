"""The rate-distortion curve that ships, against what must hold of one."""

import itertools

import pytest

from explorer import rates
from train.rates import BETAS, EPOCHS, settings


def test_dearer_information_is_kept_less_and_pictures_are_redrawn_worse():
    _, points = rates.shipped()
    assert tuple(p.beta for p in points) == BETAS
    for cheap, dear in itertools.pairwise(points):
        assert dear.rate < cheap.rate
        assert dear.distortion > cheap.distortion
    # a curve that every point lies on the lower side of: no mixture of two models is better
    for a, b, c in zip(points, points[1:], points[2:], strict=False):
        share = (b.rate - c.rate) / (a.rate - c.rate)
        assert b.distortion < share * a.distortion + (1 - share) * c.distortion


def test_the_bound_is_the_sum_and_best_where_it_is_what_was_trained():
    _, points = rates.shipped()
    for p in points:
        assert p.elbo == pytest.approx(-p.rate - p.distortion, abs=0.002)
    best = max(points, key=lambda p: p.elbo)
    (plain,) = [p for p in points if p.beta == 1]
    assert plain.elbo > best.elbo - 4 * (plain.error + best.error)


def test_points_differ_in_their_price_alone():
    first = settings(1.0)
    assert first.epochs == EPOCHS
    for beta in BETAS:
        told = settings(beta)
        assert told.terms.pop("beta") == beta
        assert {**told.as_dict(), "terms": 0} == {**first.as_dict(), "terms": 0}
