"""W1, W3, W4, W6: drag a plane and dials and the picture follows; every place has an address."""

from __future__ import annotations

import streamlit as st

from explorer.ops import Array
from explorer.ui import cache, kinds, show, wander
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
    shown = ways if more else ways[:FIRST]
    axes = [Axis(way.label, way.direction) for way in shown]
    first = wander.plainest(opened, corners[:FEW])
    origin = bench.begin("play/stage", first, [way.direction for way in shown])
    with above:
        stage(
            "play/stage",
            opened=opened,
            origin=origin,
            surface=Dials(axes, Plane(corners, seed), bench.start or None),
            captions=show.invitation(opened),
            y=bench.y,
            drift=True,
            revision=bench.revision,
            on_rest=bench.rest,
        )
    assert bench.z is not None

    kinds.learning(opened)
    if opened.classes:
        kinds.classes(bench)
    if opened.atlas is not None and opened.atlas.clusters is not None:
        kinds.clusters(bench, opened.atlas)
        if opened.data.pixelated and opened.data.classes:
            kinds.drawn_cluster(bench, opened.atlas)
    if opened.card.family == "pixel":
        kinds.strokes(bench)
    if opened.card.family == "draw":
        kinds.painting(bench)
    with st.container(horizontal=True, gap="medium"):
        take(bench, "play/like", "More like this", wander.variations(opened, bench.z, STRIP))
        if opened.atlas is not None:
            near = wander.nearest(opened, bench.z)
            take(bench, "play/near", "The nearest it knows", near[None])
        for k, name in enumerate(opened.decoder.levels):
            take(bench, f"play/level/{name}", f"Another {name}", kinds.level(bench, k, STRIP))


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
