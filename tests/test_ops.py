"""Moves in latent space end where they should, for any length, any angle and one coordinate."""

import math

import numpy as np
import pytest

from explorer import ops
from explorer.errors import ExplorerError


def close(found, wanted, atol=1e-7, rtol=1e-7):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def gaussians(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def length(z):
    return np.linalg.norm(z)


A, B = gaussians(1, 6), 3 * gaussians(2, 6)
T = np.linspace(0, 1, 9)


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
    way = path(a, b, T)
    assert way.shape == (9, len(a))
    assert np.isfinite(way).all()
    close(way[0], a)
    close(way[-1], b)


def test_a_straight_path_divides_in_equal_steps():
    steps = np.diff(ops.lerp(A, B, T), axis=0)
    close(steps, np.tile((B - A) / 8, (8, 1)))


def test_a_round_path_turns_and_grows_evenly():
    way = ops.slerp(A, B, T)
    lengths, (a, b) = np.linalg.norm(way, axis=1), (np.linalg.norm(A), np.linalg.norm(B))
    close(lengths, a + T * (b - a))
    unit = way / lengths[:, None]
    turns = np.arccos((unit[1:] * unit[:-1]).sum(1))
    close(turns, np.full(8, np.arccos(A @ B / a / b) / 8))


def test_a_round_path_stays_between_its_ends():
    way = ops.slerp(A, B, T)
    span = np.linalg.qr(np.stack([A, B]).T).Q
    close(way @ span @ span.T, way)


def test_nearly_parallel_ends_make_no_jump():
    close(ops.slerp(A, A + 1e-5 * B, T), ops.lerp(A, A + 1e-5 * B, T), atol=1e-8, rtol=0)
    close(ops.slerp(A, A + 1e-3 * B, T), ops.lerp(A, A + 1e-3 * B, T), atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", ops.PATHS)
@pytest.mark.parametrize("loop", [False, True])
def test_a_way_visits_every_point_in_turn(path, loop):
    points = gaussians(3, 4, 5)
    stops = np.concatenate([points, points[:1]]) if loop else points
    way = ops.along(points, np.linspace(0, 1, len(stops)), path, loop)
    close(way, stops)


def test_a_way_is_unbroken_and_runs_on_beyond_its_ends():
    points = gaussians(3, 3, 5)
    fine = ops.along(points, np.linspace(-0.5, 1.5, 2001))
    legs = np.linalg.norm(np.diff(points, axis=0), axis=1)
    steps = np.linalg.norm(np.diff(fine, axis=0), axis=1)
    assert steps.max() <= 1.01 * legs.max() / 500
    close(fine[0], 2 * points[0] - points[1])
    close(fine[-1], 2 * points[2] - points[1])


def test_even_steps_change_equally_in_what_is_seen():
    brightness = np.linspace(0, 1, 401) ** 3  # a path that starts slowly and ends fast
    t = ops.even_steps(np.ones((401, 2, 2, 3)) * brightness[:, None, None, None], 6)
    close(t**3, np.linspace(0, 1, 6), atol=0.003, rtol=0)


def test_even_steps_pass_over_what_stands_still():
    x = np.array([0, 0, 0, 255, 255], np.uint8).reshape(5, 1, 1, 1)
    t = ops.even_steps(x, 5)
    assert (np.diff(t) >= 0).all()
    assert ((t[1:-1] >= 0.5) & (t[1:-1] <= 0.75)).all()


def test_even_steps_of_one_picture_are_even():
    close(ops.even_steps(np.ones((7, 2, 2, 1)), 5), np.linspace(0, 1, 5))


def test_a_plane_goes_right_along_u_and_up_along_v():
    s = np.array([-1.0, 0.0, 2.0])
    u, v = gaussians(4, 6), gaussians(5, 6)
    plane = ops.plane(A, u, v, s)
    assert plane.shape == (3, 3, 6)
    close(plane[1, 1], A)
    close(plane[1, 2], A + 2 * u)
    close(plane[0, 1], A + v)  # the first row is the uppermost
    close(plane[2, 0], A - u - 2 * v)
    close(A - u - 2 * v, plane[2, 0])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_square_has_its_points_at_its_corners(k):
    points = gaussians(6, k, 5)
    square = ops.corners(points, 4)
    assert square.shape == (4, 4, 5)
    found = np.stack([square[0, 0], square[0, 3], square[3, 0], square[3, 3]])
    third = points[0] if k == 2 else points[2]
    fourth = points[3] if k == 4 else points[1] + third - points[0]
    close(found, np.stack([points[0], points[1], third, fourth]))
    steps = np.diff(square, axis=1)
    close(steps, np.broadcast_to(steps[:, :1], (4, 3, 5)))  # rows are straight


def test_an_analogy_makes_the_same_step():
    close(ops.analogy(A, B, 2 * A) - 2 * A, B - A)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_gaussian_ticks_hold_equal_probability(n):
    ticks = ops.gaussian_ticks(n, mass=0.9)
    close(ticks, -ticks[::-1])
    shares = np.diff([0.5 * (1 + math.erf(tick / 2**0.5)) for tick in ticks])
    close(shares, np.full(n - 1, 0.9 / (n - 1)))


def test_an_attributes_direction_is_what_was_planted():
    z = gaussians(7, 400, 5)
    has = np.arange(400) % 2 == 0
    planted = gaussians(8, 5)
    z = z - np.where(has[:, None], z[has].mean(0), z[~has].mean(0)) + has[:, None] * planted
    close(ops.attribute_direction(z, has), planted)


def test_within_groups_what_only_goes_along_cancels():
    old = np.arange(400) < 200
    glasses = np.where(old, np.arange(400) % 10 < 9, np.arange(400) % 10 < 1)
    a, g = gaussians(8, 5), gaussians(9, 5)
    z = old[:, None] * a + glasses[:, None] * g
    close(ops.attribute_direction(z, glasses, old), g)
    assert length(ops.attribute_direction(z, glasses) - g) > 0.5 * length(a)


def test_a_group_without_contrast_is_left_out():
    group = np.array([0, 0, 0, 1, 1])
    has = np.array([True, False, True, True, True])
    z = gaussians(1, 5, 3)
    wanted = (z[0] + z[2]) / 2 - z[1]
    close(ops.attribute_direction(z, has, group), wanted)


@pytest.mark.parametrize(
    ("has", "group"),
    [([True, True], None), ([False, False], None), ([True, False], [0, 1])],
)
def test_without_contrast_there_is_no_direction(has, group):
    group = None if group is None else np.array(group)
    with pytest.raises(ExplorerError, match="with"):
        ops.attribute_direction(np.zeros((2, 3)), np.array(has), group)


def test_a_slope_is_what_was_planted_and_nuisances_take_their_own():
    value, pose = gaussians(1, 300), gaussians(2, 300, 2)
    value = value + 2 * pose[:, 0]  # they go together
    planted, turning = gaussians(3, 4), gaussians(4, 2, 4)
    z = 5 + value[:, None] * planted + pose @ turning
    close(ops.slope_direction(z, value, pose), planted)
    assert length(ops.slope_direction(z, value) - planted) > 0.2 * length(planted)


def test_what_is_held_fixed_is_not_moved():
    fixed = gaussians(5, 3, 6)
    rest = ops.without(A, fixed)
    close(fixed @ rest, np.zeros(3), atol=1e-10)
    close(ops.without(rest, fixed), rest)
    removed = A - rest  # lies wholly in what is fixed
    close(ops.without(removed, fixed), 0 * A, atol=1e-10)
    assert (ops.without(A, fixed[:0]) == A).all()


def test_principal_axes_are_those_the_cloud_was_stretched_along():
    turn = np.linalg.qr(gaussians(6, 3, 3)).Q
    spread = np.array([5.0, 1.0, 0.2])
    z = gaussians(7, 20_000, 3) * spread @ turn + 7
    mean, axes = ops.principal_axes(z)
    close(mean, np.full(3, 7.0), atol=0.15)
    lengths = np.linalg.norm(axes, axis=1)
    close(lengths, spread, rtol=0.02)
    cosines = (axes @ turn.T).diagonal() / lengths
    close(np.abs(cosines), np.ones(3), atol=1e-3)


def test_principal_axes_of_one_coordinate_are_its_spread():
    z = gaussians(8, 50, 1)
    close(np.abs(ops.principal_axes(z)[1]), z.std(0, ddof=1)[None])


def test_coordinates_read_back_the_steps_that_were_made():
    z = gaussians(9, 5_000, 4) @ gaussians(10, 4, 4)
    mean, axes = ops.principal_axes(z)
    steps = ops.coordinates(z, axes)
    close(mean + steps @ axes, z)
    close(np.cov(steps.T), np.eye(4))


def test_correlations_are_those_of_what_is_known():
    a = gaussians(11, 200, 3)
    b = 2 - 3 * a[:, 1]
    b[::5] = math.nan
    found = ops.correlations(a, b)
    assert found[1] == pytest.approx(-1)
    known = ~np.isnan(b)
    close(found, np.corrcoef(np.concatenate([a[known].T, b[None, known]]))[3, :3])
    assert (ops.correlations(a, np.full(200, math.nan)) == 0).all()
    assert np.abs(ops.correlations(a, np.ones(200))).max() < 1e-9


def test_a_step_nearer_keeps_latents_typical():
    mean = np.full(5, 2.0)
    z, others = gaussians(12, 5) + mean, gaussians(13, 40_000, 5) + mean
    close(ops.near(z, others, mean, 0.0), np.broadcast_to(z, others.shape))
    close(ops.near(z, others, mean, 1.0), others)
    # from typical starts the steps have the spread of the space itself
    starts = gaussians(14, 40_000, 5) + mean
    moved = ops.near(starts, others, mean, 0.6)
    close(np.cov(moved.T), np.eye(5), atol=0.03)
    close(moved.mean(0), mean, atol=0.03)


def test_a_held_move_is_as_strong_as_before_and_leaves_the_others():
    move = gaussians(15, 6)
    normal = move + 0.3 * gaussians(16, 6)  # a reading is not far from its own move
    fixed = gaussians(17, 2, 6)
    held = ops.holding(move, normal, fixed, most=1e9)
    close(fixed @ held, np.zeros(2), atol=1e-10)
    close(held @ normal, move @ normal)


def test_a_held_move_is_lengthened_no_more_than_it_may_be():
    move = np.array([1.0, 1e-3])
    held = ops.holding(move, move, np.array([[1.0, 0.0]]), most=3.0)
    close(held, np.array([0.0, 3e-3]))


def test_readings_say_one_for_ones_own_move():
    moves, normals = gaussians(18, 3, 6), gaussians(19, 3, 6)
    own = np.stack([ops.readings(move, moves, normals) for move in moves]).diagonal()
    close(own, np.ones(3))
    close(
        ops.readings(2 * A - B, moves, normals),
        2 * ops.readings(A, moves, normals) - ops.readings(B, moves, normals),
    )


def test_moves_add_up():
    moves = gaussians(20, 3, 6)
    by = np.array([0.5, 0.0, -2.0])
    close(ops.moved(A, moves, by), A + 0.5 * moves[0] - 2 * moves[2])


def test_the_telling_reading_separates_better_than_the_move_itself():
    spread = np.array([10.0, 1.0, 1.0])
    z = gaussians(21, 2_000, 3) * spread
    move = np.array([1.0, 1.0, 0.0])  # mostly drowned along the wide coordinate

    def apart(reading):
        return (move @ reading) / (z @ reading).std()

    telling = ops.telling(move, ops.precision(z))
    assert apart(telling) > 1.3 * apart(move)
    assert apart(telling) >= max(apart(gaussians(k, 3)) for k in range(30, 60))
