"""Morph (B1 to B4): two to four pictures blended into one another, to watch and to take home."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import images, ops
from explorer.ops import Array
from explorer.shelf import Opened
from explorer.ui import bring, cache, components
from explorer.ui.state import remembered, workbench

FINE = 24  # pictures on each leg that measure how fast it changes
SIDE = 256  # pixels of a picture that is taken home
WHEN = {
    "straight": "Straight: each step mixes as much as the one before. Good between near pictures.",
    "round": "Round: keeps its distance from the middle of all pictures, where everything looks "
    "average. Better between far ones.",
}
TERMS = (
    "The way is taken between the pictures' latents, the few numbers from which the model draws. "
    "Straight is linear interpolation, round is spherical (White 2016, arXiv:1609.04468)."
)


@dataclass(frozen=True)
class Way:
    """How to go from picture to picture."""

    path: str
    frames: int
    loop: bool
    even: bool
    beyond: float


def ask(several: int) -> Way:
    """The way that the visitor wants."""
    path = st.segmented_control(
        "Way", tuple(ops.PATHS), default="round", required=True, key="morph/path",
        format_func=str.capitalize, help=TERMS, **remembered(),
    )  # fmt: skip
    st.caption(WHEN[path])
    loop = st.toggle("Back to the first picture", key="morph/loop", **remembered())
    even = st.toggle(
        "Steps that look alike", value=True, key="morph/even", **remembered(),
        help="Places the pictures so that each differs from the one before by the same amount, "
        "as the root mean square of their pixels; off, steps are equal in numbers.",
    )  # fmt: skip
    beyond = st.slider(
        "Beyond the ends", 0, 100, 0, 10, format="%d %%", key="morph/beyond", disabled=loop,
        help="Goes on past the first and the last picture, by so much of a leg.", **remembered(),
    )  # fmt: skip
    frames = st.slider("Pictures in the film", 9, 61, 25, 4, key="morph/frames", **remembered())
    return Way(path, frames, loop, even, 0.0 if loop else beyond / 100 / (several - 1))


Pixels = NDArray[np.uint8]


def film(opened: Opened, points: Array, way: Way) -> tuple[Array, Pixels]:
    """Array ``(n, D)`` along the way through ``points: (k, D)`` and their pictures."""
    legs = len(points) - (0 if way.loop else 1)
    low, high = -way.beyond, 1 + way.beyond
    t = np.linspace(0, 1, way.frames)
    if way.even:
        fine = np.linspace(low, high, legs * FINE + 1)
        seen = cache.drawn(opened, ops.along(points, fine, way.path, way.loop))
        t = ops.even_steps(seen, way.frames)
    z = ops.along(points, low + (high - low) * t, way.path, way.loop)
    return z.astype(np.float32), cache.drawn(opened, z)


def save(opened: Opened, z: Array, x: Pixels, loop: bool) -> None:
    """The film as strip, animations and numbers."""
    spec = opened.data
    frames = images.enlarge(x, SIDE, spec.pixelated)
    numbers = "\n".join(",".join(f"{v:.6g}" for v in row) for row in z.tolist()) + "\n"
    pace = max(40, 2400 // len(frames))
    files = {
        "GIF": ("gif", "image/gif", lambda: images.gif(frames, pace, pingpong=not loop)),
        "WebP": ("webp", "image/webp", lambda: images.webp(frames, pace, pingpong=not loop)),
        "Strip": ("png", "image/png", lambda: images.png(images.sheet(frames, len(frames)))),
        "Numbers": ("csv", "text/csv", lambda: numbers),
    }
    with st.container(horizontal=True):
        for label, (ending, mime, made) in files.items():
            st.download_button(
                label, made, f"morph.{ending}", mime, key=f"morph/save/{ending}",
                icon=":material/download:", on_click="ignore", help=HELP[ending],
            )  # fmt: skip


HELP = {
    "gif": "An animation that plays everywhere; 256 colours.",
    "webp": "An animation in full colour, and smaller.",
    "png": "All pictures of the film in one row.",
    "csv": "The latents, one row for each picture, to decode them again.",
}


def square(opened: Opened, points: Array) -> None:
    """Every blend of three or four pictures at once, one in each corner."""
    spec = opened.data
    n = 9
    pixels = cache.drawn(opened, ops.corners(points, n).reshape(n * n, -1))
    sheet = images.sheet(images.enlarge(pixels, 64, spec.pixelated), n)
    st.image(sheet.squeeze(), width="stretch", alt="A square of blends, a picture in each corner")
    if len(points) == 3:
        st.caption(
            "Lower right: what is to the lower left as the upper right is to the upper left.",
            help="With latents a, b, c it is c + b − a: the J-diagram of White 2016.",
        )
    st.download_button(
        "Square", lambda: images.png(sheet), "square.png", "image/png", key="morph/save/square",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def show_page() -> None:
    opened = workbench().opened
    stage, controls = st.columns([3, 2], gap="large")

    with controls:
        brought = bring.several("morph", opened)
        points = brought.z
        shape = "Film"
        if len(points) > 2:
            shape = st.segmented_control(
                "Show", ("Film", "Square"), default="Film", required=True, key="morph/shape",
                **remembered(),
            )  # fmt: skip
        way = ask(len(points)) if shape == "Film" else None

    with stage:
        if way is None:
            square(opened, points)
            return
        z, x = film(opened, points, way)
        known = opened.atlas.typicality(z) if opened.atlas else None
        components.film("morph/film", x, pixelated=opened.data.pixelated, gauge=known)
        save(opened, z, x, way.loop)


show_page()
