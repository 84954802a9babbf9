"""Trains what reads pictures with holes, beside a model that stays as it is.

Posterior matching (Strauss & Oliva 2022, arXiv:2201.08946): the net's log q(z | known pixels) is
raised at latents that the model's own encoder draws for the whole picture.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from tqdm import trange

from explorer import bundle, masked
from explorer.device import resolve
from explorer.distributions import draw
from explorer.masked import MaskedEncoder
from explorer.protocol import LatentModel
from explorer.rng import seeded

from . import batches
from .config import TrainConfig
from .data import Dataset, Split, load

WIDTH = 8
LARGEST = 0.8  # of the picture that is hidden at most
POOL = 4096  # holes, drawn once, of which every step takes some: drawing takes as long as a step


def fit(folder: Path, steps: int = 8_000, batch: int = 64) -> float:
    """Writes the bundle's masked.safetensors; returns its held-out log q(z | known) less that of
    the prior, nats a picture: what it knows of a whole picture from a part."""
    model, card = bundle.load(folder, resolve())
    config = TrainConfig.from_dict(card.training, card.name)
    data = load(config.dataset, config.data)
    with seeded(config.seed):
        net = trained(model, data, config, steps, batch)
        gained = gain(net, model, data.held)
    masked.save(folder, net, card)
    return gained


def trained(
    model: LatentModel, data: Dataset, config: TrainConfig, steps: int, batch: int
) -> MaskedEncoder:
    """A net for ``model``, trained on the pictures as the model saw them."""
    device = next(model.parameters()).device
    net = MaskedEncoder(model.data, model.latent_size, WIDTH).to(device)
    settings = TrainConfig.from_dict({**config.as_dict(), "batch": batch}, config.name)
    pool = holes(POOL, model.data.height, model.data.width).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in trange(steps, desc="reading holes", unit=" steps", disable=None):
        x, y = batches.batch(data.train, settings, step, device)
        known = pool[torch.randint(POOL, (len(x),))]
        loss = -matched(net, model, x, y, known).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 50.0)
        optimizer.step()
        schedule.step()
    return net.eval()


def matched(
    net: MaskedEncoder, model: LatentModel, x: Tensor, y: Tensor | None, known: Tensor
) -> Tensor:
    """``(B,)``: log q(z | known pixels) in nats, z drawn for the whole of each picture."""
    with torch.no_grad():
        z, _ = draw(model.encode(x, y))
    return net(x, known).log_prob(z)


@torch.no_grad()
def gain(net: MaskedEncoder, model: LatentModel, held: Split, n: int = 500) -> float:
    """Mean of ``matched`` less log p(z), nats: nothing for a net that has learned nothing."""
    device = next(model.parameters()).device
    x = held.x[:n].to(device).float() / 255
    y = None if held.y is None else held.y[:n].to(device)
    z, _ = draw(model.encode(x, y))
    known = holes(len(x), *x.shape[-2:]).to(device)
    return float((net(x, known).log_prob(z) - model.prior(y).log_prob(z)).mean())


def holes(n: int, height: int, width: int) -> Tensor:
    """``(n, 1, height, width)`` bool, True where known: halves, boxes, strokes or everything,
    each picture's own, at most LARGEST of it hidden."""
    rows = ((torch.arange(height) + 0.5) / height)[:, None]
    columns = ((torch.arange(width) + 0.5) / width)[None, :]
    kinds = (_beyond_a_line, _box, _box, _strokes)
    out = torch.ones(n, 1, height, width, dtype=torch.bool)
    for k in range(n):
        hidden = kinds[int(torch.randint(len(kinds), ()))](rows, columns)
        if hidden.float().mean() <= LARGEST:
            out[k, 0] = ~hidden
    return out


def _beyond_a_line(rows: Tensor, columns: Tensor) -> Tensor:
    turn = float(torch.rand(()) * 2 * torch.pi)
    if torch.rand(()) < 0.7:  # most people hide an upper, lower, left or right part
        turn = round(turn / (torch.pi / 2)) * torch.pi / 2
    way = torch.tensor(turn)
    along = (rows - 0.5) * way.sin() + (columns - 0.5) * way.cos()
    return along > float(torch.rand(()) - 0.5) * 0.8


def _box(rows: Tensor, columns: Tensor) -> Tensor:
    height, width = (0.12 + 0.7 * torch.rand(2)).tolist()
    top, left = (float(torch.rand(()) * (1 - side)) for side in (height, width))
    inside = (rows >= top) & (rows < top + height)
    return inside & (columns >= left) & (columns < left + width)


def _strokes(rows: Tensor, columns: Tensor) -> Tensor:
    hidden = torch.zeros(len(rows), columns.shape[1], dtype=torch.bool)
    for _ in range(int(torch.randint(1, 6, ()))):
        a, b = torch.rand(2, 2)
        reach = 0.03 + 0.08 * float(torch.rand(()))
        way = b - a
        share = ((rows - a[0]) * way[0] + (columns - a[1]) * way[1]) / (way @ way).clamp(min=1e-6)
        share = share.clamp(0, 1)
        near = torch.hypot(rows - a[0] - share * way[0], columns - a[1] - share * way[1])
        hidden |= near < reach
    return hidden
