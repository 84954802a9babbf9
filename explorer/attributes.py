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
        said: of a picture that has it, in a list of what it shows; empty where that is a guess.
    """

    name: str
    title: str
    column: str
    low: str
    high: str
    bounds: tuple[float, float] | None = None
    apart_from: tuple[str, ...] = ()
    said: str = ""


LABELLED = (0.1, 0.9)  # a probability beyond which a label is hardly ever wrong

# In the order of the page. Taken apart is what correlates beyond 0.2 in the pictures themselves.
ATTRIBUTES = (
    Attribute(
        "smile", "Smile", "smile", "serious", "smiling",
        apart_from=("mouth_open", "gender"), said="smiling",
    ),
    Attribute(
        "mouth_open", "Open mouth", "mouth_open", "shut", "open",
        apart_from=("smile",), said="mouth open",
    ),
    Attribute(
        "brow_raise", "Raised brows", "brow_raise", "low", "raised",
        apart_from=("eyes_open", "gender"), said="brows raised",
    ),
    Attribute(
        "eyes_open", "Open eyes", "eyes_open", "narrow", "wide",
        apart_from=("brow_raise",), said="eyes wide",
    ),
    Attribute("yaw", "Turn", "yaw", "to the left", "to the right", said="turned to the right"),
    Attribute(
        "pitch", "Nod", "pitch", "down", "up", apart_from=("brow_raise",), said="looking up"
    ),
    Attribute(
        "light_right", "Light", "light_right", "from the left", "from the right",
        said="lit from the right",
    ),
    Attribute("brightness", "Brightness", "brightness", "dark", "bright", said="bright"),
    Attribute(
        "eyeglasses", "Glasses", "p_eyeglasses", "without", "with", LABELLED, said="with glasses"
    ),
    Attribute(
        "beard", "Beard", "p_beard_or_moustache", "shaven", "bearded", LABELLED, said="bearded"
    ),
    Attribute(
        "headwear", "Headwear", "p_headwear", "bareheaded", "covered", LABELLED,
        said="head covered",
    ),
    Attribute("age", "Age (as annotators guessed)", "age", "younger", "older", (30.0, 50.0)),
    Attribute(
        "gender", "Gender (as annotators guessed)", "gender",
        "taken for a woman", "taken for a man", LABELLED,
    ),
)  # fmt: skip


def described(values: Mapping[str, NDArray[np.float32]]) -> tuple[Attribute, ...]:
    """The attributes of ``values``: ours in the page's order, then those somebody brought."""
    ours = [a for a in ATTRIBUTES if a.name in values]
    names = {a.name for a in ours}
    return (*ours, *(_brought(n, v) for n, v in values.items() if n not in names))


def _brought(name: str, value: NDArray[np.float32]) -> Attribute:
    known = value[~np.isnan(value)]
    yes_or_no = bool(((known == 0) | (known == 1)).all())
    title = name.replace("_", " ").strip().capitalize()
    bounds = LABELLED if yes_or_no else None
    return Attribute(name, title, name, "without", "with", bounds, said=title.lower())
