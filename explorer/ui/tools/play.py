"""W1, W3, W4, W6: drag a plane and dials and the picture follows; every place has an address."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.shelf import Opened
from explorer.ui import cache, show, wander
from explorer.ui.components import Axis, Plane, stage
from explorer.ui.state import Workbench, remembered, workbench

CORNERS = 256
FIRST = 6  # dials at first
STRIP = 5  # variations
FEW = 16  # pictures of a world, of which the plainest is met first
USUAL = 0.15  # as much of what is known is less likely: nothing to mend


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    show.heading("Play", "Drag the picture, or turn a dial: the picture follows your hand.")
    if "play/stage" not in st.session_state and bench.z is not None:
        bench.move(bench.z)  # one comes back: the stage begins with what was left on it

    above = st.container()
    controls = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    with controls:
        seed = st.number_input(
            "World",
            0,
            999_999,
            key="seed",
            bind="query-params",
            on_change=bench.clear,
            width=150,
            help="The seed. The same number is always the same endless world of pictures.",
        )
        variety = st.slider(
            "Variety",
            0.2,
            1.4,
            1.0,
            0.1,
            key="variety",
            bind="query-params",
            on_change=bench.clear,
            width=220,
            help="The temperature: low stays with what is common, high dares what is rare.",
        )
        ways = wander.dials(opened)
        more = len(ways) > FIRST and st.toggle(
            f"All {len(ways)} dials", key="play/more", on_change=rebase, **remembered()
        )
    bench.seed = seed

    corners = wander.world(opened, seed, CORNERS, variety)
    home = wander.plainest(opened, corners[:FEW]) if bench.anchor is None else bench.anchor
    plane = Plane(corners, seed).through(home)
    axes = [Axis(way.label, way.direction) for way in (ways if more else ways[:FIRST])]
    with above:
        rested = stage(
            "play/stage",
            opened=opened,
            origin=home,
            axes=axes,
            plane=plane,
            values=None if bench.anchor is None else [0.0] * len(axes),
            caption=show.invitation(opened),
            revision=bench.revision,
        )
    if rested is not None:
        bench.z = rested.z
    elif bench.z is None:
        bench.z = home

    with controls:
        snap(bench, opened)
    with st.container(horizontal=True, gap="medium"):
        take(bench, "play/like", "More like this", wander.variations(opened, bench.z, STRIP))
        if opened.atlas is not None:
            near = wander.nearest(opened, bench.z)
            take(bench, "play/near", "The nearest it knows", near[None])


def snap(bench: Workbench, opened: Opened) -> None:
    """A way back to the map, open where the picture has left it."""
    if opened.atlas is None or bench.z is None:
        return
    share = wander.typical(opened, bench.z)
    if st.button(
        "Make it typical", disabled=share is None or share > USUAL,
        help="Moves the picture towards others until it is no longer unusual.",
    ):  # fmt: skip
        bench.move(opened.atlas.snapped(bench.z))
        st.rerun()


def take(bench: Workbench, key: str, title: str, z: NDArray[np.float32]) -> None:
    """Pictures of ``z: (n, D)``; the one that is pressed comes onto the stage."""
    pressed = show.choices(key, title, cache.pixels(bench.opened, z))
    if pressed is not None:
        bench.move(z[pressed])
        st.rerun()


def rebase() -> None:
    """More dials, or fewer: the picture stays, the dials begin at nought."""
    bench = workbench()
    if bench.z is not None:
        bench.move(bench.z)


show_page()
