"""Uploads: a corpus of awkward files made here, and what must be true of each."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from pictures import FACES, apart, drawn, encoded, scene
from PIL import Image

from explorer import images
from explorer.errors import ImageError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # damaged TIFFs

TURNS = {  # EXIF orientation: how an upright picture is stored under it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


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
    assert np.allclose(x, np.reshape([1.0, 0.0, 0.2], (1, 3, 1, 1)))


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
