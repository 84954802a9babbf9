"""Our browser parts. Each is a function that mounts it and returns what a visitor did, checked."""

from .brush import brush
from .curve import Series, curve
from .film import film
from .mount import ROUTES
from .points import PointsValue, points
from .sheet import sheet
from .stage import Axis, Plane, StageValue, stage

__all__ = [
    "ROUTES",
    "Axis",
    "Plane",
    "PointsValue",
    "Series",
    "StageValue",
    "brush",
    "curve",
    "film",
    "points",
    "sheet",
    "stage",
]
