"""W1, W3, W4, W6: drag a plane and dials and the picture follows; every place has an address."""

from __future__ import annotations

import streamlit as st

from explorer.ui import cache, show, wander
from explorer.ui.components import Axis, Plane, stage
from explorer.ui.state import remembered, workbench

CORNERS = 256
FIRST = 6  # dials at first
STRIP = 6  # variations


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    show.heading("Play", "Drag the picture, or turn a dial: the picture follows your hand.")
    if "play/stage" not in st.session_state and bench.z is not None:
        bench.move(bench.z)  # one comes back: the stage begins with what was left on it

    above = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
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

    plane = Plane(wander.world(opened, seed, CORNERS, variety), seed)
    if bench.anchor is not None:
        plane = plane.through(bench.anchor)
    axes = [Axis(way.label, way.direction) for way in (ways if more else ways[:FIRST])]
    with above:
        rested = stage(
            "play/stage",
            opened=opened,
            origin=plane.at((0, 0)),
            axes=axes,
            plane=plane,
            values=None if bench.anchor is None else [0.0] * len(axes),
            caption=show.invitation(opened),
            revision=bench.revision,
        )
    if rested is not None:
        bench.z = rested.z
    elif bench.z is None:
        bench.z = plane.at((0, 0))

    st.markdown("#### More like this")
    around = wander.variations(opened, bench.z, STRIP)
    taken = show.choices("play/like", cache.pixels(opened, around), "Variation")
    if taken is not None:
        bench.move(around[taken])
        st.rerun()


def rebase() -> None:
    """More dials, or fewer: the picture stays, the dials begin at nought."""
    bench = workbench()
    if bench.z is not None:
        bench.move(bench.z)


show_page()
