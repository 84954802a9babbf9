"""Data sets by name. Each is a function that returns a Dataset; add one and its line in DATASETS.

Pictures are one uint8 tensor, decoded once; nothing is copied to float but the batch in hand.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.errors import DataError
from explorer.protocol import DataSpec

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt", "Trousers", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Pictures and what is known of them.

    Attributes:
        x: ``(N, C, H, W)`` uint8.
        y: ``(N,)`` int64 class numbers, or None.
        attributes: ``(N,)`` float32 by name; NaN where unknown.
    """

    x: Tensor
    y: Tensor | None = None
    attributes: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A training part, a held-out part that is never trained on, and where both come from."""

    spec: DataSpec
    train: Split
    held: Split
    licence: str
    credit: str


def root() -> Path | None:
    """The folder named by ``$LATENT_DATA``, if any."""
    named = os.environ.get("LATENT_DATA")
    return Path(named) if named else None


def digits_8x8() -> Dataset:
    """1,797 digits of 8x8 pixels that scikit-learn brings; read without importing it."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DataError("scikit-learn is not installed; run pip install -r requirements.txt.")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    order = np.random.default_rng(0).permutation(len(table))
    x = torch.from_numpy((table[order, :64].astype(np.float32) * (255 / 16)).round().astype(np.uint8))
    x, y = x.reshape(-1, 1, 8, 8), torch.from_numpy(table[order, 64].astype(np.int64))
    return Dataset(
        DataSpec("digits-8x8", 1, 8, 8, DIGITS),
        Split(x[:1500], y[:1500]),
        Split(x[1500:], y[1500:]),
        licence="BSD-3-Clause (with scikit-learn); UCI, CC BY 4.0",
        credit="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI 1998",
    )


def _idx(folder: Path, part: str) -> Split:
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    y = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    return Split(torch.from_numpy(x.copy()), torch.from_numpy(y))


def mnist() -> Dataset:
    """MNIST: 60,000 and 10,000 digits of 28x28."""
    folder = root() / "mnist"
    return Dataset(
        DataSpec("mnist", 1, 28, 28, DIGITS),
        _idx(folder, "train"),
        _idx(folder, "t10k"),
        licence="CC BY-SA 3.0",
        credit="Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits",
    )


def fashion_mnist() -> Dataset:
    """Fashion-MNIST: 60,000 and 10,000 garments of 28x28."""
    folder = root() / "fashion-mnist"
    return Dataset(
        DataSpec("fashion-mnist", 1, 28, 28, GARMENTS),
        _idx(folder, "train"),
        _idx(folder, "t10k"),
        licence="MIT, Copyright (c) 2017 Zalando SE",
        credit="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, arXiv:1708.07747",
    )


def faces(size: int = 64) -> Dataset:
    """12,000 aligned FairFace adults, ``size`` pixels square, with measured attributes."""
    from PIL import Image

    folder = root() / "faces"
    with open(folder / "fairface-adults-12k.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    x = np.empty((len(rows), 3, size, size), np.uint8)
    with zipfile.ZipFile(folder / "fairface-adults-12k-128x128.zip") as zipped:
        for i, row in enumerate(rows):
            image = Image.open(io.BytesIO(zipped.read(row["file"]))).convert("RGB")
            if image.size != (size, size):
                image = image.resize((size, size), Image.Resampling.LANCZOS)
            x[i] = np.asarray(image).transpose(2, 0, 1)
    known = torch.from_numpy(x)
    held = torch.tensor([row["partition"] == "val" for row in rows])
    return Dataset(
        DataSpec("faces", 3, size, size),
        Split(known[~held]),
        Split(known[held]),
        licence="CC BY 4.0",
        credit="K. Karkkainen, J. Joo: FairFace, arXiv:1908.04913 (selected, aligned, shrunk)",
    )


DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits-8x8": digits_8x8,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "faces": faces,
}
