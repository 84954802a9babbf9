"""The browser parts in a browser: what a hand does is what Python gets."""

from __future__ import annotations

import base64
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
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from browsing import middle
from playwright.sync_api import Browser, BrowserContext, Page, expect
from toys import some_atlas

from explorer import atlas, bundle, cards
from explorer.protocol import DataSpec
from explorer.runs import Run
from explorer.shelf import SHELF
from explorer.ui.components import mount

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

    def opened(name: str, *flags: str, motion: str = "reduce", clock: bool = False) -> Page:
        page = visitors[motion].new_page()
        if clock:  # time goes as the test says, once the page is there
            page.clock.install()
        pages.append(page)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.add_init_script(
            """
            window.frames_seen = [];
            window.sockets = [];
            addEventListener('stage:frame', (event) => frames_seen.push(event.detail));
            const delay = Number(new URLSearchParams(location.search).get('delay'));
            window.WebSocket = class extends WebSocket {
              constructor(...all) {
                super(...all);
                sockets.push(this);
              }
              send(text) {
                const late = delay && this.url.includes('decode');
                if (late) setTimeout(() => super.send(text), delay);
                else super.send(text);
              }
            };
            """
        )
        page.sent = []
        page.on("websocket", lambda s: s.on("framesent", lambda text: page.sent.append(text)))
        query = "".join(f"&{flag}" if "=" in flag else f"&{flag}=1" for flag in flags)
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


PLANE = """
async ([url, corners, seed, ties, places]) => {
  const { Plane } = await import(url);
  const plane = new Plane(Float32Array.from(corners.flat()), seed);
  for (const [place, z] of ties) plane.tie(place, z);
  return places.map((place) => Array.from(plane.at(place)));
}
"""


def plane(page: Page, places: Any, seed: int = 5, ties: Any = ()) -> tuple[Any, np.ndarray]:
    """Corners ``(256, 12)`` and what a plane over them holds at ``places: (n, 2)``."""
    corners = np.random.default_rng(1).normal(2, 3, (256, 12)).astype(np.float32)
    url = f"/assets/{mount.version()}/stage/plane.js"
    asked = [url, corners.tolist(), seed, list(ties), np.asarray(places).tolist()]
    return corners, np.array(page.evaluate(PLANE, asked))


def test_a_plane_goes_through_its_corners_without_a_jump_and_keeps_their_spread(
    part: Callable[..., Page],
) -> None:
    page = part("stage")
    corners, at = plane(page, [(0, 0), (7, -3), (-1e6, 12)])
    assert np.abs(corners - at[:, None]).max(2).min(1).max() < 1e-4
    _, line = plane(page, [(x, 0.3) for x in np.linspace(-2, 2, 2001)])
    assert np.abs(np.diff(line, axis=0)).max() < 0.1
    _, z = plane(page, np.random.default_rng(2).uniform(-1e4, 1e4, (3000, 2)))
    assert abs(z.mean() - corners.mean()) < 0.15
    assert abs(z.std() / corners.std() - 1) < 0.03
    assert not np.allclose(plane(page, [(3, 4)])[1], plane(page, [(3, 4)], seed=6)[1])


def test_a_plane_is_led_through_a_latent_and_is_itself_a_cell_away(
    part: Callable[..., Page],
) -> None:
    page = part("stage")
    place, z = (3.3, -2.6), [9.0] * 12
    around = [place, (3.31, -2.6), (4.3, -2.6), (0, 0)]
    _, bare = plane(page, around)
    _, tied = plane(page, around, ties=[(place, z), (place, z)])  # again changes nothing
    assert np.allclose(tied[0], z)
    assert 0 < np.abs(tied[1] - z).max() < 0.5
    assert np.allclose(tied[2:], bare[2:])


def test_the_picture_follows_a_drag_and_python_hears_of_it_once(part: Callable[..., Page]) -> None:
    page = part("stage", "plane")
    before = told(page)
    assert before["value"]["z"] is None
    x, y = middle(page.get_by_test_id("stage-canvas"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 160, y - 80, steps=20)
    page.wait_for_function("frames_seen.filter((f) => f.cause === 'drag').length >= 5")
    assert told(page)["runs"] == before["runs"]  # nothing reran while the hand moved
    page.mouse.up()
    value = after(page, before["runs"])
    assert np.abs(value["z"]).max() > 0.1
    assert np.allclose(value["z"], questions(page)[-1]["z"][0], atol=1e-4)
    rest(page)
    assert told(page)["runs"] == before["runs"] + 1
    expect(page.get_by_text("Drag anywhere.")).to_have_css("opacity", "0")


def test_a_frame_tells_when_it_was_meant_asked_for_and_drawn(part: Callable[..., Page]) -> None:
    page = part("stage", "plane")
    x, y = middle(page.get_by_test_id("stage-canvas"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=6)
    page.mouse.up()
    rest(page)
    frames = page.evaluate("frames_seen.filter((f) => f.cause === 'drag')")
    assert frames
    for frame in frames:
        assert frame["event_at"] <= frame["requested_at"] <= frame["drawn_at"]
        assert isinstance(frame["stamp"], int)
        assert isinstance(frame["queued"], bool)
        assert frame["source"] == "server"


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
    model, _ = bundle.load(folder / "toy")
    truth = 255 * model.decode(torch.tensor([[1.1, 0, 0]])).mean.flatten().numpy()
    assert np.abs(shown(page) - truth).max() <= 1.5
    assert truth.std() > 10
    page.get_by_role("img", name="Toy").and_(page.get_by_role("img", name="Width +1.1")).wait_for()


def shown(page: Page) -> np.ndarray:
    """``(64,)``: the grey values on the stage."""
    rgba = page.get_by_test_id("stage-canvas").evaluate(
        "(c) => Array.from(c.getContext('2d').getImageData(0, 0, 8, 8).data)"
    )
    return np.reshape(rgba, (64, 4))[:, 0]


def test_keys_and_a_double_click_turn_a_dial(part: Callable[..., Page]) -> None:
    page = part("stage")
    dial = page.get_by_role("slider", name="Height")
    dial.focus()
    for key, value in [("ArrowLeft", -0.1), ("Shift+ArrowLeft", -1.1), ("Shift+ArrowLeft", -2)]:
        dial.press(key)
        assert float(dial.get_attribute("aria-valuenow")) == pytest.approx(value)
    dial.press("Home")
    assert float(dial.get_attribute("aria-valuenow")) == 0
    for key, value in [("PageUp", 1), ("PageDown", 0), ("End", 2), ("Home", 0)]:
        dial.press(key)
        assert float(dial.get_attribute("aria-valuenow")) == value
    box = dial.bounding_box()
    dial.click(position={"x": 0.75 * box["width"], "y": box["height"] / 2})
    assert float(dial.get_attribute("aria-valuenow")) == pytest.approx(1, abs=0.05)
    dial.dblclick(position={"x": 0.9 * box["width"], "y": box["height"] / 2})
    assert float(dial.get_attribute("aria-valuenow")) == 0


def test_a_dial_is_called_as_a_visitor_likes_and_keeps_its_name(part: Callable[..., Page]) -> None:
    page = part("stage")
    page.get_by_role("button", name="Width", exact=True).click()
    field = page.get_by_role("textbox", name="Call Width otherwise")
    field.press("Control+z")  # a text has an undo of its own
    field.fill("  How wide <b>it</b> is ")
    field.press("Enter")
    dial = page.get_by_role("slider", name="How wide <b>it</b> is")
    dial.press("Shift+ArrowRight")
    page.get_by_role("img", name="How wide <b>it</b> is +1.0").wait_for()
    page.reload()
    page.get_by_role("button", name="How wide <b>it</b> is").click()
    field = page.get_by_role("textbox")
    field.fill("Something else")
    field.press("Escape")
    page.get_by_role("button", name="How wide <b>it</b> is").click()
    field.fill(" ")
    field.press("Enter")
    expect(page.get_by_role("slider", name="Width", exact=True)).to_be_visible()


@pytest.mark.parametrize("name", ["stage", "sheet"])
def test_arrows_move_the_picture_by_tenths_and_wholes_and_home_brings_it_back(
    part: Callable[..., Page], name: str
) -> None:
    page = part(name)
    place = page.get_by_role("group", name="Drag the picture")
    if name == "sheet":
        place = page.get_by_test_id("sheet-canvas")
    place.focus()
    for key, wanted in [
        ("ArrowRight", [0.1, 0, 0]),
        ("Shift+ArrowRight", [1.1, 0, 0]),
        ("Shift+ArrowUp", [1.1, 1, 0]),
        ("ArrowDown", [1.1, 0.9, 0]),
        ("Home", [0, 0, 0]),
    ]:
        runs = told(page)["runs"]
        place.press(key)
        assert np.allclose(after(page, runs)["z"], wanted, atol=1e-4)


def test_it_drifts_until_it_is_touched_unless_motion_is_unwanted(
    part: Callable[..., Page],
) -> None:
    moving = part("stage", "plane", motion="no-preference")
    moving.wait_for_function("frames_seen.filter((f) => f.cause === 'drift').length > 5")
    assert told(moving)["value"]["z"] is None
    moving.get_by_role("slider", name="Width").press("ArrowRight")
    after(moving, 1)
    drifted = "frames_seen.filter((f) => f.cause === 'drift').length"
    count = moving.evaluate(drifted)
    still = part("stage", "plane")
    still.wait_for_function("frames_seen.length > 0")
    assert still.evaluate(drifted) == 0
    assert moving.evaluate(drifted) == count


def test_a_touch_beside_it_leaves_the_picture_that_was_drifting_by(
    part: Callable[..., Page],
) -> None:
    page = part("stage", "plane", motion="no-preference")
    page.wait_for_function("frames_seen.filter((f) => f.cause === 'drift').length > 5")
    page.mouse.click(5, 5)
    value = after(page, 1)  # Python knows what is seen
    rest(page)
    assert np.allclose(value["z"], questions(page)[-1]["z"][0], atol=1e-4)


def test_after_a_minute_alone_it_wanders_by_itself(part: Callable[..., Page]) -> None:
    page = part("stage", "plane", motion="no-preference", clock=True)
    page.mouse.click(5, 5)
    drifted = "frames_seen.filter((f) => f.cause === 'drift').length"
    page.clock.run_for(1000)
    count = page.evaluate(drifted)
    page.clock.run_for(50_000)
    assert page.evaluate(drifted) == count
    page.clock.run_for(12_000)
    page.wait_for_function(f"{drifted} > {count}")
    assert page.get_by_text("Drag anywhere.").is_visible()


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
    assert np.allclose(back["z"], 0, atol=1e-4)
    assert back["values"] == [0, 0]
    assert told(page)["runs"] == runs + 1


def test_what_one_did_is_kept_as_pictures_and_comes_back(part: Callable[..., Page]) -> None:
    page = part("stage")
    steps = page.get_by_role("group", name="What you did").get_by_role("button")
    dial = page.get_by_role("slider", name="Width")
    for k in (1, 2):
        runs = told(page)["runs"]
        dial.press("Shift+ArrowRight")
        assert np.allclose(after(page, runs)["z"], [k, 0, 0])
        expect(steps).to_have_count(k + 1)
    runs = told(page)["runs"]
    page.get_by_role("button", name="Undo").click()
    assert np.allclose(after(page, runs)["z"], [1, 0, 0], atol=1e-4)
    expect(steps.nth(1)).to_have_attribute("aria-current", "true")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+z")  # wherever one is
    assert np.allclose(after(page, runs + 1)["z"], 0, atol=1e-4)
    dial.press("Control+Shift+Z")
    assert np.allclose(after(page, runs + 2)["z"], [1, 0, 0], atol=1e-4)
    dial.press("ArrowLeft")  # one goes on from there
    assert np.allclose(after(page, runs + 3)["z"], [0.9, 0, 0], atol=1e-4)
    expect(steps).to_have_count(4)
    steps.nth(2).click()
    assert np.allclose(after(page, runs + 4)["z"], [2, 0, 0], atol=1e-4)


def test_what_is_unusual_is_led_back_on_request(part: Callable[..., Page], folder: Path) -> None:
    page = part("stage")
    mend = page.get_by_role("button", name="Make it typical")
    expect(mend).to_be_disabled()
    dial = page.get_by_role("slider", name="Width")
    for _ in range(3):
        dial.press("Shift+ArrowRight")
    page.get_by_text("Off the map").or_(page.get_by_text("Unusual")).first.wait_for()
    page.wait_for_function(  # else what is told next may be the last press
        "JSON.parse(document.querySelector('#value').textContent).value?.z?.[0] > 2.9"
    )
    runs = told(page)["runs"]
    mend.click()
    value = after(page, runs)
    known = atlas.load(folder / "toy", cards.read_card(folder / "toy").files[cards.ATLAS])
    assert known.typicality(np.array([value["z"]]))[0] > atlas.TYPICAL - 0.01  # z is rounded
    expect(mend).to_be_disabled()
    assert 0 < value["z"][0] < 3


def test_a_lost_connection_comes_back_by_itself_and_nothing_is_lost(
    part: Callable[..., Page],
) -> None:
    page = part("stage")
    dial = page.get_by_role("slider", name="Width")
    dial.press("ArrowRight")
    rest(page)
    page.evaluate("sockets.filter((s) => s.url.includes('decode')).forEach((s) => s.close())")
    page.get_by_text("Connecting again").wait_for()
    dial.press("Shift+ArrowRight")  # meanwhile the hand goes on
    page.wait_for_function("sockets.at(-1).readyState === 1")
    rest(page)
    assert questions(page)[-1]["z"][0] == [1.1, 0, 0]
    page.get_by_role("img", name="Width +1.1").wait_for()


def test_over_a_long_line_several_questions_are_under_way_and_the_newest_is_drawn(
    part: Callable[..., Page],
) -> None:
    page = part("stage", "plane", "delay=100")
    x, y = middle(page.get_by_test_id("stage-canvas"))
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(60):  # until the line is known to be long
        page.mouse.move(x + 2 * k, y - k)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    page.mouse.up()
    value = after(page, 1)
    page.wait_for_function("frames_seen.at(-1).cause === 'rest'")
    frames = page.evaluate("frames_seen.filter((f) => f.cause === 'drag')")
    # one question at a time could not have drawn two frames within one delay
    gaps = np.diff([frame["drawn_at"] for frame in frames])
    assert np.median(gaps[len(gaps) // 2 :]) < 60
    stamps = [frame["stamp"] for frame in frames]
    assert stamps == sorted(stamps)
    assert np.allclose(value["z"], questions(page)[-1]["z"][0], atol=1e-4)


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


def test_a_place_on_the_sheet_has_its_quantiles_for_coordinates(part: Callable[..., Page]) -> None:
    page = part("sheet")
    canvas = page.get_by_test_id("sheet-canvas")
    box = canvas.bounding_box()
    at = {"x": box["width"] * 4.5 / 20, "y": box["height"] * 0.5 / 20}
    wanted = [
        NormalDist().inv_cdf(0.01 + 0.98 * at["x"] / box["width"]),
        -NormalDist().inv_cdf(0.01 + 0.98 * at["y"] / box["height"]),
        0,
    ]
    canvas.click(position=at)
    assert np.allclose(after(page, 1)["z"], wanted, atol=0.02)


def test_over_the_sheet_the_picture_follows_and_beside_it_comes_back(
    part: Callable[..., Page],
) -> None:
    page = part("sheet")
    canvas = page.get_by_test_id("sheet-canvas")
    rest(page)
    x, y = middle(canvas)
    page.mouse.move(x + 100, y - 50)
    page.wait_for_function("frames_seen.some((f) => f.cause === 'peek')")
    assert np.abs(questions(page)[-1]["z"]).max() > 0.1
    page.mouse.move(5, 5)
    rest(page)
    assert questions(page)[-1]["z"] == [[0, 0, 0]]
    assert told(page)["value"]["z"] is None  # looking is not taking

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y, steps=10)
    page.wait_for_function("frames_seen.filter((f) => f.cause === 'sheet').length > 3")
    page.mouse.up()
    value = after(page, 1)
    assert value["z"][0] > 0.3
    assert abs(value["z"][1]) < 0.05


def test_the_sheet_zooms_about_the_pointer_and_is_whole_again(part: Callable[..., Page]) -> None:
    page = part("sheet")
    canvas = page.get_by_test_id("sheet-canvas")
    box = canvas.bounding_box()
    at = {"x": 0.8 * box["width"], "y": 0.3 * box["height"]}
    canvas.click(position=at)
    before = after(page, 1)["z"]
    page.mouse.wheel(0, -600)
    page.mouse.wheel(0, 0)
    canvas.click(position=at)
    assert np.allclose(after(page, 2)["z"], before, atol=0.01)  # it stayed under the pointer
    canvas.click(position={"x": 0, "y": box["height"] / 2})
    edge = after(page, 3)["z"]
    page.get_by_role("button", name="See the whole").click()
    canvas.click(position={"x": 0, "y": box["height"] / 2})
    assert after(page, 4)["z"][0] < edge[0] - 0.5


def test_points_are_seen_taken_and_lassoed_and_ground_is_ground(
    part: Callable[..., Page], folder: Path
) -> None:
    page = part("points")
    known = atlas.load(folder / "toy", cards.read_card(folder / "toy").files[cards.ATLAS])
    glass = page.get_by_test_id("points-canvas")
    box = glass.bounding_box()
    unit = 0.92 * min(box["width"] / 4, box["height"] / 3)

    def at(x: float, y: float) -> dict[str, float]:
        return {"x": box["width"] / 2 + (x - 2) * unit, "y": box["height"] / 2 - (y - 1.5) * unit}

    glass.hover(position=at(1, 2))
    page.get_by_text("even", exact=True).nth(1).wait_for()
    page.wait_for_function("frames_seen.some((f) => f.cause === 'peek')")
    assert told(page)["value"]["z"] is None
    glass.click(position=at(3, 2))
    assert np.allclose(after(page, 1)["z"], known.latents[3 * 4 + 2], atol=1e-4)
    glass.click(position=at(2.4, 1.6))
    ground = known.at("pca", np.array([[2.4, 1.6]]))[0]
    assert np.allclose(after(page, 2)["z"], ground, atol=0.1)

    page.get_by_role("button", name="Lasso").click()
    box = glass.bounding_box()  # the page may have scrolled
    loop = [at(*p) for p in [(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)]]
    page.mouse.move(box["x"] + loop[0]["x"], box["y"] + loop[0]["y"])
    page.mouse.down()
    for place in loop[1:]:
        page.mouse.move(box["x"] + place["x"], box["y"] + place["y"], steps=5)
    page.mouse.up()
    selection = after(page, 3)["lasso"]
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


def test_blended_tiles_differ_from_true_pictures_by_no_more_than_rounding_would(part):
    page, decoder = part("stage"), SHELF["digits-2d"].decoder

    def decoded(z: list[list[float]]) -> str:
        return base64.b64encode(decoder(np.array(z, np.float32)).tobytes()).decode()

    page.expose_function("decoded", decoded)
    places = np.random.default_rng(0).standard_normal((400, 2)).clip(-2.99, 2.99)
    blended = page.evaluate(
        """async ([url, places]) => {
          const { Tiles } = await import(url);
          const header = { height: 28, width: 28, channels: 1 };
          const ask = async ({ z }) => {
            const text = atob(await decoded(z));
            const pixels = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
            return { header: { ...header, typicality: z.map(() => 0.5) }, pixels };
          };
          const tiles = await Tiles.fetch("m", ask);
          return [tiles.at([3.01, 0]), places.map((z) => Array.from(tiles.at(z).pixels))];
        }""",
        [f"/assets/{mount.version()}/shared/tiles.js", places.tolist()],
    )
    assert blended[0] is None
    true = decoder(places.astype(np.float32)).reshape(400, -1).astype(float)
    error = np.square(np.array(blended[1]) - true).mean()
    assert 10 * np.log10(255**2 / error) > 52
