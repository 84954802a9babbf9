"""A server that shows one browser part at a time, for test_parts.py."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
import streamlit.config
from starlette.middleware import Middleware

from explorer import guard, live, watch
from explorer.ui import components

# the app's own settings: no telemetry, one theme
streamlit.config._main_script_path = str(Path(__file__).parents[2] / "app.py")


@contextlib.asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    live.SERVED.set()
    yield
    live.SERVED.clear()


app = st.App(
    Path(__file__).with_name("parts_page.py"),
    lifespan=lifespan,
    middleware=[Middleware(guard.Guard)],
    routes=[*live.ROUTES, *watch.ROUTES, *components.ROUTES],
)
