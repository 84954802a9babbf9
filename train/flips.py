"""Whether an attribute's direction does what it says, and to whom: judged by others.

The direction was fitted to latents and labels. Here held-out faces that lack the attribute are
redrawn with it; a classifier of another making says whether it is there now (`judges`, witness),
and a network that was told no attribute how much of the person is left (likeness).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.atlas import Atlas
from explorer.attributes import Attribute, described
from explorer.cards import Metric
from explorer.inference import picture
from explorer.protocol import LatentModel

from .data import Dataset, Split
from .directions import sides
from .judges import READ, Judge, in_chunks, judge

STRENGTHS = (0.5, 1.0, 1.5, 2.0)
Reading = NDArray[np.float64]


def flips(model: LatentModel, known: Atlas, data: Dataset) -> list[Metric]:
    """Flip rate, likeness and the control of every attribute, at every strength."""
    witness, likeness = (judge(name, data.train) for name in ("witness", "likeness"))
    values = {name: value.numpy() for name, value in data.held.attributes.items()}
    thresholds = _thresholds(witness, data.train, known)
    found = []
    for a in described(values):
        if a.name in known.directions and a.name in READ:
            lacks, _ = sides(a, values)
            few = np.flatnonzero(lacks)[:400]
            x = data.held.x[few].float() / 255
            edit = _Edit(model, known, a, x, torch.from_numpy(known.latents[few]))
            found += edit.told(witness, likeness, thresholds[a.name])
    return found


def _thresholds(witness: Judge, train: Split, known: Atlas) -> dict[str, float]:
    """Half way between what the witness reads, on pictures that it was not trained on, where an
    attribute is clearly absent and where it is clearly there."""
    x = train.x[1::2].float() / 255
    seen = {name: value[1::2].numpy() for name, value in train.attributes.items()}
    read = in_chunks(witness, x).double().numpy()
    found = {}
    for a in described({name: seen[name] for name in known.directions if name in READ}):
        lacks, has = sides(a, seen)
        column = read[:, READ.index(a.name)]
        found[a.name] = float(column[lacks].mean() + column[has].mean()) / 2
    return found


class _Edit:
    """Faces that lack an attribute, ``x: (n, C, H, W)`` and ``z: (n, D)``."""

    def __init__(
        self, model: LatentModel, known: Atlas, a: Attribute, x: Tensor, z: Tensor
    ) -> None:
        self.model, self.a, self.x, self.z = model, a, x, z
        self.move = torch.from_numpy(known.directions[a.name].move)
        spread = torch.from_numpy(known.spread)
        noise = spread * torch.randn(len(spread), generator=torch.Generator().manual_seed(0))
        # as long, in units of spread, as the move itself
        self.random = noise * (self.move / spread).norm() / (noise / spread).norm()

    def pictures(self, step: Tensor) -> Tensor:
        return in_chunks(lambda part: picture(self.model.decode(part)), self.z + step)

    def told(self, witness: Judge, likeness: Judge, threshold: float) -> list[Metric]:
        column, n, found = READ.index(self.a.name), len(self.x), []
        plain = self.pictures(torch.zeros_like(self.move))
        themselves = in_chunks(likeness, self.x)
        before = _alike(in_chunks(likeness, plain), themselves)
        for strength in STRENGTHS:
            for name, way in (("", self.move), ("_random", self.random)):
                made = self.pictures(strength * way)
                share = float((in_chunks(witness, made)[:, column] > threshold).float().mean())
                kept = _alike(in_chunks(likeness, made), themselves) / before
                protocol = (
                    f"faces, held-out without it, strength {strength:g}"
                    f"{', a random direction as long' if name else ''}; networks trained here"
                )
                where = f"{self.a.name}/{strength:g}"
                error = math.sqrt(max(share * (1 - share), 1 / n) / n)
                found += [
                    Metric(f"flip{name}/{where}", share, "share", protocol, n, error),
                    Metric(f"likeness{name}/{where}", kept, "of plain", protocol, n),
                ]
        return found


def _alike(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b).mean())


def side_effects(
    model: LatentModel, known: Atlas, data: Dataset, strength: float = 1.0
) -> tuple[list[str], Reading]:
    """Names, and ``(A, A)``: how far, in spreads of the witness's own reading, each attribute's
    direction (row) moves the reading of each (column)."""
    witness = judge("witness", data.train)
    names = [a.name for a in described(_listed(known)) if a.name in READ]
    columns = [READ.index(name) for name in names]
    z = torch.from_numpy(known.latents[:300])

    def read(step: Tensor) -> Tensor:
        made = in_chunks(lambda part: picture(model.decode(part)), z + step)
        return in_chunks(witness, made)[:, columns]

    before = read(torch.zeros(z.shape[1]))
    moves = (torch.from_numpy(known.directions[name].move) for name in names)
    rows = [((read(strength * move) - before).mean(0) / before.std(0)).numpy() for move in moves]
    return names, np.stack(rows).astype(np.float64)


def _listed(known: Atlas) -> Mapping[str, NDArray[np.float32]]:
    return {name: known.attributes[name] for name in known.directions if name in known.attributes}
