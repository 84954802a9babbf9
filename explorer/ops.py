"""Moves in latent space: pure functions on arrays ``z: (..., D)``. No models, no UI, no chance.

They are numpy's, as pages are: one may wander before torch has been imported.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExplorerError

Array = NDArray[Any]
Flags = NDArray[np.bool_]


def lerp(a: Array, b: Array, t: Array) -> Array:
    """``(n, D)`` on the segment from ``a`` to ``b``, ``t: (n,)``; ``t = 0`` gives ``a``."""
    # from the nearer end, so that both ends are met exactly
    t = t[:, None]
    return np.where(t < 0.5, a + t * (b - a), b - (1 - t) * (b - a))


def slerp(a: Array, b: Array, t: Array) -> Array:
    """``(n, D)`` on the great arc from ``a`` to ``b`` with lengths interpolated linearly.

    Gaussian samples live near a sphere; the arc stays on it (White 2016, arXiv:1609.04468).
    Falls back to ``lerp`` where the directions are parallel or one is zero.
    """
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    unit_a, unit_b = a / max(length_a, 1e-30), b / max(length_b, 1e-30)
    angle = np.arccos((unit_a @ unit_b).clip(-1, 1))
    if abs(np.sin(angle)) < 1e-4 or length_a == 0 or length_b == 0:
        return lerp(a, b, t)
    t = t[:, None]
    arc = (np.sin((1 - t) * angle) * unit_a + np.sin(t * angle) * unit_b) / np.sin(angle)
    return arc * (length_a + t * (length_b - length_a))


PATHS = {"straight": lerp, "round": slerp}


def along(points: Array, t: Array, path: str = "straight", loop: bool = False) -> Array:
    """``(n, D)`` on the way through ``points: (k, D)``, ``t: (n,)`` in [0, 1] over all of it.

    Values of ``t`` outside run on beyond the ends. ``loop`` returns to the first point.
    """
    stops = np.concatenate([points, points[:1]]) if loop else points
    legs = len(stops) - 1
    leg = np.floor(t * legs).astype(int).clip(0, legs - 1)
    local = t * legs - leg
    parts = [PATHS[path](stops[k], stops[k + 1], u[None]) for k, u in zip(leg, local, strict=True)]
    return np.concatenate(parts)


def even_steps(x: NDArray, n: int) -> Array:
    """``(n,)`` positions in [0, 1] along ``x: (m, ...)`` that change equally in what is seen.

    ``x`` are pictures at equal steps of a path; visible change is their root mean square
    difference, and the positions divide its sum equally.
    """
    flat = x.reshape(len(x), -1).astype(np.float32)
    change = np.sqrt(np.square(np.diff(flat, axis=0)).mean(1))
    seen = np.concatenate([[0.0], change.cumsum()])
    if seen[-1] <= 0:
        return np.linspace(0, 1, n)
    wanted = np.linspace(0, seen[-1], n)
    right = np.searchsorted(seen, wanted).clip(1, len(seen) - 1)
    span = np.maximum(seen[right] - seen[right - 1], 1e-12)
    return (right - 1 + (wanted - seen[right - 1]) / span) / (len(seen) - 1)


def plane(origin: Array, u: Array, v: Array, s: Array) -> Array:
    """``(n, n, D)``: rows go down along ``v``, columns right along ``u``, at ``s: (n,)``."""
    return origin + s[None, :, None] * u - s[:, None, None] * v


def corners(points: Array, n: int) -> Array:
    """``(n, n, D)``: two to four corners ``points: (k, D)`` blended over a square.

    The order is upper left, upper right, lower left, lower right; with three, the fourth is what
    completes the parallelogram (A is to B as C is to ?), with two, rows repeat.
    """
    a, b = points[0], points[1]
    c = points[2] if len(points) > 2 else a
    d = points[3] if len(points) > 3 else analogy(a, b, c)
    t = np.linspace(0, 1, n)
    return np.stack([lerp(lerp(a, c, s[None])[0], lerp(b, d, s[None])[0], t) for s in t])


def analogy(a: Array, b: Array, c: Array) -> Array:
    """``(D,)``: A is to B as C is to this (the J-diagram of White 2016)."""
    return c + b - a


def gaussian_ticks(n: int, mass: float = 0.98) -> Array:
    """``(n,)`` standard-normal quantiles, equal in probability within the central ``mass``."""
    tail = (1 - mass) / 2
    return np.array([NormalDist().inv_cdf(p) for p in np.linspace(tail, 1 - tail, n)])


def attribute_direction(z: Array, has: Flags, group: NDArray | None = None) -> Array:
    """``(D,)``: mean latent with the attribute minus mean without; ``z: (N, D)``, ``has: (N,)``.

    With ``group: (N,)`` the means are taken within each group and then averaged, so that what
    goes together with the attribute by chance (glasses with age, say) cancels.
    """
    if has.all() or not has.any():
        raise ExplorerError("An attribute needs examples both with it and without it.")
    if group is None:
        return z[has].mean(0) - z[~has].mean(0)
    inside = [group == g for g in np.unique(group)]
    parts = [
        attribute_direction(z[m], has[m]) for m in inside if has[m].any() and not has[m].all()
    ]
    if not parts:
        raise ExplorerError("No group holds examples both with the attribute and without it.")
    return np.mean(parts, axis=0)


def slope_direction(z: Array, value: Array, nuisance: Array | None = None) -> Array:
    """``(D,)``: what moves in ``z: (N, D)`` per unit of ``value: (N,)``, others held still.

    The regression of z on the value (the pattern of Haufe et al. 2014, which generates, where a
    classifier's normal only tells apart); ``nuisance: (N, k)`` enters the regression beside it.
    """
    columns = [np.ones(len(z)), value] + ([] if nuisance is None else list(nuisance.T))
    design = np.stack(columns, 1).astype(np.float64)
    return np.linalg.lstsq(design, z.astype(np.float64), rcond=None)[0][1].astype(z.dtype)


def without(direction: Array, fixed: Array) -> Array:
    """``(D,)``: ``direction`` with its parts along ``fixed: (k, D)`` taken out (hold-fixed)."""
    if len(fixed) == 0:
        return direction
    basis = np.linalg.qr(fixed.T).Q
    return direction - basis @ (basis.T @ direction)


def covariance(z: Array) -> Array:
    """``(D, D)`` of ``z: (N, D)``; zero for one latent alone."""
    centred = z - z.mean(0)
    return centred.T @ centred / max(1, len(z) - 1)


def principal_axes(z: Array) -> tuple[Array, Array]:
    """``(mean (D,), axes (D, D))``: rows are principal axes of ``z: (N, D)`` by their spread."""
    variance, vectors = np.linalg.eigh(covariance(z))
    return z.mean(0), np.flip(vectors * np.sqrt(variance.clip(0)), -1).T


def precision(z: Array) -> Array:
    """``(D, D)``: the inverse of the covariance of ``z: (N, D)``, as far as it has one."""
    return np.linalg.pinv(covariance(z), hermitian=True)


def coordinates(z: Array, axes: Array) -> Array:
    """``(N, K)``: how far ``z: (N, D)`` lie from their mean along ``axes: (K, D)``.

    In axes' lengths, for axes that are uncorrelated over z and one spread long, as an atlas's are.
    """
    return (z - z.mean(0)) @ precision(z) @ axes.T


def correlations(a: Array, b: Array) -> Array:
    """``(K,)`` in [-1, 1]: of ``a: (N, K)`` with ``b: (N,)``, over the rows where b is known."""
    known = ~np.isnan(b)
    if known.sum() < 3:
        return np.zeros(a.shape[1])
    a, b = a[known] - a[known].mean(0), b[known] - b[known].mean()
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b)
    return (b @ a) / np.maximum(lengths, 1e-12)


def near(z: Array, others: Array, mean: Array, reach: float) -> Array:
    """``(n, D)``: ``z: (D,)`` moved towards each of ``others: (n, D)``; a reach of 1 arrives.

    The weights' squares sum to one, so that typical latents stay typical (a step of pCN).
    """
    return mean + (1 - reach**2) ** 0.5 * (z - mean) + reach * (others - mean)


def holding(move: Array, normal: Array, fixed: Array, most: float = 3.0) -> Array:
    """``(D,)``: ``move`` without what would change the readings ``fixed: (k, D)``, as strong.

    Strength is what its own reading ``normal: (D,)`` says. Where hardly anything is left of it,
    because the readings are nearly the same, it is lengthened ``most`` times and no more.
    """
    held = without(move, fixed)
    before, after = move @ normal, held @ normal
    return held * (min(before / after, most) if before * after > 0 else 1.0)


def readings(step: Array, moves: Array, normals: Array) -> Array:
    """``(k,)``: what ``step: (D,)`` changes in each reading, 1 being what its own move changes."""
    return (normals @ step) / (normals * moves).sum(1)


def moved(z: Array, moves: Array, by: Array) -> Array:
    """``(D,)``: ``z: (D,)`` with each of ``moves: (k, D)`` added ``by: (k,)`` times."""
    return z + by @ moves


def telling(move: Array, precision: Array) -> Array:
    """``(D,)``: the reading that tells best apart what ``move`` leads from and to (Fisher 1936).

    For a difference of two groups' means among latents of that ``precision: (D, D)``, and few
    groups beside them.
    """
    return precision @ move
