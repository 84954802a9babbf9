"""What part of a picture is taken: found where faces are wanted, and put right by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from PIL import Image

from explorer import align, images
from explorer.align import Points
from explorer.faces import Eyes, found
from explorer.ops import Array
from explorer.shelf import Opened
from explorer.spec import DataSpec
from explorer.ui import components

PREVIEW = 480  # pixels on the longer side of what the frame is put on
NONE_FOUND = (
    "No face was found in it, so its middle is taken. Press *Frame* and put the two points on the "
    "eyes, or bring a picture in which the face looks ahead."
)


@dataclass(frozen=True, eq=False)
class Own:
    """A picture that a visitor brought.

    Attributes:
        title: its name on the page.
        image: it, mode L or RGB.
        eyes: of the faces in it, the largest first, once they were looked for.
        points: where its two points lie for data of a name, if not where they would by themselves.
        closer: latents ``(D,)`` that were looked for, by model and points.
        framed: it is a model's own size and place already, and taken as it is.
    """

    title: str
    image: Image.Image
    eyes: list[list[Eyes]] = field(default_factory=list)
    points: dict[str, Points] = field(default_factory=dict)
    closer: dict[tuple[str, Points | None], Array] = field(default_factory=dict)
    framed: bool = False

    def latent(self, opened: Opened) -> Array | None:
        """``(D,)``, the closest that was found for that model and frame; None before any was."""
        return self.closer.get((opened.key, _chosen(self, opened.data)))

    def remember(self, opened: Opened, z: Array) -> None:
        """Takes ``z: (D,)`` for the picture's latent from now on."""
        self.closer[opened.key, _chosen(self, opened.data)] = z


def prepared(own: Own, data: DataSpec) -> Array:
    """``(1, C, H, W)``: the picture as the data were made, with the part in it that was chosen."""
    return images.prepare(own.image, data, points=_chosen(own, data))


def _chosen(own: Own, data: DataSpec) -> Points | None:
    if data.name in own.points or data.name != "faces" or own.framed:
        return own.points.get(data.name)
    faces = _faces(own)
    return (faces[0].left, faces[0].right) if faces else None


def _faces(own: Own) -> list[Eyes]:
    if not own.eyes:
        own.eyes.append(found(own.image))
    return own.eyes[0]


def row(key: str, own: Own, data: DataSpec) -> None:
    """Which part is taken, in words where that is in doubt, and the tool to choose another."""
    if data.pixelated or own.framed:  # characters and garments are framed by their ink
        return
    faces = _faces(own) if data.name == "faces" else []
    if data.name == "faces" and not faces and data.name not in own.points:
        st.caption(f":material/face: {NONE_FOUND}")
    if len(faces) > 1:
        st.caption(f":material/group: {len(faces)} faces were found; the largest is taken first.")
        st.button("Next face", key=f"{key}/next", on_click=_next, args=(own, data))
    if st.toggle("Frame", key=f"{key}/framing", help="Choose by hand what is taken of it."):
        _by_hand(key, own, data)


def _next(own: Own, data: DataSpec) -> None:
    faces = [(e.left, e.right) for e in _faces(own)]
    now = own.points.get(data.name, faces[0])
    own.points[data.name] = faces[(faces.index(now) + 1) % len(faces) if now in faces else 0]


def _by_hand(key: str, own: Own, data: DataSpec) -> None:
    at, size = align.places(data)
    before = _chosen(own, data) or _middle(own.image, data)
    preview = own.image.copy()
    preview.thumbnail((PREVIEW, PREVIEW))
    share = preview.width / own.image.width
    shown = (before[0] * share, before[1] * share)
    names = "both eyes" if data.name == "faces" else "the left and the right edge of the part"
    moved = components.frame(f"{key}/frame", np.asarray(preview), shown, at, size, names)
    if moved != shown:
        own.points[data.name] = (moved[0] / share, moved[1] / share)
        st.rerun()


def _middle(image: Image.Image, data: DataSpec) -> Points:
    """The points of the largest centred part of the data's proportions."""
    left, top, right, _ = images.centre_box(image.size, data)
    at, size = align.places(data)
    scale = (right - left) / size[0]
    return complex(left, top) + scale * at[0], complex(left, top) + scale * at[1]
