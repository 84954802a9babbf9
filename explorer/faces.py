"""Where the faces in a photograph are, and the centres of their eyes.

Haar cascades (Viola & Jones 2001), which come with OpenCV, say roughly where; a cascade of linear
regressions on gradient histograms says where the eyes are (supervised descent: Xiong & De la Torre
2013), fitted to this program's own faces by ``python -m train eyes``. Numbers of few pictures, no
network; nothing but numpy and OpenCV.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).with_suffix(".safetensors")
LONGEST = 640  # pixels on the longer side in which faces are looked for
SMALLEST = 0.06  # of the shorter side: a face that is smaller is somebody in the background
TURNS = (0, -25, 25)  # degrees by which a photograph is turned until a face is found in it
WINDOW = 64  # pixels on a side of what the regressions see
WIDE, NEAR = (20.0 + 24.0j, 44.0 + 24.0j), (13.0 + 30.0j, 51.0 + 30.0j)  # the eyes in it, if right
VIEWS = (WIDE, WIDE, WIDE, NEAR, NEAR)  # what each regression sees, of the whole face or the eyes

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Eyes:
    """The centres of the two eyes in a picture, as x + iy, pixel edges at whole numbers; ``left``
    is the one on the picture's left."""

    left: complex
    right: complex

    @property
    def apart(self) -> float:
        """Their distance in pixels."""
        return abs(self.right - self.left)


def found(image: Image.Image) -> list[Eyes]:
    """The eyes of every face in the picture, the largest face first; none where none is found."""
    import cv2

    grey = np.asarray(image.convert("L"))
    scale = min(1.0, LONGEST / max(grey.shape))
    size = tuple(max(1, round(side * scale)) for side in image.size)
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    for turn in TURNS:
        boxes = sorted(_boxes(small, turn), key=lambda eyes: -eyes.apart)
        if boxes:
            rough = [Eyes(e.left / scale, e.right / scale) for e in boxes]
            return [refined(grey, eyes) for eyes in rough]
    return []


def _boxes(grey: Grey, turn: float) -> Iterator[Eyes]:
    """Roughly the eyes of what looks like a face once the picture is turned by so many degrees."""
    import cv2

    height, width = grey.shape
    middle = width / 2 + 1j * height / 2
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.0)
    turned = cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    least = max(24, round(SMALLEST * min(height, width)))
    hits = _cascade().detectMultiScale(turned, 1.1, 5, minSize=(least, least))
    back = complex(math.cos(math.radians(turn)), math.sin(math.radians(turn)))
    for x, y, side, _ in np.asarray(hits, float).reshape(-1, 4):
        eyes = ((x + 1j * y + side * share - middle) * back + middle for share in _fitted()[0])
        yield Eyes(*eyes)


def refined(grey: Grey, eyes: Eyes) -> Eyes:
    """The eyes in ``grey: (H, W)``, from a guess that is off by up to a quarter of their distance
    or so."""
    for stage, at in zip(_fitted()[1], VIEWS, strict=True):
        eyes = moved(eyes, np.append(described(grey, eyes, at), 1) @ stage)
    return eyes


def moved(eyes: Eyes, step: NDArray[np.floating]) -> Eyes:
    """The eyes, shifted by ``step: (4,)``, x and y of either in units of their distance, along
    the line through both."""
    turn = eyes.right - eyes.left
    left, right = complex(step[0], step[1]) * turn, complex(step[2], step[3]) * turn
    return Eyes(eyes.left + left, eyes.right + right)


def described(grey: Grey, eyes: Eyes, at: tuple[complex, complex]) -> NDArray[np.float32]:
    """``(F,)``: histograms of gradients in the window that ``eyes`` would put at ``at``."""
    return np.asarray(_histograms().compute(window(grey, eyes, at)), np.float32).ravel()


def window(grey: Grey, eyes: Eyes, at: tuple[complex, complex]) -> Grey:
    """``(WINDOW, WINDOW)``: the picture turned, scaled and shifted so that eyes come to ``at``."""
    import cv2

    turn = (eyes.right - eyes.left) / (at[1] - at[0])
    shift = eyes.left - turn * at[0] - 0.5 + 0.5 * turn  # OpenCV's pixels have their centres
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    coarse = abs(turn)
    if coarse > 2:  # several pixels for one: their mean, or it would shimmer
        return window(*_halved(grey, eyes), at)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (WINDOW, WINDOW)
    return cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)  # pyright: ignore


def _halved(grey: Grey, eyes: Eyes) -> tuple[Grey, Eyes]:
    import cv2

    half = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return half, Eyes(eyes.left / 2, eyes.right / 2)  # pyright: ignore[reportReturnType]


@functools.cache
def _cascade():  # noqa: ANN202
    import cv2

    place = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
    return cv2.CascadeClassifier(str(place))


@functools.cache
def _histograms():  # noqa: ANN202
    import cv2

    return cv2.HOGDescriptor((WINDOW, WINDOW), (16, 16), (8, 8), (8, 8), 9)


@functools.cache
def _fitted() -> tuple[tuple[complex, complex], list[NDArray[np.float32]]]:
    """Where the eyes are in a box of the cascade, in sides, and ``(F + 1, 4)`` of every stage."""
    arrays = load_file(WEIGHTS)
    first = arrays["box"].astype(float)
    names = (f"stage/{k}" for k in itertools.count())
    stages = [
        arrays[name].astype(np.float32) for name in itertools.takewhile(arrays.__contains__, names)
    ]
    return (complex(*first[:2]), complex(*first[2:])), stages
