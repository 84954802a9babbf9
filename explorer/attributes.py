"""What pictures have more or less of: how it is measured, and what it is called on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Attribute:
    """Something that pictures have more or less of.

    Attributes:
        title: what people read.
        column: where its values stand in the data set's table.
        low, high: what a picture at either end is.
        bounds: at most the first: clearly without; at least the second: clearly with. None: the
            values are measured, and the outer 30 % on either side are clear.
        apart_from: measured with it and tied to it in the data, so taken out by regression.
    """

    name: str
    title: str
    column: str
    low: str
    high: str
    bounds: tuple[float, float] | None = None
    apart_from: tuple[str, ...] = ()


LABELLED = (0.1, 0.9)  # a probability beyond which a label is hardly ever wrong

# In the order of the page. Taken apart is what correlates beyond 0.2 in the pictures themselves.
ATTRIBUTES = (
    Attribute("smile", "Smile", "smile", "serious", "smiling", None, ("mouth_open", "gender")),
    Attribute("mouth_open", "Open mouth", "mouth_open", "shut", "open", None, ("smile",)),
    Attribute(
        "brow_raise", "Raised brows", "brow_raise", "low", "raised", None, ("eyes_open", "gender")
    ),
    Attribute("eyes_open", "Open eyes", "eyes_open", "narrow", "wide", None, ("brow_raise",)),
    Attribute("yaw", "Turn", "yaw", "to the left", "to the right"),
    Attribute("pitch", "Nod", "pitch", "down", "up", None, ("brow_raise",)),
    Attribute("light_right", "Light", "light_right", "from the left", "from the right"),
    Attribute("brightness", "Brightness", "brightness", "dark", "bright"),
    Attribute("eyeglasses", "Glasses", "p_eyeglasses", "without", "with", LABELLED),
    Attribute("beard", "Beard", "p_beard_or_moustache", "shaven", "bearded", LABELLED),
    Attribute("headwear", "Headwear", "p_headwear", "bareheaded", "covered", LABELLED),
    Attribute("age", "Age (as annotators guessed)", "age", "younger", "older", (30.0, 50.0)),
    Attribute(
        "gender",
        "Gender (as annotators guessed)",
        "gender",
        "taken for a woman",
        "taken for a man",
        LABELLED,
    ),
)


def described(values: Mapping[str, NDArray[np.float32]]) -> tuple[Attribute, ...]:
    """The attributes of ``values``: ours in the page's order, then those somebody brought."""
    ours = [a for a in ATTRIBUTES if a.name in values]
    names = {a.name for a in ours}
    return (*ours, *(_brought(n, v) for n, v in values.items() if n not in names))


def _brought(name: str, value: NDArray[np.float32]) -> Attribute:
    known = value[~np.isnan(value)]
    yes_or_no = bool(((known == 0) | (known == 1)).all())
    title = name.replace("_", " ").strip().capitalize()
    return Attribute(name, title, name, "without", "with", LABELLED if yes_or_no else None)
