"""Trains what completes pictures from one, two or three quadrants, and the plain network that it
is compared with (Sohn, Lee & Yan 2015).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor
from tqdm import trange

from explorer import cards, quadrants
from explorer.cards import Metric
from explorer.errors import DataError
from explorer.quadrants import GIVEN, Quadrants, log_likelihood, log_rest
from explorer.rng import seeded

from . import batches
from .config import TrainConfig
from .data import Dataset, Split, load

SAMPLES = 100  # weights in a log-likelihood
PARTICLES = 10  # draws in a bound on grey pixels


def fit(folder: Path, epochs: int = 8, batch: int = 256) -> list[Metric]:
    """Writes the bundle's quadrants.safetensors, and on the card how good it is.

    Raises DataError for pictures that are not black and white.
    """
    card = cards.read_card(folder)
    config = TrainConfig.from_dict(card.training, card.name)
    data = load(config.dataset, config.data)
    if data.spec.channels != 1 or config.binarise != "dynamic":
        raise DataError(
            f"{card.name} is of grey or colour pictures, and the quadrants are black and white. "
            "Choose a model that was trained with binarise = dynamic."
        )
    with seeded(config.seed):
        net = trained(Quadrants(data.spec), data.train, config, epochs, batch)
    numbers = measured(net, data, config)
    others = [m for m in card.metrics if not m.name.startswith("rest/")]
    quadrants.save(folder, net, dataclasses.replace(card, metrics=(*others, *numbers)))
    return numbers


def grey(folder: Path, epochs: int = 8, batch: int = 256) -> list[Metric]:
    """Trains the same nets on grey pixels and writes on the card how they do by the protocol of
    Pyro's tutorial; the nets are not kept. Raises DataError for pictures in colour."""
    card = cards.read_card(folder)
    config = TrainConfig.from_dict({**card.training, "binarise": "none"}, card.name)
    data = load(config.dataset, config.data)
    if data.spec.channels != 1:
        raise DataError(f"{card.name} is of colour pictures. Choose a model of digits.")
    with seeded(config.seed):
        net = trained(Quadrants(data.spec), data.train, config, epochs, batch)
    numbers = entropies(net, data, config)
    others = [m for m in card.metrics if not m.name.startswith("grey/")]
    cards.write_card(folder, dataclasses.replace(card, metrics=(*others, *numbers)))
    return numbers


@torch.no_grad()
def entropies(net: Quadrants, data: Dataset, config: TrainConfig) -> list[Metric]:
    """The cross-entropy of grey hidden pixels, as Pyro's tutorial on conditional VAEs has it: the
    plain network's, and the CVAE's bound by PARTICLES draws. Down is better, and neither is the
    likelihood of anything: a grey pixel is no coin."""
    found, n = [], len(data.held.x)
    where = f"{data.spec.name}, held-out, cross-entropy of the grey hidden pixels"
    for count, words in GIVEN.items():
        parts = []
        for start in range(0, n, 500):
            x, _ = batches.seen(data.held, config, slice(start, start + 500), torch.device("cpu"))
            given = torch.full((len(x),), count)
            with seeded(start):
                cvae = quadrants.log_weights(net, x, given, PARTICLES).mean(0)
            parts.append(-torch.stack([log_rest(net.guess(x, given), x, given), cvae]))
        for name, values, how in zip(
            ("network", "CVAE"),
            torch.cat(parts, 1),
            ("", f", a bound by {PARTICLES} draws"),
            strict=True,
        ):
            error = (values.std() / math.sqrt(n)).item()
            said = f"{where}, {words} given{how}; down is better, and no likelihood"
            title = f"grey/{name}, {count} given"
            found.append(Metric(title, values.mean().item(), "nats", said, n, error))
    return found


def trained(
    net: Quadrants, split: Split, config: TrainConfig, epochs: int, batch: int
) -> Quadrants:
    """``net`` after ``epochs`` passes over pictures of which one to three quadrants are given."""
    settings = TrainConfig.from_dict({**config.as_dict(), "batch": batch}, config.name)
    total = epochs * batches.per_epoch(len(split.x), batch)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=total)
    for step in trange(total, desc="quadrants", unit=" steps", disable=None):
        x, _ = batches.batch(split, settings, step, torch.device("cpu"))
        given = torch.randint(1, len(GIVEN) + 1, (len(x),))
        warm = min(1.0, 5 * (step + 1) / total)  # of the KL, over the first fifth
        loss = -bounds(net, x, given, warm).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def bounds(net: Quadrants, x: Tensor, given: Tensor, beta: float = 1.0) -> Tensor:
    """``(B,)`` nats: the plain network's log p(hidden | given), and the CVAE's bound on its own,
    the KL weighed by ``beta``; they have no weight in common."""
    q, p = net.posterior(x, given), net.prior(x, given)
    rest = log_rest(net.decode(q.rsample(), x, given), x, given)
    kl = torch.distributions.kl_divergence(q, p)
    return log_rest(net.guess(x, given), x, given) + rest - beta * kl


@torch.no_grad()
def measured(net: Quadrants, data: Dataset, config: TrainConfig) -> list[Metric]:
    """Both log-likelihoods of what is hidden, for each number of quadrants, and their difference,
    picture by picture."""
    found, n = [], len(data.held.x)
    where = f"{data.spec.name}, held-out, binarised (seeded), nats of the hidden pixels"
    for count, words in GIVEN.items():
        parts = []
        for start in range(0, n, 500):
            x, _ = batches.seen(data.held, config, slice(start, start + 500), torch.device("cpu"))
            given = torch.full((len(x),), count)
            with seeded(start):
                cvae = log_likelihood(net, x, given, SAMPLES)
            parts.append(torch.stack([log_rest(net.guess(x, given), x, given), cvae]))
        plain, cvae = torch.cat(parts, 1)
        said = f"{where}, {words} given"
        weighed = f"importance-weighted, K = {SAMPLES}"
        for name, values, how in (
            ("network", plain, "deterministic network"),
            ("CVAE", cvae, weighed),
            ("gained", cvae - plain, f"{weighed}, less the deterministic network's"),
        ):
            error = (values.std() / math.sqrt(n)).item()
            title = f"rest/{name}, {count} given"
            found.append(Metric(title, values.mean().item(), "nats", f"{said}, {how}", n, error))
    return found
