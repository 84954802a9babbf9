"""W2: the manifold as a sheet of pictures over two directions; a click takes one."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import ops
from explorer.shelf import Opened
from explorer.ui import cache, show, wander
from explorer.ui.components import sheet
from explorer.ui.menu import PAGES
from explorer.ui.state import Workbench, remembered, workbench


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    show.heading("Manifold", "Pictures by two ways in which they differ. Click one to take it.")
    left, right = st.columns([3, 2], gap="large")

    ways = wander.ways(opened)
    with right:
        across, up = two_of(opened, list(ways))
        mine, origin = middle(bench, opened)
    with left:
        place = sheet(
            f"manifold/{across}/{up}/{mine}",  # another sheet has another last click
            opened=opened,
            origin=origin,
            u=ways[across],
            v=ways[up],
            u_label=across,
            v_label=up,
        )
        st.caption(
            "Every cell stands for an equal share of pictures, so the rare ones lie at the rim.",
            help="Rows and columns are decoded at quantiles of the standard normal distribution, "
            "the central 98 % of it at first (Kingma & Welling 2014, figure 4).",
        )

    last = (opened.key, across, up, mine, place)
    if place is not None and st.session_state.get("manifold/last") != last:
        st.session_state["manifold/last"] = last
        bench.move(ops.on_plane(origin, ways[across], ways[up], place))
    with right:
        current(bench, opened)


def two_of(opened: Opened, names: list[str]) -> tuple[str, str]:
    """What goes across and what goes up."""
    if len(names) == 2:
        st.caption(
            f"{opened.card.title or opened.card.name} tells pictures apart by two numbers only: "
            "nearly all it can draw is on this sheet, and the rest a little further out."
        )
        return names[0], names[1]
    across = st.selectbox("Across", names, key="manifold/across", **remembered())
    others = [name for name in names if name != across]
    return across, st.selectbox("Up", others, key="manifold/up", **remembered())


def middle(bench: Workbench, opened: Opened) -> tuple[bool, NDArray[np.float32]]:
    """Whether the sheet lies round the visitor's own picture, and the latent ``(D,)`` it does."""
    average = wander.middle(opened)
    if opened.latent_size == 2 or bench.z is None:
        return False, average

    def keep() -> None:  # the picture in hand now: the next click must not move the sheet
        st.session_state["manifold/centre"] = (bench.key, bench.z)

    mine = st.toggle("Round my picture", key="manifold/mine", on_change=keep, **remembered())
    key, z = st.session_state.get("manifold/centre", (None, None))
    if mine and key == bench.key and z is not None:
        return True, z
    return False, average


def current(bench: Workbench, opened: Opened) -> None:
    """The picture in hand, large, and where to go on with it."""
    if bench.z is None:
        st.caption("What you click comes here, and goes with you to every page.")
        return
    show.picture(cache.pixels(opened, bench.z[None])[0], "The current picture", 300)
    show.typical(wander.typical(opened, bench.z))
    st.page_link(PAGES[0].script, label="Open in Play", icon=PAGES[0].icon)


show_page()
