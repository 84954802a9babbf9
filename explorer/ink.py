"""White ink on black: finds what is drawn on a page and frames it as MNIST was framed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from explorer.spec import DataSpec

Page = NDArray[np.float32]

MIN_STROKE = 1.7  # pixels of 28: one in twenty of MNIST's digits is drawn thinner
FAINT = 0.02  # of full scale: what differs less from the page is not ink
OVERSAMPLED = 8  # ink is scaled, thickened and placed on a canvas this much finer


def _border(page: Page) -> tuple[Page, Page]:
    """``(n, 3)`` and ``(n,)``: places (1, y, x) in [-1, 1] along the border, and values there."""
    height, width = page.shape
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    rows = [(np.full(width, side), x, page[edge]) for side, edge in ((-1, 0), (1, -1))]
    columns = [(y, np.full(height, side), page[:, edge]) for side, edge in ((-1, 0), (1, -1))]
    ys, xs, values = (np.concatenate(part) for part in zip(*rows, *columns, strict=True))
    places = np.stack([np.ones_like(ys), ys, xs], 1).astype(np.float32)
    return places, values.astype(np.float32)


def above_page(image: Image.Image) -> Page:
    """``(h, w)`` in [-1, 1]: how much brighter than the empty page each pixel is.

    The page is a plane laid through the border, so that a shadow across the paper goes;
    by least absolute deviations, so that ink which touches the border counts for little.
    """
    page = np.asarray(image, np.float32) / np.float32(255)
    places, values = _border(page)
    plane = np.zeros(3, np.float32)
    weights = np.ones_like(values)
    for _ in range(12):
        plane = np.linalg.lstsq(places * weights[:, None], values * weights, rcond=None)[0]
        weights = np.maximum(np.abs(values - places @ plane), 1e-3) ** -0.5

    height, width = page.shape
    slope_y = np.linspace(-plane[1], plane[1], height, dtype=np.float32)[:, None]
    slope_x = np.linspace(-plane[2], plane[2], width, dtype=np.float32)[None, :]
    return page - (plane[0] + slope_y + slope_x)


def is_dark(image: Image.Image) -> bool:
    """Whether what is on the page is darker than it; a blank page counts by its own shade."""
    above = above_page(image)
    dark, light = -float(above.min()), float(above.max())
    if max(dark, light) < FAINT:
        return float(np.mean(np.asarray(image))) > 127.5
    return dark > light


def lifted(image: Image.Image) -> Page:
    """``(h, w)`` in [0, 1]: the light ink on a dark page, 0 where nothing is above its noise."""
    above = above_page(image)
    noise = 6 * 1.48 * float(np.median(np.abs(_border(above)[1])))

    # Less light falls on paper and ink alike: measured from white, a shadow divides out.
    room = 1 - (np.asarray(image, np.float32) / np.float32(255) - above)
    return np.where(above > max(noise, FAINT), (above / np.maximum(room, 0.05)).clip(0, 1), 0)


def centred(ink: Page, data: DataSpec) -> Image.Image:
    """Mode L, ``(H, W)``: the ink scaled and centred by its mass, as MNIST was made.

    MNIST's ink fits 20 of 28 pixels and balances on pixel 14, half a pixel past the middle;
    ours balances there to an eighth of a pixel, so that a small change stays a small change.
    The 8x8 digits fill their frame instead.
    """
    small = data.height < 16
    reach = (1.0 if small else 20 / 28) * min(data.height, data.width) * OVERSAMPLED
    middle = 0.0 if small else 0.5

    ink = np.where(ink > 0.1 * ink.max(), ink / ink.max(), 0)
    ink = ink[_span(ink.sum(1)), _span(ink.sum(0))]
    scale = reach / max(ink.shape)
    height, width = (max(1, round(scale * side)) for side in ink.shape)
    drawn = picture(ink).resize((width, height), Image.Resampling.LANCZOS)
    drawn = _thickened(_full_contrast(drawn), MIN_STROKE * OVERSAMPLED * data.height / 28)

    mass = np.asarray(drawn, np.float64)
    canvas = Image.new("L", (OVERSAMPLED * data.width, OVERSAMPLED * data.height))
    corner = []
    for axis, room in enumerate(canvas.size):
        weights = mass.sum(axis)
        balance = float(weights @ (np.arange(len(weights)) + 0.5) / weights.sum())
        start = round(room / 2 + middle * OVERSAMPLED - balance)
        corner.append(min(max(start, 0), room - len(weights)))
    canvas.paste(drawn, (corner[0], corner[1]))
    return canvas.reduce(OVERSAMPLED)


def _span(mass: Page) -> slice:
    """Where all but a thousandth of the mass lies at either end: a speck of dust is no ink."""
    cumulative = np.cumsum(mass, dtype=np.float64)
    first, last = np.searchsorted(cumulative, np.array([0.001, 0.999]) * cumulative[-1])
    return slice(int(first), int(last) + 1)


def _full_contrast(drawn: Image.Image) -> Image.Image:
    """Mode L, the brightest quarter of the ink made white."""
    values = np.asarray(drawn, np.float32)
    return picture(values / np.quantile(values[values > values.max() / 2], 0.75))


def _thickened(drawn: Image.Image, wanted: float) -> Image.Image:
    """Mode L: strokes at least about ``wanted`` pixels wide, so that a pen's do not fade away."""
    inside = np.pad(np.asarray(drawn) > 127, 1)
    edges = int(np.diff(inside, axis=0).sum()) + int(np.diff(inside, axis=1).sum())
    # A stroke of length l at a random angle has 8 l / pi pixel edges along its two sides.
    stroke = 8 / math.pi * float(inside.sum()) / max(edges, 1)
    missing = round((wanted - stroke) / 2)
    return drawn.filter(ImageFilter.MaxFilter(2 * missing + 1)) if missing > 0 else drawn


def picture(values: Page) -> Image.Image:
    """Mode L, of ``values: (h, w)`` in [0, 1]."""
    return Image.fromarray((values * 255).round().clip(0, 255).astype(np.uint8))
