"""W5: every known picture as a point on a map, seen under the pointer, picked and lassoed."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.atlas import Atlas
from explorer.shelf import Opened
from explorer.ui import cache, show, wander
from explorer.ui.components import Map, Rested, stage
from explorer.ui.menu import PAGES
from explorer.ui.state import Workbench, remembered, workbench

MAPS = {"umap": "By likeness", "pca": "By largest differences"}
WORDS = {
    "umap": "Like lies near like. How far apart two groups lie, and how large they are, means "
    "nothing here.",
    "pca": "Across and up are the two ways in which pictures differ most. What differs in other "
    "ways lies on top of one another.",
}
TERMS = (
    "By likeness is UMAP (McInnes et al. 2018), computed when the model was trained. By largest "
    "differences is PCA: the plane of the two principal axes, each in units of its own spread."
)
STRIP = 9  # members shown of a group


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    known = opened.atlas
    if known is None or not known.maps:
        st.info(
            f"{opened.card.name} came without an atlas, so there is no map of it. Models that are "
            "trained here get one when they are done; choose another model."
        )
        return

    above, names = st.container(), [name for name in MAPS if name in known.maps]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = st.segmented_control(
            "Map", names, format_func=MAPS.__getitem__, required=True, default=names[0],
            key="map/map", help=TERMS, **remembered(),
        )  # fmt: skip
        colours = wander.colours(opened)
        by = st.selectbox("Colour", list(colours), key="map/colour", width=220, **remembered())
        st.page_link(PAGES[0].script, label="Open in Play", icon=PAGES[0].icon)
    with above:
        found = stage(
            "map/stage",
            opened=opened,
            origin=bench.begin("map/stage", cache.at_home(opened)),
            surface=Map(name, known.maps[name], colours[by].values, colours[by].names, by),
            y=bench.y,
            revision=bench.revision,
            on_rest=bench.rest,
        )
    drawn = opened.card.notes.get("atlas")  # of a checkpoint that came without its data
    what = drawn or "pictures that the model never trained on"
    st.caption(
        f"{WORDS[name]} Here are {len(known.latents):,} {what}. "
        "None of them is stored: what you see is the model's own drawing of each."
    )
    groups(bench, opened, known, found)


def groups(bench: Workbench, opened: Opened, known: Atlas, found: Rested) -> None:
    """The lassoed group, to be named and kept, and those that were."""
    if found.lasso is not None:
        count = int(found.lasso.sum())
        st.markdown(f"#### In the lasso: {count:,}")
        members(opened, known, found.lasso)
        with st.form("map/keep", border=False, clear_on_submit=True):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                title = st.text_input("Call it", placeholder="Round ones", max_chars=40, width=260)
                if st.form_submit_button("Keep this group") and title.strip():
                    bench.groups[title.strip()] = found.lasso
    for title, flags in list(bench.groups.items()):
        st.markdown(f"#### {show.plain(title)}: {int(flags.sum()):,}")
        members(opened, known, flags)
        if st.button("Forget it", key=f"map/forget/{title}", type="tertiary"):
            del bench.groups[title]
            st.rerun()


def members(opened: Opened, known: Atlas, flags: NDArray[np.bool_]) -> None:
    """Some of a group, spread evenly over it, and how many they are."""
    z = wander.some(known.latents[flags], STRIP)
    show.strip(cache.pixels(opened, z), side=84)
    if len(z) < flags.sum():
        st.caption(f"{len(z)} of {int(flags.sum()):,}, evenly spread.")


show_page()
