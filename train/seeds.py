"""Which of several seeds ships, and how far they lie apart: no number of one lucky run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch
from torch.distributions import MixtureSameFamily

from explorer import bundle
from explorer.cards import Metric
from explorer.errors import RunError
from explorer.inference import log_weights
from explorer.protocol import LatentModel
from explorer.rng import seeded
from explorer.runs import Run

from .batches import seen
from .config import TrainConfig
from .data import Dataset, load
from .data.sprites import SPRITES_SPEC
from .particulars import factors, sorted_well

SAMPLES = 4  # of the bound that decides, at each held-out picture


def chosen(runs: Sequence[Run]) -> tuple[Run, list[Metric]]:
    """The run with the best held-out bound, never the best by a label; and for every number that
    a seed moves, its mean over the runs with its standard deviation.

    Raises RunError where a run has no checkpoint.
    """
    rows: list[dict[str, Metric]] = []
    for run in runs:
        newest = run.checkpoint()
        if newest is None:
            raise RunError(f"{run.name} has no checkpoint yet; let it train a little longer.")
        model, card = bundle.load(newest)
        config = TrainConfig.from_dict(card.training, card.name)
        rows.append({m.name: m for m in moved(model, load(config.dataset, config.data), config)})
    best = max(range(len(runs)), key=lambda i: rows[i]["elbo"].value)
    return runs[best], [over([row[name] for row in rows], best) for name in rows[0]]


def over(found: Sequence[Metric], best: int) -> Metric:
    """One number over seeds; ``best`` is the place of the one that ships."""
    values = [metric.value for metric in found]
    told = ", ".join(f"{value:.4g}" for value in values)
    return Metric(
        f"seeds/{found[0].name}",
        statistics.fmean(values),
        found[0].unit,
        f"mean and standard deviation over {len(values)} seeds ({told}), the {best + 1}. of which "
        f"ships, as its held-out bound is the best; each: {found[0].protocol}",
        len(values),
        statistics.stdev(values),
    )


@torch.no_grad()
def moved(model: LatentModel, data: Dataset, config: TrainConfig) -> list[Metric]:
    """The held-out bound, and what clusters or factors a model found."""
    values = []
    for start in range(0, len(data.held.x), 500):
        x, y = seen(data.held, config, slice(start, start + 500), torch.device("cpu"))
        with seeded(start):
            values.append(log_weights(model, x, SAMPLES, y).mean(0))
    elbo = torch.cat(values)
    error = elbo.std().item() / math.sqrt(len(elbo))
    said = f"{data.spec.name}, held-out, {SAMPLES} samples each"
    found = [Metric("elbo", elbo.mean().item(), "nats", said, len(elbo), error)]
    prior = model.prior()
    if isinstance(prior, MixtureSameFamily) and data.held.y is not None:
        found.append(sorted_well(model, data.held, data.spec.name))
    if data.spec.name == SPRITES_SPEC.name:
        found.append(factors(model, data.held))
    return found
