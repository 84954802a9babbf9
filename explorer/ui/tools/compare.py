"""T6: two runs or more beside each other: curves, numbers, the same latents, the same pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.errors import ExplorerError, RunError
from explorer.runs import STOPPABLE, Run
from explorer.ui import bring, comparing, progress, show, watched
from explorer.ui.comparing import Side
from explorer.ui.state import remembered, workbench

MOST = 4  # runs whose curves are still told apart
PAUSE = 5.0  # seconds between two looks at the models, while one of them is trained
HELD, OWN = "Held out", "Your own"
SAME = "Each column is one latent: the same numbers, given to every model."
OTHER = "These models have other numbers of coordinates, so each draws latents of its own."
REDRAWN = "The pictures themselves, and how each model redraws them from its code."
KINDS = "These models learned pictures of different kinds. Bring one of your own, below."


def show_page() -> None:
    runs = choose()
    if len(runs) < 2:
        st.info(
            "Choose two runs or more. A run can be forked on the Runs page, and then compared."
        )
        return
    states = [progress.status(run)["state"] for run in runs]
    titles = {run.name: progress.titled(run) for run in runs}
    watched.chart(titles, progress.status(runs[0]), alone=False)
    body = st.container()
    bring_one(runs)
    with body:
        moves = any(state in STOPPABLE for state in states)
        st.fragment(told, run_every=PAUSE if moves else None)(runs, moves)


def bring_one(runs: Sequence[Run]) -> None:
    """Asks for a picture to send through all models."""
    first = next((side for run in runs if (side := comparing.side(run)) is not None), None)
    if first is None:
        return

    def show_own(_: str) -> None:
        st.session_state["compare/sort"] = OWN

    bring.add("compare", first.opened.data, show_own)


def choose() -> list[Run]:
    """The runs that are looked at: those in the address, or the two newest."""
    bench, key = workbench(), "compare/runs"
    linked = st.query_params.get("runs", "").split(",")
    for name in filter(None, linked):
        if name not in bench.runs:
            with contextlib.suppress(RunError):  # deleted meanwhile
                bench.runs.append(Run.find(name).name)
    found = {run.name: run for run in progress.visible(bench.runs)}
    first = [name for name in linked if name in found] or list(found)[:2]
    kept = st.session_state.get(key, first)
    st.session_state[key] = [name for name in kept if name in found][:MOST]
    titles = {name: progress.titled(run) for name, run in found.items()}
    chosen = st.multiselect(
        "Runs",
        list(found),
        format_func=lambda name: titles[str(name)],
        max_selections=MOST,
        key=key,
        placeholder="Choose two or more",
        **remembered(),
    )
    st.query_params["runs"] = ",".join(chosen)
    return [found[name] for name in chosen]


def told(runs: Sequence[Run], moved: bool) -> None:
    """All but the curves, drawn again and again while one of the runs is trained."""
    if moved and all(progress.status(run)["state"] not in STOPPABLE for run in runs):
        st.rerun()  # so that the polling stops
    try:
        numbers(runs)
        sides = [side for run in runs if (side := comparing.side(run)) is not None]
        if len(sides) < len(runs):
            st.caption("A model has pictures from its first checkpoint on.")
        if sides:
            left, right = st.columns(2, gap="large")
            with left:
                latents(sides)
            with right:
                pictures(sides)
    except ExplorerError as error:  # main.py's catch is not around a part that runs by itself
        show.trouble(error)


def numbers(runs: Sequence[Run]) -> None:
    """What the runs recorded of themselves, how it was measured, and what was set otherwise."""
    st.markdown("### Numbers")
    st.table([comparing.row(run) for run in runs], border="horizontal", hide_index=True)
    st.caption(comparing.protocol(runs))
    for words in comparing.otherwise(runs):
        st.caption(words)
    if not comparing.comparable(runs):
        return
    if st.button(
        "Measure the difference",
        icon=":material/straighten:",
        help="The importance-weighted bound on log p(x) of the same held-out pictures under every "
        "one of the models (Burda et al. 2016), and how much it differs, with its standard error.",
    ):
        with st.spinner("Measuring…"):
            st.session_state["compare/measured"] = comparing.measured(runs)
    made = st.session_state.get("compare/measured")
    if made and made.runs == tuple(run.name for run in runs):
        st.table(list(made.rows), border="horizontal", hide_index=True)
        st.caption(made.protocol)


def latents(sides: Sequence[Side]) -> None:
    """The same latents through every model."""
    st.markdown("### The same latents")
    seed = st.session_state.setdefault("compare/seed", 0)
    drawn, same = comparing.drawn(sides, seed)
    for side, pixels in zip(sides, drawn, strict=True):
        line(side.title, pixels)
    st.caption(SAME if same else OTHER)
    if st.button("Others", icon=":material/casino:", key="compare/others"):
        st.session_state["compare/seed"] = seed + 1
        st.rerun(scope="fragment")


def pictures(sides: Sequence[Side]) -> None:
    """The same pictures, redrawn by every model: held-out ones, or the visitor's own."""
    st.markdown("### The same pictures")
    own = bring.owned()
    sort = HELD
    if own:
        sort = st.segmented_control(
            "Pictures", (HELD, OWN), default=OWN, required=True, key="compare/sort", **remembered()
        )
    shown = comparing.own(sides, own) if sort == OWN else comparing.held(sides)
    for title, pixels in shown:
        line(title, pixels)
    st.caption(REDRAWN if shown else KINDS)


def line(title: str, pixels: NDArray[np.uint8]) -> None:
    """A row of pictures under its title, as wide as its place."""
    st.caption(title)
    show.mosaic(pixels, title, comparing.SHOWN)


show_page()
