"""A fork: what may be changed of a run that goes on from its newest checkpoint."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from explorer.runs import Run
from explorer.ui import watched
from explorer.ui.forms import form
from train.config import TrainConfig
from train.objectives import OBJECTIVES

TERMS = ("beta", "warmup", "free_bits")


def popover(run: Run) -> None:
    """The form, and the button that makes and starts the fork."""
    with st.popover(
        "Fork",
        icon=":material/fork_right:",
        help="A second run that goes on from here with something changed. This one stays.",
    ):
        config = TrainConfig.from_dict(run.config(), run.name)
        key = f"runs/fork/{run.name}"
        terms: Any = form(OBJECTIVES[config.objective](**config.terms), key, only=TERMS)
        changed = form(config, key, only=("lr", "epochs"))
        changed = dataclasses.replace(changed, terms=_told(config, dataclasses.asdict(terms)))
        st.caption("What is changed is marked on the curve.")
        asked = f"{key}/asked"  # kept until it is heard, with what the form says by then
        st.button(
            "Fork it",
            type="primary",
            key=f"{key}/go",
            on_click=st.session_state.update,
            args=({asked: True},),
        )
        if st.session_state.pop(asked, False):
            watched.branch(run, changed)
            st.rerun()


def _told(config: TrainConfig, terms: dict[str, Any]) -> dict[str, Any]:
    """Terms that are not as they were; the others stay untold."""
    before = dataclasses.asdict(OBJECTIVES[config.objective](**config.terms))  # type: ignore[call-overload]
    return {**config.terms, **{k: v for k, v in terms.items() if v != before[k]}}
