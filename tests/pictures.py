"""Generated pictures, and the kinds of data that models know, for the tests of pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from explorer.protocol import DataSpec

DIGITS = DataSpec("mnist", 1, 28, 28, tuple("0123456789"))
EIGHT = DataSpec("digits-8x8", 1, 8, 8, tuple("0123456789"))
FASHION = DataSpec("fashion-mnist", 1, 28, 28, ("T-shirt/top", "Trouser"))
FREY = DataSpec("frey-face", 1, 28, 20)
FACES = DataSpec("faces", 3, 64, 64)


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
