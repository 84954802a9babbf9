"""Builds what a bundle knows of its latent space, from held-out pictures; UMAP runs here only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily

from explorer import atlas, bundle
from explorer.atlas import Atlas, Mixture
from explorer.cards import write_card
from explorer.charting import flat, visual_axes
from explorer.distributions import centre, rate
from explorer.inference import picture
from explorer.ops import Array
from explorer.protocol import LatentModel

from .config import TrainConfig
from .data import Dataset, Split, load
from .directions import directions

MOST = 20_000  # latents that a mixture is fitted to
KEPT = 3_000  # held-out pictures of which an atlas keeps what is known, at most
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


def umap(z: Array, seed: int) -> Array:
    """``(N, 2)``: UMAP of ``z`` (McInnes et al. 2018); its distances are not latent distances."""
    import umap as umap_learn

    fit = umap_learn.UMAP(n_neighbors=15, min_dist=0.1, random_state=seed, n_jobs=1)
    return np.asarray(fit.fit_transform(z), np.float32)
