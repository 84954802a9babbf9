"""The script that the front door serves: the frame around every page, and the one catch."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from explorer.cards import Card
from explorer.errors import BundleError, ExplorerError
from explorer.shelf import FIRST
from explorer.ui import cache, show
from explorer.ui.menu import PAGES, Page
from explorer.ui.state import Workbench, workbench

FAVICON = Path(__file__).parent / "static" / "favicon.png"


def choose_model(bench: Workbench) -> None:
    """The picker: shipped models and this visitor's own. What fails leaves all as it was."""
    found = cache.catalogue()
    titles = {
        k: c.title or k if isinstance(c, Card) else f"{k} (damaged)" for k, c in found.items()
    }
    titles |= bench.own
    if not titles:
        return  # pages say so, and what to do
    if bench.key is None and bench.wanted is None:
        # the widget keeps a title in the address; a link may name a model's folder as well
        bench.wanted = st.query_params.get("model")
    if bench.wanted in titles:
        st.session_state["model"] = bench.wanted
    bench.wanted = None
    names = sorted(titles, key=lambda k: (k in bench.own, k != FIRST, k))
    key = st.selectbox(
        "Model", names, format_func=titles.__getitem__, key="model", bind="query-params", width=240
    )
    try:
        bench.take(key)
    except BundleError as error:
        show.trouble(error)


def frame() -> None:
    """Menu, picker and page."""
    menu: dict[str, list] = {}
    for k, page in enumerate(PAGES):
        entry = st.Page(
            page.script,
            title=page.title,
            icon=page.icon,
            default=k == 0,
            url_path=page.name if k else None,
        )
        menu.setdefault(page.verb, []).append(entry)
    chosen = st.navigation(menu, position="top")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="head"):
        with st.container(width="stretch", key="heading"):
            show.heading(_page(chosen))
        choose_model(workbench())
    lacking = workbench().opened.card.lacks if workbench().key else {}
    closed = [page for page in PAGES if any(need in lacking for need in page.needs)]
    show.greyed(["" if page is PAGES[0] else page.name for page in closed])
    reason = next((lacking[need] for need in _page(chosen).needs if need in lacking), None)
    if reason is None:
        chosen.run()
        return
    st.info(f"This page cannot show this model. {reason}", icon=":material/block:")
    with st.container(horizontal=True):
        for page in PAGES:
            if page not in closed and page.name in ("play", "model"):
                st.page_link(page.script, label=f"Open {page.title}", icon=page.icon)


def _page(chosen: StreamlitPage) -> Page:
    return next(page for page in PAGES if page.title == chosen.title)


st.set_page_config(page_title="Latent Explorer", page_icon=str(FAVICON), layout="wide")
show.style()
try:
    frame()
except ExplorerError as error:
    show.trouble(error)
