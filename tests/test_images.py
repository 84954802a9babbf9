"""Uploads: a corpus of awkward files made here, and what must be true of each."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps, ImageSequence

from explorer import images, ink
from explorer.errors import ImageError
from explorer.protocol import DataSpec

DIGITS = DataSpec("mnist", 1, 28, 28, tuple("0123456789"))
EIGHT = DataSpec("digits-8x8", 1, 8, 8, tuple("0123456789"))
FASHION = DataSpec("fashion-mnist", 1, 28, 28, ("T-shirt/top", "Trouser"))
FREY = DataSpec("frey-face", 1, 28, 20)
FACES = DataSpec("faces", 3, 64, 64)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # damaged TIFFs

MNIST = Path(os.environ.get("LATENT_DATA", "../shared/data")) / "mnist"
TURNS = {  # EXIF orientation: how an upright picture is stored under it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene() -> Image.Image:
    """RGB, 60 x 40: smooth, and different in every corner."""
    corners = np.array([[[220, 30, 30], [30, 200, 40]], [[40, 50, 210], [230, 220, 60]]], np.uint8)
    return Image.fromarray(corners).resize((60, 40), Image.Resampling.BILINEAR)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def apart(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference, of 255."""
    assert a.size == b.size
    return float(np.abs(np.asarray(a, float) - np.asarray(b.convert(a.mode), float)).mean())


def drawn(text: str, size: int, place: tuple[int, int], page: tuple[int, int]) -> Image.Image:
    """Mode L: black ink on white paper."""
    paper = Image.new("L", page, 255)
    ImageDraw.Draw(paper).text(place, text, fill=0, font=ImageFont.load_default(size))
    return paper


def png_of_size(width: int, height: int) -> bytes:
    """A valid PNG, one bit deep and all black: a few kilobytes for any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


FILES: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(scene(), "PNG"),
    "jpeg": lambda: encoded(scene(), "JPEG", quality=95),
    "progressive jpeg": lambda: encoded(scene(), "JPEG", quality=95, progressive=True),
    "cmyk jpeg": lambda: encoded(scene().convert("CMYK"), "JPEG", quality=95),
    "two-picture jpeg": lambda: encoded(
        scene(), "MPO", save_all=True, append_images=[scene().rotate(180)], quality=95
    ),
    "webp": lambda: encoded(scene(), "WEBP", quality=95),
    "lossless webp": lambda: encoded(scene(), "WEBP", lossless=True),
    "moving webp": lambda: encoded(
        scene(), "WEBP", save_all=True, append_images=[scene().rotate(180)], lossless=True
    ),
    "gif": lambda: encoded(scene().quantize(256), "GIF"),
    "moving gif": lambda: encoded(
        scene().quantize(256), "GIF", save_all=True, append_images=[scene().rotate(180)]
    ),
    "bmp": lambda: encoded(scene(), "BMP"),
    "palette bmp": lambda: encoded(scene().quantize(256), "BMP"),
    "palette png": lambda: encoded(scene().quantize(256), "PNG"),
    "tiff": lambda: encoded(scene(), "TIFF"),
    "lzw tiff": lambda: encoded(scene(), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": lambda: encoded(scene(), "TIFF", compression="jpeg", quality=95),
    "cmyk tiff": lambda: encoded(scene().convert("CMYK"), "TIFF"),
    "ycbcr tiff": lambda: encoded(scene().convert("YCbCr"), "TIFF"),
}


# --- what can be read ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_picture(name: str) -> None:
    image = images.read(FILES[name]())
    assert image.mode == "RGB"
    assert apart(image, scene()) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_comes_upright_however_the_camera_was_held(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS.get(orientation)
    stored = scene() if turn is None else scene().transpose(turn)
    assert apart(images.read(encoded(stored, kind, exif=exif)), scene()) < 4


def test_damaged_exif_does_not_cost_the_picture() -> None:
    raw = encoded(scene(), "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert apart(images.read(raw), scene()) < 4


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L with a clear shade"])
@pytest.mark.parametrize(("shade", "ground"), [(0, 255), (90, 255), (255, 0)])
def test_what_is_clear_becomes_paper_that_the_ink_shows_on(
    mode: str, shade: int, ground: int
) -> None:
    here = drawn("3", 40, (20, 10), (64, 64)).point([255] * 128 + [0] * 128)
    clear = 17
    page = Image.composite(Image.new("L", (64, 64), shade), Image.new("L", (64, 64), clear), here)
    if mode == "P":
        raw = encoded(page.convert("P"), "PNG", transparency=clear)
    elif mode.startswith("L with"):
        raw = encoded(page, "PNG", transparency=clear)
    else:
        page = page.convert(mode.rstrip("A"))
        page.putalpha(here)
        raw = encoded(page, "PNG")

    image = np.asarray(images.read(raw).convert("L"))
    inside = np.asarray(here) > 0
    assert (image[inside] == shade).all()
    assert (image[~inside] == ground).all()


def test_a_wholly_clear_picture_is_a_white_page() -> None:
    raw = encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")
    assert images.read(raw).getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind: str) -> None:
    values = np.linspace(0, 65535, 30 * 40).astype(np.uint16).reshape(30, 40)
    image = images.read(encoded(Image.fromarray(values), kind))
    assert image.mode == "L"
    np.testing.assert_allclose(np.asarray(image), values / 257, atol=0.51)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 256, dtype=np.float32), np.arange(256)),
        (np.linspace(0, 255, 256, dtype=np.float32), np.arange(256)),
        (np.linspace(-3e5, 7e5, 256, dtype=np.float32), np.arange(256)),
        (np.r_[np.zeros(128), np.full(128, np.nan)].astype(np.float32), np.zeros(256)),
        (np.arange(256, dtype=np.int32), np.arange(256)),
        (np.arange(256, dtype=np.int32) * 257, np.arange(256)),
        (np.arange(256, dtype=np.int32) * 100_000, np.arange(256)),
    ],
    ids=["unit", "byte floats", "any floats", "no number", "bytes", "shorts", "large"],
)
def test_wide_numbers_are_read_on_the_scale_that_fits(
    values: np.ndarray, expected: np.ndarray
) -> None:
    image = images.read(encoded(Image.fromarray(values.reshape(16, 16)), "TIFF"))
    np.testing.assert_allclose(np.asarray(image).ravel(), expected, atol=0.51)


def test_one_bit_and_grey_pictures_stay_grey() -> None:
    page = drawn("8", 20, (5, 5), (30, 30))
    for image in (page, page.convert("1")):
        assert images.read(encoded(image, "PNG")).mode == "L"


def test_a_single_pixel_is_a_picture() -> None:
    x = images.prepare(images.read(encoded(Image.new("RGB", (1, 1), (255, 0, 51)), "PNG")), FACES)
    assert torch.equal(x, torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 64, 64))


def test_large_pictures_are_kept_no_larger_than_needed() -> None:
    assert images.read(encoded(Image.new("RGB", (3000, 3000), "red"), "JPEG")).size == (1500, 1500)
    assert images.read(encoded(Image.new("L", (4096, 1024)), "PNG")).size == (2048, 512)


# --- what is refused, in words ---------------------------------------------------------------


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", FILES["png"]())
    return buffer.getvalue()


SVG = b'<?xml version="1.0"?>\n<!-- a circle -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "random bytes": (lambda: random.Random(3).randbytes(5000), "not a picture"),
    "text": (lambda: b"GIF is a fine format", "not a picture"),
    "html": (lambda: b"\xef\xbb\xbf \n<!DOCTYPE html><html></html>", "web page"),
    "svg": (lambda: SVG, "SVG"),
    "bare svg": (lambda: b"<SVG></SVG>", "SVG"),
    "zip": (zipped, "zip archive"),
    "pdf": (lambda: b"%PDF-1.7\n", "PDF"),
    "heic": (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
    "another format": (lambda: encoded(scene(), "PPM"), "not a picture"),
    "17 MB": (lambda: bytes(17 * 2**20), "17 MB"),
    "bomb": (lambda: png_of_size(20_000, 20_000), "million"),
    "small bomb": (lambda: png_of_size(8_000, 8_000), "8000 x 8000"),
    "gif bomb": (lambda: b"GIF89a\xff\x70\xff\x70" + FILES["gif"]()[10:], "million"),
    "strip": (lambda: encoded(Image.new("L", (1, 5000)), "PNG"), "strip"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_in_words(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(ImageError, match=words) as caught:
        images.read(make())
    assert str(caught.value).count(". ") >= 1, "says what is wrong, then what to do"


def test_the_bombs_are_small_files() -> None:
    assert len(REFUSED["bomb"][0]()) < 100_000


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.85])
def test_a_file_cut_short_is_refused_or_whole(name: str, share: float) -> None:
    raw = FILES[name]()
    try:
        image = images.read(raw[: int(share * len(raw))])
    except ImageError:
        return
    # Only the later pictures of a moving or double file may be missing.
    assert name.startswith(("moving", "two"))
    assert apart(image, scene()) < 4


def test_any_damage_gives_a_picture_or_a_sentence() -> None:
    chance = random.Random(0)
    corpus = [make() for make in FILES.values()]
    outcomes = set()
    for _ in range(2000):
        raw = bytearray(chance.choice(corpus))
        for _ in range(chance.choice((1, 2, 8))):
            raw[chance.randrange(min(len(raw), chance.choice((120, 10**6))))] = chance.randrange(
                256
            )
        try:
            image = images.read(bytes(raw))
        except ImageError:
            outcomes.add("sentence")
        else:
            outcomes.add("picture")
            assert image.mode in ("L", "RGB")
            assert max(image.size) <= images.LONGEST
    assert outcomes == {"sentence", "picture"}


# --- a picture as the model knows it ---------------------------------------------------------


@pytest.mark.parametrize("digit", "0123456789")
def test_a_digit_is_the_same_wherever_and_however_large_it_is_drawn(digit: str) -> None:
    known = images.prepare(drawn(digit, 300, (150, 90), (600, 500)), DIGITS)
    for size, place, page in ((300, (10, 20), (700, 520)), (120, (400, 30), (600, 200))):
        other = images.prepare(drawn(digit, size, place, page), DIGITS)
        assert (other - known).abs().mean() < 0.02
    another = images.prepare(drawn(str((int(digit) + 1) % 10), 300, (150, 90), (600, 500)), DIGITS)
    assert (another - known).abs().mean() > 0.05


@pytest.mark.parametrize("digit", "0123456789")
def test_a_digit_fits_twenty_pixels_and_balances_on_the_fourteenth(digit: str) -> None:
    x = images.prepare(drawn(digit, 200, (80, 60), (500, 400)), DIGITS)[0, 0]
    assert x.max() > 0.95
    rows, columns = (x.sum(axis) for axis in (1, 0))
    for mass in (rows, columns):
        assert float(mass @ torch.arange(28.0) / mass.sum()) == pytest.approx(14, abs=0.1)
    extent = max(int((mass > 0.3).sum()) for mass in (rows, columns))
    assert 19 <= extent <= 21


@pytest.mark.parametrize("data", [DIGITS, EIGHT, FASHION], ids=lambda data: data.name)
def test_a_negative_prepares_to_the_same_picture(data: DataSpec) -> None:
    smooth = drawn("5", 200, (100, 40), (380, 320)).filter(ImageFilter.GaussianBlur(3))
    for page in (smooth, smooth.point([60 + v // 2 for v in range(256)])):
        x, negative = (images.prepare(p, data) for p in (page, ImageOps.invert(page)))
        assert x.mean() < 0.5, "light on dark"
        assert (x - negative).abs().max() < 0.01


def test_the_shade_is_told_where_the_border_cannot_tell_it() -> None:
    page = drawn("5", 200, (100, 40), (380, 320))
    negative = ImageOps.invert(page)
    asked = [
        images.prepare(page, DIGITS, invert=True),
        images.prepare(negative, DIGITS, invert=False),
    ]
    assert torch.equal(*asked)
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
    assert (x - clean).abs().mean() < 0.005
    assert x[0, 0, 0].max() == 0


def test_a_speck_of_dust_does_not_move_the_digit() -> None:
    page = drawn("6", 250, (100, 60), (600, 500))
    dusty = page.copy()
    ImageDraw.Draw(dusty).ellipse((560, 20, 562, 22), fill=0)
    assert (images.prepare(dusty, DIGITS) - images.prepare(page, DIGITS)).abs().mean() < 0.01


def test_a_thin_pen_on_a_large_page_is_still_seen() -> None:
    page = Image.new("L", (1800, 1400), 255)
    ImageDraw.Draw(page).line([(500, 200), (1100, 200), (700, 1200)], fill=0, width=4)
    x = images.prepare(page, DIGITS)
    assert x.max() > 0.9
    assert float(x.sum()) > 35, "some 30 pixels of stroke, each more than one wide"


@pytest.mark.parametrize("data", [DIGITS, EIGHT, FASHION], ids=lambda data: data.name)
@pytest.mark.parametrize("shade", [0, 255])
def test_a_blank_page_is_black(data: DataSpec, shade: int) -> None:
    assert images.prepare(Image.new("L", (300, 200), shade), data).abs().max() == 0


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
    outside = x.clone()
    outside[5:21, 2:11] = 0
    assert outside.max() < 0.02


def test_colour_pictures_are_cut_to_the_centre() -> None:
    page = Image.new("RGB", (300, 100), "red")
    page.paste("blue", (100, 0, 200, 100))
    blue = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert (images.prepare(page, FACES) - blue).abs().max() < 0.2, "Lanczos may ring at the cut"
    assert torch.equal(images.prepare(page, FACES, box=(110, 10, 190, 90)), blue)
    assert torch.equal(images.prepare(page, FACES, box=(-50, -9, 50, 91)), blue.flip(1))


@pytest.mark.parametrize("data", [FACES, FREY, DIGITS], ids=lambda data: data.name)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (900, 100), (64, 64), (111, 1000)])
def test_any_size_fits_the_model(data: DataSpec, size: tuple[int, int]) -> None:
    x = images.prepare(scene().resize(size), data)
    assert x.shape == (1, *data.shape)
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("data", [FACES, FREY], ids=lambda data: data.name)
def test_the_centre_box_is_what_is_taken(data: DataSpec) -> None:
    page = scene().resize((400, 240))
    box = images.centre_box(page.size, data)
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(data.width / data.height)
    taken, same = images.prepare(page, data, box=box), images.prepare(page, data)
    assert (taken - same).abs().mean() < 0.01


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
    assert float(x[0, 0].sum(1) @ torch.arange(28.0) / x.sum()) == pytest.approx(14, abs=0.1)


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
        float(np.abs(images.prepare(on_paper(d, 40), EIGHT)[0, 0].numpy() - d / 255).mean())
        for d in digits
    ]
    shuffled = np.abs(digits / 255 - np.roll(digits, 1, 0) / 255).mean()
    assert np.mean(errors) < 0.3 * shuffled


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST in $LATENT_DATA")
def test_mnist_digits_on_paper_come_back() -> None:
    raw = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    digits = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:40]
    back = [images.prepare(on_paper(d, 12), DIGITS)[0, 0].numpy() for d in digits]
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


# --- pixels out ------------------------------------------------------------------------------


def frames(n: int, channels: int) -> np.ndarray:
    """``(n, 24, 32, C)``: a bar that moves, no two alike."""
    pixels = np.zeros((n, 24, 32, channels), np.uint8)
    for i in range(n):
        pixels[i, 4:20, 2 + 2 * i : 8 + 2 * i] = np.array([230, 120, 40])[:channels]
    return pixels


def test_pixels_go_to_the_model_and_back_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 64, 64, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).movedim(-1, -3) / 255
    assert np.array_equal(images.to_pixels(x), pixels)
    wild = torch.tensor([-1.0, 2.0, float("nan"), 0.5]).view(1, 2, 2).requires_grad_()
    assert images.to_pixels(wild).ravel().tolist() == [0, 255, 0, 128]


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("n", [1, 4, 7, 8])
def test_a_sheet_holds_every_picture_in_reading_order(n: int, gap: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 5, 6, 3), dtype=np.uint8)
    whole = images.sheet(pixels, 4, gap)
    rows = -(-n // 4)
    assert whole.shape == (rows * 5 + (rows - 1) * gap, 4 * 6 + 3 * gap, 3)
    used = np.zeros(whole.shape[:2], bool)
    for i, picture in enumerate(pixels):
        top, left = i // 4 * (5 + gap), i % 4 * (6 + gap)
        assert np.array_equal(whole[top : top + 5, left : left + 6], picture)
        used[top : top + 5, left : left + 6] = True
    assert (whole[~used] == 128).all()


def test_enlarging_keeps_pixels_crisp_or_makes_them_smooth() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 1), dtype=np.uint8)
    crisp = images.enlarge(pixels, 30, pixelated=True)
    assert crisp.shape == (3, 32, 40, 1)
    assert np.array_equal(crisp[:, 1::4, 2::4], pixels)
    assert set(np.unique(crisp)) == set(np.unique(pixels))

    smooth = images.enlarge(np.asarray(scene())[None], 100, pixelated=False)
    assert smooth.shape == (1, 120, 180, 3)
    expected = scene().resize((180, 120), Image.Resampling.BICUBIC)
    assert apart(Image.fromarray(smooth[0]), expected) < 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_very_pixels(channels: int) -> None:
    pixels = frames(1, channels)[0]
    image = images.read(images.png(pixels))
    assert image.mode == ("L" if channels == 1 else "RGB")
    assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pingpong", [False, True])
@pytest.mark.parametrize("write", [images.gif, images.webp])
def test_an_animation_keeps_its_frames_and_their_time(
    write: Callable[..., bytes], channels: int, pingpong: bool
) -> None:
    pixels = frames(6, channels)
    film = Image.open(io.BytesIO(write(pixels, 40, pingpong=pingpong)))
    order = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1] if pingpong else [0, 1, 2, 3, 4, 5]
    assert sum(1 for _ in ImageSequence.Iterator(film)) == len(order)
    assert film.info["loop"] == 0
    for at, which in enumerate(order):
        film.seek(at)
        shown = np.asarray(film.convert("L" if channels == 1 else "RGB")).reshape(pixels[0].shape)
        assert film.info["duration"] == 40
        assert np.abs(shown.astype(float) - pixels[which]).mean() < 4


@pytest.mark.parametrize(("asked", "kept"), [(5, 20), (33, 30), (1000, 1000)])
def test_a_gif_keeps_time_that_browsers_play(asked: int, kept: int) -> None:
    film = Image.open(io.BytesIO(images.gif(frames(3, 3), asked, loop=False)))
    assert film.info["duration"] == kept
    assert "loop" not in film.info


def test_a_single_frame_is_an_animation_too() -> None:
    for write in (images.gif, images.webp):
        film = Image.open(io.BytesIO(write(frames(1, 3), 40, pingpong=True)))
        assert sum(1 for _ in ImageSequence.Iterator(film)) == 1
