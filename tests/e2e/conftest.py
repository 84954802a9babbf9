"""A real server and a real browser for the tests in this folder.

    def test_...(visit):
        page = visit("map", model="Digits")     # the Map page, drawn and at rest
        page.get_by_role("button", name="Lasso").click()
        settled(page)                           # from browsing: until the script is done

A page that throws, or that asks another host for anything, fails the test that opened it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from browsing import settled
from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DESKTOP = {"width": 1280, "height": 900}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60  # seconds, on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's log and, in ``runs``, its runs lie."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The app's address, on the shipped models; its runs live in a folder of their own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    command = [sys.executable, "app.py", "--no-browser", "--port", str(port)]
    environment = {**os.environ, "LATENT_RUNS": str(home / "runs")}
    with open(home / "log.txt", "wb") as log:
        app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        if not _answers(address, app):
            pytest.fail(f"The app does not answer:\n{(home / 'log.txt').read_text()[-2000:]}")
        yield address
    finally:
        app.terminate()
        app.wait(20)


def _answers(address: str, app: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while app.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            app.wait(0.1)
    return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. One for each file: while it runs, this thread can have no other event loop."""
    expect.set_options(timeout=1000 * PATIENCE)
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None and "LATENT_NO_SKIPS" not in os.environ:
        pytest.skip("no Chromium on the PATH; Debian: apt-get install chromium")
    sandbox = [] if sys.platform == "win32" or os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, args=sandbox)
        yield started
        started.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes an empty tab of a new visitor: ``open_tab(**options of a browser context)``."""
    contexts, troubles = [], []

    def opened(**options: Any) -> Page:
        settings = {"viewport": DESKTOP, "reduced_motion": "reduce", **options}
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
        page.on("request", lambda request: troubles.extend(_elsewhere(request.url)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


def _elsewhere(url: str) -> list[str]:
    # blob: and data: have no host
    return [] if urlsplit(url).hostname in ("127.0.0.1", None) else [f"asked for {url}"]


@pytest.fixture
def visit(server: str, open_tab: Callable[..., Page]) -> Callable[..., Page]:
    """Opens a page and waits until it rests: ``visit("map", model="digits")``.

    ``tab`` is an earlier visit's, for one who comes back; ``options`` make the visitor another:
    ``options={"color_scheme": "dark"}``.
    """

    def visited(
        name: str = "",
        tab: Page | None = None,
        options: dict[str, Any] | None = None,
        **query: Any,
    ) -> Page:
        page = open_tab(**(options or {})) if tab is None else tab
        page.goto(f"{server}/{name}" + (f"?{urlencode(query)}" if query else ""))
        settled(page)
        assert page.get_by_test_id("stException").count() == 0
        return page

    return visited
