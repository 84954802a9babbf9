"""Shipped models from nothing: each trained, promoted, exported, measured and charted.

Can be stopped anywhere and started again: a run goes on from its checkpoint, and a bundle that
was made and measured by today's recipe is left as it is.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explorer import cards
from explorer.cards import ATLAS, DECODER
from explorer.errors import BundleError, RunError
from explorer.runs import Run

from . import atlas, batches, export, loop
from .config import TrainConfig, recipe
from .data import load
from .evaluate import evaluate
from .pace import pace
from .promote import promote

WORDS: dict[str, Any] = dict(title="", notes={}, threads=0, device="auto")  # no model's business


def ship(names: Sequence[str], runs: Path, bundles: Path, k: int, n: int) -> None:
    """Makes ``bundles/NAME`` for every recipe of ``names``; how long it will take is told first.

    Raises RunError where a run ends before its time.
    """
    left = [name for name in names if not made(bundles / name, recipe(name))]
    seconds = {name: training(recipe(name), runs / name) for name in left}
    for name, each in seconds.items():
        print(f"{name:16} {each / 60:7.1f} minutes of training")
    done = len(names) - len(left)
    print(
        f"{sum(seconds.values()) / 3600:.1f} hours in all, and minutes each to measure and chart"
    )
    print(f"{done} of {len(names)} are made already", flush=True)
    for name in left:
        began = time.monotonic()
        one(recipe(name), runs / name, bundles / name, k, n)
        print(f"{name}: made in {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


def made(bundle: Path, config: TrainConfig) -> bool:
    """Whether ``bundle`` is whole and was made by just this recipe."""
    try:
        card = cards.read_card(bundle)
    except BundleError:
        return False
    then = TrainConfig.from_dict(card.training, card.name)
    if dataclasses.replace(then, **WORDS) != dataclasses.replace(config, **WORDS):
        return False
    return bool(card.metrics) and {ATLAS, DECODER} <= set(card.files)


def training(config: TrainConfig, run: Path) -> float:
    """Seconds that are left of a recipe's training on this machine, timed on a few steps."""
    data = load(config.dataset, config.data)
    steps = config.epochs * batches.per_epoch(len(data.train.x), config.batch)
    newest = Run(run).checkpoint()
    return max(0, steps - int(newest.name if newest else 0)) / pace(config, data.spec)


def one(config: TrainConfig, folder: Path, bundle: Path, k: int, n: int) -> None:
    """Trains, or goes on; then everything that makes a bundle of it."""
    run = (
        Run(folder)
        if (folder / "config.json").is_file()
        else Run.prepare(folder, config.as_dict())
    )
    if run.status()["state"] != "done":
        (run.folder / "stop").unlink(missing_ok=True)
        state = loop.train(run)
        if state != "done":
            raise RunError(f"{config.name} is {state}, not done. Start this again to go on.")
    promote(run, bundle)
    export.export(bundle)
    evaluate(bundle, k, n)
    atlas.build(bundle)
