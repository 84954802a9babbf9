"""W2: the manifold as a sheet of pictures over two directions; the picture follows over it."""

from __future__ import annotations

import streamlit as st

from explorer.ops import Array
from explorer.shelf import Opened
from explorer.ui import wander
from explorer.ui.components import Sheet, stage
from explorer.ui.menu import PAGES
from explorer.ui.state import Workbench, remembered, workbench


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    above, ways = st.container(), wander.ways(opened)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        across, up = two_of(opened, list(ways))
        centre = middle(bench, opened)
        st.page_link(PAGES[0].script, label="Open in Play", icon=PAGES[0].icon)
    with above:
        stage(
            "manifold/stage",
            opened=opened,
            origin=bench.begin("manifold/stage", wander.middle(opened)),
            surface=Sheet(centre, ways[across], ways[up], across, up),
            y=bench.y,
            revision=bench.revision,
            on_rest=bench.rest,
        )
    st.caption(
        "Every cell of the sheet stands for an equal share of pictures, so the rare ones lie at "
        "the rim. Zoom with the wheel or two fingers.",
        help="Rows and columns are decoded at quantiles of the standard normal distribution, the "
        "central 98 % of it at first (Kingma & Welling 2014, figure 4).",
    )


def two_of(opened: Opened, names: list[str]) -> tuple[str, str]:
    """What goes across and what goes up."""
    if len(names) == 2:
        st.caption(
            f"{opened.card.title or opened.card.name} tells pictures apart by two numbers only: "
            "nearly all it can draw is on this sheet, and the rest a little further out."
        )
        return names[0], names[1]
    across = st.selectbox("Across", names, key="manifold/across", width=220, **remembered())
    others = [name for name in names if name != across]
    up = st.selectbox("Up", others, key="manifold/up", width=220, **remembered())
    return across, up


def middle(bench: Workbench, opened: Opened) -> Array:
    """``(D,)``: what the sheet lies round: the average, or the visitor's own picture."""
    if opened.latent_size == 2:
        return wander.middle(opened)

    def keep() -> None:  # the picture in hand now: what is dragged must not move the sheet
        st.session_state["manifold/centre"] = (bench.key, bench.z)

    mine = st.toggle("Round my picture", key="manifold/mine", on_change=keep, **remembered())
    key, z = st.session_state.get("manifold/centre", (None, None))
    return z if mine and key == bench.key and z is not None else wander.middle(opened)


show_page()
