"""A rate-distortion curve that ships as numbers: `python -m train rates` made it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("rates.json")


@dataclass(frozen=True)
class Point:
    """One model of the curve, measured on ``n`` held-out pictures, nats per picture.

    Attributes:
        beta: the price of information in its objective.
        error: the standard error of ``elbo``, which is -distortion - rate.
        mig: the mutual information gap, of 1.
    """

    beta: float
    rate: float
    distortion: float
    elbo: float
    error: float
    mig: float
    n: int


@cache
def shipped() -> tuple[str, tuple[Point, ...]]:
    """How the curve was measured, in words, and its points by rising beta."""
    told = json.loads(SHIPPED.read_text(encoding="utf-8"))
    return told["protocol"], tuple(Point(**point) for point in told["points"])
