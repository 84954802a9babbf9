"""How good a model is on pictures it never saw: numbers, and how to measure them again."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import Independent

from explorer import atlas, bundle, cards, diagnostics, quadrants
from explorer.attributes import described
from explorer.cards import Card, Metric
from explorer.distributions import centre, diag_normal, draw, rate, rate_per_coordinate
from explorer.errors import BundleError
from explorer.inference import log_likelihood, log_weights, picture
from explorer.protocol import LatentModel
from explorer.rng import seeded

from .appearance import appearance
from .batches import seen
from .config import TrainConfig
from .data import Dataset, Split, load
from .directions import sides
from .flips import flips, side_effects
from .judges import SIZE
from .objectives.tc import shares
from .particulars import particulars, slow
from .quadrants import measured

LOOK = 512  # held-out pictures in a quick look
PARTED = 256  # of them, whose KL is taken apart: all pairs are compared
PARTS = ("held/mutual_information", "held/total_correlation", "held/coordinates_kl")
ELBO_SAMPLES, FEWER = 32, 4  # the second of a model that is slow to ask
ELSEWHERE = ("gain/", "label_error/", "seeds/")  # measured by compare, labels and ship
GIVEN = "given the class"  # log p(x | y), which is no log p(x)


@torch.no_grad()
def quick(model: LatentModel, held: Split, config: TrainConfig) -> dict[str, float | list[float]]:
    """Held-out bound on LOOK pictures, one seeded sample each: enough for a curve, cheap."""
    device = next(model.parameters()).device
    x, y = seen(held, config, slice(0, LOOK), device)
    with seeded(0):
        q, p = model.encode(x, y), model.prior(y)
        z, log_q = draw(q)
        distortion = -model.decode(z, y).log_prob(x).mean()
        kl = rate(q, p, z, log_q).mean()
    record: dict[str, float | list[float]] = {
        "held/distortion": distortion.item(),
        "held/rate": kl.item(),
        "held/elbo": -(distortion + kl).item(),
    }
    if isinstance(q, Independent) and isinstance(p, Independent) and len(x) > 1:
        few = diag_normal(q.mean[:PARTED], q.stddev[:PARTED])
        parts = shares(few, p, z[:PARTED], len(held.x), stratified=True)
        record |= {name: part.item() for name, part in zip(PARTS, parts, strict=True)}
    with contextlib.suppress(NotImplementedError):  # its coordinates have no share of the KL
        each = rate_per_coordinate(q, p, z).mean(0)
        record["held/coordinates"] = [round(v, 3) for v in each.tolist()]
    return record


def evaluate(folder: Path, k: int = 5000, n: int | None = None) -> Card:
    """Measures a bundle on its held-out pictures, prints the table, and writes it on the card.

    Arguments:
        k: importance samples in the log-likelihood.
        n: pictures that the log-likelihood is taken over; all of them by default.
    """
    model, card = bundle.load(folder)
    config = TrainConfig.from_dict(card.training, card.name)
    data = load(config.dataset, config.data)
    metrics = measure(model, data, config, k, n) + particulars(model, data, config)
    known = atlas.load(folder, card.files.get(cards.ATLAS))
    if known is not None:
        metrics += attribute_metrics(known)
    if config.dataset == "faces":
        real = load("faces", {"size": SIZE})
        metrics += appearance(model, known, data, real)
        metrics += flips(model, known, real) if known is not None else []
    completing = quadrants.beside(model)
    if completing is not None:
        metrics += measured(completing, data, config)
    metrics += [m for m in card.metrics if m.name.startswith(ELSEWHERE)]
    tell(metrics)
    return cards.write_card(folder, dataclasses.replace(card, metrics=tuple(metrics)))


def tell(metrics: Sequence[Metric]) -> None:
    """Prints a table of them."""
    for metric in metrics:
        error = f" ± {metric.error:.2f}" if metric.error is not None else ""
        print(f"{metric.name:22} {metric.value:10.4g}{error} {metric.unit:8} {metric.protocol}")


def effects(folder: Path) -> None:
    """Prints what each attribute's direction changes besides (`flips.side_effects`)."""
    model, card = bundle.load(folder)
    known = atlas.load(folder, card.files.get(cards.ATLAS))
    if card.data.name != "faces" or known is None or not known.directions:
        raise BundleError(f"{card.name} knows no directions of faces. Choose a model of faces.")
    names, table = side_effects(model, known, load("faces", {"size": SIZE}))
    print(f"{'':12}" + "".join(f"{name[:8]:>9}" for name in names))
    for name, row in zip(names, table, strict=True):
        print(f"{name:12}" + "".join(f"{value:9.2f}" for value in row))


def compare(folder: Path, other: Path, k: int = 1000, n: int = 2000) -> Card:
    """Measures how much better a bundle is than another on the same pictures, binarised alike.

    Prints it and writes it on the card. Raises BundleError where the pictures are not the same.
    """
    mine, theirs = cards.read_card(folder), cards.read_card(other)
    if (mine.data, mine.training["binarise"]) != (theirs.data, theirs.training["binarise"]):
        raise BundleError(
            f"{mine.name} and {theirs.name} are of different pictures, so their nats do not "
            "compare. Choose two of one data set, binarised alike."
        )
    config = TrainConfig.from_dict(mine.training, mine.name)
    held = load(config.dataset, config.data).held
    values = [likelihoods(bundle.load(place)[0], held, config, k, n) for place in (folder, other)]
    where = f"{mine.data.name}, held-out, log-likelihood (K = {k}) less that of {theirs.name}"
    gained = _nats(f"gain/{theirs.name}", values[0] - values[1], f"{where}, picture by picture")
    print(f"{gained.name} {gained.value:.3f} ± {gained.error:.3f} nats over {gained.n} pictures")
    others = tuple(m for m in mine.metrics if m.name != gained.name)
    return cards.write_card(folder, dataclasses.replace(mine, metrics=(*others, gained)))


@torch.no_grad()
def likelihoods(
    model: LatentModel, held: Split, config: TrainConfig, k: int, n: int, chunk: int = 100
) -> Tensor:
    """``(n,)`` nats: the importance-weighted bound on log p of the first held-out pictures."""
    device = next(model.parameters()).device
    parts = []
    for start in range(0, min(n, len(held.x)), chunk):
        x, y = seen(held, config, slice(start, min(start + chunk, n)), device)
        with seeded(start):
            parts.append(log_likelihood(model, x, k, y))
    return torch.cat(parts)


def attribute_metrics(known: atlas.Atlas) -> list[Metric]:
    """How well each attribute is told from the posterior mean, in the page's order."""
    protocol = "held-out pictures that clearly have or lack it, linear on the posterior mean"
    found = []
    for a in described(known.attributes):
        if a.name in known.directions:
            lacks, has = sides(a, known.attributes)
            auc = known.directions[a.name].auc
            found.append(Metric(f"auc/{a.name}", auc, "AUC", protocol, int((lacks | has).sum())))
    return found


@torch.no_grad()
def measure(
    model: LatentModel, data: Dataset, config: TrainConfig, k: int, n: int | None, chunk: int = 100
) -> list[Metric]:
    """Bound, log-likelihood, rate, active units and squared error on held-out pictures."""
    held, device = data.held, next(model.parameters()).device
    total, some = len(held.x), min(n or len(held.x), len(held.x))
    mean_picture = data.train.mean_picture().to(device)
    samples = FEWER if slow(model) else ELBO_SAMPLES
    elbo, likelihood, rates, centres, error, spread = [], [], [], [], [], []
    for start in range(0, total, chunk):
        part = slice(start, min(start + chunk, total))
        x, y = seen(held, config, part, device)
        with seeded(start):
            q = model.encode(x, y)
            z, log_q = draw(q)
            rates.append(rate(q, model.prior(y), z, log_q))
            centres.append(centre(q))
            elbo.append(log_weights(model, x, samples, y).mean(0))
            if start < some:
                kept = slice(0, some - start)
                likelihood.append(
                    log_likelihood(model, x[kept], k, None if y is None else y[kept])
                )
        grey = held.x[part].to(device).float() / 255
        again = picture(model.decode(centre(model.encode(grey, y)), y))
        error.append((again - grey).square().flatten(1).mean(1))
        spread.append((mean_picture - grey).square().flatten(1).mean(1))
        print(f"\r{part.stop}/{total}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    blank = torch.cat(spread).mean().item()
    where = f"{data.spec.name}, held-out"
    if config.binarise == "dynamic":
        where += ", dynamically binarised (seeded)"
    if model.conditional:
        where += f", {GIVEN}"
    return [
        _nats("elbo", torch.cat(elbo), f"{where}, {samples} samples each"),
        _nats("log_likelihood", torch.cat(likelihood), f"{where}, importance-weighted, K = {k}"),
        _nats("rate", torch.cat(rates), f"{where}, KL(q(z|x) ‖ p(z))"),
        Metric(
            "active_units",
            float(diagnostics.used(torch.cat(centres).cpu().numpy())),
            f"of {model.latent_size}",
            f"{where}, variance of the posterior mean above {diagnostics.ACTIVE}",
            total,
        ),
        Metric(
            "squared_error",
            torch.cat(error).mean().item() / blank,
            "of the mean picture's",
            f"{where}, grey or colour values, reconstruction from the posterior centre; the mean "
            f"picture's error is {blank:.4f}",
            total,
            torch.cat(error).std().item() / math.sqrt(total) / blank,
        ),
    ]


def _nats(name: str, values: Tensor, protocol: str) -> Metric:
    error = (values.std() / math.sqrt(len(values))).item()
    return Metric(name, values.mean().item(), "nats", protocol, len(values), error)
