"""The stage: a picture that follows the finger over an endless plane and along a few dials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.shelf import Opened

from ..checks import numbers
from ..mount import show
from ..pictures import spec_of
from .plane import CORNERS, Plane

__all__ = ["Axis", "Plane", "StageValue", "stage"]

FARTHEST = 1e7  # a place beyond it would lose its digits


@dataclass(frozen=True, eq=False)
class Axis:
    """A dial: what it is called, where in latent space it leads, and how far it may go."""

    label: str
    direction: ArrayLike  # (D,) array or tensor
    low: float = -3.0
    high: float = 3.0


@dataclass(frozen=True, eq=False)
class StageValue:
    """Where the stage came to rest: latent ``(D,)``, dials ``(K,)``, place on the plane."""

    z: NDArray[np.float32]
    values: NDArray[np.float32]
    place: tuple[float, float]


def stage(
    key: str,
    *,
    opened: Opened,
    origin: ArrayLike,
    axes: Sequence[Axis],
    plane: Plane | None,
    values: Sequence[float] | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    y: int | None = None,
    caption: str | None = None,
    revision: int = 0,
) -> StageValue | None:
    """Where it came to rest since ``revision``, None while nobody has moved it.

    z is the plane's latent at ``place``, or ``origin: (D,)`` where there is no plane, and the
    dials' directions added to it. It starts at ``values`` and ``place``; a new revision moves it
    there again. While nobody touches it, and without ``values``, it drifts by itself.
    """
    start = np.asarray(origin, np.float32).reshape(-1)
    directions = np.array([np.asarray(a.direction, np.float32) for a in axes], np.float32)
    directions = directions.reshape(len(axes), len(start))
    header = dict(
        model=opened.key,
        name=opened.card.title or opened.card.name,
        spec=spec_of(opened),
        size=len(start),
        axes=[dict(label=a.label, low=float(a.low), high=float(a.high)) for a in axes],
        values=[float(v) for v in values] if values is not None else [0.0] * len(axes),
        place=list(place),
        home=list(place),
        seed=None if plane is None else int(plane.seed),
        y=y,
        caption=caption,
        drift=values is None,
        revision=revision,
    )
    arrays = [start, directions]
    if plane is not None:
        arrays.append(np.ascontiguousarray(plane.corners, np.float32).reshape(CORNERS, len(start)))
    states = show("stage", key, header, *arrays, states=("value",), room=ROOM)
    found = None if states is None else rested(states["value"], axes, opened.key, revision)
    if found is None:
        return None
    turned, where = found
    z = (start if plane is None else plane.at(where)) + turned @ directions
    return StageValue(z.astype(np.float32), turned, where)


ROOM = "max-width: 36rem; aspect-ratio: 0.9"


def rested(
    sent: Any, axes: Sequence[Axis], model: str, revision: int
) -> tuple[NDArray[np.float32], tuple[float, float]] | None:
    """Dials ``(K,)`` and place in what a browser sent; None where they are not for this stage."""
    if not isinstance(sent, dict) or sent.get("model") != model:
        return None
    values = numbers(sent.get("values"), len(axes), FARTHEST)
    place = numbers(sent.get("place"), 2, FARTHEST)
    if sent.get("revision") != revision or values is None or place is None:
        return None
    low, high = [a.low for a in axes], [a.high for a in axes]
    return np.clip(values, low, high).astype(np.float32), (place[0], place[1])
