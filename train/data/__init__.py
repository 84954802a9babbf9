"""Data sets by name. Each is a function that returns a Dataset; add one, its line in DATASETS, and
one in SPECS.

Pictures are uint8, decoded once; nothing is copied to float but the batch in hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from explorer.errors import DataError
from explorer.protocol import DataSpec

from .dataset import Dataset, Split
from .digits import (
    DIGITS_8X8_SPEC,
    FASHION_SPEC,
    MNIST_FIXED_SPEC,
    MNIST_SPEC,
    digits_8x8,
    fashion_mnist,
    mnist,
    mnist_fixed,
)
from .faces import faces, faces_spec
from .folder import folder, folder_spec
from .portraits import FREY_FACE_SPEC, OLIVETTI_SPEC, frey_face, olivetti
from .sprites import SPRITES_SPEC, sprites

__all__ = [
    "DATASETS",
    "SPECS",
    "Dataset",
    "Split",
    "load",
    "spec",
]

DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits-8x8": digits_8x8,
    "mnist": mnist,
    "mnist-fixed": mnist_fixed,
    "fashion-mnist": fashion_mnist,
    "sprites": sprites,
    "faces": faces,
    "frey-face": frey_face,
    "olivetti": olivetti,
    "folder": folder,
}

# what their pictures look like, known before any is fetched or read
SPECS: dict[str, Callable[..., DataSpec]] = {
    "digits-8x8": lambda: DIGITS_8X8_SPEC,
    "mnist": lambda: MNIST_SPEC,
    "mnist-fixed": lambda: MNIST_FIXED_SPEC,
    "fashion-mnist": lambda: FASHION_SPEC,
    "sprites": lambda: SPRITES_SPEC,
    "faces": faces_spec,
    "frey-face": lambda: FREY_FACE_SPEC,
    "olivetti": lambda: OLIVETTI_SPEC,
    "folder": folder_spec,
}


def load(name: str, settings: Mapping[str, Any]) -> Dataset:
    """The data set of that name with these settings, such as ``{"size": 64}`` for the faces.

    Raises DataError where there is none, or it does not take them, or its files are missing.
    """
    _check(name, settings)
    return DATASETS[name](**settings)


def spec(name: str, settings: Mapping[str, Any]) -> DataSpec:
    """What the pictures of that data set look like; a folder's classes are not known yet.

    Raises DataError as ``load`` does, but for files, which it does not touch.
    """
    _check(name, settings)
    return SPECS[name](**settings)


def _check(name: str, settings: Mapping[str, Any]) -> None:
    if name not in DATASETS:
        raise DataError(f"There is no data set {name!r}. There are: {', '.join(DATASETS)}.")
    signature = inspect.signature(DATASETS[name])
    try:
        signature.bind(**settings)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no settings"
        raise DataError(f"The data set {name}: {error}. It takes {takes}.") from error
