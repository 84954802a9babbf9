"""Data sets of small grey pictures in ten classes: digits of two sizes, and garments."""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.errors import DataError
from explorer.protocol import DataSpec

from .dataset import Dataset, Split
from .places import fetched

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt", "Trousers", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

DIGITS_8X8_SPEC = DataSpec("digits-8x8", 1, 8, 8, DIGITS)
MNIST_SPEC = DataSpec("mnist", 1, 28, 28, DIGITS)
MNIST_FIXED_SPEC = DataSpec("mnist-fixed", 1, 28, 28, DIGITS)
FASHION_SPEC = DataSpec("fashion-mnist", 1, 28, 28, GARMENTS)

# the public files and their SHA-256
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST = {
    "train-images-idx3-ubyte.gz":
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz":
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz":
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz":
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}  # fmt: skip
FASHION_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
FASHION = {
    "train-images-idx3-ubyte.gz":
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz":
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz":
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz":
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}  # fmt: skip


def digits_8x8() -> Dataset:
    """1,797 digits of 8x8 pixels that scikit-learn brings; read without importing it."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DataError("scikit-learn is not installed; run pip install -r requirements.txt.")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)

    # its grey values are 0 to 16, and its writers come one after the other
    order = np.random.default_rng(0).permutation(len(table))
    grey = (table[order, :64].astype(np.float32) * (255 / 16)).round().astype(np.uint8)
    x, y = torch.from_numpy(grey).reshape(-1, 1, 8, 8), _classes(table[order, 64])
    return Dataset(
        DIGITS_8X8_SPEC,
        Split(x[:1500], y[:1500]),
        Split(x[1500:], y[1500:]),
        licence="CC BY 4.0 (UCI); comes with scikit-learn, BSD-3-Clause",
        credit="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI 1998",
    )


def mnist() -> Dataset:
    """MNIST: 60,000 and 10,000 digits of 28x28."""
    return Dataset(
        MNIST_SPEC,
        _split("mnist", "train", MNIST_URL, MNIST),
        _split("mnist", "t10k", MNIST_URL, MNIST),
        licence="CC BY-SA 3.0",
        credit="Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits",
    )


def mnist_fixed() -> Dataset:
    """MNIST in black and white: grey was the chance of white, drawn once, by our own seed.

    It is not the sample of Larochelle & Murray 2011 that papers call fixed, whose files are gone
    from its page: nats of the two compare on average, not to the digit.
    """
    grey = mnist()
    parts = (inked(split, seed) for seed, split in enumerate((grey.train, grey.held)))
    return Dataset(MNIST_FIXED_SPEC, *parts, licence=grey.licence, credit=grey.credit)


def inked(split: Split, seed: int) -> Split:
    """Every pixel 0 or 255, its grey value the chance of white."""
    chance = torch.Generator().manual_seed(seed)
    white = [
        torch.randint(1, 256, part.shape, generator=chance, dtype=torch.int16) <= part
        for part in split.x.split(4096)
    ]
    return Split(torch.cat(white).to(torch.uint8) * 255, split.y)


def fashion_mnist() -> Dataset:
    """Fashion-MNIST: 60,000 and 10,000 garments of 28x28."""
    return Dataset(
        FASHION_SPEC,
        _split("fashion-mnist", "train", FASHION_URL, FASHION),
        _split("fashion-mnist", "t10k", FASHION_URL, FASHION),
        licence="MIT, Copyright (c) 2017 Zalando SE",
        credit="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, arXiv:1708.07747",
    )


def _split(name: str, part: str, url: str, hashes: dict[str, str]) -> Split:
    files = [f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"]
    images, labels = (idx(fetched(f"{name}/{f}", url + f, hashes[f])) for f in files)
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataError(f"{name}: the files of {part} do not belong together. Copy them again.")
    return Split(torch.from_numpy(images)[:, None], _classes(labels))


def idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped idx file, of the shape its header tells."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}). Delete or replace it.") from error
    ranks = raw[3] if raw[:3] == b"\0\0\x08" and len(raw) > 3 else 0
    shape = np.frombuffer(raw[4 : 4 + 4 * ranks], ">i4")
    values = np.frombuffer(raw, np.uint8)[4 + 4 * ranks :]
    if ranks == 0 or len(shape) < ranks or len(values) != shape.prod(dtype=np.int64):
        raise DataError(f"{path} is not an idx file of bytes. Delete or replace it.")
    return values.reshape(shape).copy()


def _classes(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))
