"""How good a model is on pictures it never saw: numbers with what it takes to measure them again."""

from __future__ import annotations

import torch
from torch import Tensor

from explorer.distributions import draw, rate, rate_per_coordinate
from explorer.protocol import LatentModel
from explorer.rng import seeded

from .config import TrainConfig
from .data import Split

LOOK = 512  # held-out pictures in a quick look


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
        each = rate_per_coordinate(q, p).mean(0)
    return {
        "held/distortion": distortion.item(),
        "held/rate": kl.item(),
        "held/elbo": -(distortion + kl).item(),
        "held/coordinates": [round(v, 3) for v in each.tolist()],
    }


def seen(split: Split, config: TrainConfig, part: slice, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pictures as the likelihood wants them, never augmented; binarised with a fixed seed."""
    x = split.x[part].to(device).float() / 255
    y = None if split.y is None else split.y[part].to(device)
    if config.binarise == "dynamic":
        with seeded(part.start or 0):
            x = torch.bernoulli(x)
    return x, y
