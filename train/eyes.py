"""Fits what finds eyes in photographs (`explorer/faces.py`) to the aligned faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from tqdm import tqdm

from explorer import faces
from explorer.align import LEFT, RIGHT
from explorer.faces import VIEWS, Eyes, Grey

from .data import load

EACH = 2  # wrong guesses for every picture
RIDGE = 30.0
BOXED = 600  # pictures in which the cascade looks, to learn where in its boxes the eyes are


def fit() -> dict[str, NDArray]:
    """The boxes' eyes and the regressions' weights, fitted to the training pictures and written to
    `faces.WEIGHTS`. Half a minute on one core."""
    x = load("faces", {"size": 128}).train.x.numpy()
    pictures = [luminance(one) for one in x]
    arrays: dict[str, NDArray] = {"box": _boxed(pictures[:BOXED])}
    chance = np.random.default_rng(0)
    truth = Eyes(LEFT, RIGHT)
    guesses = [wrong(truth, chance) for _ in range(EACH * len(pictures))]
    for k, at in enumerate(tqdm(VIEWS, "eyes", unit=" stages", disable=None)):
        seen = np.stack(
            [faces.described(pictures[i // EACH], guess, at) for i, guess in enumerate(guesses)]
        )
        wanted = np.stack([away(guess, truth) for guess in guesses])
        weights = _ridge(seen, wanted)
        arrays[f"stage/{k}"] = weights.astype(np.float16)
        steps = np.concatenate([seen, np.ones((len(seen), 1), np.float32)], 1) @ weights
        guesses = [faces.moved(g, s) for g, s in zip(guesses, steps, strict=True)]
    save_file(arrays, faces.WEIGHTS)
    return arrays


def luminance(picture: NDArray[np.uint8]) -> Grey:
    """``(H, W)`` of ``picture: (3, H, W)``, as Pillow weighs colours."""
    return np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))


def wrong(eyes: Eyes, chance: np.random.Generator) -> Eyes:
    """A guess that is off as a cascade's is: shifted, scaled and turned at random."""
    shift = 0.13 * eyes.apart * complex(*chance.standard_normal(2))
    turn = np.exp(chance.normal(0, 0.15) + 1j * np.radians(chance.uniform(-25, 25)))
    middle = (eyes.left + eyes.right) / 2
    return Eyes(*((e - middle) * turn + middle + shift for e in (eyes.left, eyes.right)))


def away(guess: Eyes, truth: Eyes) -> NDArray[np.float64]:
    """``(4,)``: the step that `faces.moved` would have to take from ``guess`` to ``truth``."""
    turn = guess.right - guess.left
    left, right = (truth.left - guess.left) / turn, (truth.right - guess.right) / turn
    return np.array([left.real, left.imag, right.real, right.imag])


def placed(picture: Grey, side: int = 256) -> tuple[Grey, Eyes]:
    """The picture in the middle of a larger one, its border mirrored, and where its eyes are."""
    edge = (side - len(picture)) // 2
    return np.pad(picture, edge, "symmetric"), Eyes(
        LEFT + edge * (1 + 1j), RIGHT + edge * (1 + 1j)
    )


def _boxed(pictures: list[Grey]) -> NDArray[np.float32]:
    """``(4,)``: where in a cascade's box the eyes usually are, x and y in sides of it."""
    shares = []
    for picture in pictures:
        large, eyes = placed(picture)
        for x, y, side, _ in faces._cascade().detectMultiScale(large, 1.1, 5, minSize=(64, 64)):
            both = [(e - x - 1j * y) / side for e in (eyes.left, eyes.right)]
            if all(0 < part < 1 for e in both for part in (e.real, e.imag)):
                shares.append([both[0].real, both[0].imag, both[1].real, both[1].imag])
    return np.median(shares, axis=0).astype(np.float32)


def _ridge(x: NDArray[np.float32], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(F + 1, 4)``: the last row is the constant, which is not held small."""
    mean, middle = x.mean(0), y.mean(0)
    about = (x - mean).astype(np.float64)
    gram = about.T @ about + RIDGE * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, about.T @ (y - middle))
    return np.vstack([weights, middle - mean @ weights])
