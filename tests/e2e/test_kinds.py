"""What only some models can be asked for, in a real browser: a class, a level, a drawing."""

import re

from browsing import apart, go, looks, looks_new, middle, settled, stage
from playwright.sync_api import expect


def choice(tab, key, k):
    """A picture of a row that can be pressed."""
    return tab.locator(f".st-key-{key}-{k} button")


def test_another_class_is_drawn_where_one_is_and_stays_chosen(visit):
    tab = visit(model="Digits by class")
    canvas = stage(tab)
    nought = looks(canvas)
    choice(tab, "play-class", 7).click()
    seven = looks_new(canvas, nought)
    assert apart(nought, seven) > 5
    expect(tab.get_by_text("You see 7.")).to_be_visible()
    expect(canvas).to_have_attribute("aria-label", re.compile("Digits by class made: 7"))
    go(tab, "Manifold")
    canvas = stage(tab)
    expect(canvas).to_have_attribute("aria-label", re.compile("Digits by class made: 7"))


def test_one_level_is_drawn_anew(visit):
    tab = visit(model="Digits on two levels")
    canvas = stage(tab)
    before = looks(canvas)
    choice(tab, "play-level-whole", 2).click()
    assert apart(before, looks_new(canvas, before)) > 2


def test_pixels_are_drawn_one_after_the_other_when_asked(visit):
    tab = visit(model="Small digits, kept awake")
    tab.get_by_role("button", name="Draw 6").click()
    settled(tab)
    expect(tab.get_by_test_id("stImage").locator("img")).to_have_count(6)


def test_a_painted_picture_shows_its_canvas_step_by_step(visit):
    tab = visit(model="Digits, painted in strokes")
    film = tab.get_by_test_id("film-canvas")
    expect(film).to_have_attribute("aria-label", re.compile(r"of 11: (step \d+|the empty canvas)"))


def test_a_digit_is_completed_from_a_quadrant_in_several_ways(visit):
    tab = visit("inpaint", model="Digits by class")
    expect(tab.get_by_text("way 6", exact=True)).to_be_visible()
    tab.get_by_role("button", name="Draw others").click()
    settled(tab)
    expect(tab.get_by_text("one guess", exact=True)).to_be_visible()


def test_a_digit_that_is_drawn_is_told_its_cluster(visit):
    tab = visit(model="Digits in clusters")
    pad = tab.get_by_test_id("brush-canvas")
    x, y = middle(pad)
    tab.mouse.move(x, y - 60)
    tab.mouse.down()
    tab.mouse.move(x, y + 60, steps=8)
    tab.mouse.up()
    expect(tab.get_by_text(re.compile(r"Cluster \d+.*probability \d+%")).first).to_be_visible()
    tab.get_by_role("button", name="Take it onto the stage").click()
    settled(tab)
    expect(tab.get_by_text(re.compile("Your picture lies in cluster"))).to_be_visible()


def test_the_scoreboard_fits_a_phone(visit):
    tab = visit("scoreboard", options={"viewport": {"width": 390, "height": 844}})
    expect(tab.get_by_text("What is not here, and why.")).to_be_attached()
    main = "document.querySelector('[data-testid=stMain]')"
    tab.wait_for_function(f"{main}.clientWidth <= 390 && {main}.scrollWidth <= 390")
