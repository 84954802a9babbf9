"""W1, W3, W4, W6: drag a plane and dials and the picture follows; every place has an address."""

from __future__ import annotations

import numpy as np
import streamlit as st

from explorer.ops import Array
from explorer.ui import cache, show, wander
from explorer.ui.components import Axis, Dials, Plane, stage
from explorer.ui.components.stage import CORNERS
from explorer.ui.state import Workbench, remembered, workbench

FIRST = 6  # dials at first
STRIP = 5  # variations
FEW = 16  # pictures of a world, of which the plainest is met first


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
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

    corners = wander.world(opened, seed, CORNERS, variety)
    axes = [Axis(way.label, way.direction) for way in (ways if more else ways[:FIRST])]
    with above:
        stage(
            "play/stage",
            opened=opened,
            origin=bench.begin("play/stage", wander.plainest(opened, corners[:FEW])),
            surface=Dials(axes, Plane(corners, seed)),
            captions=show.invitation(opened),
            y=bench.y,
            drift=True,
            revision=bench.revision,
            on_rest=bench.rest,
        )
    assert bench.z is not None

    if opened.classes:
        handwriting(bench)
    with st.container(horizontal=True, gap="medium"):
        take(bench, "play/like", "More like this", wander.variations(opened, bench.z, STRIP))
        if opened.atlas is not None:
            near = wander.nearest(opened, bench.z)
            take(bench, "play/near", "The nearest it knows", near[None])


def handwriting(bench: Workbench) -> None:
    """The picture's place in every class; the one that is pressed is drawn from now on."""
    assert bench.z is not None
    assert bench.y is not None
    classes = bench.opened.classes
    each = [cache.drawn(bench.opened, bench.z[None], y) for y in range(len(classes))]
    pressed = show.choices("play/class", "The same hand writes them all", np.concatenate(each))
    st.caption(
        f"You see {classes[bench.y]}. Press another: the place stays, and with it slant, weight "
        "and width.",
        help="A conditional model is told the class y, so its latent z is left with the rest. "
        "Here z stays and y changes (Sohn et al. 2015; Kingma et al. 2014).",
    )
    if pressed is not None:
        bench.y = pressed
        bench.move(bench.z)
        st.rerun()


def take(bench: Workbench, key: str, title: str, z: Array) -> None:
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
