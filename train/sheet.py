"""A contact sheet of what a bundle draws, none selected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from explorer import atlas, bundle, images
from explorer.cards import ATLAS, replace_whole
from explorer.inference import picture, prior_draws

COLUMNS = 10
ROWS, FROM_PRIOR = 2, 2  # rows drawn from the atlas's mixture, and from p(z)


@torch.no_grad()
def sheet(folder: Path, target: Path) -> None:
    """Writes ``target``, a JPEG: ROWS of draws from the density of known latents where there is an
    atlas, then FROM_PRIOR rows from the prior, both with seed 0."""
    model, card = bundle.load(folder)
    known = atlas.load(folder, card.files.get(ATLAS))
    z = [prior_draws(model, 0, FROM_PRIOR * COLUMNS)]
    if known is not None:
        z.insert(0, known.draws(0, ROWS * COLUMNS))
    pixels = images.to_pixels(picture(model.decode(torch.from_numpy(np.concatenate(z)))))
    replace_whole(target, images.jpeg(images.sheet(pixels, COLUMNS, gap=2)))
