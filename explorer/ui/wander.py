"""Where one can go from a picture: dials, directions, the world around, variations."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer import ops
from explorer.attributes import described
from explorer.ops import Array
from explorer.shelf import Opened

CLEAR = 0.6  # correlation from which on a dial is called by what it changes
REACH = 0.45  # of a variation, on the way to another picture


@dataclass(frozen=True, eq=False)
class Colour:
    """What points are coloured by: ``(N,)`` values, class numbers where there are names."""

    values: NDArray[Any]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Way:
    """A direction ``(D,)`` in units of the data's own spread, and what it is called."""

    label: str
    direction: Array


def dials(opened: Opened) -> list[Way]:
    """Directions by how much the eye sees of them; without an atlas the first coordinates."""
    if opened.atlas is None:
        size = opened.latent_size
        unit = np.eye(size, dtype=np.float32)
        return [Way(f"Dial {k + 1}", row) for k, row in enumerate(unit[:20])]
    axes, values = opened.atlas.axes, opened.atlas.attributes
    titles = [attribute.title for attribute in described(values)]
    along = opened.atlas.along
    with_each = [ops.correlations(along, values[a.name]) for a in described(values)]
    names = named(np.stack(with_each, 1), titles) if titles else {}
    ways = []
    for k, row in enumerate(axes):
        name, sign = names.get(k, (f"Dial {k + 1}", 1))
        ways.append(Way(name, sign * row))
    return ways


def named(correlation: NDArray[Any], titles: list[str]) -> dict[int, tuple[str, int]]:
    """For axes that clearly go with something, its title and sign; ``correlation: (K, A)``."""
    found: dict[int, tuple[str, int]] = {}
    rest = np.abs(correlation)
    while rest.size and rest.max() > CLEAR:
        axis, attribute = divmod(int(rest.argmax()), rest.shape[1])
        found[axis] = titles[attribute], 1 if correlation[axis, attribute] > 0 else -1
        rest[axis], rest[:, attribute] = 0, 0
    return found


def ways(opened: Opened) -> Mapping[str, Array]:
    """Directions ``(D,)`` for an axis of the manifold: dials, attributes, coordinates."""
    size = opened.latent_size
    if size == 2:
        first, second = np.eye(2, dtype=np.float32)
        return {"First number": first, "Second number": second}
    found = {way.label: way.direction for way in dials(opened)}
    spread = np.ones(size, np.float32)
    if opened.atlas is not None:
        spread = opened.atlas.spread
        moves = opened.atlas.directions
        for attribute in described({name: opened.atlas.attributes[name] for name in moves}):
            found.setdefault(attribute.title, moves[attribute.name].move)
    used, unit = np.argsort(-spread).tolist(), np.eye(size, dtype=np.float32)
    return found | {f"Coordinate {k + 1}": spread[k] * unit[k] for k in sorted(used[:20])}


def middle(opened: Opened) -> Array:
    """``(D,)``: the mean of what the model knows; the prior's centre where it has no atlas."""
    if opened.atlas is not None:
        return opened.atlas.mean if opened.latent_size > 2 else np.zeros(2, np.float32)
    from explorer.inference import prior_centre  # torch: only where nothing else is known

    return prior_centre(opened.model)


def world(opened: Opened, seed: int, n: int, variety: float = 1.0) -> Array:
    """``(n, D)``: seeded draws of what the model knows; of its prior where it has no atlas."""
    if opened.atlas is not None:
        return opened.atlas.draws(seed, n, variety)
    from explorer.inference import prior_draws

    z = prior_draws(opened.model, seed, n)
    return middle(opened) + variety * (z - middle(opened))


def variations(opened: Opened, z: Array, n: int) -> Array:
    """``(n, D)``: latents not far from ``z: (D,)`` and about as typical; z's own, every time."""
    others = world(opened, zlib.crc32(z.tobytes()), n)
    return ops.near(z, others, middle(opened), REACH)


def plainest(opened: Opened, z: Array) -> Array:
    """``(D,)``: the most typical of ``z: (n, D)``; the first of them without an atlas."""
    if opened.atlas is None:
        return z[0]
    return z[opened.atlas.typicality(z).argmax()]


def nearest(opened: Opened, z: Array) -> Array:
    """``(D,)``: the latent of the known picture nearest to ``z: (D,)``; z without an atlas."""
    if opened.atlas is None:
        return z
    return opened.atlas.latents[opened.atlas.nearest(z[None])[0]]


def colours(opened: Opened) -> dict[str, Colour]:
    """What is known of every picture of the atlas, by what it is called."""
    known, classes = opened.atlas, opened.data.classes
    if known is None:
        return {}
    found = {}
    if known.labels is not None and classes:
        found["Class"] = Colour(known.labels, classes)
    for attribute in described(known.attributes):
        found[attribute.title] = Colour(known.attributes[attribute.name])
    if known.clusters is not None:
        found["Cluster"] = Colour(known.cluster_of(known.latents), cluster_names(opened))
    found["Redrawing error"] = Colour(known.error)
    return found | {"Information (KL, nats)": Colour(known.kl)}


def cluster_names(opened: Opened) -> tuple[str, ...]:
    """The parts of the prior by number, each with what it mostly holds where that is known."""
    assert opened.atlas is not None
    named, classes = [], opened.data.classes
    for k, (label, share) in enumerate(opened.atlas.cluster_names):
        mostly = f": {share:.0%} {classes[label]}" if classes and share else ""
        named.append(f"Cluster {k + 1}{mostly}")
    return tuple(named)


def some(z: Array, most: int) -> Array:
    """``(m, D)``: at most so many of ``z: (n, D)``, evenly spread over their order."""
    if len(z) <= most:
        return z
    return z[np.linspace(0, len(z) - 1, most).round().astype(int)]
