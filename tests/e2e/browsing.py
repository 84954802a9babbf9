"""What a person does and waits for in the browser."""

from __future__ import annotations

import math
import re

from playwright.sync_api import Locator, Page

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


def looks(canvas: Locator) -> str:
    """What a canvas shows, as a data URL: equal where nothing has changed."""
    return canvas.evaluate("canvas => canvas.toDataURL()")
