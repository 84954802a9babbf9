"""What faces made by a model look like, beside real ones that it never saw.

Everything is measured at 128 pixels with networks that were trained here (`judges`), so that no
number can be compared with one published elsewhere, and every one with the other models' here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from explorer.atlas import Atlas
from explorer.cards import Metric
from explorer.distributions import centre
from explorer.inference import picture, prior_draws
from explorer.protocol import LatentModel

from .data import Dataset, Split
from .judges import SIZE, Judge, in_chunks, judge, resized
from .resemblance import (
    Features,
    frechet,
    kernel,
    perceptual,
    precision_recall,
    sharpness,
    ssim,
)

JUDGED = "features of a classifier of attributes trained here, not Inception"


def appearance(
    model: LatentModel, known: Atlas | None, data: Dataset, real: Dataset
) -> list[Metric]:
    """Distances of drawn pictures from held-out ones, and of held-out ones from reconstructions.

    Drawn are as many as are held out, from the prior and, where there is an atlas, its mixture.
    ``data`` are of the model's size, ``real`` the same pictures of SIZE.
    """
    look = judge("features", real.train)
    truth = photographs(real.held)
    n, features = len(truth), embedded(look, truth)
    some = photographs(Split(real.train.x[: len(truth)]))
    found = [*_between("training pictures", look, some, features, sharpness(truth))]
    for name, z in latents(model, known, n):
        found += _between(name, look, drawn(model, z), features, sharpness(truth))
    return found + _again(model, look, data.held, truth)


def photographs(split: Split) -> Tensor:
    """``(N, 3, SIZE, SIZE)`` in [0, 1]."""
    return resized(split.x.float() / 255, SIZE)


def latents(model: LatentModel, known: Atlas | None, n: int) -> Iterator[tuple[str, Tensor]]:
    """Where the pictures are drawn from, and ``(n, D)``: seed 0, none selected."""
    yield "prior", torch.from_numpy(prior_draws(model, 0, n))
    if known is not None:
        yield "mixture", torch.from_numpy(known.draws(0, n)).float()


def drawn(model: LatentModel, z: Tensor) -> Tensor:
    """``(n, 3, SIZE, SIZE)``: pictures of ``z: (n, D)``, rounded to 256 levels as files are."""
    x = in_chunks(lambda part: picture(model.decode(part)), z)
    return resized((x * 255).round() / 255, SIZE)


def embedded(look: Judge, x: Tensor) -> Features:
    return in_chunks(look.embed, x).double().numpy()


def _between(
    name: str, look: Judge, x: Tensor, features: Features, sharp: Tensor
) -> Iterator[Metric]:
    theirs, n = embedded(look, x), len(x)
    protocol = f"faces, {name} against held-out, {n:,} each, at {SIZE} pixels; {JUDGED}"
    place = name.replace(" ", "_").removesuffix("_pictures")
    yield Metric(f"frechet/{place}", frechet(theirs, features), "", protocol, n)
    distance, error = kernel(theirs, features)
    yield Metric(f"kernel/{place}", distance, "", protocol, n, error)
    precision, recall = precision_recall(features, theirs)
    yield Metric(f"precision/{place}", precision, "share", f"{protocol}, 3 neighbours", n)
    yield Metric(f"recall/{place}", recall, "share", f"{protocol}, 3 neighbours", n)
    ratio = float(sharpness(x).mean() / sharp.mean())
    said = f"faces, {name}, variance of the Laplacian at {SIZE} pixels over held-out pictures'"
    yield Metric(f"sharpness/{place}", ratio, "of real", said, n)


def _again(model: LatentModel, look: Judge, held: Split, truth: Tensor) -> list[Metric]:
    """Reconstructions from the posterior's centre, picture by picture."""
    parts: list[Tensor] = []
    for x, real in zip(held.x.split(50), truth.split(50), strict=True):
        with torch.no_grad():
            again = picture(model.decode(centre(model.encode(x.float() / 255))))
            again = resized(again, SIZE)
            apart = perceptual(look.maps(again), look.maps(real))
            share = sharpness(again) / sharpness(real)
            parts.append(torch.stack([ssim(again, real), apart, share]))
    protocol = f"faces, held-out, reconstruction from the posterior centre, at {SIZE} pixels"
    rows = torch.cat(parts, 1).double().numpy()
    names = ("ssim", "perceptual", "sharpness/reconstruction")
    said = (protocol, f"{protocol}; {JUDGED}", f"{protocol}, variance of the Laplacian over real")
    return [
        Metric(name, float(row.mean()), "", words, len(row), float(row.std() / np.sqrt(len(row))))
        for name, row, words in zip(names, rows, said, strict=True)
    ]
