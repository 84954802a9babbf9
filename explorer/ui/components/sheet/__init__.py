"""The manifold: a sheet of pictures over two directions, to zoom into and choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from explorer.shelf import Opened

from ..checks import numbers
from ..mount import show
from ..pictures import spec_of

FARTHEST = 4.0  # a share of 0.0005 lies at 3.3


def sheet(
    key: str,
    *,
    opened: Opened,
    origin: ArrayLike,
    u: ArrayLike,
    v: ArrayLike,
    u_label: str,
    v_label: str,
    start_span: float = 0.98,
) -> tuple[float, float] | None:
    """The coordinates ``(x, y)`` of the cell last clicked, None before; z = origin + x u + y v.

    Coordinates are a standard normal's: cells hold equal probability, and the first view the
    central ``start_span`` of it.
    """
    arrays = [np.asarray(a, np.float32).reshape(-1) for a in (origin, u, v)]
    header = dict(
        model=opened.key,
        spec=spec_of(opened),
        size=len(arrays[0]),
        u_label=u_label,
        v_label=v_label,
        span=float(start_span),
    )
    states = show("sheet", key, header, *arrays, states=("chosen",), room=ROOM)
    return None if states is None else chosen(states["chosen"], opened.key)


ROOM = "max-width: 44rem; aspect-ratio: 0.9"


def chosen(sent: Any, model: str) -> tuple[float, float] | None:
    """The place in what a browser sent; None where it is none or not this model's."""
    if not isinstance(sent, dict) or sent.get("model") != model:
        return None
    place = numbers(sent.get("place"), 2, FARTHEST)
    return None if place is None else (place[0], place[1])
