"""Pictures to measure with: one's own, else what the shipped models draw of three kinds."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import images
from ..cards import CARD
from ..errors import BundleError
from ..shelf import PRETRAINED, Shelf
from ..spec import DataSpec

SHOWN = {"digits": "handwritten digits", "fashion": "garments", "faces": "faces"}  # bundle -> what
PICTURES = 48
MOST = 1000  # of one's own; 24 are measured, all make the map


def given(files: Sequence[bytes]) -> Tensor:
    """``(n, 3, S, S)`` in [0, 1] of the first MOST picture files, cut square to the smallest.

    Raises ExplorerError where one of them is no picture.
    """
    read = [images.read(raw) for raw in files[:MOST]]
    side = min(min(image.size) for image in read)
    data = DataSpec("own", 3, side, side)
    return torch.from_numpy(np.concatenate([images.prepare(image, data) for image in read]))


@functools.cache
def shipped() -> dict[str, Tensor]:
    """``(n, C, H, W)`` in [0, 1] of each kind; a bundle that is not there is left out."""
    shelf, found = Shelf(), {}
    for name, what in SHOWN.items():
        if not (PRETRAINED / name / CARD).exists():
            continue
        try:
            opened = shelf.open(PRETRAINED / name)
            if opened.atlas is None:
                continue
            known = opened.atlas.latents
            z = known[:: max(len(known) // PICTURES, 1)][:PICTURES]
            drawn = opened.decoder(np.ascontiguousarray(z, np.float32), seed=0)
        except BundleError:
            continue
        found[what] = torch.from_numpy(np.moveaxis(drawn, -1, 1) / np.float32(255))
    return found
