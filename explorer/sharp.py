"""A photograph changed as a model would change it, its own pixels kept.

A model redraws a face softly. The difference between what it draws before and after an edit is
soft, too, and may be: added to the photograph, it leaves pores and hair as they were (Larsen et
al. 2016 edit reconstructions; that a residual is put back is said on the page, for it flatters
the likeness).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def changed(photo: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """``photo: (H, W, C)`` plus what ``after`` has more than ``before``, both ``(h, w, C)``."""
    difference = after.astype(np.float32) - before
    size = (photo.shape[1], photo.shape[0])
    grown = np.stack(
        [
            np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BICUBIC))
            for channel in np.moveaxis(difference, -1, 0)
        ],
        -1,
    )
    return (photo + grown).round().clip(0, 255).astype(np.uint8)
