"""What is seen of a run: its pictures, its numbers, its curves, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from explorer.curves import curves
from explorer.errors import ExplorerError
from explorer.runs import Run
from explorer.ui import progress, show
from explorer.ui.components import Series, curve, replay
from explorer.ui.state import remembered, workbench
from train.config import TrainConfig
from train.doctor import diagnose
from train.fork import fork

TROUBLE = "runs/trouble"  # of a button that was pressed last
CHOSEN = "runs/next"  # a run that was made here just now
PARTED, PART = "In parts", "held/mutual_information"
OWN, NEW = "pictures it trains on", "pictures it never saw"
VIEWS = {
    "Score": (
        (Series("elbo", OWN), Series("held/elbo", NEW)),
        "Up is better. How likely the model holds a picture to be, at least: the evidence lower "
        "bound (ELBO) on log p(x).",
    ),
    "Redrawing error": (
        (Series("distortion", OWN), Series("held/distortion", NEW)),
        "Down is better. How badly a picture is redrawn from its code: -log p(x | z).",
    ),
    "Information kept": (
        (Series("rate", OWN), Series("held/rate", NEW)),
        "Neither good nor bad. How much the code tells of each picture: KL(q(z | x) ‖ p(z)).",
    ),
    PARTED: (
        (
            Series(PART, "which picture it is (mutual information)"),
            Series("held/total_correlation", "what coordinates share (total correlation)"),
            Series("held/coordinates_kl", "how each strays from the prior (its own KL)"),
        ),
        "The three add up to the information kept: estimates from 256 pictures that it never saw "
        "(Chen et al. 2018, weighed by strata).",
    ),
}
SCHEDULE = (Series("beta", "price of information (beta)"), Series("lr", "learning rate"))
SHEETS = {"samples": "Pictures", "manifold": "The map of two directions"}
ROWS = (
    "Two rows that the model makes up; then pictures it has never seen, and under each how it "
    "redraws it. The same ones every time."
)


def judge(run: Run) -> None:
    """The numbers, and in words whether they are getting better."""
    found = curves(run)
    columns = st.columns(2)
    for column, (name, label, better, note) in zip(columns, progress.NUMBERS, strict=True):
        with column:
            show.number(label, found.column(name)[1], better, note)
    st.caption(progress.trend(*found.column("held/elbo")))


def sheets(run: Run) -> None:
    """The newest sheet of pictures, or an earlier one; all of them one after the other."""
    taken = {kind: (label, run.sheets(kind)) for kind, label in SHEETS.items()}
    if not taken["samples"][1]:
        show.waiting("The first pictures come with the first steps.")
        return
    replay(f"runs/replay/{run.name}", run.name, taken)
    st.caption(ROWS)


def chart(runs: Mapping[str, str], status: Mapping[str, Any], alone: bool = True) -> None:
    """One of VIEWS of the runs, name -> title, as it is written; of one run all that belongs
    to it."""
    shown = st.segmented_control(
        "Curve", list(VIEWS), default="Score", required=True, key="runs/curve", **remembered()
    )
    series, meaning = VIEWS[shown]
    if shown == PARTED and not any(curves(Run.find(name)).count(PART) for name in runs):
        st.caption("Nothing of it is recorded: it takes a posterior and a prior that factorise.")
        return
    st.caption(f"{meaning} In nats per picture. Draw over a part of it to see that closely.")
    curve(
        f"runs/curve/{'/'.join(runs)}/{shown}",
        runs,
        series,
        schedule=SCHEDULE if alone else (),
        strip=alone,
        # a resumed run has another trainer, and the curve follows anew
        revision=status["pid"] or 0,
    )


def doctor(run: Run, status: Mapping[str, Any]) -> None:
    """What is wrong, and a run that mends it at one click."""
    try:
        config = TrainConfig.from_dict(run.config(), run.name)
    except ExplorerError:
        return  # the page says so already
    for finding in diagnose(curves(run), config, status.get("of") or 0):
        with st.container(border=True):
            st.markdown(f":material/stethoscope: **{finding.name}.** {finding.words}")
            st.caption(finding.evidence)
            key = f"runs/remedy/{run.name}/{finding.name}"
            st.button(
                finding.remedy,
                icon=":material/fork_right:",
                key=key,
                on_click=branch,
                args=(run, finding.config, finding.begin),
            )


def branch(parent: Run, config: TrainConfig, anew: bool = False) -> None:
    """Makes a fork of a run, starts it, and has it chosen."""
    try:
        new = fork(parent, config, anew)
        new.start()
    except ExplorerError as error:
        st.session_state[TROUBLE] = error
        return
    if new.private:
        workbench().runs.append(new.name)
    st.session_state[CHOSEN] = new.name


def made() -> bool:
    """Whether a run was made that the list does not show yet."""
    return CHOSEN in st.session_state
