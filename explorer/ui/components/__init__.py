"""Our browser parts. Each is a function that mounts it and returns what a visitor did, checked."""

from .brush import brush
from .film import film
from .mount import ROUTES
from .stage import Axis, Plane, StageValue, stage

__all__ = ["ROUTES", "Axis", "Plane", "StageValue", "brush", "film", "stage"]
