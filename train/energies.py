"""Bends planar flows into the four shapes of Rezende & Mohamed 2015, figure 3.

All shapes and several starts are fitted at a time; of the starts the one with the best bound on
fresh draws is kept. Adam instead of RMSprop, and thousands of updates instead of 500,000.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import trange

from explorer.distributions import draw
from explorer.energies import ENERGIES, SHIPPED, STEPS, Fit, divergences, from_numbers
from explorer.rng import seeded

UPDATES, BATCH, STARTS = 6000, 128, 4
MEASURED = 100_000  # draws that a KL is taken over
NAMES = tuple(ENERGIES)


def fit(path: Path = SHIPPED, updates: int = UPDATES) -> None:
    """Writes the numbers of every shape's flows, and prints how near they come."""
    found = []
    for steps in STEPS:
        with seeded(steps):
            starts = bent(steps, updates)
            found += [best(starts, k, steps) for k in range(len(NAMES))]
    protocol = (
        f"KL(q ‖ p) by {MEASURED:,} draws of q, log of p's integral by adding up small cells; the "
        f"best of {STARTS} starts by the bound on other draws, {updates:,} updates with Adam, "
        f"{BATCH} draws each, the energy's weight rising to 1 over the first half"
    )
    path.write_text(json.dumps(dict(protocol=protocol, fits=found), indent=None) + "\n", "utf-8")


def bent(steps: int, updates: int) -> Fit:
    """Flows of batch ``(STARTS, len(NAMES))``, fitted by their bounds."""
    many = STARTS, len(NAMES)
    free = dict(
        loc=0.5 * torch.randn(*many, 2),
        log_scale=torch.zeros(*many, 2),
        u=0.1 * torch.randn(*many, steps, 2),
        w=torch.randn(*many, steps, 2),
        b=torch.randn(*many, steps),
    )
    adam = torch.optim.Adam([v.requires_grad_() for v in free.values()], 5e-3, fused=True)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, updates, 1e-5)
    for step in trange(updates, desc=f"{steps} steps", disable=None):
        weight = min(1.0, 0.05 + 2 * step / updates)
        adam.zero_grad()
        bounds(made(free), weight).sum().backward()
        torch.nn.utils.clip_grad_norm_(list(free.values()), 50.0)
        adam.step()
        cosine.step()
    return made({name: value.detach() for name, value in free.items()})


def made(free: dict[str, Tensor]) -> Fit:
    """The flows of these numbers."""
    return Fit(free["loc"], free["log_scale"].exp(), free["u"], free["w"], free["b"])


def bounds(flows: Fit, weight: float = 1.0, draws: int = BATCH) -> Tensor:
    """``(STARTS, len(NAMES))``: E log q + ``weight`` U, by fresh draws."""
    z, log_q = draw(flows.density(), (draws,))
    energy = [ENERGIES[name](z[..., k, :]) for k, name in enumerate(NAMES)]
    return (log_q + weight * torch.stack(energy, -1)).mean(0)


@torch.no_grad()
def best(flows: Fit, k: int, steps: int) -> dict[str, Any]:
    """The best start of shape ``k``, and its KL measured anew."""
    pick = int(bounds(flows, draws=20_000)[:, k].argmin())
    kept = {
        name: getattr(flows, name)[pick, k].double().numpy().round(4).tolist()
        for name in ("loc", "scale", "u", "w", "b")
    }
    one = from_numbers(kept)
    each = divergences(NAMES[k], one.density(), MEASURED)
    error = (each.std() / math.sqrt(MEASURED)).item()
    print(f"{NAMES[k]:6} {steps:2} steps: KL {each.mean():.3f} ± {error:.3f} nats", flush=True)
    return dict(
        shape=NAMES[k], steps=steps, kl=round(each.mean().item(), 4), error=round(error, 4), **kept
    )  # fmt: skip
