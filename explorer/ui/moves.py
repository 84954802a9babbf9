"""What can be changed in a picture: learned, between classes, from groups or examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from explorer import ops
from explorer.atlas import Atlas
from explorer.attributes import described
from explorer.ops import Array


@dataclass(frozen=True, eq=False)
class Move:
    """A change with a name.

    Attributes:
        direction: ``(D,)``; added once, it is a change of 1.
        reading: ``(D,)``; how much of it a latent has is its product with this.
        source: how it is known, in words.
        low, high: how far a dial goes.
    """

    label: str
    direction: Array
    reading: Array
    source: str
    low: float = -3.0
    high: float = 3.0


def learned(known: Atlas) -> list[Move]:
    """The attributes that the atlas has directions for, in their own order; 1 flips half."""
    values = {name: known.attributes.get(name, np.empty(0)) for name in known.directions}
    moves = []
    for attribute in described(values):
        d = known.directions[attribute.name]
        n = int((~np.isnan(values[attribute.name])).sum())
        source = f"AUC {d.auc:.2f}, judged on {n:,} held-out pictures"
        moves.append(Move(attribute.title, d.move, d.normal, source))
    return moves


def between_classes(known: Atlas, classes: tuple[str, ...], z: Array) -> list[Move]:
    """From the class that ``z: (D,)`` is nearest to, to each of the others; 1 is all the way."""
    if known.labels is None or not classes:
        return []
    home = int(known.labels[known.nearest(z[None])[0]])
    n = np.bincount(known.labels, minlength=len(classes)).tolist()
    moves = []
    for k, name in enumerate(classes):
        if k == home or n[k] == 0:
            continue
        here = (known.labels == home) | (known.labels == k)
        direction = ops.attribute_direction(known.latents[here], known.labels[here] == k)
        source = f"{n[k]} pictures against {n[home]}"
        moves.append(_mean(f"{classes[home]} → {name}", direction, known, source, -1, 2))
    return moves


def towards_groups(known: Atlas, groups: Mapping[str, NDArray[np.bool_]]) -> list[Move]:
    """From the rest of what is known to each group ``(N,)``; 1 is from mean to mean."""
    moves = []
    for name, flags in groups.items():
        if flags.any() and not flags.all():
            direction = ops.attribute_direction(known.latents, flags)
            source = f"{int(flags.sum())} pictures against {int((~flags).sum())}"
            moves.append(_mean(name, direction, known, source, -2, 2))
    return moves


def from_examples(known: Atlas, has: Array, lacks: Array) -> Move:
    """What ``has: (n, D)`` have and ``lacks: (m, D)`` lack."""
    z = np.concatenate([has, lacks])
    direction = ops.attribute_direction(z, np.arange(len(z)) < len(has))
    source = f"{len(has)} of your pictures against {len(lacks)}"
    return _mean("Yours", direction, known, source, -2, 2)


def _mean(
    label: str, direction: Array, known: Atlas, source: str, low: float, high: float
) -> Move:
    return Move(label, direction, ops.telling(direction, known.precision), source, low, high)


def holding(move: Move, fixed: list[Move]) -> Move:
    """The move without what would change the others that are to stay as they are."""
    others = [f.reading for f in fixed if f is not move]
    if not others:
        return move
    return replace(move, direction=ops.holding(move.direction, move.reading, np.stack(others)))


def effects(moves: list[Move], step: Array) -> list[float]:
    """What ``step: (D,)`` changes in each of them, 1 being what its own move changes."""
    directions = np.stack([m.direction for m in moves])
    return ops.readings(step, directions, np.stack([m.reading for m in moves])).tolist()
