"""What a decoder and some latents tell of a latent space: dials by what the eye sees, a map."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from . import ops
from .atlas import Atlas, Mixture
from .distributions import centre, rate
from .inference import likely_class, picture, prior_draws
from .ops import Array
from .protocol import LatentModel
from .rng import seeded

DIALS = 20  # visual axes kept
PROBES = 100  # latents at which the decoder's response is measured
KNOWN, LEAST = 1000, 100  # latents of an atlas without a data set
ENOUGH = 5  # pictures for each coordinate, from which on they tell a density
PATIENCE = 4.0  # seconds for each half of it
BATCH = 50


@torch.no_grad()
def drawn(model: LatentModel, x: Tensor | None = None, encodes: bool = True) -> Atlas:
    """An atlas of a model that comes without a data set: of ``x: (n, C, H, W)``, else of draws.

    Without pictures the known latents are draws of the prior, the density is the prior, and
    errors and KL are those of the model's own pictures of them (0 where it cannot look). The
    fewer there are, the slower the model is.
    """
    z, kl, error = _known(model, x, encodes)
    d = z.shape[1]
    told = x is not None and len(z) >= ENOUGH * d
    mean = z.mean(0) if told else np.zeros(d)
    root = np.linalg.cholesky(np.cov(z.T).reshape(d, d) + 1e-4 * np.eye(d)) if told else np.eye(d)
    one = np.ones(1, np.float32)
    return Atlas(
        latents=z, kl=kl, error=error,
        axes=visual_axes(model, torch.from_numpy(z), 0, patience=PATIENCE).numpy(),
        mixture=Mixture(one, mean[None].astype(np.float32), root[None].astype(np.float32)),
        maps={"pca": flat(z)},
    )  # fmt: skip


def _known(model: LatentModel, x: Tensor | None, encodes: bool) -> tuple[Array, Array, Array]:
    """``(n, D)`` latents, ``(n,)`` KL in nats, ``(n,)`` squared error per pixel."""
    began, parts = time.monotonic(), []
    given = None if x is None else x.split(BATCH)
    draws = torch.from_numpy(prior_draws(model, 0, KNOWN)).split(BATCH)
    for k, z in enumerate(draws):
        if given is not None and k == len(given):
            break
        y = torch.arange(len(z)) % len(model.data.classes) if model.conditional else None
        if given is None:
            seen = picture(model.decode(z, y)) if encodes else None
        else:
            seen = given[k]
            y = None if y is None else likely_class(model, seen)
        kl = error = torch.zeros(len(z))
        if seen is not None:
            q = model.encode(seen, y)
            at = centre(q)
            z = z if given is None else at
            kl = rate(q, model.prior(y), at, q.log_prob(at))
            error = (picture(model.decode(at, y)) - seen).square().flatten(1).mean(1)
        parts.append((z, kl, error))
        if time.monotonic() - began > PATIENCE and (k + 1) * BATCH >= LEAST:
            break
    z, kl, error = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return z, kl, error


@torch.no_grad()
def visual_axes(
    model: LatentModel, z: Tensor, seed: int, step: float = 0.5, patience: float = math.inf
) -> Tensor:
    """``(K, D)``: directions by how much they change a picture, one spread of the data long.

    The eigenvectors of E[J'J], J the decoder's Jacobian in blurred pixels over whitened latents,
    by central differences of half a spread at PROBES latents, or at as many as ``patience``
    seconds allow.
    """
    began = time.monotonic()
    mean = z.mean(0)
    covariance = (z - mean).T @ (z - mean) / (len(z) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=1e-6).sqrt()  # (D, D): whitened -> latent
    with seeded(seed):
        at = z[torch.randperm(len(z))[:PROBES]]
    gram = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for k, point in enumerate(at):
        y = classes(model, k, len(root))
        ahead = blurred(picture(model.decode(point + step * root.T, y)))
        behind = blurred(picture(model.decode(point - step * root.T, y)))
        slope = (ahead - behind) / (2 * step)
        gram += (slope @ slope.T).double()
        if time.monotonic() - began > patience:
            break
    order = torch.linalg.eigh(gram).eigenvectors.flip(-1).float()  # most visible first
    axes = (root @ order).T[:DIALS]
    # a sign of its own: brighter to the right, so that a rebuilt atlas turns no dial around
    change = torch.stack([_brightness(model, mean, axis) for axis in axes])
    return axes * torch.where(change < 0, -1.0, 1.0)[:, None]


def classes(model: LatentModel, k: int, n: int) -> Tensor | None:
    """``(n,)``: the k-th class, beginning anew after the last; None where none is told."""
    return torch.full((n,), k % len(model.data.classes)) if model.conditional else None


def _brightness(model: LatentModel, z: Tensor, axis: Tensor) -> Tensor:
    y = classes(model, 0, 2)
    pair = picture(model.decode(torch.stack([z - axis, z + axis]), y)).flatten(1).mean(1)
    return pair[1] - pair[0]


def blurred(x: Tensor) -> Tensor:
    """``(n, P)``: luminance at a quarter of the size, where the eye compares pictures."""
    grey = x.mean(1, keepdim=True)
    side = max(1, x.shape[-1] // 16)
    return torch.nn.functional.avg_pool2d(grey, side).flatten(1)


def flat(z: Array) -> Array:
    """``(N, 2)``: the plane of the two principal axes, in spreads; two latents as they are."""
    if z.shape[1] == 2:
        return z.copy()
    mean, axes = ops.principal_axes(z)
    top = axes[:2]
    return (z - mean) @ top.T / np.square(top).sum(1)
