"""The map: known pictures as points, decoded under the pointer, picked and lassoed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.shelf import Opened

from ..checks import flags, numbers, whole
from ..mount import show
from ..pictures import spec_of

FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class PointsValue:
    """What a visitor chose on the map.

    Attributes:
        selection: ``(N,)`` flags of the points in the lasso, or None.
        picked: the point last clicked, or None.
        ground: where it was clicked last, if that was beside every point; or None.
    """

    selection: NDArray[np.bool_] | None = None
    picked: int | None = None
    ground: tuple[float, float] | None = None


def points(
    key: str,
    xy: ArrayLike,
    *,
    opened: Opened,
    map_name: str,
    colour: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> PointsValue:
    """Shows ``xy: (N, 2)``, the atlas's map of that name, every point of it.

    With ``names``, ``colour: (N,)`` holds the number of each point's name, -1 for none; without,
    it is a measure called ``title``.
    """
    places = np.ascontiguousarray(xy, np.float32).reshape(-1, 2)
    values = np.zeros(len(places)) if colour is None else np.asarray(colour)
    if values.shape != (len(places),):
        raise ValueError(f"colour has shape {values.shape}; {len(places)} points need as many")
    shade = values.astype(np.int32 if names is not None else np.float32)
    digest = hashlib.blake2b(opened.key.encode() + places.tobytes(), digest_size=8)
    identity = digest.hexdigest()
    header = dict(
        model=opened.key,
        map=map_name,
        spec=spec_of(opened),
        n=len(places),
        names=None if names is None else [str(name) for name in names],
        title=title,
        id=identity,
    )
    states = show("points", key, header, places, shade, states=("chosen",), room=ROOM)
    if states is None:
        return PointsValue()
    return chosen(states["chosen"], identity, len(places))


ROOM = "height: min(38rem, 75vh)"


def chosen(sent: Any, name: str, count: int) -> PointsValue:
    """What a browser sent, empty where it is not of this map."""
    if not isinstance(sent, dict) or sent.get("id") != name:
        return PointsValue()
    ground = numbers(sent.get("ground"), 2, FARTHEST)
    return PointsValue(
        selection=flags(sent.get("bits"), count),
        picked=whole(sent.get("picked"), count),
        ground=None if ground is None else (ground[0], ground[1]),
    )
