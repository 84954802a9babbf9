"""From a picture to what the model knows: where the ink lies, its shade, size and place."""

from __future__ import annotations

import gzip
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pictures import DIGITS, EIGHT, FACES, FASHION, FREY, drawn, encoded, scene
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from explorer import images, ink
from explorer.errors import ImageError
from explorer.protocol import DataSpec

MNIST = Path(os.environ.get("LATENT_DATA", "../shared/data")) / "mnist"


@pytest.mark.parametrize("digit", "0123456789")
def test_a_digit_is_the_same_wherever_and_however_large_it_is_drawn(digit: str) -> None:
    known = images.prepare(drawn(digit, 300, (150, 90), (600, 500)), DIGITS)
    for size, place, page in ((300, (10, 20), (700, 520)), (120, (400, 30), (600, 200))):
        other = images.prepare(drawn(digit, size, place, page), DIGITS)
        assert np.abs(other - known).mean() < 0.02
    another = images.prepare(drawn(str((int(digit) + 1) % 10), 300, (150, 90), (600, 500)), DIGITS)
    assert np.abs(another - known).mean() > 0.05


@pytest.mark.parametrize("digit", "0123456789")
def test_a_digit_fits_twenty_pixels_and_balances_on_the_fourteenth(digit: str) -> None:
    x = images.prepare(drawn(digit, 200, (80, 60), (500, 400)), DIGITS)[0, 0]
    assert x.max() > 0.95
    rows, columns = (x.sum(axis) for axis in (1, 0))
    for mass in (rows, columns):
        assert float(mass @ np.arange(28.0) / mass.sum()) == pytest.approx(14, abs=0.1)
    extent = max(int((mass > 0.3).sum()) for mass in (rows, columns))
    assert 19 <= extent <= 21


@pytest.mark.parametrize("data", [DIGITS, EIGHT, FASHION], ids=lambda data: data.name)
def test_a_negative_prepares_to_the_same_picture(data: DataSpec) -> None:
    smooth = drawn("5", 200, (100, 40), (380, 320)).filter(ImageFilter.GaussianBlur(3))
    for page in (smooth, smooth.point([60 + v // 2 for v in range(256)])):
        x, negative = (images.prepare(p, data) for p in (page, ImageOps.invert(page)))
        assert x.mean() < 0.5, "light on dark"
        assert np.abs(x - negative).max() < 0.01


def test_the_shade_is_told_where_the_border_cannot_tell_it() -> None:
    page = drawn("5", 200, (100, 40), (380, 320))
    negative = ImageOps.invert(page)
    asked = [
        images.prepare(page, DIGITS, invert=True),
        images.prepare(negative, DIGITS, invert=False),
    ]
    assert np.array_equal(*asked)
    upside = images.prepare(page, DIGITS, invert=False)
    assert upside.mean() > 0.5, "dark on light, as it was asked for"


def test_a_shadow_and_grain_on_the_paper_do_not_show() -> None:
    page = drawn("2", 300, (250, 90), (800, 600))
    values = np.asarray(page, np.float32) / 255
    light = np.linspace(0.55, 0.95, 800)[None] - np.linspace(0, 0.15, 600)[:, None]
    grain = np.random.default_rng(0).normal(0, 0.015, values.shape)
    photo = Image.fromarray(
        ((light * (0.2 + 0.8 * values) + grain).clip(0, 1) * 255).astype(np.uint8)
    )
    x, clean = images.prepare(photo, DIGITS), images.prepare(page, DIGITS)
    assert np.abs(x - clean).mean() < 0.005
    assert x[0, 0, 0].max() == 0


def test_a_speck_of_dust_does_not_move_the_digit() -> None:
    page = drawn("6", 250, (100, 60), (600, 500))
    dusty = page.copy()
    ImageDraw.Draw(dusty).ellipse((560, 20, 562, 22), fill=0)
    assert np.abs(images.prepare(dusty, DIGITS) - images.prepare(page, DIGITS)).mean() < 0.01


def test_a_thin_pen_on_a_large_page_is_still_seen() -> None:
    page = Image.new("L", (1800, 1400), 255)
    ImageDraw.Draw(page).line([(500, 200), (1100, 200), (700, 1200)], fill=0, width=4)
    x = images.prepare(page, DIGITS)
    assert x.max() > 0.9
    assert float(x.sum()) > 35, "some 30 pixels of stroke, each more than one wide"


@pytest.mark.parametrize("data", [DIGITS, EIGHT, FASHION], ids=lambda data: data.name)
@pytest.mark.parametrize("shade", [0, 255])
def test_a_blank_page_is_black(data: DataSpec, shade: int) -> None:
    assert images.prepare(Image.new("L", (300, 200), shade), data).max() == 0


@pytest.mark.parametrize("data", [DIGITS, FASHION], ids=lambda data: data.name)
def test_a_picture_of_the_data_comes_back_exactly(data: DataSpec) -> None:
    values = np.zeros((28, 28), np.uint8)
    values[3:20, 9:25] = np.random.default_rng(0).integers(1, 255, (17, 16))
    for shown in (values, 255 - values):
        x = images.prepare(images.read(encoded(Image.fromarray(shown), "PNG")), data)
        assert np.array_equal(images.to_pixels(x)[0, ..., 0], values)


def test_clothes_keep_their_frame() -> None:
    page = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(page).rectangle((30, 60, 99, 199), fill=100)
    x = images.prepare(page, FASHION)[0, 0]
    assert x[10:16, 5:8].min() > 0.55
    outside = x.copy()
    outside[5:21, 2:11] = 0
    assert outside.max() < 0.02


def test_colour_pictures_are_cut_to_the_centre() -> None:
    page = Image.new("RGB", (300, 100), "red")
    page.paste("blue", (100, 0, 200, 100))
    blue = np.tile(np.reshape([0.0, 0.0, 1.0], (1, 3, 1, 1)), (1, 1, 64, 64))
    assert np.abs(images.prepare(page, FACES) - blue).max() < 0.2, "Lanczos may ring at the cut"
    assert (images.prepare(page, FACES, box=(110, 10, 190, 90)) == blue).all()
    assert (images.prepare(page, FACES, box=(-50, -9, 50, 91)) == blue[:, ::-1]).all()


@pytest.mark.parametrize("data", [FACES, FREY, DIGITS], ids=lambda data: data.name)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (900, 100), (64, 64), (111, 1000)])
def test_any_size_fits_the_model(data: DataSpec, size: tuple[int, int]) -> None:
    x = images.prepare(scene().resize(size), data)
    assert x.shape == (1, *data.shape)
    assert x.dtype == np.float32
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("data", [FACES, FREY], ids=lambda data: data.name)
def test_the_centre_box_is_what_is_taken(data: DataSpec) -> None:
    page = scene().resize((400, 240))
    box = images.centre_box(page.size, data)
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(data.width / data.height)
    taken, same = images.prepare(page, data, box=box), images.prepare(page, data)
    assert np.abs(taken - same).mean() < 0.01


def test_grey_faces_are_no_ink() -> None:
    page = Image.new("L", (200, 280), 240)
    ImageDraw.Draw(page).ellipse((40, 60, 160, 220), fill=90)
    x = images.prepare(page, FREY)[0, 0]
    assert float(x[0, 0]) == pytest.approx(240 / 255)
    assert float(x[14, 10]) == pytest.approx(90 / 255)


def test_an_empty_crop_is_refused() -> None:
    with pytest.raises(ImageError, match="crop"):
        images.prepare(scene(), FACES, box=(500, 500, 600, 600))


def test_a_drawn_mask_is_white_ink_with_smooth_edges() -> None:
    mask = np.zeros((112, 112), bool)
    mask[20:90, 50:60] = True
    mask[20:90, 40:50] = np.tri(70, 10, -30, dtype=bool)
    image = images.from_ink(mask)
    values = np.asarray(image)
    assert values[0, 0] == 0
    assert values[120, 110] == 255
    assert ((values > 20) & (values < 235)).sum() > 20
    x = images.prepare(image, DIGITS)
    assert float(x[0, 0].sum(1) @ np.arange(28.0) / x.sum()) == pytest.approx(14, abs=0.1)


# --- real digits -----------------------------------------------------------------------------


def eight_by_eight(n: int) -> np.ndarray:
    """``(n, 8, 8)`` uint8: the digits that scikit-learn ships, read without importing it."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(path, delimiter=",", max_rows=n)[:, :64].reshape(-1, 8, 8)
    return (rows * (255 / 16)).round().astype(np.uint8)


def on_paper(digit: np.ndarray, times: int) -> Image.Image:
    """Mode L: the digit in black ink, enlarged, off the middle of a white page."""
    large = 255 - images.enlarge(digit[..., None], times * len(digit), pixelated=True)[..., 0]
    paper = Image.new("L", (900, 700), 255)
    paper.paste(Image.fromarray(large), (90, 260))
    return paper


def test_eight_by_eight_digits_on_paper_come_back() -> None:
    digits = eight_by_eight(40)
    errors = [
        float(np.abs(images.prepare(on_paper(d, 40), EIGHT)[0, 0] - d / 255).mean())
        for d in digits
    ]
    shuffled = np.abs(digits / 255 - np.roll(digits, 1, 0) / 255).mean()
    assert np.mean(errors) < 0.3 * shuffled


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST in $LATENT_DATA")
def test_mnist_digits_on_paper_come_back() -> None:
    raw = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    digits = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:40]
    back = [images.prepare(on_paper(d, 12), DIGITS)[0, 0] for d in digits]
    errors = np.abs(np.stack(back) - digits / 255).mean((1, 2))
    shuffled = np.abs(digits / 255 - np.roll(digits, 1, 0) / 255).mean()
    # Half a pixel of shift, which MNIST's whole-pixel centring leaves, is most of it.
    assert errors.mean() < 0.035
    assert errors.mean() < 0.25 * shuffled


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST in $LATENT_DATA")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_shade_of_real_pictures_is_found(name: str) -> None:
    raw = gzip.decompress((MNIST.parent / name / "t10k-images-idx3-ubyte.gz").read_bytes())
    for picture in np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:400]:
        assert not ink.is_dark(Image.fromarray(picture))
        assert ink.is_dark(Image.fromarray(255 - picture))
