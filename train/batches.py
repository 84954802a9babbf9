"""From a resident uint8 data set to the batch of a step: a function of the config and the step."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from explorer.errors import DataError
from explorer.likelihoods import LIKELIHOODS
from explorer.rng import seeded

from .config import TrainConfig
from .data import Dataset, Split
from .team import ALONE, Team


def check(config: TrainConfig, data: Dataset, team: Team = ALONE) -> None:
    """Raises DataError where data and settings do not go together."""
    likelihood = LIKELIHOODS.get(config.model.get("likelihood", "bernoulli"))
    if likelihood is not None and likelihood.binary and data.spec.channels != 1:
        raise DataError(
            f"{data.spec.name} has colour pictures, and the Bernoulli likelihood is for black and "
            "white. Choose learned_gaussian."
        )
    if len(data.train.x) < 2 or len(data.held.x) < 1:
        raise DataError(
            f"{data.spec.name} has {len(data.train.x)} pictures to train on; give more."
        )
    if min(config.batch, len(data.train.x)) < team.size:
        raise DataError(
            f"{team.size} processes cannot share a batch of "
            f"{min(config.batch, len(data.train.x))}. Choose fewer processes, or a larger batch."
        )


def per_epoch(pictures: int, batch: int) -> int:
    """Steps in one pass; the last, incomplete batch is left out (the order changes every pass)."""
    return max(1, pictures // batch)


def indices(pictures: int, config: TrainConfig, step: int) -> Tensor:
    """``(batch,)``: which pictures step ``step`` sees; every pass has its own seeded order."""
    epoch, position = divmod(step, per_epoch(pictures, config.batch))
    order = _order(pictures, config.seed * 1_000_003 + epoch)
    return order[position * config.batch : (position + 1) * config.batch]


@functools.lru_cache(maxsize=1)  # of the pass that is going on
def _order(pictures: int, seed: int) -> Tensor:
    return torch.randperm(pictures, generator=torch.Generator().manual_seed(seed))


def batch(
    split: Split, config: TrainConfig, step: int, device: torch.device, team: Team = ALONE
) -> tuple[Tensor, Tensor | None]:
    """``x: (B, C, H, W)`` float32 in [0, 1] as the config wants it seen, and its labels: all of
    the batch, or the part of one process of a ``team``."""
    pick = team.part(indices(len(split.x), config, step))
    pick = pick.to(split.x.device, non_blocking=True)
    x = split.x.index_select(0, pick).to(device)
    y = None if split.y is None else split.y[pick].to(device)
    x = x.float().div_(255)
    if config.augment != "none":
        x = augmented(x, photo=config.augment == "photo")
    if config.binarise == "dynamic":
        x = binarised(x)
    if x.shape[1] > 1:
        x = x.contiguous(memory_format=torch.channels_last)
    return x, y


def seen(
    split: Split, config: TrainConfig, part: slice, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Pictures as the likelihood wants them, never augmented; binarised with a fixed seed."""
    x = split.x[part].to(device).float() / 255
    y = None if split.y is None else split.y[part].to(device)
    if config.binarise == "dynamic":
        with seeded(part.start or 0):
            x = torch.bernoulli(x)
    return x, y


def binarised(x: Tensor) -> Tensor:
    """Ones with the chances ``x``, like ``torch.bernoulli``, which takes five times as long."""
    return torch.rand_like(x).lt_(x)


def augmented(x: Tensor, photo: bool) -> Tensor:
    """Half of ``x: (B, C, H, W)`` mirrored; ``photo``: also shifted by up to 2 %, relit by 5 %."""
    mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    x = torch.where(mirrored, x.flip(-1), x)
    if not photo:
        return x
    reach = max(1, round(0.02 * x.shape[-1]))
    dy, dx = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    padded = nn.functional.pad(x, (reach,) * 4, mode="replicate")
    x = padded[..., dy : dy + x.shape[-2], dx : dx + x.shape[-1]]
    gain = 1 + 0.05 * torch.randn(len(x), 1, 1, 1, device=x.device)
    tint = 1 + 0.01 * torch.randn(len(x), x.shape[1], 1, 1, device=x.device)
    return (x * gain * tint).clamp_(0, 1)
