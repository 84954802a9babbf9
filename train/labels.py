"""A hundred labels among many pictures: how far they go on what a model saw in all of them.

The M1 of Kingma, Mohamed, Rezende & Welling 2014 (arXiv:1406.5298): features are learned without
labels, then a classifier that also looks at the pictures without. Differs: theirs is a
transductive SVM, ours spreads labels along nearest neighbours (Zhou et al. 2004).
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from explorer import bundle, cards
from explorer.cards import Metric
from explorer.distributions import centre
from explorer.errors import DataError
from explorer.protocol import LatentModel

from .config import TrainConfig
from .data import Dataset, load

LABELS, DRAWS = 100, 3  # how many are told, and how often others are
NEIGHBOURS, KEPT = 7, 0.99  # in the graph; of what they say, against one's own label

Points = NDArray[np.float32]
Labels = NDArray[np.int64]


def few(folder: Path) -> list[Metric]:
    """Measures a bundle and puts the numbers on its card."""
    model, card = bundle.load(folder)
    config = TrainConfig.from_dict(card.training, card.name)
    found = errors(model, load(config.dataset, config.data))
    others = (m for m in card.metrics if not m.name.startswith("label_error/"))
    cards.write_card(folder, dataclasses.replace(card, metrics=(*others, *found)))
    return found


@torch.no_grad()
def errors(model: LatentModel, data: Dataset) -> list[Metric]:
    """The share of held-out pictures that LABELS training labels leave wrong, on pixels and on the
    model's latents; the error is the standard deviation over DRAWS sets of labels.

    Raises DataError where there are no classes.
    """
    y, truth = data.train.y, data.held.y
    if y is None or truth is None:
        raise DataError(f"{data.spec.name} has no classes. Choose pictures with labels.")
    if model.conditional:
        raise DataError("This model is told the class of a picture. Choose one that is not.")

    def latents(x: torch.Tensor) -> Points:
        return torch.cat([centre(model.encode(x.float() / 255)) for x in x.split(1000)]).numpy()

    told = [chosen(y.numpy(), LABELS, seed) for seed in range(DRAWS)]
    found = []
    for view, see in (("pixels", flat), ("latents", latents)):
        pictures = see(data.held.x)
        wrong = [
            float((spread(see(data.train.x[t]), y[t].numpy(), pictures) != truth.numpy()).mean())
            for t in told
        ]
        protocol = (
            f"{data.spec.name}, held-out, {LABELS} training labels spread along {NEIGHBOURS} "
            f"nearest neighbours of {view}, mean and standard deviation over {DRAWS} sets of "
            "labels"
        )
        spreads = float(np.std(wrong, ddof=1))
        name = f"label_error/{view}"
        found.append(Metric(name, float(np.mean(wrong)), "of all", protocol, len(truth), spreads))
    return found


def flat(x: torch.Tensor) -> Points:
    """``(n, P)``: pixels as they are."""
    return (x.flatten(1).float() / 255).numpy()


def chosen(y: Labels, n: int, seed: int) -> Labels:
    """``(n,)`` indices of ``y: (N,)``, of each class as many as of the others, or one more."""
    order = np.random.default_rng(seed).permutation(len(y))
    turn = np.empty(len(y), np.int64)  # the how-manieth of its class each one is
    for k in np.unique(y):
        mine = order[y[order] == k]
        turn[mine] = np.arange(len(mine))
    return order[np.argsort(turn[order], kind="stable")[:n]]


def spread(known: Points, labels: Labels, others: Points) -> Labels:
    """``(m,)``: the labels of ``others: (m, D)``, from ``labels: (n,)`` of ``known: (n, D)``, led
    along all points' nearest neighbours."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.semi_supervised import LabelSpreading

    points = np.concatenate([known, others])
    told = np.concatenate([labels, np.full(len(others), -1)])
    graph = LabelSpreading(
        kernel="knn", n_neighbors=NEIGHBOURS, alpha=KEPT, max_iter=200, tol=1e-4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # a point that no label reaches is 0 / 0
        return graph.fit(points, told).transduction_[len(known) :]
