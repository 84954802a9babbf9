"""Two small sets of grey faces, with no licence to ship them: only from the folder given."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.errors import DataError
from explorer.protocol import DataSpec

from .dataset import Dataset, Split
from .places import given

FREY_FACE_SPEC = DataSpec("frey-face", 1, 28, 20)
OLIVETTI_SPEC = DataSpec("olivetti", 1, 64, 64, tuple(f"person {i + 1}" for i in range(40)))
TAKE = 15  # neighbouring frames of the film that stay together: half a second


def frey_face() -> Dataset:
    """1,965 frames of 28x20 from a film of one man's face; whole stretches of it are held out."""
    x = torch.from_numpy(_array("frey-face/frey_face.npz", "images"))[:, None]
    held = held_out(torch.arange(len(x)) // TAKE)
    return Dataset(
        FREY_FACE_SPEC,
        Split(x[~held]),
        Split(x[held]),
        licence="none published; free use in research by custom, not to be passed on",
        credit="B. Frey; S. Roweis, L. Saul, G. Hinton: Global coordination of local linear "
        "models, NIPS 2001",
    )


def olivetti() -> Dataset:
    """400 portraits of 64x64, ten each of 40 people; four people are held out."""
    name = "olivetti/olivetti_att_64x64.npz"
    x = torch.from_numpy(_array(name, "images"))[:, None]
    person = torch.from_numpy(_array(name, "person").astype(np.int64))
    held = held_out(person)
    return Dataset(
        OLIVETTI_SPEC,
        Split(x[~held], person[~held]),
        Split(x[held], person[held]),
        licence="free with credit to AT&T Laboratories Cambridge, not to be passed on",
        credit="AT&T Laboratories Cambridge; F. Samaria, A. Harter: Parameterisation of a "
        "stochastic model for human face identification, 1994",
    )


def held_out(group: Tensor, share: float = 0.1, seed: int = 0) -> Tensor:
    """``(N,)`` bool: whole groups of ``group: (N,)``, about ``share`` of them, always the same."""
    groups = group.unique()
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    return torch.isin(group, groups[order[: max(1, round(share * len(groups)))]])


def _array(name: str, key: str) -> np.ndarray:
    path = given(name)
    if path is None:
        raise DataError(
            f"{name} is not on this machine, and may not be shipped or fetched for you. Set "
            "LATENT_DATA to a folder that holds it."
        )
    return _read(path, key)


def _read(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[key]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({error}). Copy it again.") from error
