"""How fast this machine would train, measured on a few steps of the real thing."""

from __future__ import annotations

import dataclasses
import math
import time

import torch

from explorer.protocol import DataSpec
from explorer.rng import seeded

from .config import TrainConfig
from .data import Dataset, Split
from .loop import follow, update
from .trainer import assemble, threads

PIXELS = 1 << 17  # in a batch that is timed: a larger one takes longer in proportion


def pace(config: TrainConfig, spec: DataSpec, seconds: float = 0.8) -> float:
    """Steps a second of a run like ``config`` on pictures like ``spec``, timed on noise.

    Takes about ``seconds``. Raises ExplorerError where settings and pictures do not fit.
    """
    size = max(2, min(config.batch, PIXELS // math.prod(spec.shape)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads(config))
    try:
        with seeded(config.seed):  # assembling seeds the generator that others draw from
            trainer = assemble(dataclasses.replace(config, batch=size), _noise(spec, size))
            x = trainer.data.train.x.to(trainer.device).float() / 255
            y = trainer.data.train.y
            trainer.step = trainer.total  # where every phase takes part
            began, steps = time.perf_counter(), 1
            update(trainer, x, y)
            if time.perf_counter() - began < seconds:
                began, steps = time.perf_counter(), 0  # the first step is not like the others
            while time.perf_counter() - began < seconds:
                update(trainer, x, y)
                follow(trainer)
                steps += 1
        return steps / (time.perf_counter() - began) * size / config.batch
    finally:
        torch.set_num_threads(before)


def _noise(spec: DataSpec, size: int) -> Dataset:
    """A data set of one batch, black and white, so that every likelihood takes it."""
    x = torch.randint(0, 2, (size, *spec.shape), dtype=torch.uint8) * 255
    y = torch.arange(size) % len(spec.classes) if spec.classes else None
    return Dataset(spec, Split(x, y), Split(x, y), licence="", credit="")
