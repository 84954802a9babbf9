"""Shipped models from nothing: each trained, promoted, exported, measured and charted.

Can be stopped anywhere and started again: a run goes on from its checkpoint, and a bundle that
was made and measured by today's recipe is left as it is.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from explorer import cards
from explorer.cards import ATLAS, DECODER
from explorer.errors import BundleError, RunError
from explorer.runs import Run

from . import atlas, batches, export, labels, loop, masks, quadrants
from .config import TrainConfig, recipe
from .data import load
from .evaluate import compare, evaluate
from .pace import pace
from .promote import promote
from .seeds import chosen

WORDS: dict[str, Any] = dict(  # no model's business
    title="", notes={}, threads=0, device="auto", seeds=1, beside="", twin=""
)
BESIDE: dict[str, Callable[[Path], Any]] = dict(  # what a recipe's ``beside`` can ask for
    quadrants=quadrants.fit, masks=masks.fit, labels=labels.few
)


def ship(names: Sequence[str], runs: Path, bundles: Path, k: int, n: int) -> None:
    """Makes ``bundles/NAME`` for every recipe of ``names``, a twin before what it is compared
    with; how long it will take is told first.

    Raises RunError where a run ends before its time.
    """
    left = [name for name in names if not made(bundles / name, recipe(name))]
    left.sort(key=lambda name: bool(recipe(name).twin))
    seconds = {
        name: sum(training(config, run) for config, run in each(name, runs)) for name in left
    }
    for name, lasts in seconds.items():
        print(f"{name:16} {lasts / 60:7.1f} minutes of training")
    done = len(names) - len(left)
    print(
        f"{sum(seconds.values()) / 3600:.1f} hours in all, and minutes each to measure and chart"
    )
    print(f"{done} of {len(names)} are made already", flush=True)
    for name in left:
        began = time.monotonic()
        one(name, runs, bundles, k, n)
        print(f"{name}: made in {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


def each(name: str, runs: Path) -> list[tuple[TrainConfig, Path]]:
    """What is trained for the recipe ``name``, and in which folder: a run for each seed."""
    config = recipe(name)
    others = range(config.seed + 1, config.seed + config.seeds)
    return [(config, runs / name)] + [
        (dataclasses.replace(config, seed=seed), runs / f"{name}-seed-{seed}") for seed in others
    ]


def made(bundle: Path, config: TrainConfig) -> bool:
    """Whether ``bundle`` is whole and was made by just this recipe."""
    try:
        card = cards.read_card(bundle)
    except BundleError:
        return False
    then = TrainConfig.from_dict(card.training, card.name)
    if then.seed in range(config.seed, config.seed + config.seeds):
        then = dataclasses.replace(then, seed=config.seed)
    if dataclasses.replace(then, **WORDS) != dataclasses.replace(config, **WORDS):
        return False
    return bool(card.metrics) and {ATLAS, DECODER} <= set(card.files)


def training(config: TrainConfig, run: Path) -> float:
    """Seconds that are left of a recipe's training on this machine, timed on a few steps."""
    data = load(config.dataset, config.data)
    steps = config.epochs * batches.per_epoch(len(data.train.x), config.batch)
    newest = Run(run).checkpoint()
    return max(0, steps - int(newest.name if newest else 0)) / pace(config, data.spec)


def one(name: str, runs: Path, bundles: Path, k: int, n: int) -> None:
    """Trains, or goes on; then everything that makes a bundle of it."""
    config, bundle = recipe(name), bundles / name
    trained = [whole(*asked) for asked in each(name, runs)]
    run, over = chosen(trained) if len(trained) > 1 else (trained[0], [])
    promote(run, bundle)
    export.export(bundle)
    card = cards.read_card(bundle)
    cards.write_card(bundle, dataclasses.replace(card, metrics=tuple(over)))
    if config.beside:
        BESIDE[config.beside](bundle)
    evaluate(bundle, k, n)
    atlas.build(bundle)
    if config.twin:
        compare(bundle, bundles / config.twin, k, n)


def whole(config: TrainConfig, folder: Path) -> Run:
    """The run in ``folder``, trained to its end."""
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
    return run
