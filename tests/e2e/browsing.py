"""What a person does and waits for in the browser."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from explorer.ui.menu import PAGES

RESTING = (
    "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
)


def settled(page: Page) -> None:
    """Waits until the page's script has run to its end."""
    page.locator(RESTING).wait_for(state="attached")


def go(page: Page, title: str) -> None:
    """Goes to a page by the menu, as a visitor does: the session goes on."""
    target = next(p for p in PAGES if p.title == title)
    page.get_by_test_id("stTopNavSection").get_by_text(target.verb).click()
    page.get_by_test_id("stTopNavDropdownLink").filter(has_text=title).click()
    page.wait_for_url(re.compile(r"/(\?|$)" if target is PAGES[0] else rf"/{target.name}(\?|$)"))
    settled(page)


def middle(part: Locator) -> tuple[float, float]:
    """Where its middle lies, in pixels of the page; it is scrolled into view first."""
    part.scroll_into_view_if_needed()
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, part: Locator, dx: float, dy: float) -> None:
    """Presses in the middle of ``part``, moves by so many pixels, lets go."""
    x, y = middle(part)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up()


def circle(page: Page, part: Locator, radius: float) -> None:
    """Draws a circle round the middle of ``part``."""
    x, y = middle(part)
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for k in range(1, 25):
        turn = 2 * math.pi * k / 24
        page.mouse.move(x + radius * math.cos(turn), y + radius * math.sin(turn))
    page.mouse.up()


def stage(page: Page) -> Locator:
    """The stage's canvas, with a picture on it."""
    canvas = page.get_by_test_id("stage-canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("A picture"))
    return canvas


def looks(canvas: Locator) -> str:
    """What a canvas shows, as a data URL: equal where nothing has changed."""
    return canvas.evaluate("canvas => canvas.toDataURL()")


def looks_new(canvas: Locator, before: str, still: int = 15) -> str:
    """Waits until a canvas shows something else than ``before``, for so many frames unchanged."""
    return canvas.evaluate(
        """(canvas, [before, enough]) => new Promise((done) => {
          let [last, still] = [before, 0];
          const look = () => {
            const now = canvas.toDataURL();
            still = now === last ? still + 1 : 0;
            last = now;
            if (now !== before && still >= enough) done(now);
            else requestAnimationFrame(look);
          };
          look();
        })""",
        [before, still],
    )


def apart(a: str, b: str) -> float:
    """Mean absolute difference, of 255, of two looks of equal size."""
    return float(np.abs(pixels(a) - pixels(b)).mean())


def pixels(look: str) -> np.ndarray:
    """``(H, W, C)`` of what a canvas showed."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(look.split(",")[1]))), float)
