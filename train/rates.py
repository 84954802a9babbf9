"""A rate-distortion curve: one small model, trained anew at several prices of information."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from explorer import bundle
from explorer.errors import RunError
from explorer.rates import SHIPPED
from explorer.runs import Run

from . import loop
from .config import TrainConfig, recipe
from .data import load
from .evaluate import measure
from .particulars import factors

BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
RECIPE, EPOCHS, WARMUP = "sprites-beta", 25, 200


def sweep(runs: Path, path: Path = SHIPPED) -> None:
    """Trains one model for each of BETAS in ``runs``, or goes on, and writes what they keep and
    how well they redraw. Raises RunError where a run ends before its time."""
    points = [point(beta, runs / f"beta-{beta:g}") for beta in BETAS]
    shape = recipe(RECIPE)
    told = dict(
        protocol=f"the recipe {RECIPE} with {EPOCHS} epochs and a warm-up of {WARMUP} steps, one "
        f"seed ({shape.seed}), {shape.dataset}; held-out pictures, 32 draws each",
        points=points,
    )
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def point(beta: float, folder: Path) -> dict[str, Any]:
    """Rate, distortion and ELBO in nats per held-out picture, and the mutual information gap."""
    run = trained(settings(beta), folder)
    newest = run.checkpoint()
    assert newest is not None
    model, _ = bundle.load(newest)
    config = settings(beta)
    data = load(config.dataset, config.data)
    found = {m.name: m for m in measure(model, data, config, k=1, n=1)}
    elbo, rate = found["elbo"], found["rate"]
    mig = factors(model, data.held).value
    told = dict(
        beta=beta,
        rate=round(rate.value, 3),
        distortion=round(-elbo.value - rate.value, 3),
        elbo=round(elbo.value, 3),
        error=round(elbo.error or 0.0, 3),
        mig=round(mig, 3),
        n=elbo.n,
    )
    print(told, flush=True)
    return told


def settings(beta: float) -> TrainConfig:
    """Those of one point of the curve."""
    base = recipe(RECIPE)
    terms = {**base.terms, "beta": beta, "warmup": WARMUP}
    return dataclasses.replace(base, terms=terms, epochs=EPOCHS)


def trained(config: TrainConfig, folder: Path) -> Run:
    """The run of ``config`` in ``folder``, done."""
    fresh = not (folder / "config.json").is_file()
    run = Run.prepare(folder, config.as_dict()) if fresh else Run(folder)
    if run.status()["state"] != "done" and loop.train(run) != "done":
        raise RunError(f"{folder.name} was not trained to its end. Start this again to go on.")
    return run
