"""Whether an attribute's direction does what it says, and to whom: judged by others.

The direction was fitted to latents and labels. Here held-out faces that lack the attribute are
redrawn with it; a classifier of another making says whether it is there now (`judges`, witness),
and a network that was told no attribute how much of the person is left (likeness). Both learned
from the photographs of 128 pixels, whatever the model's size, so that models can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity

from explorer.atlas import Atlas
from explorer.attributes import described
from explorer.cards import Metric
from explorer.inference import picture
from explorer.protocol import LatentModel

from .data import Dataset, Split
from .directions import sides
from .judges import READ, Judge, in_chunks, judge

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
MOST = 400  # faces that an attribute is tried on
Reading = NDArray[np.float64]
Flags = NDArray[np.bool_]
Drawn = Callable[[Tensor], Tensor]


def flips(model: LatentModel, known: Atlas, real: Dataset) -> list[Metric]:
    """Of every attribute: how often the witness itself is right, then at every strength how many
    faces it finds changed and how alike they stay, beside a random direction as long.

    ``real`` are the faces at the judges' size, held out in the order of the atlas.
    """
    witness, likeness = (judge(name, real.train) for name in ("witness", "likeness"))
    thresholds = _thresholds(witness, real.train, known)
    values = {name: value.numpy() for name, value in real.held.attributes.items()}
    z = torch.from_numpy(known.latents)

    def drawn(z: Tensor) -> Tensor:
        return in_chunks(lambda part: picture(model.decode(part)), z)

    seen = {"": _read(witness, real.held.x), "_redrawn": _read(witness, drawn(z))}
    found = []
    for a in described({name: values[name] for name in thresholds}):
        lacks, has = sides(a, values)
        column, bar = READ.index(a.name), thresholds[a.name]
        for name, read in seen.items():
            there = read[:, column] > bar
            found.append(_right(f"witness{name}/{a.name}", there[has], ~there[lacks]))
        few = np.flatnonzero(lacks)[:MOST]
        tried = _Tried(drawn, z[few], real.held.x[few], likeness)
        move = torch.from_numpy(known.directions[a.name].move)
        ways = {"": move, "_random": _random(move, torch.from_numpy(known.spread))}

        def witnessed(made: Tensor, column: int = column, bar: float = bar) -> Flags:
            return _read(witness, made)[:, column] > bar

        for strength in STRENGTHS:
            for name, way in ways.items() if strength else [("", move)]:
                where = f"{name}/{a.name}/{strength:g}"
                both = tried.moved(where, strength * way, witnessed)
                found += both if strength else both[:1]
    return found


def _read(witness: Judge, x: Tensor) -> Reading:
    """``(N, len(READ) + 1)`` of ``x: (N, C, H, W)``, uint8 or in [0, 1]."""
    return (
        in_chunks(lambda p: witness(p if p.is_floating_point() else p / 255), x).double().numpy()
    )


def _thresholds(witness: Judge, train: Split, known: Atlas) -> dict[str, float]:
    """Half way between what the witness reads, on pictures that it was not trained on, where an
    attribute is clearly absent and where it is clearly there."""
    read = _read(witness, train.x[1::2])
    values = {name: value[1::2].numpy() for name, value in train.attributes.items()}
    found = {}
    for a in described({name: values[name] for name in known.directions if name in READ}):
        lacks, has = sides(a, values)
        column = read[:, READ.index(a.name)]
        found[a.name] = float(column[lacks].mean() + column[has].mean()) / 2
    return found


def _right(name: str, with_it: Flags, without: Flags) -> Metric:
    """How often the witness is right about either side, both counting alike."""
    shares = [(float(side.mean()), len(side)) for side in (with_it, without)]
    error = math.sqrt(sum(share * (1 - share) / n for share, n in shares)) / 2
    what = "redrawn by the model" if "redrawn" in name else "photographs"
    said = f"faces, held-out, {what}: the witness tells with from without, both counting alike"
    right = sum(share for share, _ in shares) / 2
    return Metric(name, right, "share", said, sum(n for _, n in shares), error)


def _random(move: Tensor, spread: Tensor) -> Tensor:
    """``(D,)``: as long, in units of ``spread``, as ``move`` itself."""
    noise = spread * torch.randn(len(spread), generator=torch.Generator().manual_seed(0))
    return noise * (move / spread).norm() / (noise / spread).norm()


class _Tried:
    """Faces that lack an attribute: latents ``z: (n, D)``, photographs ``x: (n, C, H, W)``."""

    def __init__(self, drawn: Drawn, z: Tensor, x: Tensor, likeness: Judge) -> None:
        self.drawn, self.z, self.likeness = drawn, z, likeness
        self.themselves = in_chunks(lambda part: likeness(part / 255), x)
        self.plain = self._cosine(drawn(z))

    def moved(self, way: str, step: Tensor, witnessed: Callable[[Tensor], Flags]) -> list[Metric]:
        """The share that ``witnessed`` finds changed a ``step`` further, and how like their
        photographs these are, relative to the plain ones. ``way`` names attribute and strength."""
        made, n = self.drawn(self.z + step), len(self.z)
        said = f"faces, held-out without it, strength {way.rsplit('/', 1)[1]}"
        said += ", a random direction as long" if way.startswith("_random") else ""
        share = float(witnessed(made).mean())
        wide = math.sqrt(max(share * (1 - share), 1 / n) / n)
        alike = self._cosine(made)
        ratio = float(alike.mean() / self.plain.mean())
        # of a ratio of two means, to first order
        off = float((alike - ratio * self.plain).std() / self.plain.mean()) / math.sqrt(n)
        told = f"{said}; networks trained here"
        return [
            Metric(f"flip{way}", share, "share", told, n, wide),
            Metric(f"likeness{way}", ratio, "of plain", told, n, off),
        ]

    def _cosine(self, made: Tensor) -> Tensor:
        return cosine_similarity(in_chunks(self.likeness, made), self.themselves)


def side_effects(
    model: LatentModel, known: Atlas, real: Dataset, strength: float = 1.0, n: int = 300
) -> tuple[list[str], Reading]:
    """Names, and ``(A, A)``: how far, in spreads of the witness's own reading, each attribute's
    direction (row) moves the reading of each (column) in the first ``n`` held-out faces."""
    witness = judge("witness", real.train)
    listed = {name: known.attributes[name] for name in known.directions if name in READ}
    names = [a.name for a in described(listed)]
    columns = [READ.index(name) for name in names]
    z = torch.from_numpy(known.latents[:n])

    def read(z: Tensor) -> Reading:
        made = in_chunks(lambda part: picture(model.decode(part)), z)
        return _read(witness, made)[:, columns]

    before = read(z)
    moves = (torch.from_numpy(strength * known.directions[name].move) for name in names)
    return names, np.stack([(read(z + move) - before).mean(0) / before.std(0) for move in moves])
