"""Moves in latent space end where they should, for any length, any angle and one coordinate."""

import math

import pytest
import torch

from explorer import ops
from explorer.errors import ExplorerError
from explorer.rng import seeded

close = torch.testing.assert_close


def gaussians(seed, *shape):
    with seeded(seed):
        return torch.randn(*shape, dtype=torch.float64)


A, B = gaussians(1, 6), 3 * gaussians(2, 6)
T64 = torch.linspace(0, 1, 9, dtype=torch.float64)


def test_a_traversal_moves_one_coordinate_and_leaves_its_start_alone():
    z, values = A.clone(), torch.tensor([-2.0, 0.0, 5.0]).double()
    strip = ops.traverse(z, 2, values)
    assert torch.equal(z, A)
    assert torch.equal(strip[:, 2], values)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(strip[:, others], A[others].expand(3, 5))


@pytest.mark.parametrize("path", ops.PATHS.values(), ids=ops.PATHS)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (A, B),
        (A, A),  # nowhere to go
        (A, 2 * A),  # parallel
        (A, -A),  # opposite: every arc would do
        (A, 0 * A),
        (0 * A, 0 * A),
        (A[:1], B[:1]),  # one coordinate
        (A[:1], -B[:1]),
        (1e-9 * A, 1e9 * B),
    ],
)
def test_a_path_starts_at_a_and_ends_at_b(path, a, b):
    way = path(a, b, T64)
    assert way.shape == (9, len(a))
    assert way.isfinite().all()
    close(way[0], a)
    close(way[-1], b)


def test_a_straight_path_divides_in_equal_steps():
    steps = ops.lerp(A, B, T64).diff(dim=0)
    close(steps, (B - A).expand(8, 6) / 8)


def test_a_round_path_turns_and_grows_evenly():
    way = ops.slerp(A, B, T64)
    close(way.norm(dim=1), torch.lerp(A.norm(), B.norm(), T64))
    unit = way / way.norm(dim=1, keepdim=True)
    turns = torch.acos((unit[1:] * unit[:-1]).sum(1))
    whole = torch.acos(A @ B / A.norm() / B.norm())
    close(turns, (whole / 8).expand(8))


def test_a_round_path_stays_between_its_ends():
    way = ops.slerp(A, B, T64)
    span = torch.linalg.qr(torch.stack([A, B]).T).Q
    close(way @ span @ span.T, way)


def test_nearly_parallel_ends_make_no_jump():
    close(ops.slerp(A, A + 1e-5 * B, T64), ops.lerp(A, A + 1e-5 * B, T64), atol=1e-8, rtol=0)
    close(ops.slerp(A, A + 1e-3 * B, T64), ops.lerp(A, A + 1e-3 * B, T64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", ops.PATHS)
@pytest.mark.parametrize("loop", [False, True])
def test_a_way_visits_every_point_in_turn(path, loop):
    points = gaussians(3, 4, 5)
    stops = torch.cat([points, points[:1]]) if loop else points
    way = ops.along(points, torch.linspace(0, 1, len(stops), dtype=torch.float64), path, loop)
    close(way, stops)


def test_a_way_is_unbroken_and_runs_on_beyond_its_ends():
    points = gaussians(3, 3, 5)
    fine = ops.along(points, torch.linspace(-0.5, 1.5, 2001, dtype=torch.float64))
    legs = (points[1:] - points[:-1]).norm(dim=1)
    assert fine.diff(dim=0).norm(dim=1).max() <= 1.01 * legs.max() / 500
    close(fine[0], 2 * points[0] - points[1])
    close(fine[-1], 2 * points[2] - points[1])


def test_even_steps_change_equally_in_what_is_seen():
    brightness = torch.linspace(0, 1, 401).pow(3)  # a path that starts slowly and ends fast
    t = ops.even_steps(brightness.reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2), 6)
    close(t.pow(3), torch.linspace(0, 1, 6), atol=0.003, rtol=0)


def test_even_steps_pass_over_what_stands_still():
    x = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]).reshape(5, 1, 1, 1)
    t = ops.even_steps(x, 5)
    assert (t.diff() >= 0).all()
    assert ((t[1:-1] >= 0.5) & (t[1:-1] <= 0.75)).all()


def test_even_steps_of_one_picture_are_even():
    close(ops.even_steps(torch.ones(7, 1, 2, 2), 5), torch.linspace(0, 1, 5))


def test_a_plane_goes_right_along_u_and_up_along_v():
    s = torch.tensor([-1.0, 0.0, 2.0]).double()
    u, v = gaussians(4, 6), gaussians(5, 6)
    plane = ops.plane(A, u, v, s)
    assert plane.shape == (3, 3, 6)
    close(plane[1, 1], A)
    close(plane[1, 2], A + 2 * u)
    close(plane[0, 1], A + v)  # the first row is the uppermost
    close(plane[2, 0], A - u - 2 * v)
    close(ops.on_plane(A, u, v, (-1, -2)), plane[2, 0])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_square_has_its_points_at_its_corners(k):
    points = gaussians(6, k, 5)
    square = ops.corners(points, 4)
    assert square.shape == (4, 4, 5)
    found = torch.stack([square[0, 0], square[0, 3], square[3, 0], square[3, 3]])
    third = points[0] if k == 2 else points[2]
    fourth = points[3] if k == 4 else points[1] + third - points[0]
    close(found, torch.stack([points[0], points[1], third, fourth]))
    close(square.diff(dim=1), square.diff(dim=1)[:, :1].expand(4, 3, 5))  # rows are straight


def test_an_analogy_makes_the_same_step():
    close(ops.analogy(A, B, 2 * A) - 2 * A, B - A)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_gaussian_ticks_hold_equal_probability(n):
    ticks = ops.gaussian_ticks(n, mass=0.9)
    close(ticks, -ticks.flip(0), atol=1e-6, rtol=0)
    shares = torch.special.ndtr(ticks).diff()
    close(shares, torch.full((n - 1,), 0.9 / (n - 1)))


def test_an_attributes_direction_is_what_was_planted():
    z = gaussians(7, 400, 5)
    has = torch.arange(400) % 2 == 0
    planted = gaussians(8, 5)
    z = z - torch.where(has[:, None], z[has].mean(0), z[~has].mean(0)) + has[:, None] * planted
    close(ops.attribute_direction(z, has), planted)


def test_within_groups_what_only_goes_along_cancels():
    old = torch.arange(400) < 200
    glasses = torch.where(old, torch.arange(400) % 10 < 9, torch.arange(400) % 10 < 1)
    a, g = gaussians(8, 5), gaussians(9, 5)
    z = old[:, None] * a + glasses[:, None] * g
    close(ops.attribute_direction(z, glasses, old), g)
    assert (ops.attribute_direction(z, glasses) - g).norm() > 0.5 * a.norm()


def test_a_group_without_contrast_is_left_out():
    group = torch.tensor([0, 0, 0, 1, 1])
    has = torch.tensor([True, False, True, True, True])
    z = gaussians(1, 5, 3)
    wanted = (z[0] + z[2]) / 2 - z[1]
    close(ops.attribute_direction(z, has, group), wanted)


@pytest.mark.parametrize(
    ("has", "group"),
    [([True, True], None), ([False, False], None), ([True, False], [0, 1])],
)
def test_without_contrast_there_is_no_direction(has, group):
    group = None if group is None else torch.tensor(group)
    with pytest.raises(ExplorerError, match="with"):
        ops.attribute_direction(torch.zeros(2, 3), torch.tensor(has), group)


def test_a_slope_is_what_was_planted_and_nuisances_take_their_own():
    value, pose = gaussians(1, 300), gaussians(2, 300, 2)
    value = value + 2 * pose[:, 0]  # they go together
    planted, turning = gaussians(3, 4), gaussians(4, 2, 4)
    z = 5 + value[:, None] * planted + pose @ turning
    close(ops.slope_direction(z, value, pose).double(), planted, atol=1e-5, rtol=1e-5)
    assert (ops.slope_direction(z, value).double() - planted).norm() > 0.3 * planted.norm()


def test_what_is_held_fixed_is_not_moved():
    fixed = gaussians(5, 3, 6)
    rest = ops.without(A, fixed)
    close(fixed @ rest, torch.zeros(3).double(), atol=1e-10, rtol=0)
    close(ops.without(rest, fixed), rest)
    removed = A - rest  # lies wholly in what is fixed
    close(ops.without(removed, fixed), 0 * A, atol=1e-10, rtol=0)
    assert torch.equal(ops.without(A, fixed[:0]), A)


def test_principal_axes_are_those_the_cloud_was_stretched_along():
    turn = torch.linalg.qr(gaussians(6, 3, 3)).Q
    spread = torch.tensor([5.0, 1.0, 0.2]).double()
    z = gaussians(7, 20_000, 3) * spread @ turn + 7
    mean, axes = ops.principal_axes(z)
    close(mean, torch.full((3,), 7.0).double(), atol=0.15, rtol=0)
    close(axes.norm(dim=1), spread, atol=0, rtol=0.02)
    cosines = (axes @ turn.T).diagonal() / axes.norm(dim=1)
    close(cosines.abs(), torch.ones(3).double(), atol=1e-3, rtol=0)


def test_principal_axes_of_one_coordinate_are_its_spread():
    z = gaussians(8, 50, 1)
    close(ops.principal_axes(z)[1].abs(), z.std(0, keepdim=True))


def test_coordinates_read_back_the_steps_that_were_made():
    z = gaussians(9, 5_000, 4) @ gaussians(10, 4, 4)
    mean, axes = ops.principal_axes(z)
    steps = ops.coordinates(z, axes)
    close(mean + steps @ axes, z)
    close(torch.cov(steps.T), torch.eye(4).double(), atol=1e-8, rtol=0)


def test_correlations_are_those_of_what_is_known():
    a = gaussians(11, 200, 3)
    b = 2 - 3 * a[:, 1]
    b[::5] = math.nan
    found = ops.correlations(a, b)
    assert found[1].item() == pytest.approx(-1)
    known = ~b.isnan()
    close(found, torch.corrcoef(torch.cat([a[known].T, b[None, known]]))[3, :3])
    assert torch.equal(ops.correlations(a, torch.full_like(b, math.nan)), torch.zeros(3).double())
    assert ops.correlations(a, torch.ones(200).double()).abs().max() < 1e-9


def test_a_step_nearer_keeps_latents_typical():
    mean = torch.full((5,), 2.0).double()
    z, others = gaussians(12, 5) + mean, gaussians(13, 40_000, 5) + mean
    close(ops.near(z, others, mean, 0.0), z.expand_as(others))
    close(ops.near(z, others, mean, 1.0), others)
    # from typical starts the steps have the spread of the space itself
    starts = gaussians(14, 40_000, 5) + mean
    moved = ops.near(starts, others, mean, 0.6)
    close(torch.cov(moved.T), torch.eye(5).double(), atol=0.03, rtol=0)
    close(moved.mean(0), mean, atol=0.03, rtol=0)


def test_a_held_move_is_as_strong_as_before_and_leaves_the_others():
    move, normal = gaussians(15, 6), gaussians(16, 6)
    fixed = gaussians(17, 2, 6)
    held = ops.holding(move, normal, fixed, most=1e9)
    close(fixed @ held, torch.zeros(2).double(), atol=1e-10, rtol=0)
    close(held @ normal, move @ normal)


def test_a_held_move_is_lengthened_no_more_than_it_may_be():
    move = torch.tensor([1.0, 1e-3]).double()
    held = ops.holding(move, move, torch.tensor([[1.0, 0.0]]).double(), most=3.0)
    close(held, torch.tensor([0.0, 3e-3]).double())


def test_readings_say_one_for_ones_own_move():
    moves, normals = gaussians(18, 3, 6), gaussians(19, 3, 6)
    own = torch.stack([ops.readings(move, moves, normals) for move in moves]).diagonal()
    close(own, torch.ones(3).double())
    close(
        ops.readings(2 * A - B, moves, normals),
        2 * ops.readings(A, moves, normals) - ops.readings(B, moves, normals),
    )


def test_moves_add_up():
    moves = gaussians(20, 3, 6)
    by = torch.tensor([0.5, 0.0, -2.0]).double()
    close(ops.moved(A, moves, by), A + 0.5 * moves[0] - 2 * moves[2])


def test_the_telling_reading_separates_better_than_the_move_itself():
    spread = torch.tensor([10.0, 1.0, 1.0]).double()
    z = gaussians(21, 2_000, 3) * spread
    move = torch.tensor([1.0, 1.0, 0.0]).double()  # mostly drowned along the wide coordinate

    def apart(reading):
        return (move @ reading) / (z @ reading).std()

    assert apart(ops.telling(move, z)) > 1.3 * apart(move)
    assert apart(ops.telling(move, z)) >= max(apart(gaussians(k, 3)) for k in range(30, 60))
