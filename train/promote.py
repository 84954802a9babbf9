"""From a run's newest checkpoint to a bundle that ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from explorer import bundle
from explorer.cards import Card
from explorer.errors import RunError
from explorer.inference import log_weights
from explorer.protocol import LatentModel
from explorer.rng import seeded
from explorer.runs import Run

from .batches import seen
from .config import TrainConfig, recipe, recipes
from .data import load

TOLERANCE = 0.05  # nats that half precision may cost, or SHARE of the bound's own error
SHARE = 0.01
PROBE = slice(0, 500)


def promote(run: Run, target: Path) -> Card:
    """Copies weights and card into ``target``, halved in precision where the bound minds less
    than TOLERANCE or SHARE; the atlas and the numbers come after (``atlas``, ``evaluate``)."""
    newest = run.checkpoint()
    if newest is None:
        raise RunError(f"{run.name} has no checkpoint yet; let it train a little longer.")
    model, card = bundle.load(newest)
    config = TrainConfig.from_dict(card.training, card.name)
    provenance = {**card.provenance, "recipe": config.name}
    card = dataclasses.replace(card, name=target.name, provenance=provenance)
    if config.name in recipes():  # words may be mended without training again
        today = recipe(config.name)
        card = dataclasses.replace(card, title=today.title, notes=today.notes)
    if not config.half:
        return bundle.save(target, model.state_dict(), card)
    card.provenance["precision"] = "half"
    written = bundle.save(target, model.state_dict(), card, half=True)
    before, after = _bounds(model, config), _bounds(bundle.load(target)[0], config)
    lost = abs(float((before - after).mean()))
    if lost <= max(TOLERANCE, SHARE * float(before.std()) / len(before) ** 0.5):
        return written
    card.provenance["precision"] = f"full, as half would move the bound by {lost:.2f} nats"
    return bundle.save(target, model.state_dict(), card)


@torch.no_grad()
def _bounds(model: LatentModel, config: TrainConfig) -> Tensor:
    """``(n,)``: the ELBO of PROBE held-out pictures in nats, the same draws every time."""
    data = load(config.dataset, config.data)
    x, y = seen(data.held, config, PROBE, torch.device("cpu"))
    with seeded(0):
        return log_weights(model, x, 8, y).mean(0)
