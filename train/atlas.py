"""Builds what a bundle knows of its latent space, from held-out pictures; UMAP runs here only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily

from explorer import atlas, bundle, ops
from explorer.atlas import Atlas, Mixture
from explorer.cards import write_card
from explorer.distributions import centre, rate
from explorer.inference import picture
from explorer.ops import Array
from explorer.protocol import LatentModel
from explorer.rng import seeded

from .config import TrainConfig
from .data import Dataset, Split, load
from .directions import directions

DIALS = 20  # visual axes kept
MOST = 20_000  # latents that a mixture is fitted to
KEPT = 3_000  # held-out pictures of which an atlas keeps what is known, at most
PROBES = 100  # latents at which the decoder's response is measured
KINDS = ((1, "full"), (10, "full"), (30, "diag"))  # of mixtures tried: how many parts, which


def build(folder: Path) -> Atlas:
    """The atlas of a bundle, written beside its weights, the card's hashes brought up to date."""
    model, card = bundle.load(folder)
    config = TrainConfig.from_dict(card.training, card.name)
    data = load(config.dataset, config.data)
    made = chart(model, data, config.seed)
    atlas.save(folder, made)
    write_card(folder, card)
    return made


@torch.no_grad()
def chart(model: LatentModel, data: Dataset, seed: int) -> Atlas:
    """Latents, density, dials, maps and attribute directions of ``model`` on ``data``.

    All held-out pictures take part; every n-th is kept, not the first KEPT of them, as the first
    half of MNIST's test pictures is the easier one.
    """
    z, kl, error = (part.numpy() for part in facts(model, data.held))
    known = centres(model, data.train)
    there, truth = (
        {name: value.numpy() for name, value in split.attributes.items()}
        for split in (data.train, data.held)
    )
    kept = slice(None, None, -(-len(z) // KEPT))
    return Atlas(
        latents=z[kept],
        kl=kl[kept],
        error=error[kept],
        axes=visual_axes(model, known, seed).numpy(),
        mixture=mixture(known.numpy(), z, seed),
        clusters=clusters(model.prior()),
        labels=None if data.held.y is None else data.held.y.numpy()[kept],
        maps={"pca": flat(z)[kept], "umap": umap(z, seed)[kept]},
        attributes={name: value[kept] for name, value in truth.items()},
        directions=directions(known.numpy(), there, z, truth),
    )


def batches(split: Split, size: int = 500) -> Iterator[tuple[Tensor, Tensor | None]]:
    """All of ``split`` in order: pictures in [0, 1] and their labels."""
    for start in range(0, len(split.x), size):
        part = slice(start, start + size)
        yield split.x[part].float() / 255, None if split.y is None else split.y[part]


@torch.no_grad()
def centres(model: LatentModel, split: Split) -> Tensor:
    """``(N, D)``: where the posterior of every picture is centred."""
    return torch.cat([centre(model.encode(x, y)) for x, y in batches(split)])


@torch.no_grad()
def facts(model: LatentModel, split: Split) -> tuple[Tensor, Tensor, Tensor]:
    """``(N, D)`` posterior centres, ``(N,)`` KL in nats, ``(N,)`` squared error per pixel."""
    parts = []
    for x, y in batches(split):
        q = model.encode(x, y)
        z = centre(q)
        kl = rate(q, model.prior(y), z, q.log_prob(z))
        error = (picture(model.decode(z, y)) - x).square().flatten(1).mean(1)
        parts.append((z, kl, error))
    z, kl, error = (torch.cat(column) for column in zip(*parts, strict=True))
    return z, kl, error


def clusters(prior: Distribution) -> Mixture | None:
    """The parts of a prior that is a mixture."""
    if not isinstance(prior, MixtureSameFamily):
        return None
    parts = prior.component_distribution
    spread = torch.diag_embed(parts.stddev)
    return Mixture(*(v.numpy() for v in (prior.mixture_distribution.probs, parts.mean, spread)))


def mixture(z: Array, held: Array, seed: int) -> Mixture:
    """A Gaussian mixture of ``z: (N, D)``: of KINDS the one that foretells ``held`` best.

    The density after the fact of Ghosh et al. 2020 (arXiv:1903.12436): better samples than N(0, I)
    where the aggregate posterior is not the prior.
    """
    z = z[:MOST]
    fitted = [_fitted(z, count, kind, seed) for count, kind in KINDS if 10 * count <= len(z)]
    return max(fitted, key=lambda m: m.log_prob(held).mean())


def _fitted(z: Array, count: int, kind: str, seed: int) -> Mixture:
    from sklearn.mixture import GaussianMixture

    # in units of spread: coordinates that the model left unused vary by a thousandth of the others
    mean, spread = z.mean(0), np.maximum(z.std(0), 1e-5)
    fit = GaussianMixture(count, covariance_type=kind, random_state=seed, reg_covar=1e-4)
    fit.fit(((z - mean) / spread).astype(np.float64))
    weights, loc, covariance = map(np.asarray, (fit.weights_, fit.means_, fit.covariances_))
    if kind == "diag":
        covariance = covariance[:, :, None] * np.eye(z.shape[1])
    root = spread[:, None] * np.linalg.cholesky(covariance)
    return Mixture(*(part.astype(np.float32) for part in (weights, mean + spread * loc, root)))


@torch.no_grad()
def visual_axes(model: LatentModel, z: Tensor, seed: int, step: float = 0.5) -> Tensor:
    """``(K, D)``: directions by how much they change a picture, one spread of the data long.

    The eigenvectors of E[J'J], J the decoder's Jacobian in blurred pixels over whitened latents,
    by central differences of half a spread at PROBES latents.
    """
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


def umap(z: Array, seed: int) -> Array:
    """``(N, 2)``: UMAP of ``z`` (McInnes et al. 2018); its distances are not latent distances."""
    import umap as umap_learn

    fit = umap_learn.UMAP(n_neighbors=15, min_dist=0.1, random_state=seed, n_jobs=1)
    return np.asarray(fit.fit_transform(z), np.float32)
