"""How fast a picture follows a hand: `make bench-live` prints the table of README.md beside this.

A real Chromium drags for some seconds on plane, dial and manifold of the shipped models, and on a
slider of Streamlit's own in the same run; then many viewers at once, who speak the protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from websockets.asyncio.client import connect

from explorer import images
from explorer.shelf import PRETRAINED, SHELF

ROOT = Path(__file__).parents[2]
PACE = 1 / 60  # seconds between two events of a hand
RESTING = "[data-testid=stApp][data-test-script-state=notRunning]"
WATCH = """
window.frames_seen = [];
window.bytes_seen = 0;
addEventListener('stage:frame', (event) => frames_seen.push(event.detail));
const Native = WebSocket;
window.WebSocket = class extends Native {
  constructor(...all) {
    super(...all);
    this.addEventListener('message', ({data}) => (window.bytes_seen += data.byteLength ?? 0));
  }
};
"""


# -- what is measured


def quantiles(ms: list[float]) -> str:
    return f"{np.percentile(ms, 50):.1f} / {np.percentile(ms, 95):.1f}" if ms else "-"


def row(*cells: Any) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def table(title: str, *columns: str) -> None:
    print(f"\n{title}\n", flush=True)
    row(*columns)
    row(*["---"] * len(columns))


# -- servers


@contextlib.contextmanager
def served(*command: str, **environment: str) -> Iterator[str]:
    """The address of a server in a process of its own; its runs are thrown away."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        process = subprocess.Popen(
            [sys.executable, *command, str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LATENT_RUNS": folder, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            while process.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/_stcore/health").close()
                    break
                time.sleep(0.02)
            yield address
        finally:
            process.terminate()
            process.wait(20)


APP = ("app.py", "--no-browser", "--port")
SLIDER = (
    "-m", "streamlit", "run", "tests/benchmarks/slider_page.py", "--server.headless", "true",
    "--server.port",
)  # fmt: skip


# -- one hand in a browser


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.add_init_script(WATCH)
    page.goto(address)
    page.locator(RESTING).wait_for(state="attached", timeout=60_000)
    return page


def hand(page: Page, part: Locator, seconds: float) -> int:
    """Drags in a slow figure of eight over the middle of ``part``; how many events it made."""
    part.scroll_into_view_if_needed()
    box = part.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach = 0.35 * min(box["width"], max(box["height"], 0.2 * box["width"]))
    page.mouse.move(x, y)
    page.mouse.down()
    began, events = time.perf_counter(), 0
    while (t := time.perf_counter() - began) < seconds:
        page.mouse.move(x + reach * math.sin(1.7 * t), y + 0.4 * reach * math.sin(2.9 * t))
        events += 1
        time.sleep(max(0, began + events * PACE - time.perf_counter()))
    page.mouse.up()
    return events


def drag(page: Page, part: Locator, seconds: float) -> list[Any]:
    """The cells of a row: fps, p50 / p95, events without a frame, stale frames, bytes a frame."""
    hand(page, part, 1.0)  # what is slow the first time is not what is measured
    page.wait_for_timeout(500)
    page.evaluate("frames_seen.length = 0, bytes_seen = 0")
    events = hand(page, part, seconds)
    seen = page.evaluate("frames_seen")
    size = page.evaluate("bytes_seen")
    moved = [f for f in seen if f["cause"] in ("drag", "dial", "sheet")]
    late = [f["drawn_at"] - f["event_at"] for f in moved]
    stamps = [f["stamp"] for f in moved if f["stamp"]]
    stale = int((np.diff(stamps) < 0).sum())
    return [
        f"{len(moved) / seconds:.0f}",
        quantiles(late),
        max(0, events - len(moved)),
        stale,
        f"{size / max(1, len(moved)):,.0f}",
    ]


def surfaces(page: Page, address: str, model: str) -> Iterator[tuple[str, Locator]]:
    """Plane, dial and manifold of a model, each on its page."""
    for name, path, find in (
        ("plane", "", lambda: page.get_by_test_id("stage-canvas")),
        ("dial", "", lambda: page.locator(".dial [role=slider]").first),
        ("manifold", "manifold", lambda: page.get_by_test_id("sheet-canvas")),
    ):
        page.goto(f"{address}/{path}?model={model}")
        page.locator(RESTING).wait_for(state="attached", timeout=60_000)
        find().wait_for()
        page.wait_for_timeout(2500)  # strips and sheets have come
        yield name, find()


def slider(browser: Browser, seconds: float) -> None:
    """Streamlit's own: it tells of a drag when it ends."""
    with served(*SLIDER) as address:
        page = opened(browser, f"{address}/?model=faces")
        page.locator("img").first.wait_for(timeout=60_000)
        page.evaluate(
            """() => {
              window.changes = [];
              new MutationObserver(() => changes.push(performance.now())).observe(
                document.querySelector('.stMain, main, [data-testid=stMain]'),
                {subtree: true, attributes: true, attributeFilter: ['src']});
            }"""
        )
        thumb = page.get_by_role("slider")
        hand(page, thumb, seconds)
        released = page.evaluate("performance.now()")
        during = page.evaluate("changes.length")
        page.wait_for_function("(at) => changes.some((c) => c >= at)", arg=released - 5)
        after = page.evaluate("(at) => changes.find((c) => c >= at - 5) - at", released)
        row(
            "faces",
            "st.slider",
            f"{during / seconds:.1f}",
            f"{after:.0f} after release",
            "",
            "",
            "",
        )
        page.close()


def following(browser: Browser, seconds: float) -> None:
    table(
        f"One hand, {seconds:g} s each",
        "model", "on", "frames/s", "event to drawn, ms, p50 / p95", "events without a frame",
        "stale", "bytes/frame",
    )  # fmt: skip
    with served(*APP) as address:
        page = opened(browser, address)
        for model in ("faces", "digits", "digits-2d"):
            for name, part in surfaces(page, address, model):
                row(model, name, *drag(page, part, seconds))
        page.close()
    slider(browser, seconds)


def while_training(browser: Browser, seconds: float) -> None:
    table(
        "While a model trains on the same machine",
        "model", "on", "frames/s", "event to drawn, ms, p50 / p95", "events without a frame",
        "stale", "bytes/frame",
    )  # fmt: skip
    with served(*APP) as address, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "train", "start", "tiny", "--run", f"{folder}/run"]
        trainer = subprocess.Popen(
            [*command, "--epochs", "100000", "--threads", "1"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not (Path(folder) / "run" / "metrics.jsonl").exists():
                time.sleep(0.1)
            page = opened(browser, address)
            for model in ("faces", "digits"):
                name, part = next(surfaces(page, address, model))
                row(model, name, *drag(page, part, seconds))
            page.close()
        finally:
            trainer.terminate()
            trainer.wait(20)


def far_away(browser: Browser, seconds: float) -> None:
    """Through a proxy that keeps every byte for 50 ms, either way."""
    table(
        "Over a line of 100 ms there and back",
        "model", "on", "frames/s", "event to drawn, ms, p50 / p95", "events without a frame",
        "stale", "bytes/frame",
    )  # fmt: skip
    with served(*APP) as address:
        port = address.rpartition(":")[2]
        delaying = ["tests/benchmarks/delay.py", port, "0.05"]
        with served(*delaying) as far:
            page = opened(browser, far)
            for model in ("faces", "digits"):
                name, part = next(surfaces(page, far, model))
                row(model, name, *drag(page, part, seconds))
            page.close()


def first_pictures(browser: Browser) -> None:
    table("First things", "what", "ms")
    times = []
    for _ in range(3):
        with served(*APP) as address:
            began = time.perf_counter()
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.add_init_script(WATCH)
            page.goto(address)
            page.wait_for_function("window.frames_seen?.length > 0", timeout=60_000)
            times.append(1e3 * (time.perf_counter() - began))
            page.close()
    row("server answers to first picture, of 3 starts", ", ".join(f"{t:.0f}" for t in times))
    with served(*APP) as address:
        page = opened(browser, address)
        for model in ("faces", "digits"):
            page.goto(f"{address}/manifold?model={model}")
            page.get_by_test_id("sheet-canvas").wait_for()
            page.wait_for_timeout(2500)
            whole = page.get_by_role("button", name="See the whole")
            for what in ("coarse", "complete"):
                spent = [whole.evaluate(SHEET, what) for _ in range(3)]
                times = ", ".join(f"{ms:.0f}" for ms in spent)
                row(f"20 x 20 sheet of {model}, {what}, 3 times", times)
        page.close()


# from the moment a view has come to rest to its pictures
SHEET = """
(button, what) => new Promise((done) => {
  const canvas = button.getRootNode().querySelector('[data-testid=sheet-canvas]');
  canvas.addEventListener(`sheet:${what}`, (event) => done(event.detail.ms), {once: true});
  button.click();
})
"""


# -- many viewers who speak the protocol


async def viewer(url: str, model: str, size: int, seconds: float) -> list[float]:
    """Asks for the next picture as soon as one comes, at most 60 a second; the times they took."""
    chance, taken = np.random.default_rng(), []
    async with connect(url, origin=None, max_size=None, compression=None) as line:
        z = chance.standard_normal(size)
        began = time.perf_counter()
        stamp = 0
        while (now := time.perf_counter()) - began < seconds:
            z = (z + 0.05 * chance.standard_normal(size)).round(4)
            stamp += 1
            await line.send(json.dumps({"stamp": stamp, "model": model, "z": [z.tolist()]}))
            await line.recv()
            taken.append(time.perf_counter() - now)
            await asyncio.sleep(max(0, now + PACE - time.perf_counter()))
    return taken


async def crowd(url: Callable[[], str], model: str, size: int, n: int, seconds: float) -> None:
    found = await asyncio.gather(*(viewer(url(), model, size, seconds) for _ in range(n)))
    rates = [len(taken) / seconds for taken in found]
    ms = [1e3 * t for taken in found for t in taken]
    fair = (max(rates) - min(rates)) / np.mean(rates)
    row(
        model,
        n,
        f"{np.mean(rates):.0f}",
        f"{min(rates):.0f} to {max(rates):.0f}",
        f"{fair:.0%}",
        quantiles(ms),
    )


def viewers(seconds: float) -> None:
    table(
        f"Viewers at once, {seconds:g} s each; the clients run on the same machine",
        "model", "viewers", "frames/s each", "least to most", "apart", "answer, ms, p50 / p95",
    )  # fmt: skip
    for model in ("faces", "digits"):
        size = SHELF.open(PRETRAINED / model).latent_size
        with served("tests/benchmarks/serve.py") as address:

            def url(address: str = address) -> str:
                with urllib.request.urlopen(f"{address}/ticket") as answer:
                    ticket = answer.read().decode()
                return f"{address.replace('http', 'ws')}/api/decode?ticket={ticket}"

            for n in (1, 4, 8, 16):
                asyncio.run(crowd(url, model, size, n, seconds))


def encodings() -> None:
    """What a picture costs to send: raw, or losslessly packed."""
    table(
        "Packing pixels, best of 20",
        "pictures",
        "raw kB",
        "raw ms",
        "PNG kB",
        "PNG ms",
        "WebP kB",
        "WebP ms",
    )
    for model, n in (("digits", 1), ("faces", 1), ("faces", 400)):
        opened = SHELF.open(PRETRAINED / model)
        pixels = opened.decoder(opened.atlas.draws(0, n))
        sheet = images.sheet(pixels, math.isqrt(n)).squeeze()

        cells = []
        for pack in WAYS.values():
            times = []
            for _ in range(20 if n == 1 else 3):
                began = time.perf_counter()
                size = len(pack(sheet))
                times.append(1e3 * (time.perf_counter() - began))
            cells += [f"{size / 1e3:.1f}", f"{min(times):.2f}"]
        row(f"{n} x {model}", *cells)


def packed(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


WAYS = {
    "raw": np.ndarray.tobytes,
    "PNG": partial(packed, kind="PNG", compress_level=1),
    "WebP": partial(packed, kind="WEBP", lossless=True, method=0),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before it began")
    with sync_playwright() as play:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = play.chromium.launch(executable_path=path, args=sandbox)
        first_pictures(browser)
        following(browser, seconds)
        while_training(browser, seconds)
        far_away(browser, seconds)
        browser.close()
    viewers(seconds)
    encodings()
    print(f"\nload {os.getloadavg()[0]:.1f} when it ended")


if __name__ == "__main__":
    main()
