"""How alike pictures are, against closed forms, brute force and what the eye says."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from train.resemblance import frechet, kernel, perceptual, precision_recall, sharpness, ssim


@pytest.fixture
def chance():
    return np.random.default_rng(0)


def test_the_frechet_distance_of_gaussians_along_one_axis_has_a_formula(chance):
    # (m1 - m2)² + (s1 - s2)² for each coordinate, where both are independent
    a = chance.standard_normal((200_000, 2)) * [1.0, 2.0]
    b = chance.standard_normal((200_000, 2)) * [3.0, 2.0] + [1.0, -2.0]
    assert frechet(a, b) == pytest.approx(1 + 4 + 4, rel=0.02)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_gaussians_that_are_turned_is_that_of_their_matrices(chance):
    root_a, root_b = chance.standard_normal((2, 4, 4))
    a, b = (chance.standard_normal((400, 4)) @ r for r in (root_a, root_b))
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values = np.linalg.eigvals(one @ two)  # the definition, without a symmetric detour
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(one + two)
    assert frechet(a, b) == pytest.approx(wanted - 2 * np.sqrt(values).sum().real)


def test_the_kernel_distance_is_the_mean_over_pairs_of_different_pictures(chance):
    a, b = chance.standard_normal((7, 3)), chance.standard_normal((5, 3)) + 1

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    within = [
        np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (a, b)
    ]
    wanted = sum(within) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kernel(a, b, subsets=2)[0] == pytest.approx(wanted)


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_the_kernel_distances_error_is_not_less_than_it_says(chance, gap):
    found = [
        kernel(a, b + gap, subsets=60, size=100, seed=k)
        for k in range(30)
        for a, b in [chance.standard_normal((2, 300, 4))]
    ]
    distances, errors = np.array(found).T
    ratio = errors.mean() / distances.std()
    if gap:
        assert 0.6 < ratio < 1.7
    else:  # of one kind the true error shrinks faster with n than what is scaled
        assert ratio > 0.7
        assert abs(distances.mean()) < 3 * distances.std() / 30**0.5


def test_precision_is_what_lies_among_the_real_and_recall_what_is_covered(chance):
    real = chance.standard_normal((400, 2))
    assert precision_recall(real, real) == (1.0, 1.0)
    middle = 0.1 * chance.standard_normal((400, 2))  # all among the real, and little of them
    precision, recall = precision_recall(real, middle)
    assert precision > 0.95
    assert recall < 0.1
    assert precision_recall(real, real + 100) == (0.0, 0.0)


def test_ssim_is_one_for_the_same_and_the_formula_for_flat_pictures():
    x = torch.rand(3, 3, 32, 32).double()
    assert torch.allclose(ssim(x, x), torch.ones(3).double())
    a, b = (torch.full((1, 1, 16, 16), v).double() for v in (0.2, 0.6))
    known = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)  # nothing varies
    assert ssim(a, b).item() == pytest.approx(known)
    noise = torch.randn_like(x)
    assert (ssim(x, x + 0.05 * noise) > ssim(x, x + 0.2 * noise)).all()


def test_the_perceptual_distance_hears_of_directions_of_features_alone():
    maps = [torch.randn(2, 5, 4, 4), torch.randn(2, 7, 2, 2)]
    assert torch.allclose(perceptual(maps, [3 * m for m in maps]), torch.zeros(2), atol=1e-6)
    opposite = perceptual(maps, [-m for m in maps])
    assert torch.allclose(opposite, torch.full((2,), 8.0))  # |u - (-u)|² = 4 on either level


def test_what_is_blurred_is_less_sharp():
    torch.manual_seed(0)
    x = torch.rand(4, 3, 32, 32)
    assert (sharpness(F.avg_pool2d(x, 3, 1, 1)) < 0.5 * sharpness(x)).all()
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    assert sharpness(ramp).item() == pytest.approx(0, abs=1e-8)
