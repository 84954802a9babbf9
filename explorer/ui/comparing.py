"""What is compared of runs: their numbers, what was set otherwise, and what their models draw."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from explorer import images
from explorer.curves import curves
from explorer.distributions import centre
from explorer.errors import ExplorerError
from explorer.inference import likely_class, picture
from explorer.models import FAMILIES
from explorer.ops import Array
from explorer.rng import seeded
from explorer.runs import Run
from explorer.shelf import SHELF, Opened
from explorer.ui import framing, progress, wander
from explorer.ui.framing import Own
from train import data
from train.config import TrainConfig
from train.data import Split
from train.evaluate import LOOK, likelihoods
from train.fork import differences, whole

SHOWN = 8  # pictures in a row
CARRIES = 0.1  # nats from which on a coordinate counts as used
SEEN_TO = ("dataset", "data", "binarise")  # what makes nats of two runs comparable
NO_CHANGE = ("name", "title", "notes", "parent")
SMALL, LARGE = (100, 500), (10, 50)  # importance samples, pictures; by how large pictures are

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Side:
    """A run whose newest checkpoint is open."""

    title: str
    run: Run
    config: TrainConfig
    opened: Opened


@dataclass(frozen=True)
class Measured:
    """Log-likelihoods of runs on the same pictures, and how they were measured."""

    runs: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    protocol: str


def side(run: Run) -> Side | None:
    """The run's newest model; None where it has no checkpoint yet."""
    if run.checkpoint() is None:
        return None
    config = TrainConfig.from_dict(run.config(), run.name)
    return Side(progress.titled(run), run, config, SHELF.open(run.folder))


# --- numbers --------------------------------------------------------------------------------


def row(run: Run) -> dict[str, str]:
    """What a run recorded of itself at its newest look at held-out pictures."""
    found = curves(run)
    steps, elbo = found.column("held/elbo")
    each = found.coordinates[-1][1] if found.coordinates else []
    own = found.column("elbo")[1]
    lately = own[-max(1, len(own) // 10) :]
    return {
        "Run": progress.titled(run),
        "Step": f"{steps[-1]:,}" if steps else "–",
        "Score": _nats(elbo[-1:]),
        "Best": f"{_nats([max(elbo)])} at {steps[elbo.index(max(elbo))]:,}" if elbo else "–",
        "On its own": _nats([sum(lately) / len(lately)] if lately else []),
        "Redrawing error": _nats(found.column("held/distortion")[1][-1:]),
        "Information": _nats(found.column("held/rate")[1][-1:]),
        "In use": f"{sum(v > CARRIES for v in each)} of {len(each)}" if each else "–",
    }


def _nats(values: Sequence[float]) -> str:
    return f"{values[-1]:.2f}".replace("-", "−") if values else "–"


def protocol(runs: Sequence[Run]) -> str:
    """How the numbers of ``row`` were measured, and whether they may be compared."""
    words = (
        f"Nats per picture, on the first {LOOK} held-out pictures or as many as there are, one "
        "draw of the code for each, with the averaged weights. On its own: the mean of its last "
        "tenth, on the pictures it trains on, as the weights were then. In use: coordinates that "
        f"carry more than {CARRIES:g} nats."
    )
    if comparable(runs):
        return words
    return f"{words} **These runs learned other pictures, so their nats do not compare.**"


def comparable(runs: Sequence[Run]) -> bool:
    """Whether all were measured on the same pictures, binarised alike, told the class or not."""
    told = [
        [*(config[name] for name in SEEN_TO), FAMILIES[config["family"]].conditional]
        for config in map(_config, runs)
    ]
    return all(one == told[0] for one in told)


def otherwise(runs: Sequence[Run]) -> list[str]:
    """In words: what was set otherwise than in the first run."""
    first = _config(runs[0])
    found = []
    for run in runs[1:]:
        changes = ", ".join(differences(first, _config(run)))
        said = changes or "the same settings"
        found.append(f"{progress.titled(run)}, beside the first: {said}.")
    return found


def _config(run: Run) -> dict[str, Any]:
    """All settings that count, also those that a run's file leaves out."""
    told = whole(TrainConfig.from_dict(run.config(), run.name))
    return {name: value for name, value in told.items() if name not in NO_CHANGE}


def measured(runs: Sequence[Run]) -> Measured:
    """The importance-weighted log-likelihoods of the same held-out pictures, and differences."""
    sides = [found for run in runs if (found := side(run)) is not None]
    if not sides:
        raise ExplorerError("None of these runs has a checkpoint yet. Wait for the first one.")
    first = sides[0]
    k, n = SMALL if first.opened.data.pixelated else LARGE
    held = data.load(first.config.dataset, first.config.data).held
    values = [likelihoods(s.opened.model, held, s.config, k, n) for s in sides]
    rows = []
    for s, own in zip(sides, values, strict=True):
        gain = own - values[0]
        told = {"Run": s.title, "log p(x)": _with_error(own)}
        told["More than the first"] = "–" if s is first else _with_error(gain)
        rows.append(told)
    return Measured(
        tuple(run.name for run in runs),
        tuple(rows),
        f"Nats per picture, up is better: the importance-weighted bound on log p(x) with K = {k}, "
        f"the first {len(values[0]):,} held-out pictures, binarised alike, each run's newest "
        "checkpoint. ± is one standard error over pictures; of a difference, picture by picture.",
    )


def _with_error(values: torch.Tensor) -> str:
    error = (values.std() / math.sqrt(len(values))).item()
    return f"{values.mean().item():.2f} ± {error:.2f}".replace("-", "−")


# --- pictures -------------------------------------------------------------------------------


def drawn(sides: Sequence[Side], seed: int) -> tuple[list[Pixels], bool]:
    """``(SHOWN, H, W, C)`` of every model, and whether all drew the same latents.

    They are the first model's; where another has more or fewer coordinates, each draws its own.
    """
    same = len({s.opened.latent_size for s in sides}) == 1
    z = [wander.world(s.opened, seed, SHOWN) for s in (sides[:1] if same else sides)]
    pairs = zip(sides, itertools.cycle(z), strict=False)
    return [s.opened.decoder(at, 0 if s.opened.classes else None, seed=0) for s, at in pairs], same


def held(sides: Sequence[Side]) -> list[tuple[str, Pixels]]:
    """Held-out pictures, then each model's redrawing of them; empty where the pictures differ."""
    if len({s.opened.data for s in sides}) > 1:
        return []
    x = _held(sides[0].config).float().numpy() / np.float32(255)
    return _rows("Pictures that none of them trained on", sides, [x] * len(sides))


def own(sides: Sequence[Side], brought: Sequence[Own]) -> list[tuple[str, Pixels]]:
    """A visitor's own pictures, then each model's redrawing, framed as it wants them."""
    x = [np.concatenate([framing.prepared(o, s.opened.data) for o in brought]) for s in sides]
    return _rows("Yours", sides, x)


def _rows(title: str, sides: Sequence[Side], x: Sequence[Array]) -> list[tuple[str, Pixels]]:
    again = [(s.title, redrawn(s.opened, seen)) for s, seen in zip(sides, x, strict=True)]
    return [(title, images.to_pixels(x[0])), *again]


def redrawn(opened: Opened, x: Array) -> Pixels:
    """``(n, H, W, C)``: ``x: (n, C, H, W)`` from its codes, each in its likeliest class."""
    with torch.no_grad(), seeded(0):
        seen = torch.from_numpy(x).to(opened.device)
        y = likely_class(opened.model, seen) if opened.classes else None
        return images.to_pixels(
            picture(opened.model.decode(centre(opened.model.encode(seen, y)), y)).cpu()
        )


def _held(config: TrainConfig) -> torch.Tensor:
    """``(SHOWN, C, H, W)`` uint8; kept in this session alone, as they may be private."""
    stamp = (config.dataset, repr(config.data))
    before = st.session_state.get("compare/held")
    if before is None or before[0] != stamp:
        split: Split = data.load(config.dataset, config.data).held
        st.session_state["compare/held"] = before = (stamp, split.x[:SHOWN].clone())
    return before[1]
