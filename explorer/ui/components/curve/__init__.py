"""The curves of training runs, live.

Drawn by uPlot 1.6 (MIT, its licence beside it): 10,000 points cost 5 ms, where a chart that goes
through a rerun costs seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..mount import show, ticket


@dataclass(frozen=True)
class Series:
    """One column of a run's metrics, what it is called in words, and perhaps its colour."""

    name: str
    label: str
    colour: str | None = None


def curve(
    key: str,
    runs: Mapping[str, str],
    series: Sequence[Series],
    *,
    schedule: Sequence[Series] = (),
    strip: bool = False,
    x: str = "Training step",
    y: str = "Nats per picture",
    revision: int = 0,
) -> None:
    """Shows columns of the runs, name -> title, over their steps as they are written.

    Arguments:
        schedule: columns with a small chart of their own each, below.
        strip: whether to show what every coordinate of the first run carries.
        revision: a new one follows anew, as after resuming.
    """

    def told(some: Sequence[Series]) -> list[dict[str, str | None]]:
        return [dict(name=s.name, label=s.label, colour=s.colour) for s in some]

    header = dict(
        key=key,
        ticket=ticket(),
        runs=[dict(id=name, title=title) for name, title in runs.items()],
        series=told(series),
        schedule=told(schedule),
        strip=strip,
        x=x,
        y=y,
        revision=revision,
    )
    show("curve", key, header, room="min-height: 395px")
