"""Our browser parts. Each is a function that mounts it and returns what a visitor did, checked."""

from .brush import brush
from .curve import Series, curve
from .film import film
from .frame import frame
from .mount import ROUTES
from .replay import replay
from .stage import Axis, Dials, Map, Plane, Rested, Sheet, stage

__all__ = [
    "ROUTES",
    "Axis",
    "Dials",
    "Map",
    "Plane",
    "Rested",
    "Series",
    "Sheet",
    "brush",
    "curve",
    "film",
    "frame",
    "replay",
    "stage",
]
