"""Shapes of the plane against closed forms, and what ships against fresh draws."""

import math

import pytest
import torch

from explorer import energies
from explorer.distributions import diag_normal
from explorer.energies import (
    ENERGIES,
    STEPS,
    THICK,
    WALL,
    divergences,
    log_volume,
    shipped,
    square,
)
from explorer.rng import seeded
from train.energies import NAMES, bent, bounds

GAUSS = math.sqrt(2 * math.pi)
SPREADS = {"wave": 0.4, "bump": 0.35 + 0.35, "fork": 0.4 + 0.35}


@pytest.mark.parametrize("name", SPREADS)
def test_a_strips_integral_is_its_thickness_times_the_walls(name):
    """Across the strip it is a Gaussian's, along it that of a plateau with two soft edges."""
    across, along = GAUSS * SPREADS[name], 2 * WALL + GAUSS * THICK
    assert log_volume(name) == pytest.approx(math.log(across * along), abs=1e-4)


@pytest.mark.parametrize("name", ENERGIES)
def test_a_shapes_integral_does_not_depend_on_the_cells(name):
    cell = (2 * 9 / 600) ** 2
    coarse = (-ENERGIES[name](square(9, 600))).flatten().logsumexp(0).item() + math.log(cell)
    assert log_volume(name) == pytest.approx(coarse, abs=1e-4)


@pytest.mark.parametrize("name", ENERGIES)
def test_a_divergence_is_the_one_that_cells_add_up_to(name):
    """KL of a Gaussian, by draws and by a sum over the plane."""
    q = diag_normal(torch.tensor([0.3, -0.2]), torch.tensor([1.1, 0.6]))
    with seeded(0):
        each = divergences(name, q, 40_000)
    z = square(7, 700)
    log_q, log_p = q.log_prob(z), -ENERGIES[name](z) - log_volume(name)
    summed = (log_q.exp() * (log_q - log_p)).sum() * (14 / 700) ** 2
    assert abs(each.mean() - summed) < 4 * each.std() / math.sqrt(len(each)) + 0.02


@pytest.mark.parametrize("steps", [0, 2])
def test_every_start_and_shape_is_fitted_by_its_own_bound(steps):
    """All are one tensor, so that one that looked at another's shape would not be seen."""
    with seeded(0):
        before = bounds(bent(steps, 1), draws=2000)
        after = bounds(bent(steps, 300), draws=2000)
    assert before.shape[1] == len(NAMES)
    assert (after < before + 0.1).all()
    volumes = torch.tensor([log_volume(name) for name in NAMES])
    assert (after + volumes > -0.1).all()  # a KL


def test_what_ships_is_as_near_as_it_says_and_nearer_with_every_step():
    found = shipped()
    assert set(found.fits) == {(name, steps) for name in ENERGIES for steps in STEPS}
    for key, fit in found.fits.items():
        with seeded(1):
            each = divergences(key[0], fit.density(), 20_000)
        kl, error = found.kl[key]
        again = (each.std() / math.sqrt(len(each))).item()
        assert abs(each.mean().item() - kl) < 5 * math.hypot(error, again)
    for name in ENERGIES:
        each = [found.kl[name, steps][0] for steps in STEPS]
        assert each == sorted(each, reverse=True)
    assert energies.SHIPPED.stat().st_size < 100_000


def test_a_shipped_density_is_a_density():
    z = square(7, 120)
    for fit in shipped().fits.values():
        total = fit.picture(z).sum() * (14 / 120) ** 2
        assert total.item() == pytest.approx(1, abs=0.02)
