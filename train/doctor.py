"""What is wrong with a run, in words, with the evidence and a fork that may mend it."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from explorer.curves import Curves
from explorer.models import FAMILIES

from .config import TrainConfig
from .objectives import OBJECTIVES

LOOKS = 4  # at held-out pictures, before anything is said of them
DEAD = 0.05  # nats that a coordinate carries at most where nothing uses it
FULL = 1.0  # nats that the idlest coordinate carries where all are full
SLOW, USUAL = 1e-4, 1e-3  # learning rates: one that is too small, and what to take instead
COLLAPSED = 0.5  # nats that all of them carry together where the code says nothing


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: what it is called in the literature.
        words: what it means.
        evidence: the numbers that say so.
        remedy: what the fork does, for a button.
        config: the fork's.
        begin: whether the fork begins anew rather than at the newest checkpoint.
    """

    name: str
    words: str
    evidence: str
    remedy: str
    config: TrainConfig
    begin: bool


@dataclass(frozen=True)
class Seen:
    """What the rules below look at: nats per picture on held-out pictures but where ``own``."""

    config: TrainConfig
    total: int  # steps of the whole run
    steps: list[int]
    elbo: list[float]
    rate: float
    each: list[float]  # of the coordinates, at the last look; empty where they have no share
    own: float  # the bound on the pictures it trains on, lately

    @property
    def level(self) -> bool:
        """Whether the bound has stopped rising."""
        return self.gain < self.small

    @property
    def gain(self) -> float:
        """How much the bound rose over the last quarter of the looks."""
        recent = self.elbo[-max(LOOKS, len(self.elbo) // 4) :]
        return recent[-1] - recent[0]

    @property
    def small(self) -> float:
        """A change of the bound that is within its noise: pictures and draws are the same ones."""
        return 0.02 + 0.002 * abs(self.elbo[-1])


def diagnose(curves: Curves, config: TrainConfig, total: int) -> list[Finding]:
    """What is wrong, the worst first; empty while it is too early to say, or where all is well.

    Of a fork only what came after it counts: before, it was told other things.
    """
    steps, elbo = curves.column("held/elbo")
    since = bisect.bisect_right(steps, curves.events[-1][0]) if curves.events else 0
    steps, elbo = steps[since:], elbo[since:]
    rate, own = curves.column("held/rate")[1], curves.column("elbo")[1]
    if len(elbo) < LOOKS or len(own) < LOOKS:
        return []
    each = curves.coordinates[-1][1] if curves.coordinates else []
    lately = own[-max(1, len(own) // 10) :]
    seen = Seen(config, total, steps, elbo, rate[-1], each, sum(lately) / len(lately))
    found = (rule(seen) for rule in RULES)
    return [finding for finding in found if finding is not None]


def collapse(seen: Seen) -> Finding | None:
    if seen.rate >= COLLAPSED or seen.steps[-1] < max(100, _warmup(seen.config)):
        return None
    wanted = {
        "beta": min(1.0, seen.config.terms.get("beta", 1.0)),
        "warmup": max(100, seen.total // 4),
        "free_bits": 0.1,
        "hold_rate": 0.0,
    }
    slow = seen.config.lr < SLOW
    lr = USUAL if slow else seen.config.lr
    faster = f", and a learning rate of {USUAL:g}" if slow else ""
    return Finding(
        "Posterior collapse",
        "The code says nothing about a picture: whatever is encoded, the same comes back.",
        f"All coordinates together carry {seen.rate:.2f} nats per held-out picture.",
        f"Begin anew with a warm-up and free bits{faster}",
        _with_terms(dataclasses.replace(seen.config, lr=lr), wanted),
        begin=True,
    )


def dead(seen: Seen) -> Finding | None:
    idle = sum(nats < DEAD for nats in seen.each)
    if not seen.each or seen.rate < COLLAPSED or idle < max(1, len(seen.each) / 4):
        return None
    beta = seen.config.terms.get("beta", 1.0)
    wanted = {"beta": min(1.0, beta), "free_bits": 0.1, "hold_rate": 0.0}
    what = f"beta {beta:g} → 1 and free bits" if beta > 1 else "free bits"
    return Finding(
        "Dead units",
        "Some coordinates carry nothing: turning them changes no picture. That costs little, but "
        "what they could have told is lost.",
        f"{idle} of {len(seen.each)} coordinates carry less than {DEAD:g} nats each.",
        f"Go on with {what}",
        _with_terms(seen.config, wanted),
        begin=False,
    )


def by_heart(seen: Seen) -> Finding | None:
    best = max(range(len(seen.elbo)), key=seen.elbo.__getitem__)
    lost = seen.elbo[best] - seen.elbo[-1]
    better = seen.own - seen.elbo[-1]
    if lost < 3 * seen.small or best > len(seen.elbo) - LOOKS or better < lost:
        return None
    epochs = max(1, round(seen.config.epochs * seen.steps[best] / seen.total * 1.2))
    return Finding(
        "Over-fitting",
        "It learns its own pictures by heart: on pictures it never saw it gets worse. More "
        "pictures would help most.",
        f"Held out it lost {lost:.1f} nats since step {seen.steps[best]:,}; on its own pictures "
        f"it is {better:.1f} nats better.",
        "Begin anew: half the network, and no longer than it got better",
        dataclasses.replace(_sized(seen.config, 0.5), epochs=epochs),
        begin=True,
    )


def unfinished(seen: Seen) -> Finding | None:
    if seen.steps[-1] < 0.95 * seen.total or seen.gain < 3 * seen.small:
        return None
    slow = seen.config.lr < SLOW
    lr = USUAL if slow else seen.config.lr
    return Finding(
        "Under-fitting",
        "It was still getting better when it ended"
        + (", and slowly: its learning rate is very small." if slow else "."),
        f"Over its last quarter the held-out bound rose by {seen.gain:.1f} nats.",
        "Go on for as long again" + (f" with a learning rate of {USUAL:g}" if slow else ""),
        dataclasses.replace(seen.config, epochs=2 * seen.config.epochs, lr=lr),
        begin=False,
    )


def too_small_a_network(seen: Seen) -> Finding | None:
    default = FAMILIES[seen.config.family].Config()
    width = _width(seen.config)
    size = seen.config.model.get(width, getattr(default, width, None))
    if size is None or size > getattr(default, width) / 4 or not seen.level:
        return None
    if seen.rate < COLLAPSED:  # which says nothing about its size
        return None
    if seen.own - seen.elbo[-1] > 0.03 * abs(seen.elbo[-1]):
        return None
    return Finding(
        "Under-fitting",
        "It has stopped getting better, and is no better on its own pictures than on new ones: "
        "the network is too small to learn more.",
        f"Its {width} is {size}; on its own pictures the bound is "
        f"{seen.own - seen.elbo[-1]:+.1f} nats from the held-out one.",
        "Begin anew with a network four times as wide",
        _sized(seen.config, 4),
        begin=True,
    )


def too_few_coordinates(seen: Seen) -> Finding | None:
    if not seen.each or min(seen.each) < FULL or len(seen.each) > 64:
        return None
    more = min(256, 4 * len(seen.each))
    return Finding(
        "Too small a latent",
        "Every coordinate is full: a picture has more to say than they can hold. Two may be "
        "meant, for a map.",
        f"The idlest of {len(seen.each)} coordinates carries {min(seen.each):.1f} nats.",
        f"Begin anew with {more} coordinates",
        dataclasses.replace(seen.config, model={**seen.config.model, "latent": more}),
        begin=True,
    )


RULES: tuple[Callable[[Seen], Finding | None], ...] = (
    collapse,
    by_heart,
    too_small_a_network,
    unfinished,
    too_few_coordinates,
    dead,
)


def _with_terms(config: TrainConfig, wanted: dict[str, Any]) -> TrainConfig:
    """``config`` with those of the wanted terms that its objective knows."""
    known = {f.name for f in dataclasses.fields(OBJECTIVES[config.objective])}  # type: ignore[arg-type]
    terms = {**config.terms, **{k: v for k, v in wanted.items() if k in known}}
    return dataclasses.replace(config, terms=terms)


def _warmup(config: TrainConfig) -> int:
    return config.terms.get("warmup", 0)


def _width(config: TrainConfig) -> str:
    return "width" if config.model.get("net") == "conv" else "hidden"


def _sized(config: TrainConfig, factor: float) -> TrainConfig:
    """``config`` with a network so many times as wide, within what its family allows."""
    kind, name = FAMILIES[config.family].Config, _width(config)
    field = next((f for f in dataclasses.fields(kind) if f.name == name), None)
    if field is None:
        return config
    low, high = field.metadata["range"]
    size = int(config.model.get(name, field.default) * factor)
    step = field.metadata.get("step", 1)
    size = max(low, min(high, size // step * step))
    return dataclasses.replace(config, model={**config.model, name: size})
