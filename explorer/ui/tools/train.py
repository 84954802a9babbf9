"""T1: choose pictures, say how long, press Train."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from explorer.errors import ExplorerError
from explorer.line import waiting
from explorer.models import FAMILIES
from explorer.runs import Run
from explorer.ui import cache, collection, material, progress, show, sources
from explorer.ui.forms import form
from explorer.ui.sources import OWN, PRESETS, QUICK, Source
from explorer.ui.state import remembered, workbench
from train.config import TrainConfig
from train.objectives import OBJECTIVES

MINE = "My own"


def show_page() -> None:
    picture, controls = st.columns([3, 2], gap="large")
    offered = sources.offered()
    with controls:
        title = st.pills(
            "Pictures to learn from",
            [*offered, MINE],
            default=next(iter(offered)),
            required=True,
            wrap=True,
            key="train/pictures",
            **remembered(),
        )
        files, source = material.own(picture) if title == MINE else ([], offered[title])
    if title != MINE:
        with picture:
            material.show(offered[title])
    if source is None:
        return

    with controls:
        with st.spinner("Timing a few steps on this machine…"):
            ready = {name: timed(name, source) for name in PRESETS}
        length = st.segmented_control(
            "How long",
            PRESETS,
            format_func=lambda name: " · ".join(filter(None, (name, ready[name][1]))),
            default=QUICK,
            required=True,
            key="train/length",
            help="Ready settings, and how long each takes on this machine: done in a minute, a "
            "good model, and the best this program knows. Everything can be changed below.",
            **remembered(),
        )
        place = st.container()
    config = ready[length][0]
    with st.expander("All settings", icon=":material/tune:"):
        config = settings(config, f"train/{source.dataset}/{source.pictures}/{length}")
    with place:
        offer(config, source, files)


# -- the settings


def timed(name: str, source: Source) -> tuple[TrainConfig, str]:
    """Ready settings, and how long they take on this machine; empty where that cannot be told."""
    config = sources.preset(source, name)
    try:
        pace = cache.pace(config)
    except ExplorerError:
        return config, ""  # told beside the button
    if name == QUICK:
        config = sources.within(config, source, pace, sources.MINUTE)
    return config, progress.briefly(sources.steps(config, source) / pace)


def settings(config: TrainConfig, key: str) -> TrainConfig:
    """``config`` as changed in the whole form."""
    config = dataclasses.replace(
        config,
        family=choice("Family", list(FAMILIES), config.family, f"{key}/family"),
        objective=choice("Objective", list(OBJECTIVES), config.objective, f"{key}/objective"),
    )
    st.markdown("**Model**")
    model = form(FAMILIES[config.family].Config(**config.model), f"{key}/model/{config.family}")
    st.markdown("**What is maximised**")
    terms: Any = form(
        OBJECTIVES[config.objective](**config.terms), f"{key}/terms/{config.objective}"
    )
    st.markdown("**Training**")
    config = form(config, f"{key}/training")
    return dataclasses.replace(
        config, model=dataclasses.asdict(model), terms=dataclasses.asdict(terms)
    )


def choice(label: str, options: list[str], value: str, key: str) -> str:
    """One of ``options``; nobody is asked where there is only one."""
    if len(options) == 1:
        return options[0]
    return st.selectbox(label, options, options.index(value), key=key, **remembered())


# -- the start


def offer(config: TrainConfig, source: Source, files: list[UploadedFile]) -> None:
    """How long it will take, and the button."""
    steps = sources.steps(config, source)
    try:
        with st.spinner("Timing a few steps on this machine…"):
            seconds = steps / cache.pace(config)
    except ExplorerError as error:
        show.trouble(error)  # beside the settings that are to be changed
        return
    st.markdown(f":material/timer: About **{progress.duration(seconds)}** on this machine.")
    how = ", for one process" if config.processes > 1 else ""
    st.caption(
        f"{steps:,} steps of {min(config.batch, source.pictures):,} pictures; timed just now{how}."
    )
    if st.button("Train", type="primary", icon=":material/play_arrow:", width="stretch"):
        start(config, files)
    if before := len(waiting()):
        whom = "another run" if before == 1 else f"{before} other runs"
        st.caption(f"It will wait for {whom} to end: this machine trains one after the other.")


def start(config: TrainConfig, files: list[UploadedFile]) -> None:
    """Makes the run, starts its trainer, and goes where it can be watched."""
    run = Run.create(config.name, config.as_dict(), private=config.dataset == OWN)
    if run.private:
        workbench().runs.append(run.name)
    if files:
        path = collection.keep(files, run.folder / "data")
        told = dataclasses.replace(config, data={**config.data, "path": str(path.resolve())})
        run.instruct(told.as_dict())
    run.start()
    st.session_state["run"] = run.name
    st.switch_page("tools/runs.py", query_params={"run": run.name})


show_page()
