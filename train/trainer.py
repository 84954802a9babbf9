"""A run in memory: its model, its data, its optimisers, made from a config alone."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from explorer import bundle
from explorer.cards import Card, filled
from explorer.device import resolve
from explorer.errors import RunError
from explorer.protocol import LatentModel

from . import batches
from .adam import Adam
from .config import TrainConfig
from .data import Dataset, Split, load
from .grow import grow
from .objectives import OBJECTIVES, Phase
from .team import ALONE, Team


@dataclass
class Means:
    """Terms summed where they live, and read once per record, so that no step waits for one."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # not every step has every term

    def add(self, terms: dict[str, Tensor]) -> None:
        """Counts one step's terms in."""
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since they were last taken, by name."""
        names = sorted(self.sums)
        values = torch.stack([self.sums[name].float() for name in names]).tolist()
        means = {n: value / self.counts[n] for n, value in zip(names, values, strict=True)}
        self.sums, self.counts = {}, {}
        return means


@dataclass
class Trainer:
    """What one run holds in memory, and what a checkpoint must bring back."""

    config: TrainConfig
    data: Dataset
    card: Card
    model: LatentModel
    average: LatentModel  # follows the model's weights; the model itself where ema is 0
    phases: list[Phase]
    optimizers: list[Adam]
    device: torch.device
    team: Team = ALONE  # the processes that share its batches
    turns: int = 1  # in which a batch is computed, so that a part at a time is in memory
    step: int = 0
    means: Means = field(default_factory=Means)  # of what has not been recorded yet

    @property
    def total(self) -> int:
        """Steps in the whole run."""
        return self.config.epochs * batches.per_epoch(len(self.data.train.x), self.config.batch)


def prepare(config: TrainConfig, team: Team = ALONE) -> Trainer:
    """A trainer at step 0, everything in it a function of ``config``."""
    return assemble(config, load(config.dataset, config.data), team)


def assemble(config: TrainConfig, data: Dataset, team: Team = ALONE) -> Trainer:
    """A trainer at step 0 on ``data``. Raises ExplorerError where it does not fit the config."""
    if config.objective not in OBJECTIVES:
        raise RunError(f"Unknown objective {config.objective!r}; known: {', '.join(OBJECTIVES)}.")
    torch.manual_seed(config.seed)
    device = team.place(resolve(config.device))
    batches.check(config, data, team)
    card = _card(config, data)
    model = bundle.build(card)
    model.start_at(data.train.mean_picture())
    if config.grown_from:
        grow(model, config.grown_from)
    model.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    where = f"{config.name}: its terms do not fit {config.objective}"
    objective = filled(OBJECTIVES[config.objective], config.terms, where)
    phases = objective.phases(model, data.train)
    for phase in phases:
        phase.module.to(device)
    adam = [Adam(p.module.parameters(), config.lr, (p.momentum, 0.99)) for p in phases]
    average = copy.deepcopy(model).requires_grad_(False) if config.ema else model
    if team.rank:  # the same weights, and noise of its own
        torch.manual_seed(noise_seed(config, team.rank, 0))
    data = dataclasses.replace(data, train=_near(data.train, device))
    return Trainer(config, data, card, model, average, phases, adam, device, team)


def _near(split: Split, device: torch.device) -> Split:
    """``split`` on a GPU, where it leaves half of what is free there; as it is elsewhere."""
    if device.type != "cuda" or split.x.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return split
    y = None if split.y is None else split.y.to(device)
    return dataclasses.replace(split, x=split.x.to(device), y=y)


def noise_seed(config: TrainConfig, rank: int, step: int) -> int:
    """What the draws of a process begin with where no checkpoint has kept them."""
    return hash((config.seed, rank, step)) % 2**63


def _card(config: TrainConfig, data: Dataset) -> Card:
    return Card(
        name=config.name,
        title=config.title or config.name,
        family=config.family,
        config=config.model,
        data=data.spec,
        training=config.as_dict(),
        notes=config.notes,
        provenance=dict(
            data=data.spec.name,
            licence=data.licence,
            credit=data.credit,
            seed=str(config.seed),
            torch=torch.__version__,
            date=time.strftime("%Y-%m-%d"),
        ),
    )


def threads(config: TrainConfig) -> int:
    """Processor threads that each process of a run takes."""
    here = os.environ.get("LOCAL_WORLD_SIZE", config.processes)  # torchrun's, on this machine
    return config.threads or max(1, ((os.cpu_count() or 2) - 1) // int(here))
