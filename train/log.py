"""What a run tells while it trains: metrics, status, samples, and a bar on the terminal."""

from __future__ import annotations

import json
import math
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer import images, ops, processes
from explorer.cards import replace_whole
from explorer.distributions import centre
from explorer.inference import picture
from explorer.protocol import LatentModel
from explorer.rng import seeded
from explorer.runs import Run

from .config import TrainConfig
from .data import Dataset
from .evaluate import quick

SHOWN = 8  # pictures in a row of a sample sheet
TILES = 15  # in a row of a manifold


class Log:
    """Writes what a run tells, and says how fast it goes."""

    def __init__(self, run: Run, total: int, batch: int, quiet: bool) -> None:
        self.run, self.total, self.batch = run, total, batch
        self.quiet = quiet or not sys.stderr.isatty()  # a file of bars tells nobody anything
        self.began, self.first = time.monotonic(), -1
        self.oom_kills = processes.oom_kills()
        self.latest: dict[str, float | list[float]] = {}

    def write(self, step: int, means: dict[str, float], lr: float) -> None:
        """One record of means since the last; raises FloatingPointError if one diverged."""
        if bad := [name for name, value in means.items() if not math.isfinite(value)]:
            raise FloatingPointError(
                f"The training diverged: {bad[0]} is {means[bad[0]]} at step {step}. Try a "
                "smaller learning rate, or clip gradients."
            )
        self._append(step, {**means, "lr": lr})
        self.latest |= means
        self._report(step)

    def held_out(self, step: int, model: LatentModel, data: Dataset, config: TrainConfig) -> None:
        """A look at held-out pictures: a record, and a sheet of samples and reconstructions."""
        record = quick(model, data.held, config)
        self._append(step, record)
        self.latest["held/elbo"] = record["held/elbo"]
        sheet = images.sheet(images.to_pixels(portrait(model, data)), SHOWN, _gap(data))
        self._picture("samples", step, sheet)
        if model.latent_size == 2:
            tiles = images.to_pixels(manifold(model))
            self._picture("manifold", step, images.sheet(tiles, TILES))
        self._report(step)

    def less_memory(self, step: int, batch: int, turns: int) -> None:
        """A GPU had no room for the batch: it is computed in parts from here on."""
        said = f"out of GPU memory: batches of {batch} in {turns} parts"
        self.run.note(step, said)
        print(f"\n{self.run.name}, step {step:,}: {said}", file=sys.stderr)

    def _picture(self, kind: str, step: int, sheet: NDArray[np.uint8]) -> None:
        folder = self.run.folder / kind
        folder.mkdir(exist_ok=True)
        replace_whole(folder / f"{step:06d}.png", images.png(sheet))

    def _append(self, step: int, values: dict[str, float | list[float]]) -> None:
        with open(self.run.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def _report(self, step: int) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first, self.began = step, now
        pace = (step - self.first) / (now - self.began) if step > self.first else 0.0
        left = (self.total - step) / pace if pace else None
        self.run.report(
            "running",
            step,
            of=self.total,
            pictures_per_second=pace * self.batch,
            seconds_left=left,
            oom_kills=self.oom_kills,
        )
        if not self.quiet:
            done = 30 * step // self.total
            shown = "  ".join(
                f"{k} {self.latest[k]:.2f}"
                for k in ("elbo", "rate", "held/elbo")
                if k in self.latest
            )
            end = "\n" if step == self.total else ""
            minutes = f"{left / 60:.1f} min left" if left else ""
            print(
                f"\r{'█' * done}{'·' * (30 - done)} {step}/{self.total}  {shown}  {minutes}   ",
                end=end,
                file=sys.stderr,
                flush=True,
            )


def _gap(data: Dataset) -> int:
    return max(1, data.spec.width // 28)


@torch.no_grad()
def portrait(model: LatentModel, data: Dataset) -> Tensor:
    """``(4 · SHOWN, C, H, W)``: two rows of samples, held-out pictures, their reconstructions.

    The same noise and the same pictures every time, so that a viewer sees the model change.
    """
    device = next(model.parameters()).device
    few = torch.arange(SHOWN) % len(data.held.x)  # a small set's come more than once
    x = data.held.x[few].to(device).float() / 255
    y = None if data.held.y is None else data.held.y[few].to(device)
    with seeded(0):
        prior = model.prior(y)
        z = prior.sample((2,) if prior.batch_shape else (2 * SHOWN,)).reshape(
            -1, model.latent_size
        )
        drawn = picture(model.decode(z, None if y is None else y.repeat(2)))
        again = picture(model.decode(centre(model.encode(x, y)), y))
    return torch.cat([drawn, x, again]).cpu()


@torch.no_grad()
def manifold(model: LatentModel) -> Tensor:
    """``(TILES², C, H, W)``: pictures at normal quantiles of two latents, z2 upwards (Kingma &
    Welling 2014, figure 4)."""
    ticks = torch.from_numpy(ops.gaussian_ticks(TILES)).float()
    z = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)
    with seeded(0):
        return picture(model.decode(z.to(next(model.parameters()).device))).cpu()
