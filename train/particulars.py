"""Numbers that only some models have: of levels, clusters, known factors, pictures by class."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Independent, MixtureSameFamily

from explorer import bundle, cards
from explorer.cards import Metric
from explorer.distributions import centre, draw, rate_per_coordinate, responsibilities
from explorer.errors import BundleError
from explorer.inference import bound, log_likelihood, picture, refine
from explorer.models.pixel import PixelVAE
from explorer.protocol import LatentModel
from explorer.rng import seeded

from .batches import seen
from .config import TrainConfig
from .data import Dataset, Split, load
from .data.sprites import SPRITES_SPEC

FEW, REFINED = 100, 500  # pictures that gaps are measured on, and steps that each is given
SOME = 2000  # held-out pictures that the rate of levels is taken over
DRAWN = 1000  # pictures of each class
DRAWS, REACH = 1000, 3  # of the prior, that may fall into holes; spreads that a posterior reaches
BINS = 20  # that a coordinate is cut into
PASSES = 6  # of the classifier that judges them over its training pictures

Labels = NDArray[np.int64]


def particulars(model: LatentModel, data: Dataset, config: TrainConfig) -> list[Metric]:
    """What applies to this model, measured."""
    found = []
    if len(model.blocks) > 1:
        found += levels(model, data, config)
    if isinstance(model.prior(), MixtureSameFamily) and data.held.y is not None:
        found += clusters(model, data.held, data.spec.name)
    if data.spec.name == SPRITES_SPEC.name:
        found.append(factors(model, data.held))
    if model.latent_size == 2 and not model.conditional:
        found.append(holes(model, data))
    if data.spec.pixelated and not slow(model):
        found += gaps(model, data, config)
    if model.conditional:
        found.append(obedience(model, data))
    return found


def slow(model: LatentModel) -> bool:
    """Whether to score a picture takes convolutions over very many pixels, each of its own."""
    return isinstance(model, PixelVAE) and model.data.height > 16


@torch.no_grad()
def levels(model: LatentModel, data: Dataset, config: TrainConfig) -> list[Metric]:
    """The rate of each block in nats, given the blocks before it."""
    x, y = seen(data.held, config, slice(0, SOME), next(model.parameters()).device)
    with seeded(0):
        q, p = model.encode(x, y), model.prior(y)
        each = rate_per_coordinate(q, p, draw(q)[0])
    sizes = [block.size for block in model.blocks]
    found = []
    for block, part in zip(model.blocks, each.split(sizes, -1), strict=True):
        kl = part.sum(-1)
        error = (kl.std() / math.sqrt(len(kl))).item()
        protocol = f"{data.spec.name}, held-out, KL of this level given those above it"
        found.append(
            Metric(f"rate/{block.name}", kl.mean().item(), "nats", protocol, len(kl), error)
        )
    return found


@torch.no_grad()
def holes(model: LatentModel, data: Dataset) -> Metric:
    """The share of draws from the prior where the decoder was never taught anything.

    That is where no training picture's posterior reaches: farther than REACH of its own spreads.
    """
    parts = [model.encode(x.float() / 255) for x in data.train.x.split(1000)]
    loc, scale = (
        torch.cat(each) for each in zip(*((q.mean, q.stddev) for q in parts), strict=True)
    )
    with seeded(0):
        z = model.prior().sample(torch.Size([DRAWS]))
    nearest = [((some[:, None] - loc) / scale).square().sum(-1).amin(1) for some in z.split(20)]
    far = (torch.cat(nearest) > REACH**2).float()
    protocol = (
        f"{DRAWS:,} draws of p(z) that lie more than {REACH} posterior spreads from the code of "
        f"every training picture of {data.spec.name}"
    )
    error = (far.std() / math.sqrt(DRAWS)).item()
    return Metric("hole_share", far.mean().item(), "of all", protocol, DRAWS, error)


def gaps(model: LatentModel, data: Dataset, config: TrainConfig) -> list[Metric]:
    """What the encoder, and what its diagonal Gaussian, cost the bound (Cremer et al. 2018): three
    means over the same FEW pictures, and the two differences, picture by picture."""
    x, y = seen(data.held, config, slice(0, FEW), next(model.parameters()).device)
    with seeded(0):
        if not isinstance(model.encode(x, y), Independent):
            return []  # a Gaussian refined would be another kind of posterior, not a better one
        encoder = bound(model, x, 200, y)
        q = refine(model, x, REFINED, lr=0.02, samples=16, y=y)
        best = bound(model, x, 200, y, q)
        with torch.no_grad():  # the better of two lower bounds
            log_p = log_likelihood(model, x, 2000, y)
            log_p = torch.maximum(log_p, log_likelihood(model, x, 2000, y, q))
    protocol = f"{data.spec.name}, held-out, {REFINED} steps of refinement, log p with K = 2000"
    each = {
        "few/encoder": encoder,
        "few/refined": best,
        "few/log_p": log_p,
        "gap/amortisation": best - encoder,
        "gap/approximation": log_p - best,
    }
    return [
        Metric(
            name, nats.mean().item(), "nats", protocol, len(x),
            (nats.std() / math.sqrt(len(x))).item(),
        )
        for name, nats in each.items()
    ]  # fmt: skip


def tabled(folder: Path) -> list[Metric]:
    """Writes `gaps` on a bundle's card. Raises BundleError where it has none."""
    model, card = bundle.load(folder)
    config = TrainConfig.from_dict(card.training, card.name)
    found = gaps(model, load(config.dataset, config.data), config)
    if not found:
        raise BundleError(
            f"{card.name} has a posterior that is no diagonal Gaussian, so a refined one would be "
            "of another kind. Choose a model of the family vae or cvae."
        )
    others = [m for m in card.metrics if not m.name.startswith(("few/", "gap/"))]
    cards.write_card(folder, dataclasses.replace(card, metrics=(*others, *found)))
    return found


# -- clusters


def accuracy(found: Labels, truth: Labels) -> float:
    """The share of pictures whose cluster is their class, clusters matched to classes at best."""
    from scipy.optimize import linear_sum_assignment

    k = int(max(found.max(), truth.max())) + 1
    table = np.zeros((k, k), np.int64)
    np.add.at(table, (found, truth), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(truth))


@torch.no_grad()
def sorted_well(model: LatentModel, held: Split, name: str) -> Metric:
    """How well the components of a model's prior meet classes."""
    prior, truth = model.prior(), held.y
    assert isinstance(prior, MixtureSameFamily)
    assert truth is not None
    own = responsibilities(prior, latents(model, held)).argmax(-1).numpy()
    said = f"{name}, held-out, clusters matched to classes one to one; no label was trained on"
    return Metric("cluster_accuracy", accuracy(own, truth.numpy()), "of all", said, len(truth))


def latents(model: LatentModel, held: Split) -> Tensor:
    """``(N, D)``: posterior centres of grey pictures."""
    return torch.cat([centre(model.encode(x.float() / 255)) for x in held.x.split(1000)])


@torch.no_grad()
def clusters(model: LatentModel, held: Split, name: str) -> list[Metric]:
    """How well clusters meet classes: the model's, and others' on pixels and on its latents."""
    from sklearn.cluster import KMeans, SpectralClustering
    from sklearn.mixture import GaussianMixture

    assert held.y is not None
    prior = model.prior()
    assert isinstance(prior, MixtureSameFamily)
    truth, k = held.y.numpy(), len(prior.mixture_distribution.probs)
    pixels = (held.x.flatten(1).float() / 255).numpy()
    views = {"pixels": pixels, "latents": latents(model, held).numpy()}
    others = {
        "kmeans": KMeans(k, n_init=10, random_state=0),  # pyright: ignore[reportArgumentType]
        "gmm": GaussianMixture(
            k, covariance_type="diag", n_init=5, random_state=0, reg_covar=1e-3
        ),
        "spectral": SpectralClustering(
            k, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=0
        ),
    }
    found = [sorted_well(model, held, name)]
    for method, fit in others.items():
        for view, points in views.items():
            value = accuracy(fit.fit_predict(points), truth)
            said = f"{name}, {method} of the held-out {view}, matched likewise"
            found.append(
                Metric(f"cluster_accuracy/{method}/{view}", value, "of all", said, len(truth))
            )
    return found


# -- known factors


def gap(z: NDArray[np.float32], values: NDArray[np.int64]) -> float:
    """How much more of a factor ``(N,)`` the best coordinate of ``z: (N, D)`` knows than the next,
    as a share of the factor's entropy; coordinates in BINS equal bins."""
    levels = np.unique(values, return_inverse=True)[1]
    known = []
    for column in z.T:
        edges = np.linspace(column.min(), column.max(), BINS + 1)[1:-1]
        table = np.zeros((BINS, levels.max() + 1))
        np.add.at(table, (np.digitize(column, edges), levels), 1 / len(z))
        apart = table.sum(1, keepdims=True) * table.sum(0)
        there = table > 0
        known.append((table[there] * np.log(table[there] / apart[there])).sum())
    share = np.bincount(levels) / len(z)
    best = np.sort(known)[::-1]
    return float((best[0] - best[1]) / -(share * np.log(share)).sum())


@torch.no_grad()
def factors(model: LatentModel, held: Split) -> Metric:
    """The mutual information gap (Chen et al. 2018, arXiv:1802.04942), over all known factors."""
    z = latents(model, held).numpy()
    assert held.y is not None
    all_of = {"shape": held.y, **held.attributes}
    each = {name: gap(z, values.long().numpy()) for name, values in all_of.items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in each.items())
    return Metric(
        "mig",
        float(np.mean(list(each.values()))),
        "of 1",
        "sprites drawn by this program, held-out; mutual information gap of the posterior mean "
        f"in {BINS} equal bins (as Locatello et al. 2019), mean of {told}",
        len(z),
    )


# -- pictures by class


@torch.no_grad()
def obedience(model: LatentModel, data: Dataset) -> Metric:
    """How often a picture that was asked for as a class is read as one, by another's eyes."""
    read, sure = reader(data)
    k = len(data.spec.classes)
    y = torch.arange(k).repeat_interleave(DRAWN)
    right = []
    with seeded(0):
        for part in y.split(DRAWN):
            z = model.prior(part).sample(torch.Size([len(part)]))
            right.append((read(picture(model.decode(z, part))).argmax(-1) == part).float())
    share = torch.cat(right)
    return Metric(
        "class_accuracy",
        share.mean().item(),
        "of all",
        f"pictures drawn for each class, read by a classifier that is right on {sure:.1%} of "
        f"{data.spec.name}'s held-out pictures and that the model never saw",
        len(share),
        (share.std() / math.sqrt(len(share))).item(),
    )


def reader(data: Dataset) -> tuple[nn.Module, float]:
    """A classifier trained on ``data``, and its share of held-out pictures that it reads right."""
    x, y, k = data.train.x, data.train.y, len(data.spec.classes)
    assert y is not None
    assert data.held.y is not None
    with seeded(0), torch.enable_grad():
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(x[0].numel(), 500), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(500, 500), nn.ReLU(), nn.Dropout(0.3), nn.Linear(500, k),
        )  # fmt: skip
        adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        for _ in range(PASSES):
            for pick in torch.randperm(len(x)).split(128):
                adam.zero_grad()
                loss = nn.functional.cross_entropy(net(x[pick].float() / 255), y[pick])
                loss.backward()
                adam.step()
    net.eval().requires_grad_(False)
    right = net(data.held.x.float() / 255).argmax(-1) == data.held.y
    return net, right.float().mean().item()
