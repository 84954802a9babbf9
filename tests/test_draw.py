"""DRAW's filters, written out one by one, and what a canvas may and may not depend on."""

import math

import pytest
import torch

from explorer import bundle
from explorer.cards import Card
from explorer.distributions import Chain, draw, rate
from explorer.models.draw import Window, bank
from explorer.protocol import DataSpec
from explorer.rng import seeded

H, W, N, HIDDEN = 6, 9, 3, 4
close = torch.testing.assert_close


def painter(attention="window", **more):
    config = dict(latent=3, steps=5, hidden=16, attention=attention, read=4, write=3) | more
    with seeded(0):
        return bundle.build(Card("toy", "draw", config, DataSpec("toy", 1, 12, 12))).double()


def window():
    with seeded(1):
        made = Window(HIDDEN, N, H, W).double()
        torch.nn.init.normal_(made.said.weight)
        return made, torch.randn(2, HIDDEN, dtype=torch.float64)


def test_filters_are_gaussians_on_a_grid_that_add_to_one():
    """Equations 25 and 26, pixel by pixel; there, filters and pixels are counted from one."""
    made, h = window()
    y, x, stride, width, strength = (each[1].item() for each in made.place(h))
    gx, gy, log_square, log_stride, log_strength = made.said(h)[1].tolist()
    assert x + 1 == pytest.approx((W + 1) / 2 * (gx + 1))
    assert y + 1 == pytest.approx((H + 1) / 2 * (gy + 1))
    assert stride == pytest.approx((max(H, W) - 1) / (N - 1) * math.exp(log_stride))
    assert width**2 == pytest.approx(math.exp(log_square))
    assert strength == pytest.approx(math.exp(log_strength))
    rows, columns, _ = made.banks(h)
    for found, centre, size in ((rows, y, H), (columns, x, W)):
        for i in range(1, N + 1):
            middle = centre + 1 + (i - N / 2 - 0.5) * stride
            each = [math.exp(-((a - middle) ** 2) / (2 * width**2)) for a in range(1, size + 1)]
            for a in range(size):
                said = found[1, 0, i - 1, a].item()
                assert said == pytest.approx(each[a] / (sum(each) + 1e-8))


def test_looking_and_painting_are_sums_over_filters_and_pixels():
    made, h = window()
    picture, patch = torch.rand(2, 1, H, W).double(), torch.rand(2, 1, N, N).double()
    rows, columns, strength = made.banks(h)
    seen, put = torch.zeros(2, 1, N, N).double(), torch.zeros(2, 1, H, W).double()
    for b in range(2):
        for i in range(N):
            for j in range(N):
                for a in range(H):
                    for c in range(W):
                        weight = rows[b, 0, i, a] * columns[b, 0, j, c]
                        seen[b, 0, i, j] += strength[b, 0].squeeze() * weight * picture[b, 0, a, c]
                        put[b, 0, a, c] += weight * patch[b, 0, i, j] / strength[b, 0].squeeze()
    close(made.read(h, picture), seen)
    close(made.write(h, patch), put)


def test_narrow_filters_a_pixel_apart_are_the_pixels_themselves():
    middle, one = torch.tensor(3.5).double(), torch.tensor(1.0).double()
    close(bank(middle, one, one / 20, 8, 8), torch.eye(8).double(), atol=1e-6, rtol=0)


def test_an_untrained_stroke_of_ones_is_about_one_on_the_canvas():
    model = painter(write=5)
    put = model.brush.write(torch.zeros(16).double(), torch.ones(1, 5, 5).double())
    assert 0.6 < put[0, 3:-3, 3:-3].mean() < 1.4


@pytest.mark.parametrize("attention", ["window", "none"])
def test_a_canvas_knows_the_steps_up_to_its_own_and_the_last_one_is_the_picture(attention):
    model = painter(attention)
    with seeded(2), torch.no_grad():
        z = torch.randn(2, 15, dtype=torch.float64)
        other = z.clone()
        other[:, 9:12] += 1  # of the fourth step
        first, second = model.canvases(z), model.canvases(other)
        close(model.likelihood(first[-1]).mean, model.decode(z).mean)
    same = [torch.equal(a, b) for a, b in zip(first, second, strict=True)]
    assert same == [True, True, True, False, False]


def test_a_stroke_is_inside_its_window():
    model = painter()
    with seeded(3), torch.no_grad():
        torch.nn.init.normal_(model.brush.said.weight, std=0.5)
        model.brush.said.bias[2:4] = torch.tensor([-3.0, -1.5])  # narrow filters, close together
        z = torch.randn(15, dtype=torch.float64)
        canvases = [model.start, *model.canvases(z)]
        windows = model.windows(z)
    grid = torch.arange(12)
    for before, after, (left, top, right, bottom) in zip(
        canvases, canvases[1:], windows, strict=False
    ):
        change = (after - before).abs()[0]
        margin = 1.0  # pixels: three more widths of a filter
        rows = (grid > top - margin) & (grid < bottom + margin)
        columns = (grid > left - margin) & (grid < right + margin)
        inside = rows[:, None] & columns
        assert change.sum() > 0
        assert change[~inside].sum() < 0.02 * change.sum()


def test_the_posterior_of_a_step_sees_what_is_still_wrong():
    """With another z before it the canvas is another, and so is what is said of the next step."""
    model = painter("none")
    x = torch.rand(1, 1, 12, 12).round().double()
    q = model.encode(x)
    assert isinstance(q, Chain)
    with torch.no_grad(), seeded(4):
        z, _ = draw(q)
        other = z.clone()
        other[:, :3] += 2
        first, second = (q.conditionals(each) for each in (z, other))
    assert torch.equal(first[0].mean, second[0].mean)
    assert not torch.allclose(first[1].mean, second[1].mean)


def test_the_rate_is_the_same_whether_the_walk_is_remembered_or_walked_again():
    model = painter()
    q, p = model.encode(torch.rand(4, 1, 12, 12).round().double()), model.prior()
    z, log_q = draw(q)
    remembered = rate(q, p, z, log_q)
    close(rate(q, p, z.clone(), log_q), remembered)
    far = z + 1  # a value that was not drawn is walked for itself
    assert not torch.allclose(rate(q, p, far, log_q), remembered)
