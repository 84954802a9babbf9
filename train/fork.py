"""A run that goes on from another's checkpoint with something changed."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

from explorer.errors import RunError
from explorer.models import FAMILIES
from explorer.runs import SHEETS, Run

from .config import TrainConfig
from .objectives import OBJECTIVES

FIXED = ("dataset", "data", "family", "model", "objective", "batch", "seed")  # weights fit these


def fork(run: Run, config: TrainConfig, begin: bool = False) -> Run:
    """A queued run of ``config``, which is ``run``'s but for what was changed.

    It goes on from the newest checkpoint of ``run``; at the beginning where the weights would not
    fit, or where ``begin`` says so. What was changed stands in its records at that step, and in
    its config. Raises RunError where there is nothing to change or nothing left to train.
    """
    old = TrainConfig.from_dict(run.config(), run.name)
    config = dataclasses.replace(config, parent={})
    changes = ", ".join(differences(whole(old) | {"parent": {}}, whole(config)))
    if not changes:
        raise RunError("Nothing was changed, so the fork would be the same run again.")
    newest = None if begin or not fits(old, config) else run.checkpoint()
    step = int(newest.name) if newest else 0
    if newest and step >= run.status().get("of", step + 1) and config.epochs <= old.epochs:
        raise RunError(f"{old.title or old.name} is done: a fork of it needs more epochs.")
    told = {"run": "" if run.private else run.name, "step": step, "changes": changes}
    config = dataclasses.replace(config, parent=told)
    made = Run.create(config.name, config.as_dict(), private=run.private)
    try:
        _bring_pictures(run, made, config)
        if newest:
            _bring_training(run, made, newest)
        made.note(step, f"{old.title or old.name}, from step {step:,}: {changes}")
    except OSError as error:
        made.delete()
        raise RunError(
            f"{run.name} could not be forked ({error}). Make room, or try again."
        ) from error
    return made


def fits(old: TrainConfig, new: TrainConfig) -> bool:
    """Whether a run of ``new`` can go on with the weights and the steps of ``old``."""
    return all(getattr(old, name) == getattr(new, name) for name in FIXED)


def whole(config: TrainConfig) -> dict[str, Any]:
    """All settings by name, those of the model and of the objective that were left out, too."""
    model = FAMILIES[config.family].Config(**config.model)
    terms: Any = OBJECTIVES[config.objective](**config.terms)
    told = dict(model=dataclasses.asdict(model), terms=dataclasses.asdict(terms))
    return config.as_dict() | told


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is different, such as ``["beta 1 → 0.5"]``."""
    found = []
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other)
        elif one != other:
            found.append(f"{name.replace('_', ' ')} {_shown(one)} → {_shown(other)}")
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:g}" if type(value) is float else str(value)


def _bring_training(run: Run, made: Run, newest: Path) -> None:
    shutil.copytree(newest, made.folder / "checkpoints" / newest.name, copy_function=_link)
    shutil.copy(run.folder / "metrics.jsonl", made.folder)  # its trainer may append to it
    for kind in SHEETS:
        if (run.folder / kind).is_dir():
            shutil.copytree(run.folder / kind, made.folder / kind, dirs_exist_ok=True)
    made.cut_back(int(newest.name))


def _bring_pictures(run: Run, made: Run, config: TrainConfig) -> None:
    """Pictures that somebody brought go with the run they were brought for."""
    path = Path(str(config.data.get("path", "")))
    home = run.folder.resolve()
    if not config.data.get("path") or not path.is_relative_to(home):
        return
    for name in ("data", "decoded"):
        if (home / name).is_dir():
            shutil.copytree(home / name, made.folder / name, copy_function=_link)
    place = made.folder.resolve() / path.relative_to(home)
    made.instruct({**config.as_dict(), "data": {**config.data, "path": str(place)}})


def _link(source: str, target: str) -> None:
    """The same file under another name; a copy where the system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
