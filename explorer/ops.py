"""Moves in latent space: pure functions on ``z: (..., D)``. No models, no UI, no chance."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ExplorerError


def traverse(z: Tensor, dim: int, values: Tensor) -> Tensor:
    """``(n, D)``: ``z: (D,)`` with coordinate ``dim`` set to each of ``values: (n,)``."""
    out = z.expand(len(values), -1).clone()
    out[:, dim] = values
    return out


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """``(n, D)`` on the segment from ``a`` to ``b``, ``t: (n,)``; ``t = 0`` gives ``a``."""
    return torch.lerp(a, b, t.unsqueeze(-1))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """``(n, D)`` on the great arc from ``a`` to ``b`` with lengths interpolated linearly.

    Gaussian samples live near a sphere; the arc stays on it (White 2016, arXiv:1609.04468).
    Falls back to ``lerp`` where the directions are parallel or one is zero.
    """
    length_a, length_b = a.norm(), b.norm()
    unit_a, unit_b = a / length_a.clamp(min=1e-30), b / length_b.clamp(min=1e-30)
    angle = torch.acos((unit_a @ unit_b).clamp(-1, 1))
    if angle.sin().abs() < 1e-4 or length_a == 0 or length_b == 0:
        return lerp(a, b, t)
    t = t.unsqueeze(-1)
    arc = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / angle.sin()
    return arc * torch.lerp(length_a, length_b, t)


PATHS = {"straight": lerp, "round": slerp}


def along(points: Tensor, t: Tensor, path: str = "straight", loop: bool = False) -> Tensor:
    """``(n, D)`` on the way through ``points: (k, D)``, ``t: (n,)`` in [0, 1] over all of it.

    Values of ``t`` outside run on beyond the ends. ``loop`` returns to the first point.
    """
    stops = torch.cat([points, points[:1]]) if loop else points
    legs = len(stops) - 1
    leg = (t * legs).floor().long().clamp(0, legs - 1)
    local = t * legs - leg
    parts = [PATHS[path](stops[k], stops[k + 1], u[None]) for k, u in zip(leg, local, strict=True)]
    return torch.cat(parts)


def even_steps(x: Tensor, n: int) -> Tensor:
    """``(n,)`` positions in [0, 1] along ``x: (m, C, H, W)`` that change equally in what is seen.

    ``x`` are pictures at equal steps of a path; visible change is their root mean square
    difference, and the positions divide its sum equally.
    """
    change = (x[1:] - x[:-1]).flatten(1).square().mean(1).sqrt()
    seen = torch.cat([change.new_zeros(1), change.cumsum(0)])
    if seen[-1] <= 0:
        return torch.linspace(0, 1, n)
    wanted = torch.linspace(0, float(seen[-1]), n)
    right = torch.searchsorted(seen, wanted).clamp(1, len(seen) - 1)
    span = (seen[right] - seen[right - 1]).clamp(min=1e-12)
    return (right - 1 + (wanted - seen[right - 1]) / span) / (len(seen) - 1)


def plane(origin: Tensor, u: Tensor, v: Tensor, s: Tensor) -> Tensor:
    """``(n, n, D)``: rows go down along ``v``, columns right along ``u``, at ``s: (n,)``."""
    return origin + s[None, :, None] * u - s[:, None, None] * v


def corners(points: Tensor, n: int) -> Tensor:
    """``(n, n, D)``: two to four corners ``points: (k, D)`` blended over a square.

    The order is upper left, upper right, lower left, lower right; with three, the fourth is what
    completes the parallelogram (A is to B as C is to ?), with two, rows repeat.
    """
    a, b = points[0], points[1]
    c = points[2] if len(points) > 2 else a
    d = points[3] if len(points) > 3 else analogy(a, b, c)
    t = torch.linspace(0, 1, n).to(points)
    return torch.stack([lerp(lerp(a, c, s[None])[0], lerp(b, d, s[None])[0], t) for s in t])


def analogy(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``(D,)``: A is to B as C is to this (the J-diagram of White 2016)."""
    return c + b - a


def gaussian_ticks(n: int, mass: float = 0.98) -> Tensor:
    """``(n,)`` standard-normal quantiles, equal in probability within the central ``mass``."""
    tail = (1 - mass) / 2
    return torch.special.ndtri(torch.linspace(tail, 1 - tail, n, dtype=torch.float64)).float()


def attribute_direction(z: Tensor, has: Tensor, group: Tensor | None = None) -> Tensor:
    """``(D,)``: mean latent with the attribute minus mean without; ``z: (N, D)``, ``has: (N,)``.

    With ``group: (N,)`` the means are taken within each group and then averaged, so that what
    goes together with the attribute by chance (glasses with age, say) cancels.
    """
    if has.all() or not has.any():
        raise ExplorerError("An attribute needs examples both with it and without it.")
    if group is None:
        return z[has].mean(0) - z[~has].mean(0)
    inside = [group == g for g in group.unique()]
    parts = [
        attribute_direction(z[m], has[m]) for m in inside if has[m].any() and not has[m].all()
    ]
    if not parts:
        raise ExplorerError("No group holds examples both with the attribute and without it.")
    return torch.stack(parts).mean(0)


def slope_direction(z: Tensor, value: Tensor, nuisance: Tensor | None = None) -> Tensor:
    """``(D,)``: what moves in ``z: (N, D)`` per unit of ``value: (N,)``, others held still.

    The regression of z on the value (the pattern of Haufe et al. 2014, which generates, where a
    classifier's normal only tells apart); ``nuisance: (N, k)`` enters the regression beside it.
    """
    columns = [value[:, None]] if nuisance is None else [value[:, None], nuisance]
    design = torch.cat([torch.ones(len(z), 1), *columns], 1).double()
    return torch.linalg.lstsq(design, z.double()).solution[1].float()


def without(direction: Tensor, fixed: Tensor) -> Tensor:
    """``(D,)``: ``direction`` with its parts along ``fixed: (k, D)`` taken out (hold-fixed)."""
    if len(fixed) == 0:
        return direction
    basis = torch.linalg.qr(fixed.T).Q
    return direction - basis @ (basis.T @ direction)


def principal_axes(z: Tensor) -> tuple[Tensor, Tensor]:
    """``(mean (D,), axes (D, D))``: rows are principal axes of ``z: (N, D)`` by their spread."""
    mean = z.mean(0)
    covariance = (z - mean).T @ (z - mean) / max(1, len(z) - 1)
    variance, vectors = torch.linalg.eigh(covariance)
    return mean, (vectors * variance.clamp(min=0).sqrt()).flip(-1).T


def coordinates(z: Tensor, axes: Tensor) -> Tensor:
    """``(N, K)``: how far ``z: (N, D)`` lie from their mean along ``axes: (K, D)``.

    In axes' lengths, for axes that are uncorrelated over z and one spread long, as an atlas's are.
    """
    centred = z - z.mean(0)
    covariance = centred.T @ centred / max(1, len(z) - 1)
    return centred @ torch.linalg.pinv(covariance, hermitian=True) @ axes.T


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """``(K,)`` in [-1, 1]: of ``a: (N, K)`` with ``b: (N,)``, over the rows where b is known."""
    known = ~b.isnan()
    if known.sum() < 3:
        return a.new_zeros(a.shape[1])
    a, b = a[known] - a[known].mean(0), b[known] - b[known].mean()
    lengths = torch.linalg.vector_norm(a, dim=0) * torch.linalg.vector_norm(b)
    return (b @ a) / lengths.clamp(min=1e-12)


def near(z: Tensor, others: Tensor, mean: Tensor, reach: float) -> Tensor:
    """``(n, D)``: ``z: (D,)`` moved towards each of ``others: (n, D)``; a reach of 1 arrives.

    The weights' squares sum to one, so that typical latents stay typical (a step of pCN).
    """
    return mean + (1 - reach**2) ** 0.5 * (z - mean) + reach * (others - mean)


def on_plane(origin: Tensor, u: Tensor, v: Tensor, place: tuple[float, float]) -> Tensor:
    """``(D,)``: ``origin`` moved by ``place`` along ``u`` and ``v``."""
    return origin + place[0] * u + place[1] * v


def holding(move: Tensor, normal: Tensor, fixed: Tensor, most: float = 3.0) -> Tensor:
    """``(D,)``: ``move`` without what would change the readings ``fixed: (k, D)``, as strong.

    Strength is what its own reading ``normal: (D,)`` says. Where hardly anything is left of it,
    because the readings are nearly the same, it is lengthened ``most`` times and no more.
    """
    held = without(move, fixed)
    before, after = move @ normal, held @ normal
    return held * torch.where(before * after > 0, before / after, 1.0).clamp(max=most)


def readings(step: Tensor, moves: Tensor, normals: Tensor) -> Tensor:
    """``(k,)``: what ``step: (D,)`` changes in each reading, 1 being what its own move changes."""
    return (normals @ step) / (normals * moves).sum(1)


def moved(z: Tensor, moves: Tensor, by: Tensor) -> Tensor:
    """``(D,)``: ``z: (D,)`` with each of ``moves: (k, D)`` added ``by: (k,)`` times."""
    return z + by @ moves


def telling(move: Tensor, z: Tensor) -> Tensor:
    """``(D,)``: the reading that tells best apart what ``move`` leads from and to (Fisher 1936).

    For a difference of two groups' means among ``z: (N, D)``, and few groups beside them.
    """
    centred = z - z.mean(0)
    covariance = centred.T @ centred / max(1, len(z) - 1)
    return torch.linalg.pinv(covariance, hermitian=True) @ move
