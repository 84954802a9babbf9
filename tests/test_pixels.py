"""From pixels to what a person sees or takes home: sheets, PNG, GIF and WebP."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pictures import apart, scene
from PIL import Image, ImageSequence

from explorer import images


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
    wild = torch.tensor([-1.0, 2.0, float("nan"), 0.5]).view(1, 2, 2)
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
