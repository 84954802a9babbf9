"""The browser parts in a browser: what a hand does is what Python gets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Page
from toys import some_atlas

from explorer import atlas, bundle, cards
from explorer.protocol import DataSpec
from explorer.runs import Run
from explorer.ui.components import Plane, mount

HERE = Path(__file__).parent
D = 3
SIZE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 8x8 grey pictures with an atlas, and an empty run beside it."""
    root = tmp_path_factory.mktemp("parts")
    card = cards.Card(
        "toy", "vae", {"latent": D, "hidden": 16}, DataSpec("toy", 1, 8, 8), title="Toy"
    )
    torch.manual_seed(0)
    # an untrained decoder answers grey to everything: make latents matter
    state = {name: 4 * value for name, value in bundle.build(card).state_dict().items()}
    card = bundle.save(root / "toy", state, card)
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij"), -1)
    atlas.save(root / "toy", some_atlas(20, D, maps={"pca": grid.reshape(20, 2)}))
    cards.write_card(root / "toy", card)
    return root


@pytest.fixture(scope="module")
def parts_server(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "parts_app:app", "--port", str(port)]
    environment = {
        **os.environ,
        "LATENT_PARTS": str(folder / "toy"),
        "LATENT_RUNS": str(folder / "runs"),
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1]))),
    }
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def visitors(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """One who wants things to move, one who does not; each loads Streamlit's files once."""
    motions = ("reduce", "no-preference")
    contexts = {m: browser.new_context(reduced_motion=m, viewport=SIZE) for m in motions}
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture
def part(parts_server: str, visitors: dict[str, BrowserContext]) -> Iterator[Callable[..., Page]]:
    """Opens one part and waits for its canvas: ``part("stage", "plane")``."""
    pages, troubles = [], []

    def opened(name: str, *flags: str, motion: str = "reduce") -> Page:
        page = visitors[motion].new_page()
        pages.append(page)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.add_init_script(
            "window.frames_seen = [];"
            "addEventListener('stage:frame', (event) => frames_seen.push(event.detail))"
        )
        page.sent = []
        page.on("websocket", lambda s: s.on("framesent", lambda text: page.sent.append(text)))
        query = "".join(f"&{flag}=1" for flag in flags)
        page.goto(f"{parts_server}/?part={name}{query}")
        page.get_by_test_id("curve" if name == "curve" else f"{name}-canvas").wait_for()
        page.locator("#value").wait_for(state="attached")
        return page

    yield opened
    for page in pages:
        page.close()
    assert not troubles


def told(page: Page) -> dict[str, Any]:
    """What the page says that the part returned."""
    return json.loads(page.locator("#value").text_content() or "")


def after(page: Page, runs: int) -> Any:
    """The returned value once the page has run more often than ``runs``."""
    page.wait_for_function(
        "(n) => JSON.parse(document.querySelector('#value')?.textContent ?? '{}').runs > n",
        arg=runs,
    )
    return told(page)["value"]


def questions(page: Page) -> list[dict[str, Any]]:
    """What this browser asked the decode service for, one latent at a time."""
    asked = [json.loads(text) for text in page.sent if isinstance(text, str) and text[0] == "{"]
    return [q for q in asked if len(q.get("z", "ab")) == 1]


def rest(page: Page) -> None:
    """Waits until the picture of the newest question is drawn."""
    page.wait_for_function("frames_seen.length && !frames_seen.at(-1).queued")


def test_the_plane_is_the_same_in_both_languages(part: Callable[..., Page]) -> None:
    page = part("stage")
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(256, 5)).astype(np.float32)
    places = [*rng.uniform(-1e4, 1e4, (200, 2)).tolist(), [0, 0], [-1, -1], [-0.5, 2], [1e6, -1e6]]
    found = page.evaluate(
        """async ([url, corners, seed, places]) => {
          const { Plane } = await import(url);
          const plane = new Plane(Float32Array.from(corners), seed);
          return places.map((place) => Array.from(plane.at(place)));
        }""",
        [f"/assets/{mount.version()}/stage/plane.js", corners.ravel().tolist(), 77, places],
    )
    plane = Plane(corners, seed=77)
    assert np.abs(np.array(found) - [plane.at(tuple(p)) for p in places]).max() < 1e-4


def test_the_picture_follows_a_drag_and_python_hears_of_it_once(part: Callable[..., Page]) -> None:
    page = part("stage", "plane")
    before = told(page)
    assert before["value"] is None
    box = page.get_by_test_id("stage-canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 160, y - 80, steps=20)
    page.wait_for_function("frames_seen.filter((f) => f.source === 'drag').length >= 5")
    assert told(page)["runs"] == before["runs"]  # nothing reran while the hand moved
    page.mouse.up()
    value = after(page, before["runs"])
    assert np.allclose(value["place"], [0.5, -0.25], atol=0.01)
    assert np.allclose(value["z"], questions(page)[-1]["z"][0], atol=1e-4)
    rest(page)
    assert told(page)["runs"] == before["runs"] + 1
    assert page.get_by_text("Drag anywhere.").evaluate("(e) => getComputedStyle(e).opacity") < "1"


def test_what_is_drawn_is_what_the_model_makes_of_it(
    part: Callable[..., Page], folder: Path
) -> None:
    page = part("stage")
    dial = page.get_by_role("slider", name="Width")
    dial.focus()
    dial.press("Shift+ArrowRight")
    dial.press("ArrowRight")
    assert np.allclose(after(page, 1)["values"], [1.1, 0])
    rest(page)
    rgba = page.get_by_test_id("stage-canvas").evaluate(
        "(c) => Array.from(c.getContext('2d').getImageData(0, 0, 8, 8).data)"
    )
    drawn = np.reshape(rgba, (64, 4))[:, 0]
    model, _ = bundle.load(folder / "toy")
    truth = 255 * model.decode(torch.tensor([[1.1, 0, 0]])).mean.flatten().numpy()
    assert np.abs(drawn - truth).max() <= 1.5
    assert truth.std() > 10
    page.get_by_role("img", name="Toy").and_(page.get_by_role("img", name="Width +1.1")).wait_for()


def test_keys_and_a_double_click_turn_a_dial(part: Callable[..., Page]) -> None:
    page = part("stage")
    dial = page.get_by_role("slider", name="Height")
    dial.focus()
    for key, value in [("ArrowLeft", -0.1), ("Shift+ArrowLeft", -1.1), ("Shift+ArrowLeft", -2)]:
        dial.press(key)
        assert float(dial.get_attribute("aria-valuenow")) == pytest.approx(value)
    dial.press("Home")
    assert float(dial.get_attribute("aria-valuenow")) == 0
    box = dial.bounding_box()
    dial.click(position={"x": 0.75 * box["width"], "y": box["height"] / 2})
    assert float(dial.get_attribute("aria-valuenow")) == pytest.approx(1, abs=0.05)
    dial.dblclick(position={"x": 0.9 * box["width"], "y": box["height"] / 2})
    assert float(dial.get_attribute("aria-valuenow")) == 0


def test_it_drifts_until_it_is_touched_unless_motion_is_unwanted(
    part: Callable[..., Page],
) -> None:
    moving = part("stage", "plane", motion="no-preference")
    moving.wait_for_function("frames_seen.filter((f) => f.source === 'drift').length > 5")
    assert told(moving)["value"] is None
    moving.get_by_role("slider", name="Width").press("ArrowRight")
    after(moving, 1)
    drifted = "frames_seen.filter((f) => f.source === 'drift').length"
    count = moving.evaluate(drifted)
    still = part("stage", "plane")
    still.wait_for_function("frames_seen.length > 0")
    assert still.evaluate(drifted) == 0
    assert moving.evaluate(drifted) == count


@pytest.mark.parametrize("flags", [[], ["plane"]])
def test_a_surprise_and_the_way_back_are_told_once_each(
    part: Callable[..., Page], flags: list[str]
) -> None:
    page = part("stage", *flags)
    page.get_by_role("button", name="Surprise me").click()
    first = after(page, 1)
    assert np.abs(first["z"]).sum() > 0.1
    runs = told(page)["runs"]
    page.get_by_role("button", name="Reset").click()
    back = after(page, runs)
    assert (back["place"], back["values"]) == ([0, 0], [0, 0])
    assert told(page)["runs"] == runs + 1


def test_a_rectangle_and_undo_paint_the_pixels_that_they_cover(part: Callable[..., Page]) -> None:
    page = part("brush")
    box = page.get_by_test_id("brush-canvas").bounding_box()
    cell = box["width"] / 8

    def drag(a: tuple[float, float], b: tuple[float, float]) -> None:
        page.mouse.move(box["x"] + a[0] * cell, box["y"] + a[1] * cell)
        page.mouse.down()
        page.mouse.move(box["x"] + b[0] * cell, box["y"] + b[1] * cell, steps=4)
        page.mouse.up()

    page.get_by_role("button", name="Rectangle").click()
    drag((1.1, 2.1), (3.9, 6.9))
    expected = np.zeros((8, 8), bool)
    expected[2:7, 1:4] = True
    assert (np.array(after(page, 1)) == expected).all()
    page.get_by_role("button", name="Brush").click()
    drag((0.5, 0.5), (7.5, 0.5))
    painted = np.array(after(page, 2))
    assert painted[0].all()
    assert not painted[-1].any()
    page.get_by_role("button", name="Undo").click()
    assert (np.array(after(page, 3)) == expected).all()
    page.get_by_role("button", name="Clear").click()
    assert after(page, 4) is None


def test_a_cell_of_the_sheet_has_its_quantiles_for_coordinates(part: Callable[..., Page]) -> None:
    page = part("sheet")
    canvas = page.get_by_test_id("sheet-canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 4.5 / 20, "y": box["height"] * 0.5 / 20})
    shares = torch.tensor(
        [0.01 + 0.98 * 4.5 / 20, 1 - (0.01 + 0.98 * 0.5 / 20)], dtype=torch.float64
    )
    assert np.allclose(after(page, 1), torch.special.ndtri(shares), atol=1e-6)


def test_points_are_picked_and_lassoed_and_ground_is_ground(part: Callable[..., Page]) -> None:
    page = part("points")
    glass = page.get_by_test_id("points-canvas")
    box = glass.bounding_box()
    unit = 0.92 * min(box["width"] / 4, box["height"] / 3)

    def at(x: float, y: float) -> dict[str, float]:
        return {"x": box["width"] / 2 + (x - 2) * unit, "y": box["height"] / 2 - (y - 1.5) * unit}

    glass.click(position=at(3, 2))
    value = after(page, 1)
    assert (value["picked"], value["ground"]) == (3 * 4 + 2, None)
    glass.click(position=at(2.5, 1.5))
    value = after(page, 2)
    assert value["picked"] is None
    assert np.allclose(value["ground"], [2.5, 1.5], atol=0.02)

    page.get_by_role("button", name="Lasso").click()
    loop = [at(*p) for p in [(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)]]
    page.mouse.move(box["x"] + loop[0]["x"], box["y"] + loop[0]["y"])
    page.mouse.down()
    for place in loop[1:]:
        page.mouse.move(box["x"] + place["x"], box["y"] + place["y"], steps=5)
    page.mouse.up()
    selection = after(page, 3)["selection"]
    assert np.flatnonzero(selection).tolist() == [5, 6, 9, 10]


def test_a_film_is_scrubbed_by_keys_and_stands_still_for_those_who_want_that(
    part: Callable[..., Page],
) -> None:
    page = part("film")
    band = page.get_by_role("slider", name="Place in the film")
    assert page.get_by_role("button", name="Play").is_visible()
    band.press("End")
    band.press("ArrowLeft")
    assert "frame 9" in band.get_attribute("aria-valuetext")
    canvas = page.get_by_test_id("film-canvas")
    drawn = canvas.evaluate("(c) => Array.from(c.getContext('2d').getImageData(0, 0, 1, 1).data)")
    assert drawn == [9 * 16] * 3 + [255]


def test_a_curve_waits_calmly_and_then_tells_the_newest_value(
    part: Callable[..., Page], folder: Path
) -> None:
    run = Run.prepare(folder / "runs" / "a-run", {})
    page = part("curve")
    page.get_by_text("Waiting for the first point").wait_for()
    with open(run.folder / "metrics.jsonl", "a") as log:
        log.writelines(json.dumps({"step": k, "elbo": -200.0 + k}) + "\n" for k in range(100))
    page.get_by_text("-101.0").wait_for()
    assert page.get_by_text("Evidence bound").is_visible()
