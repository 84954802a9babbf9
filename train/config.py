"""What a training run is told: one frozen dataclass, JSON in run folders, TOML in recipes."""

from __future__ import annotations

import copy
import dataclasses
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from explorer.cards import check_fields
from explorer.errors import DataError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a run; two runs of one config on one machine end alike."""

    name: str = "run"
    title: str = ""
    dataset: str = "digits-8x8"
    data: dict[str, Any] = field(default_factory=dict)  # what the data set's function takes
    family: str = "vae"
    model: dict[str, Any] = field(default_factory=dict)  # fields of the family's Config
    objective: str = "elbo"
    terms: dict[str, Any] = field(default_factory=dict)  # fields of the objective
    grown_from: str = ""  # the recipe of a shipped model of half the size that it begins as
    notes: dict[str, str] = field(default_factory=dict)  # go on the card as they are
    parent: dict[str, Any] = field(default_factory=dict)  # of a fork: its run, step and changes

    epochs: int = field(
        default=60, metadata=dict(range=(1, 100_000), help="passes over the training pictures")
    )
    batch: int = field(default=128, metadata=dict(range=(1, 8192), help="pictures in one step"))
    lr: float = field(
        default=1e-3,
        metadata=dict(range=(1e-6, 1.0), help="Adam's learning rate at the start", format="%.5f"),
    )
    schedule: Literal["cosine", "constant"] = field(
        default="cosine", metadata=dict(help="how the learning rate falls")
    )
    clip: float = field(
        default=0.0, metadata=dict(range=(0.0, 1e6), help="largest norm of a gradient; 0 is off")
    )
    ema: float = field(
        default=0.0,
        metadata=dict(
            range=(0.0, 0.99999), help="decay of averaged weights; 0 is off", format="%.4f"
        ),
    )
    binarise: Literal["none", "dynamic"] = field(
        default="none",
        metadata=dict(help="dynamic: grey is the chance of white, redrawn each step"),
    )
    augment: Literal["none", "flip", "photo"] = field(
        default="none", metadata=dict(help="flip: mirror; photo: also shift and change the light")
    )
    half: bool = False  # what is promoted is stored in half precision
    seeds: int = 1  # shipped is the best by its held-out bound of so many, from ``seed`` on
    beside: str = ""  # what ships with it besides, a key of ``ship.BESIDE``
    twin: str = ""  # the shipped model that its log-likelihood is compared with
    log_every: int = field(default=50, metadata=dict(range=(1, 10**6), help="steps per point"))
    evaluate_every: int = field(
        default=500,
        metadata=dict(range=(1, 10**6), help="steps between looks at held-out pictures"),
    )
    checkpoint_every: int = field(
        default=1000, metadata=dict(range=(1, 10**6), help="steps between checkpoints")
    )
    seed: int = field(default=0, metadata=dict(range=(0, 2**31 - 1)))
    threads: int = field(
        default=0,
        metadata=dict(
            range=(0, 256), help="processor threads of a process; 0 leaves one core free"
        ),
    )
    processes: int = field(
        default=1, metadata=dict(range=(1, 64), help="processes that share every batch")
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    @classmethod
    def from_dict(cls, raw: dict[str, Any], where: str) -> TrainConfig:
        """The config ``raw`` describes, its fields checked; ``where`` is named if they are not."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise DataError(
                f"{where}: unknown setting {unknown[0]!r}. Known: {', '.join(sorted(known))}."
            )
        config = cls(**raw)
        check_fields(config)
        return config

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def recipes() -> dict[str, Path]:
    """Recipe files by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


def recipe(name: str, overrides: dict[str, str] | None = None) -> TrainConfig:
    """The recipe of that name, with ``overrides`` such as ``{"model.latent": "8"}`` put in."""
    if name not in recipes():
        raise DataError(f"There is no recipe {name!r}. There are: {', '.join(recipes())}.")
    raw: dict[str, Any] = {
        "name": name,
        **tomllib.loads(recipes()[name].read_text(encoding="utf-8")),
    }
    return TrainConfig.from_dict(changed(raw, overrides or {}), f"recipe {name}")


def changed(raw: dict[str, Any], overrides: dict[str, str]) -> dict[str, Any]:
    """``raw`` with overrides such as ``{"model.latent": "8"}`` put in."""
    made = copy.deepcopy(raw)
    for key, text in overrides.items():
        table, _, leaf = key.rpartition(".")
        place = made.setdefault(table, {}) if table else made
        if not isinstance(place, dict):
            raise DataError(f"--{key}: {table!r} is not a table of settings.")
        place[leaf] = _value(text)
    return made


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
