"""The curves of a training run, live.

Drawn by uPlot 1.6 (MIT, its licence beside it): 10,000 points cost 5 ms, where a chart that goes
through a rerun costs seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..mount import show


@dataclass(frozen=True)
class Series:
    """One column of a run's metrics, what it is called in words, and perhaps its colour."""

    name: str
    label: str
    colour: str | None = None


def curve(
    key: str,
    run_id: str,
    series: Sequence[Series],
    *,
    x: str = "Training step",
    y: str = "Nats per image",
    revision: int = 0,
) -> None:
    """Shows the run's columns over its steps as they are written.

    It stops following when the run ends; a new revision follows again, as after resuming.
    """
    lines = [dict(name=s.name, label=s.label, colour=s.colour) for s in series]
    header = dict(run=run_id, series=lines, x=x, y=y, revision=revision)
    show("curve", key, header, room="min-height: 395px")
