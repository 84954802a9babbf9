"""How a browser part gets onto a page: registered once, its modules served from /assets.

Streamlit sends a component's inline script with every message, so that is a shim of three lines;
the module it imports comes from our own route. A hash of all files is part of the address: a
browser may keep what it has for ever, and never mixes two versions.
"""

from __future__ import annotations

import functools
import hashlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit.components.v2 import component

from explorer import live
from explorer.tickets import TICKETS

HERE = Path(__file__).parent
MEDIA = {".js": "text/javascript", ".css": "text/css"}  # Windows may know .js as text/plain
WITHOUT_ROUTES = "This moves once the app is started by `python app.py` or `streamlit run app.py`."

SHIM = """
export default async function (part) {{
  const module = await import(new URL("/assets/{version}/{name}/{name}.js", location.href).href);
  return module.default(part);
}}
"""


@functools.cache
def files() -> dict[str, bytes]:
    """Every script and stylesheet by its path below this folder."""
    found = sorted(p for p in HERE.rglob("*") if p.suffix in MEDIA)
    return {p.relative_to(HERE).as_posix(): p.read_bytes() for p in found}


@functools.cache
def version() -> str:
    """A hash of all of them."""
    digest = hashlib.blake2b(digest_size=8)
    for name, content in files().items():
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


async def asset(request: Request) -> Response:
    """One script or stylesheet of the version that runs."""
    path = request.path_params["path"]
    if request.path_params["version"] != version() or path not in files():
        return Response("There is no such file.", status_code=404)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(files()[path], media_type=MEDIA[Path(path).suffix], headers=headers)


ROUTES = [Route("/assets/{version}/{path:path}", asset)]


@functools.cache
def _component(name: str, room: str) -> Any:
    # the room is kept while the module loads, so that nothing below jumps
    waiting = f'<div data-waiting style="{room}"></div>'
    return component(f"latent_{name}", html=waiting, js=SHIM.format(version=version(), name=name))


def show(
    name: str,
    key: str,
    header: Mapping[str, Any],
    *arrays: NDArray[Any],
    states: tuple[str, ...] = (),
    told: Callable[[dict[str, Any]], None] | None = None,
    room: str = "min-height: 12rem",
) -> dict[str, Any] | None:
    """The states that the part last sent, None each before it does; None where it cannot be shown.

    ``told`` hears of every change before the page runs, also where another page runs then.
    The part is given one message of bytes: the header, then the arrays one after the other.
    What comes back was written by a browser: whoever calls this checks it.
    """
    if not live.SERVED.is_set():
        st.info(WITHOUT_ROUTES)
        return None
    body = b"".join(array.tobytes() for array in arrays)

    def changed() -> None:  # Streamlit returns only those states that have a callback
        if told is not None:
            told(_sent(st.session_state[key], states))

    callbacks = {f"on_{state}_change": changed for state in states}
    result = _component(name, room)(key=key, data=live.pack(header, body), **callbacks)
    return _sent(result, states)


def _sent(result: Mapping[str, Any], states: tuple[str, ...]) -> dict[str, Any]:
    return {state: result.get(state) for state in states}


class _Visit:
    """One visitor's right to pictures; it ends with the session that holds it."""

    def __init__(self) -> None:
        self.ticket = TICKETS.issue()
        weakref.finalize(self, TICKETS.revoke, self.ticket)


def ticket() -> str:
    """What this visitor's browser shows to the decode service."""
    if "visit" not in st.session_state:
        st.session_state["visit"] = _Visit()
    return st.session_state["visit"].ticket
