"""The front door: `python app.py`, `streamlit run app.py` or `uvicorn app:app` serve the app.

`python app.py` also finds a free port and opens the browser. LATENT_HOSTS=name,... serves others
than this computer; see explorer/guard.py.
"""

from __future__ import annotations

import argparse
import asyncio.base_events
import contextlib
import gc
import logging
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
import streamlit.config
from starlette.middleware import Middleware

from explorer import device, guard, live, shelf, watch
from explorer.errors import ExplorerError
from explorer.ui import components

HERE = Path(__file__).resolve().parent
FIRST_PORT = 8501
PATIENCE = 10  # seconds that torch waits for a first visitor to be shown something


def _without_delay(connection: socket.socket) -> None:
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# Streamlit binds its socket with proto=0, asyncio then leaves Nagle's algorithm on, and every
# small message waits some 40 ms for a delayed acknowledgement. Private, hence tested.
asyncio.base_events._set_nodelay = _without_delay  # type: ignore[attr-defined]

# under `uvicorn app:app` Streamlit would look for .streamlit/config.toml beside the page's script
if streamlit.config._main_script_path is None:
    streamlit.config._main_script_path = str(HERE / "app.py")


def warm_up() -> None:
    """Opens the first model while the browser loads the page; torch comes after its picture."""
    folders = [card.parent for card in shelf.PRETRAINED.glob("*/card.json")]
    for folder in sorted(folders, key=lambda f: (f.name != shelf.FIRST, f.name)):
        try:
            live.warm(folder)
            break
        except ExplorerError as error:
            logging.getLogger(__name__).warning("%s", error)
    live.ANSWERED.wait(PATIENCE)
    device.available()  # imports torch
    # a full collection would look through torch's modules for 130 ms each time
    gc.collect()
    gc.freeze()


@contextlib.asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    # not a daemon: a process that ends amid torch's import aborts
    threading.Thread(target=warm_up, name="warm-up").start()
    live.SERVED.set()
    yield
    live.SERVED.clear()


app = st.App(
    HERE / "explorer" / "ui" / "main.py",
    lifespan=lifespan,
    middleware=[Middleware(guard.Guard)],
    routes=[*live.ROUTES, *watch.ROUTES, *components.ROUTES],
)


def free_port(first: int, address: str) -> int:
    """The first port from ``first`` on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind((address, port))
            return port
    raise SystemExit(f"Ports {first} to {first + 99} are all taken. Choose another: --port N")


def open_browser(port: int) -> None:
    """Opens the page as soon as the server answers; gives up after half a minute."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            webbrowser.open(f"http://localhost:{port}")
            return
        threading.Event().wait(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="app.py", description="Latent Explorer in the browser.")
    parser.add_argument("--port", type=int, help=f"default: the first free one from {FIRST_PORT}")
    parser.add_argument("--no-browser", action="store_true", help="only serve")
    args = parser.parse_args()

    address = "127.0.0.1" if guard.on_loopback() else "0.0.0.0"
    port = args.port or free_port(FIRST_PORT, address)
    if not args.no_browser:
        threading.Thread(target=open_browser, args=(port,), daemon=True).start()
    config = {"server.address": address, "server.port": port, "server.headless": True}
    if not guard.on_loopback():
        config["server.allowedHosts"] = [*guard.LOOPBACK, *guard.operator_hosts()]
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how one leaves
        app.run(config=config)


if __name__ == "__main__":
    main()
