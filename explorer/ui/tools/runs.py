"""T2, T3: watch a run, stop it, go on with it, open what it has learned."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from explorer.errors import ExplorerError, RunError
from explorer.runs import STOPPABLE, Run
from explorer.shelf import SHELF
from explorer.ui import forking, progress, show, watched
from explorer.ui.progress import STATES
from explorer.ui.state import remembered, workbench
from explorer.ui.watched import TROUBLE

FEW, LIST = 3, 190  # runs that are listed in full; pixels of a longer list

NEXT = "runs/page"  # where a button that was pressed leads
ENDINGS = (("Pause", "paused", ":material/pause:"), ("Stop", "stopped", ":material/stop:"))


def show_page() -> None:
    leave()
    picture, controls = st.columns([3, 2], gap="large")
    with controls:
        run, state = choose()
    if run is None:
        with picture:
            st.info("No run yet. Start one on the Train page: a minute is enough for a first one.")
            if st.button("Train a model", type="primary", icon=":material/model_training:"):
                st.switch_page("tools/train.py")
        return
    # only what moves is drawn again, and nothing polls once nothing moves
    moves = state in STOPPABLE or run.leaving()
    part = st.fragment(told, run_every=1.0 if moves else None)
    part(run, state, picture, controls)


def choose() -> tuple[Run | None, str]:
    """The run of the list that is looked at, and the state that the list tells of it.

    One whose name is in the address joins the list.
    """
    bench, wanted = workbench(), st.query_params.get("run")
    if wanted and wanted not in bench.runs:
        try:
            bench.runs.append(Run.find(wanted).name)
        except RunError as error:
            show.trouble(error)
    if watched.made():
        st.session_state["run"] = st.session_state.pop(watched.CHOSEN)
    runs = {run.name: run for run in progress.visible(bench.runs)}
    if not runs:
        return None, ""
    if st.session_state.get("run") not in runs:
        st.session_state["run"] = wanted if wanted in runs else next(iter(runs))
    titles = {name: progress.titled(run) for name, run in runs.items()}
    stands = {name: progress.status(run) for name, run in runs.items()}
    with st.container(height=LIST if len(runs) > FEW else "content", border=False):
        name = st.radio(
            "Run",
            list(runs),
            format_func=lambda key: titles[str(key)],
            captions=[progress.stand(run, stands[name]) for name, run in runs.items()],
            key="run",
            **remembered(),
        )
    st.query_params["run"] = str(name)
    return runs[str(name)], stands[str(name)]["state"]


def told(run: Run, state: str, picture: DeltaGenerator, controls: DeltaGenerator) -> None:
    """Everything of one run, drawn again and again while its trainer lives."""
    leave()
    status = progress.status(run)
    if status["state"] != state or watched.made():
        st.rerun()  # so that the list says so, too, and the polling stops
    try:
        with controls:
            if TROUBLE in st.session_state:
                show.trouble(st.session_state.pop(TROUBLE))
            stand(run, status)
            act(run, status)
            watched.judge(run)
            watched.doctor(run, status)
        with picture:
            watched.sheets(run)
        watched.chart({run.name: progress.titled(run)}, status)
    except ExplorerError as error:  # main.py's catch is not around a part that runs by itself
        show.trouble(error)


def stand(run: Run, status: dict[str, Any]) -> None:
    """State, progress and time left."""
    state = STATES[status["state"]]
    st.badge(state.word.capitalize(), icon=state.icon, color=state.colour)
    if status.get("of"):
        st.progress(min(1.0, status["step"] / status["of"]))
    waits = progress.waits_for(run) if status["state"] == "queued" else ""
    st.caption(waits or progress.line(status, run.stop_requested()))
    if run.private:
        st.caption(":material/lock: Only you see it, and who has this page's address.")
    if status.get("error"):
        st.error(status["error"], icon=":material/error:")
        with st.expander("The end of its log"):
            st.code(run.log() or "It is empty.", language=None)


def act(run: Run, status: dict[str, Any]) -> None:
    """Open, stop, go on, delete."""
    newest, state = run.checkpoint(), status["state"]
    st.button(
        "Open in Play",
        type="primary",
        icon=":material/touch_app:",
        disabled=newest is None,
        on_click=play,
        args=(run,),
        help="Also while it trains: the picture changes as the model does.",
        width="stretch",
    )
    with st.container(horizontal=True):
        if state in STOPPABLE:
            for word, how, icon in ENDINGS:
                asked = run.stop_requested()
                st.button(word, icon=icon, disabled=asked, on_click=run.stop, args=(how,))
        elif state not in ("done", "unreadable"):
            st.button(
                "Go on",
                icon=":material/play_arrow:",
                on_click=go_on,
                args=(run,),
                help="From its last checkpoint, exactly as if it had never ended.",
            )
        if newest is not None and state != "unreadable":
            forking.popover(run)
            st.button(
                "Compare",
                icon=":material/compare:",
                on_click=comparison,
                args=(run,),
                help="Beside other runs.",
            )
        with st.popover("Delete", icon=":material/delete:"):
            st.write("The model, its curves and its pictures go for good.")
            key = f"runs/delete/{run.name}"
            st.button("Delete it", type="primary", key=key, on_click=delete, args=(run,))


# what a button does is done before anything is drawn: a page that draws itself every second may
# be interrupted before it comes to where the button stands, and would forget that it was pressed


def leave() -> None:
    """Goes to the page that a button led to: no callback may do that."""
    if NEXT in st.session_state:
        st.switch_page(st.session_state.pop(NEXT))


def play(run: Run) -> None:
    """Opens the run's newest checkpoint on Play."""
    try:
        workbench().adopt(SHELF.open(run.folder))
        st.session_state[NEXT] = "tools/play.py"
    except ExplorerError as error:
        st.session_state[TROUBLE] = error


def comparison(run: Run) -> None:
    """Shows the run beside that which it was forked from, or the newest other one."""
    others = [other.name for other in progress.visible(workbench().runs) if other != run]
    parent = (run.config().get("parent") or {}).get("run")
    first = [parent] if parent in others else others[:1]
    st.session_state["compare/runs"] = [*first, run.name]
    st.session_state[NEXT] = "tools/compare.py"


def go_on(run: Run) -> None:
    """Starts the run again from its newest checkpoint."""
    try:
        run.start()
    except RunError as error:
        st.session_state[TROUBLE] = error


def delete(run: Run) -> None:
    """Ends and removes the run, and leaves the page as if it had never been."""
    try:
        run.delete()
    except RunError as error:
        st.session_state[TROUBLE] = error
        return
    bench = workbench()
    bench.runs = [name for name in bench.runs if name != run.name]
    st.session_state.pop("run", None)
    st.query_params.pop("run", None)


show_page()
