"""How good guesses behind a hole are: `python -m tests.benchmarks.inpainting digits faces`.

Held-out pictures and masks are fixed (inpainting.json holds numbers of pictures, no pictures).
Scores are those of the hidden pixels alone, with all guesses a method has made by a given time:

MSE       of the weighted mean of the guesses
best      smallest MSE among the guesses on the page (for faces 8 of them)
joint     -log of the guesses' mixture at the true hidden pixels, nats a picture (digits,
          dynamically binarised with a fixed seed): only honest variety makes it small
class     how often a classifier trained here reads the right digit in the filled picture (digits)
cover     how often a value lies in the guesses' 80 % interval, their pixel noise included (faces)
ms        of one thread's processor time until that answer
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer import bundle
from explorer.distributions import centre
from explorer.hole import Completions
from explorer.inference import picture
from explorer.inpainting import INPAINTERS, in_stretches
from explorer.protocol import LatentModel
from train.data import load

ROOT = Path(__file__).parents[2]
CHOSEN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
BUDGETS = (0.0, 0.1, 0.3, 1.0)  # seconds; 0 is the first answer
SHOWN = 8


# -- the holes


def half(side: int, k: int) -> Tensor:
    """``(1, side, side)``: the lower, upper, right or left half is hidden, by ``k``."""
    known = torch.ones(1, side, side, dtype=torch.bool)
    middle = side // 2
    lower, upper = slice(middle, None), slice(middle)
    rows, columns = [(lower, slice(None)), (upper, slice(None))], [lower, upper]
    known[(0, *(rows + [(slice(None), c) for c in columns])[k % 4])] = False
    return known


def box(side: int, top: float, bottom: float, left: float, right: float) -> Tensor:
    """``(1, side, side)``: a rectangle is hidden, its edges as shares of the side."""
    known = torch.ones(1, side, side, dtype=torch.bool)
    at = [round(edge * side) for edge in (top, bottom, left, right)]
    known[:, at[0] : at[1], at[2] : at[3]] = False
    return known


def strokes(side: int, k: int) -> Tensor:
    """``(1, side, side)``: four thick lines between random points are hidden."""
    chance = np.random.default_rng(k)
    known = torch.ones(1, side, side, dtype=torch.bool)
    rows, columns = np.mgrid[:side, :side] / side
    for a, b in chance.random((4, 2, 2)):
        along = ((rows - a[0]) * (b - a)[0] + (columns - a[1]) * (b - a)[1]) / ((b - a) ** 2).sum()
        near = a[:, None, None] + along.clip(0, 1) * (b - a)[:, None, None]
        known[0] &= torch.from_numpy(np.hypot(rows - near[0], columns - near[1]) > 0.06)
    return known


MASKS: dict[str, Callable[[int, int], Tensor]] = {
    "half": half,
    "box": lambda side, k: box(side, 0.25, 0.75, 0.25, 0.75),
    "eyes": lambda side, k: box(side, 0.18, 0.42, 0.14, 0.86),
    "mouth": lambda side, k: box(side, 0.62, 0.86, 0.22, 0.78),
    "strokes": strokes,
}


# -- the methods


Answers = Iterator[Completions]
Reader = Callable[[Tensor], Tensor] | None


def mean_fill(model: LatentModel, x: Tensor, known: Tensor, mean: Tensor) -> Answers:
    """What demonstrations do: the encoder reads the picture, its hole filled with the mean."""
    with torch.no_grad():
        z = centre(model.encode(torch.where(known, x, mean)))
        drawn = picture(model.decode(z))
    one = torch.ones(1)
    yield Completions(torch.where(known, x, drawn), drawn, z, one, z, one)


@dataclass
class Timed:
    """An answer, and the processor time of one thread until it came."""

    answer: Completions
    seconds: float


def within(answers: Answers, budgets: tuple[float, ...]) -> list[Timed]:
    """The last answer of each budget; the first, where none came in time."""
    began, kept = time.thread_time(), []
    timed: Timed | None = None
    for answer in answers:
        now = time.thread_time() - began
        while timed is not None and len(kept) < len(budgets) and now > budgets[len(kept)]:
            kept.append(timed)
        if len(kept) == len(budgets):
            return kept
        timed = Timed(answer, now)
    assert timed is not None
    return kept + [timed] * (len(budgets) - len(kept))


# -- the scores


def scores(
    model: LatentModel, x: Tensor, known: Tensor, answer: Completions, read: Reader, label: int
) -> dict[str, float]:
    """Of one answer at one picture ``x: (1, C, H, W)``."""
    hidden, weights = ~known.expand(x.shape[1:]), answer.shares
    with torch.no_grad():
        every = picture(model.decode(answer.every))
    truth, guesses = x[0][hidden], every[:, hidden]
    mean = (weights[:, None] * guesses).sum(0)
    best = (answer.drawn[:, hidden] - truth).square().mean(1).min()
    found = dict(mse=float((mean - truth).square().mean()), best=float(best))
    if x.shape[1] == 1:
        p = guesses.clamp(1e-6, 1 - 1e-6)
        each = (truth * p.log() + (1 - truth) * (1 - p).log()).sum(1)
        found["joint"] = float(-(each + weights.log()).logsumexp(0))
        if read is not None:
            whole = torch.where(known, x, (weights[:, None, None, None] * every).sum(0))
            found["class"] = float(read(whole)[0] == label)
    else:
        found["cover"] = covered(guesses, weights, truth, float(model.likelihood.scale()))  # pyright: ignore
    return found


def covered(guesses: Tensor, weights: Tensor, truth: Tensor, sigma: float) -> float:
    """How often ``truth: (P,)`` lies between the .1 and .9 quantiles of the mixture of Gaussians
    of width ``sigma`` about ``guesses: (n, P)``."""
    below = (weights[:, None] * torch.special.ndtr((truth - guesses) / sigma)).sum(0)
    return float(((below > 0.1) & (below < 0.9)).float().mean())


def reader(train: Tensor, labels: Tensor) -> Reader:
    """A classifier of digits, ``(n, 1, 28, 28) -> (n,)``: two layers, six passes, one seed."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    )
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(6 * 234):
        pick = torch.randint(len(train), (256,))
        x = torch.bernoulli(train[pick].float() / 255)
        loss = torch.nn.functional.cross_entropy(net(x), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda x: net(x).argmax(1)


# -- the table


def measure(name: str, size: int | None, methods: list[str], budgets: tuple[float, ...]) -> None:
    model, card = bundle.load(ROOT / "pretrained" / name)
    data = load(card.data.name, card.training["data"])
    digits = card.data.channels == 1
    read = reader(data.train.x, data.train.y) if digits and data.train.y is not None else None
    mean = data.train.mean_picture()
    for mask in ("half",) if digits else MASKS:
        rows: dict[tuple[str, float], list[dict[str, float]]] = {}
        for k, index in enumerate(CHOSEN[card.data.name][:size]):
            grey = data.held.x[index : index + 1].float() / 255
            torch.manual_seed(index)
            label = -1 if data.held.y is None else int(data.held.y[index])
            x, known = torch.bernoulli(grey) if digits else grey, MASKS[mask](grey.shape[-1], k)
            ways = {n: INPAINTERS[n](model, x, known, SHOWN, None) for n in methods}
            ways = {n: in_stretches(a, index) for n, a in ways.items()}
            for method, answers in {"mean fill": mean_fill(model, x, known, mean), **ways}.items():
                ends = budgets if method != "mean fill" else (0.0,)
                for budget, timed in zip(ends, within(answers, ends), strict=True):
                    found = scores(model, x, known, timed.answer, read, label)
                    found["ms"] = 1000 * timed.seconds
                    rows.setdefault((method, budget), []).append(found)
        show(name, mask, rows)


def show(name: str, mask: str, rows: dict[tuple[str, float], list[dict[str, float]]]) -> None:
    for (method, budget), found in rows.items():
        cells = []
        for key in found[0]:
            values = np.array([f[key] for f in found])
            error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0.0
            cells.append(f"{key} {values.mean():8.4g} ± {error:.2g}")
        print(
            f"{name:8} {mask:8} {method:10} {budget:4.1f} s  n={len(found)}  ",
            "  ".join(cells),
            flush=True,
        )


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    names = [a for a in arguments if not a.startswith("-")] or ["digits", "faces"]
    sizes = [int(a.removeprefix("--n=")) for a in arguments if a.startswith("--n=")]
    only = [a.removeprefix("--only=") for a in arguments if a.startswith("--only=")]
    for name in names:
        measure(name, sizes[0] if sizes else None, only or list(INPAINTERS), BUDGETS)


if __name__ == "__main__":
    main(sys.argv[1:])
