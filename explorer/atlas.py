"""What is known of a model's latent space: latents of held-out pictures, and no pictures.

latents (N, D)  labels (N,)  kl (N,)  error (N,)       of held-out pictures
attribute/<name> (N,)                                  measured or labelled; NaN: unknown
direction/<name> (2, D), scale/<name> (2,)             from the training part; see Direction
map/pca (N, 2)  map/umap (N, 2)                        where each point lies on a map
axes (K, D)                                            dials, by what the eye sees
mixture/weights (M,)  loc (M, D)  root (M, D, D)       the aggregate posterior's density
clusters/weights  loc  root                            the prior's parts, where it is a mixture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from . import ops
from .attributes import described
from .cards import ATLAS, Arrays, read_arrays
from .errors import BundleError
from .ops import Array

CLEAR = 0.9  # AUC of a reading that may be said aloud
TYPICAL = 0.15  # share of known latents that a typical one leaves behind; typical.js has the word


@dataclass(frozen=True, eq=False)
class Direction:
    """A move that changes one attribute.

    Attributes:
        move: ``(D,)``; added once, it flips the attribute for half of the pictures without it.
        normal: ``(D,)`` and ``threshold``: the attribute is there where ``z @ normal`` exceeds.
        auc: how well the normal tells held-out pictures apart, 0.5 to 1.
    """

    move: Array
    normal: Array
    threshold: float
    auc: float


@dataclass(frozen=True, eq=False)
class Mixture:
    """A density of latents: Gaussians, each its centre and a root of its covariance.

    Attributes:
        weights: ``(M,)``, adding up to one.
        loc: ``(M, D)``.
        root: ``(M, D, D)``, lower triangular; covariances are ``root @ root.T``.
    """

    weights: Array
    loc: Array
    root: Array

    @cached_property
    def _inverse(self) -> Array:
        return np.linalg.inv(self.root.astype(np.float64)).astype(np.float32)

    @cached_property
    def _constant(self) -> Array:
        """``(M,)``: log weight and log normalisation of each."""
        diagonal = np.diagonal(self.root, axis1=1, axis2=2)
        half = 0.5 * self.loc.shape[1] * np.log(2 * np.pi)
        return np.log(np.maximum(self.weights, 1e-30)) - np.log(diagonal).sum(1) - half

    def log_joint(self, z: Array) -> Array:
        """``(n, M)``: log density of ``z: (n, D)`` together with each part, in nats."""
        white = (z - self.loc[:, None]) @ self._inverse.swapaxes(1, 2)  # (M, n, D)
        return self._constant - 0.5 * np.square(white).sum(-1).T

    def log_prob(self, z: Array) -> Array:
        """``(n,)``: log density of ``z: (n, D)`` in nats."""
        return np.logaddexp.reduce(self.log_joint(z), axis=1)

    def part(self, k: int) -> Mixture:
        """One of its Gaussians alone."""
        return Mixture(np.ones(1, np.float32), self.loc[k : k + 1], self.root[k : k + 1])

    def draws(self, seed: int, n: int, temperature: float = 1.0) -> Array:
        """``(n, D)``: seeded draws, their noise scaled by ``temperature``."""
        chance = np.random.default_rng(seed)
        shares = self.weights.astype(np.float64)
        part = chance.choice(len(shares), n, p=shares / shares.sum())
        noise = chance.standard_normal((n, self.loc.shape[1]), np.float32)
        return self.loc[part] + temperature * np.einsum("nde,ne->nd", self.root[part], noise)


@dataclass(frozen=True, eq=False)
class Atlas:
    """What is known of one model; shapes as at the top of this file.

    Attributes:
        latents, kl, error, labels, attributes: of every held-out picture, in one order; kl in
            nats, error as a share of the mean picture's.
        axes: dials, each as long as the latents' spread along it.
        mixture: the density of latents; ``clusters``, of a prior that is a mixture, its parts.
        maps, directions: by name.
    """

    latents: Array
    kl: Array
    error: Array
    axes: Array
    mixture: Mixture
    clusters: Mixture | None = None
    labels: Array | None = None
    maps: dict[str, Array] = field(default_factory=dict)
    attributes: dict[str, Array] = field(default_factory=dict)
    directions: dict[str, Direction] = field(default_factory=dict)

    @cached_property
    def spread(self) -> Array:
        """``(D,)``: standard deviation of every coordinate over the known latents."""
        return self.latents.std(0, ddof=1)

    @cached_property
    def mean(self) -> Array:
        """``(D,)``: the mean of the known latents."""
        return self.latents.mean(0)

    @cached_property
    def precision(self) -> Array:
        """``(D, D)``: the inverse of the known latents' covariance."""
        return ops.precision(self.latents)

    @cached_property
    def along(self) -> Array:
        """``(N, K)``: how far the known latents lie along the axes."""
        return ops.coordinates(self.latents, self.axes)

    @cached_property
    def _unit(self) -> Array:
        return np.maximum(self.spread, 1e-6)

    @cached_property
    def _scaled(self) -> tuple[Array, Array]:
        """Known latents in units of spread, ``(D, N)``, and half their squared lengths."""
        scaled = np.ascontiguousarray((self.latents / self._unit).T)
        return scaled, 0.5 * np.square(scaled).sum(0)

    @cached_property
    def _levels(self) -> Array:
        return np.sort(self.mixture.log_prob(self.latents))

    def typicality(self, z: Array) -> Array:
        """``(n,)`` in [0, 1]: the share of known latents less likely than ``z: (n, D)``."""
        return np.searchsorted(self._levels, self.mixture.log_prob(z)) / len(self._levels)

    def nearest(self, z: Array) -> NDArray[np.int64]:
        """``(n,)`` indices of the known latents nearest to ``z: (n, D)`` in units of spread."""
        scaled, half = self._scaled
        return ((z / self._unit) @ scaled - half).argmax(1)

    def shows(self, z: Array, classes: Sequence[str]) -> list[str]:
        """What the picture of ``z: (D,)`` shows: its nearest kind, or what it clearly has."""
        if self.labels is not None and classes:
            return [classes[int(self.labels[self.nearest(z[None])[0]])]]
        there = {name for name, d in self.directions.items() if z @ d.normal > d.threshold}
        clear = {name for name in there if self.directions[name].auc >= CLEAR}
        told = described({name: self.attributes[name] for name in clear & self.attributes.keys()})
        return [attribute.said for attribute in told if attribute.said]

    def at(self, name: str, xy: Array, neighbours: int = 8) -> Array:
        """``(n, D)``: latents blended from those mapped nearest to ``xy: (n, 2)`` of a map.

        On a known point it is that point's latent. Weights fall to nothing at the first point that
        has none (Shepard's interpolation, as Franke & Nielson 1980 keep it local), so that nothing
        jumps as one moves.
        """
        points = self.maps[name]
        distance = np.sqrt(np.square(xy[:, None] - points).sum(-1))
        few = min(neighbours + 1, len(points))
        index = np.argpartition(distance, few - 1, axis=1)[:, :few]
        near = np.maximum(np.take_along_axis(distance, index, 1), 1e-9)
        reach = near.max(1, keepdims=True) * (1 if len(points) > neighbours else 2)
        weight = np.square((reach - near) / (reach * near))
        weight += ~weight.any(1, keepdims=True)  # all equally far: all count alike
        weight = weight / weight.sum(1, keepdims=True)
        return (weight[..., None] * self.latents[index]).sum(1).astype(np.float32)

    def cluster_of(self, z: Array) -> NDArray[np.int64]:
        """``(n,)``: the prior's likeliest part for each of ``z: (n, D)``; it must have parts."""
        return self.cluster_shares(z).argmax(1)

    def cluster_shares(self, z: Array) -> Array:
        """``(n, K)``: p(c | z) of the prior's parts c, for ``z: (n, D)``; it must have parts."""
        assert self.clusters is not None
        log_joint = self.clusters.log_joint(z)
        p = np.exp(log_joint - log_joint.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    @cached_property
    def cluster_names(self) -> list[tuple[int, float]]:
        """For each part of the prior its commonest label and that one's share of it."""
        assert self.clusters is not None
        found, labels = self.cluster_of(self.latents), self.labels
        names = []
        for k in range(len(self.clusters.weights)):
            inside = np.bincount(labels[found == k], minlength=1) if labels is not None else [0]
            names.append((int(np.argmax(inside)), float(np.max(inside) / max(1, np.sum(inside)))))
        return names

    def draws(self, seed: int, n: int, temperature: float = 1.0) -> Array:
        """``(n, D)``: seeded draws of the mixture, their noise scaled by ``temperature``."""
        return self.mixture.draws(seed, n, temperature)

    def snapped(self, z: Array) -> Array:
        """``(D,)``: ``z: (D,)`` drawn towards its part of the mixture until it is typical."""
        home = self.mixture.loc[self.mixture.log_joint(z[None])[0].argmax()]
        way = z + np.linspace(0, 1, 21, dtype=np.float32)[:, None] * (home - z)
        typical = self.typicality(way) > TYPICAL
        return way[typical.argmax() if typical.any() else -1]


def save(folder: Path, atlas: Atlas) -> None:
    """Writes atlas.safetensors: floats in half precision, maps in full. Rewrite the card after."""
    arrays = {
        "latents": _half(atlas.latents),
        "kl": _half(atlas.kl),
        "error": _half(atlas.error),
        "axes": _half(atlas.axes),
    }
    for name, mixture in {"mixture": atlas.mixture, "clusters": atlas.clusters}.items():
        if mixture is not None:
            arrays[f"{name}/weights"] = mixture.weights.astype(np.float32)
            arrays |= {f"{name}/loc": _half(mixture.loc), f"{name}/root": _half(mixture.root)}
    if atlas.labels is not None:
        arrays["labels"] = atlas.labels.astype(np.uint8)
    arrays |= {f"map/{name}": xy.astype(np.float32) for name, xy in atlas.maps.items()}
    arrays |= {f"attribute/{name}": _half(v) for name, v in atlas.attributes.items()}
    for name, d in atlas.directions.items():
        arrays[f"direction/{name}"] = np.stack([d.move, d.normal]).astype(np.float32)
        arrays[f"scale/{name}"] = np.array([d.threshold, d.auc], np.float32)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / ATLAS)


def load(folder: Path, expected: str | None) -> Atlas | None:
    """The bundle's atlas, its hash checked; None where the card names none."""
    if expected is None:
        return None
    arrays = read_arrays(folder / ATLAS, expected)
    try:
        atlas = Atlas(
            latents=arrays["latents"],
            kl=arrays["kl"],
            error=arrays["error"],
            axes=arrays["axes"],
            mixture=_mixture(arrays, "mixture"),
            clusters=_mixture(arrays, "clusters") if "clusters/weights" in arrays else None,
            labels=arrays["labels"].astype(np.int64) if "labels" in arrays else None,
            maps=_under(arrays, "map/"),
            attributes=_under(arrays, "attribute/"),
            directions={
                name: Direction(pair[0], pair[1], *arrays[f"scale/{name}"].tolist())
                for name, pair in _under(arrays, "direction/").items()
            },
        )
    except (KeyError, IndexError, TypeError) as error:
        raise BundleError(
            f"{folder.name}: its atlas is damaged ({error}). Build it again."
        ) from None
    _check(folder.name, atlas)
    return atlas


def _check(name: str, atlas: Atlas) -> None:
    n, d = atlas.latents.shape if atlas.latents.ndim == 2 else (0, 0)
    fits = (
        n > 0
        and atlas.axes.ndim == 2
        and atlas.axes.shape[1] == d
        and all(_is_density(m, d) for m in (atlas.mixture, atlas.clusters) if m is not None)
        and all(xy.shape == (n, 2) for xy in atlas.maps.values())
        and all(v.shape == (n,) for v in (atlas.kl, atlas.error, *atlas.attributes.values()))
        and all(v.move.shape == v.normal.shape == (d,) for v in atlas.directions.values())
        and (atlas.labels is None or atlas.labels.shape == (n,))
    )
    if not fits:
        raise BundleError(f"{name}: the parts of its atlas do not fit together. Build it again.")


def _is_density(mixture: Mixture, d: int) -> bool:
    parts = len(mixture.weights)
    return (
        mixture.loc.shape == (parts, d)
        and mixture.root.shape == (parts, d, d)
        and bool((np.diagonal(mixture.root, axis1=1, axis2=2) > 0).all())
    )


def _mixture(arrays: Arrays, name: str) -> Mixture:
    return Mixture(arrays[f"{name}/weights"], arrays[f"{name}/loc"], arrays[f"{name}/root"])


def _half(values: Array) -> Array:
    return values.astype(np.float16)


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
