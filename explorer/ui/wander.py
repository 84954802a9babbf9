"""Where one can go from a picture: dials, directions, the world around, variations."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer import ops
from explorer.distributions import centre
from explorer.rng import seeded
from explorer.shelf import Opened
from train.data import described

CLEAR = 0.6  # correlation from which on a dial is called by what it changes
REACH = 0.45  # of a variation, on the way to another picture


@dataclass(frozen=True, eq=False)
class Colour:
    """What points are coloured by: ``(N,)`` values, class numbers where there are names."""

    values: Tensor
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Way:
    """A direction ``(D,)`` in units of the data's own spread, and what it is called."""

    label: str
    direction: Tensor


def dials(opened: Opened) -> list[Way]:
    """Directions by how much the eye sees of them; without an atlas the first coordinates."""
    if opened.atlas is None:
        size = opened.model.latent_size
        return [Way(f"Dial {k + 1}", row) for k, row in enumerate(torch.eye(size)[:20])]
    axes, values = opened.atlas.axes, opened.atlas.attributes
    titles = [attribute.title for attribute in described(values)]
    along = ops.coordinates(opened.atlas.latents, axes)
    with_each = [ops.correlations(along, values[a.name].float()) for a in described(values)]
    names = named(torch.stack(with_each, 1), titles) if titles else {}
    ways = []
    for k, row in enumerate(axes):
        name, sign = names.get(k, (f"Dial {k + 1}", 1))
        ways.append(Way(name, sign * row))
    return ways


def named(correlation: Tensor, titles: list[str]) -> dict[int, tuple[str, int]]:
    """For axes that clearly go with something, its title and sign; ``correlation: (K, A)``."""
    found: dict[int, tuple[str, int]] = {}
    rest = correlation.abs()
    while rest.numel() and rest.max() > CLEAR:
        axis, attribute = divmod(int(rest.argmax()), rest.shape[1])
        found[axis] = titles[attribute], 1 if correlation[axis, attribute] > 0 else -1
        rest[axis], rest[:, attribute] = 0, 0
    return found


def ways(opened: Opened) -> Mapping[str, Tensor]:
    """Directions ``(D,)`` for an axis of the manifold: dials, attributes, coordinates."""
    size = opened.model.latent_size
    if size == 2:
        return dict(zip(("First number", "Second number"), torch.eye(2), strict=True))
    found = {way.label: way.direction for way in dials(opened)}
    spread = torch.ones(size)
    if opened.atlas is not None:
        spread = opened.atlas.spread
        moves = opened.atlas.directions
        for attribute in described({name: opened.atlas.attributes[name] for name in moves}):
            found.setdefault(attribute.title, moves[attribute.name].move)
    used = spread.argsort(descending=True).tolist()
    return found | {
        f"Coordinate {k + 1}": spread[k] * torch.eye(size)[k] for k in sorted(used[:20])
    }


def middle(opened: Opened) -> Tensor:
    """``(D,)``: the mean of what the model knows; the prior's centre where it has no atlas."""
    if opened.atlas is not None and opened.model.latent_size > 2:
        return opened.atlas.mean
    with torch.no_grad():
        return centre(opened.model.prior()).cpu()


def world(opened: Opened, seed: int, n: int, variety: float = 1.0) -> NDArray[np.float32]:
    """``(n, D)``: seeded draws of what the model knows; of its prior where it has no atlas."""
    if opened.atlas is not None:
        return opened.atlas.draws(seed, n, variety).numpy()
    with torch.no_grad(), seeded(seed):
        z = opened.model.prior().sample(torch.Size([n])).cpu()
    return torch.lerp(middle(opened), z, variety).numpy()


def variations(opened: Opened, z: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """``(n, D)``: latents not far from ``z: (D,)`` and about as typical; z's own, every time."""
    others = torch.from_numpy(world(opened, zlib.crc32(z.tobytes()), n))
    return ops.near(torch.from_numpy(z), others, middle(opened), REACH).numpy()


def typical(opened: Opened, z: NDArray[np.float32]) -> float | None:
    """The share of known latents that are less likely than ``z: (D,)``; None without an atlas."""
    if opened.atlas is None:
        return None
    return opened.atlas.typicality(torch.from_numpy(z)[None]).item()


def plainest(opened: Opened, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(D,)``: the most typical of ``z: (n, D)``; the first of them without an atlas."""
    if opened.atlas is None:
        return z[0]
    return z[int(opened.atlas.typicality(torch.from_numpy(z)).argmax())]


def nearest(opened: Opened, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(D,)``: the latent of the known picture nearest to ``z: (D,)``; z without an atlas."""
    if opened.atlas is None:
        return z
    return opened.atlas.latents[opened.atlas.nearest(torch.from_numpy(z)[None])[0]].numpy()


def colours(opened: Opened) -> dict[str, Colour]:
    """What is known of every picture of the atlas, by what it is called."""
    known, classes = opened.atlas, opened.model.data.classes
    if known is None:
        return {}
    found = {}
    if known.labels is not None and classes:
        found["Class"] = Colour(known.labels, classes)
    for attribute in described(known.attributes):
        found[attribute.title] = Colour(known.attributes[attribute.name].float())
    found["Redrawing error"] = Colour(known.error)
    return found | {"Information (KL, nats)": Colour(known.kl)}


def some(z: Tensor, most: int) -> Tensor:
    """``(m, D)``: at most so many of ``z: (n, D)``, evenly spread over their order."""
    if len(z) <= most:
        return z
    return z[torch.linspace(0, len(z) - 1, most).round().long()]
