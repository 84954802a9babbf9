"""What is seen of a run: its pictures, its numbers, its curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from explorer.runs import Run
from explorer.ui import progress, show
from explorer.ui.components import Series, curve
from explorer.ui.state import remembered

ROWS = (
    "Two rows that the model makes up; then pictures it has never seen, and under each how it "
    "redraws it."
)
CURVES = {
    "Bound": (
        (Series("elbo", "pictures it trains on"), Series("held/elbo", "pictures it never saw")),
        "Up is better. What the model can vouch for of log p(x): the ELBO, in nats per picture.",
    ),
    "Picture error": (
        (
            Series("distortion", "pictures it trains on"),
            Series("held/distortion", "pictures it never saw"),
        ),
        "Down is better. How badly a picture is redrawn from its code: -log p(x | z), in nats.",
    ),
    "Information": (
        (Series("rate", "pictures it trains on"), Series("held/rate", "pictures it never saw")),
        "How much is kept of each picture: KL(q(z | x) ‖ p(z)), in nats. Neither good nor bad.",
    ),
    "Schedule": (
        (Series("beta", "weight of the information (beta)"), Series("lr", "learning rate")),
        "What is turned up or down as the training goes on.",
    ),
}


def judge(run: Run) -> None:
    """The numbers, and in words whether they are getting better."""
    records, _ = run.metrics()
    columns = st.columns(2)
    for column, (name, label, better) in zip(columns, progress.NUMBERS, strict=True):
        _, values = progress.column(records, name)
        with column:
            show.number(label, values, better)
    st.caption(progress.trend(records))


def sheets(run: Run) -> None:
    """The newest sheet of pictures, or an earlier one."""
    taken = {int(path.stem): path for path in run.samples()}
    if not taken:
        show.waiting("The first pictures come with the first steps.")
        return
    key, steps = f"runs/sheet/{run.name}", list(taken)
    if st.session_state.get(f"{key}/newest", steps[-1]) == st.session_state.get(key, steps[-1]):
        st.session_state[key] = steps[-1]  # who looks at the newest goes on with the newer one
    st.session_state[f"{key}/newest"] = steps[-1]
    place = st.container()
    step = steps[-1]
    if len(steps) > 1:
        step = st.select_slider("After so many steps", steps, key=key, format_func="{:,}".format)
    with place:
        show.snapshot(taken[step], f"Pictures by the model after {step:,} steps")
    st.caption(ROWS)


def curves(run: Run, status: Mapping[str, Any]) -> None:
    """One of CURVES, as it is written."""
    shown = st.segmented_control(
        "Curve", list(CURVES), default="Bound", required=True, key="runs/curve", **remembered()
    )
    series, meaning = CURVES[shown]
    st.caption(meaning)
    unit = "Value" if shown == "Schedule" else "Nats per picture"
    # a resumed run has another trainer, and the curve follows anew
    curve(f"runs/curve/{run.name}/{shown}", run.name, series, y=unit, revision=status["pid"] or 0)


def coordinates(run: Run) -> None:
    """What every coordinate carries, over the steps."""
    steps, each = progress.coordinates(run.metrics()[0])
    if each:
        st.markdown("**What each coordinate carries**")
        show.heat(steps, each)
        st.caption(
            f"{progress.used(each[-1])} Dark ones carry nothing: the model left them unused."
        )
