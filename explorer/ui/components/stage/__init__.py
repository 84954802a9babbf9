"""The stage: a picture that follows the finger, and beside it a surface to move on.

The browser knows where the picture is; Python hears of it once, when it rests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.live import LARGEST_NUMBER
from explorer.shelf import Opened

from ..checks import flags, numbers
from ..mount import show, ticket
from ..pictures import spec_of

__all__ = ["Axis", "Dials", "Map", "Plane", "Rested", "Sheet", "Surface", "stage"]

CORNERS = 256


@dataclass(frozen=True, eq=False)
class Axis:
    """A dial: what it is called, where in latent space it leads, and how far it may go."""

    label: str
    direction: ArrayLike  # (D,)
    low: float = -3.0
    high: float = 3.0


@dataclass(frozen=True, eq=False)
class Plane:
    """An endless plane: latents ``(256, D)`` at the points of a lattice, blended between them.

    ``seed`` says which of them lies where.
    """

    corners: NDArray[np.float32]
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Dials:
    """Dials, and a plane under the picture; without one the picture moves the first two dials.

    Attributes:
        values: ``(K,)`` where the dials begin; at nought if None.
    """

    axes: Sequence[Axis]
    plane: Plane | None = None
    values: Sequence[float] | None = None

    name = "dials"

    def header(self) -> dict[str, Any]:
        axes = [dict(label=a.label, low=float(a.low), high=float(a.high)) for a in self.axes]
        values = [0.0] * len(axes) if self.values is None else [float(v) for v in self.values]
        return dict(axes=axes, values=values, seed=None if self.plane is None else self.plane.seed)

    def arrays(self) -> list[NDArray[Any]]:
        directions = [_row(axis.direction) for axis in self.axes]
        return directions if self.plane is None else [*directions, _row(self.plane.corners)]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet of pictures at ``centre + x u + y v``, x and y a standard normal's quantiles.

    Cells hold equal probability, and the first view the central ``span`` of it.
    """

    centre: ArrayLike
    u: ArrayLike
    v: ArrayLike
    u_label: str
    v_label: str
    span: float = 0.98

    name = "sheet"

    def header(self) -> dict[str, Any]:
        return dict(u_label=self.u_label, v_label=self.v_label, span=self.span)

    def arrays(self) -> list[NDArray[Any]]:
        return [_row(self.u), _row(self.v), _row(self.centre)]


@dataclass(frozen=True, eq=False)
class Map:
    """Known pictures as points ``xy: (N, 2)``, the atlas's map called ``of``, every one of them.

    With ``names``, ``colour: (N,)`` holds the number of each point's name, -1 for none; without,
    it is a measure called ``title``, NaN where unknown.
    """

    of: str
    xy: ArrayLike
    colour: ArrayLike
    names: Sequence[str] | None = None
    title: str = ""

    name = "map"

    def header(self) -> dict[str, Any]:
        names = None if self.names is None else [str(name) for name in self.names]
        n = len(np.asarray(self.xy))
        return dict(map=self.of, n=n, names=names, title=self.title, id=self.identity)

    def arrays(self) -> list[NDArray[Any]]:
        places, shade = _row(self.xy), np.asarray(self.colour)
        if 2 * shade.size != places.size:
            raise ValueError(f"{shade.size} colours for {places.size // 2} points")
        return [places, shade.astype(np.float32 if self.names is None else np.int32)]

    @property
    def identity(self) -> str:
        """Tells one map from another."""
        return hashlib.blake2b(_row(self.xy).tobytes(), digest_size=8).hexdigest()


Surface = Dials | Sheet | Map


@dataclass(frozen=True, eq=False)
class Rested:
    """Where things came to rest since the stage's revision.

    Attributes:
        z: ``(D,)``, the latent of the picture; None while nobody has moved it.
        values: ``(K,)`` of the dials.
        lasso: ``(N,)`` flags of the points in the map's lasso, or None.
    """

    z: NDArray[np.float32] | None = None
    values: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    lasso: NDArray[np.bool_] | None = None


def stage(
    key: str,
    *,
    opened: Opened,
    origin: ArrayLike,
    surface: Surface,
    y: int | None = None,
    captions: Sequence[str] = (),
    drift: bool = False,
    revision: int = 0,
    on_rest: Callable[[Rested], None] | None = None,
) -> Rested:
    """Shows the picture of ``origin: (D,)`` and lets it be moved; where it came to rest.

    ``on_rest`` hears of it first, and also where the visitor has gone on to another page.
    A new revision, and nothing else, takes the picture to ``origin`` again. ``captions`` stand on
    it, one after the other, until somebody takes hold; with ``drift`` it moves until then, and
    again after a minute without a touch.
    """
    start = _row(origin)
    header = dict(
        model=opened.key,
        generation=opened.generation,
        name=opened.card.title or opened.card.name,
        ticket=ticket(),
        spec=spec_of(opened),
        size=len(start),
        surface=surface.name,
        y=y,
        captions=list(captions),
        drift=drift,
        revision=revision,
        **surface.header(),
    )

    def read(states: dict[str, Any]) -> Rested:
        found = rested(states["rested"], opened.key, revision, len(start), surface)
        z, values = (None, Rested().values) if found is None else found
        return Rested(z, values, lassoed(states["lasso"], surface))

    states = show(
        "stage", key, header, start, *surface.arrays(), states=("rested", "lasso"), room=ROOM,
        told=None if on_rest is None else lambda states: on_rest(read(states)),
    )  # fmt: skip
    return Rested() if states is None else read(states)


ROOM = "max-width: 42rem; aspect-ratio: 0.9"


def rested(
    sent: Any, model: str, revision: int, size: int, surface: Surface
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """``(D,)`` latent and ``(K,)`` dials in what a browser sent; None where it is not of this."""
    if not isinstance(sent, dict) or sent.get("model") != model:
        return None
    axes = surface.axes if isinstance(surface, Dials) else ()
    z = numbers(sent.get("z"), size, LARGEST_NUMBER)
    values = numbers(sent.get("values"), len(axes), LARGEST_NUMBER)
    if sent.get("revision") != revision or z is None or values is None:
        return None
    turned = np.clip(values, [a.low for a in axes], [a.high for a in axes])
    return np.array(z, np.float32), turned.astype(np.float32)


def lassoed(sent: Any, surface: Surface) -> NDArray[np.bool_] | None:
    """``(N,)`` flags in what a browser sent; None where there are none, or not of this map."""
    if not isinstance(surface, Map) or not isinstance(sent, dict):
        return None
    if sent.get("id") != surface.identity:
        return None
    return flags(sent.get("bits"), len(np.asarray(surface.xy)))


def _row(values: ArrayLike) -> NDArray[np.float32]:
    """All of ``values``, one after the other."""
    return np.ascontiguousarray(values, np.float32).reshape(-1)
