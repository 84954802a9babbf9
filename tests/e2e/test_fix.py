"""Three jobs done as a visitor does them: blend two pictures, change one, finish one."""

import io

import numpy as np
import pytest
from browsing import apart, drag, go, looks, looks_new, settled, stage
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LONG = 120_000  # ms; guesses get better for a while, longer on a busy machine


def written(text):
    """A photo of a digit on paper, as a file to upload."""
    paper = Image.new("L", (300, 300), 245)
    ImageDraw.Draw(paper).text((90, 30), text, fill=30, font=ImageFont.load_default(220))
    raw = io.BytesIO()
    paper.save(raw, "PNG")
    return {"name": f"{text}.png", "mimeType": "image/png", "buffer": raw.getvalue()}


def downloaded(page, label):
    """The file behind a button."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    return waiting.value.path()


def guesses(page):
    """Waits for the guesses; their pictures on the page."""
    shown = page.locator(".stImage", has_text="stands for")
    shown.nth(5).wait_for(timeout=LONG)
    return shown


def test_two_uploaded_pictures_become_one_another_and_go_home_as_a_gif(visit):
    page = visit("morph", model="Digits")
    film = page.get_by_test_id("film-canvas")
    film.wait_for()
    before = looks(film)
    page.locator("input[type=file]").set_input_files([written("3"), written("8")])
    page.get_by_text("yours", exact=True).nth(1).wait_for()
    assert page.get_by_text("the model's", exact=True).count() == 2
    settled(page)
    assert looks(film) != before

    first = looks(film)
    band = page.get_by_role("slider", name="Place in the film")
    band.press("End")
    assert band.get_attribute("aria-valuenow") == band.get_attribute("aria-valuemax")
    assert looks(film) != first

    with Image.open(downloaded(page, "GIF")) as animation:
        assert animation.format == "GIF"
        assert animation.n_frames > 20
    numbers = np.loadtxt(downloaded(page, "Numbers"), delimiter=",")
    assert numbers.shape[0] == 25
    with Image.open(downloaded(page, "Strip")) as strip:
        assert strip.width == 25 * strip.height


def test_a_digit_is_drawn_and_blended(visit):
    page = visit("morph", model="Digits")
    page.get_by_role("radio", name="Draw").click()
    pad = page.get_by_test_id("brush-canvas")
    pad.wait_for()
    use = page.get_by_role("button", name="Use this drawing")
    drag(page, pad, 0, 60)
    page.locator("button:enabled", has_text="Use this drawing").wait_for()
    use.click()
    page.get_by_text("yours", exact=True).wait_for()


@pytest.mark.parametrize("model", ["Faces", "Digits"])
def test_a_dial_changes_the_picture_and_the_page_tells_what_came_along(visit, model):
    page = visit("attributes", model=model)
    canvas = stage(page)
    dial = page.get_by_role("slider").first
    dial.wait_for()
    if model == "Faces":
        assert dial.get_attribute("aria-label") == "Smile"
    before = looks(canvas)
    dial.focus()
    page.keyboard.press("Shift+ArrowRight")
    looks_new(canvas, before)
    page.get_by_test_id("stPlotlyChart").wait_for()
    expect(dial).to_have_attribute("aria-valuenow", "1.00")

    changed = looks(canvas)
    page.get_by_role("button", name="Keep this picture").click()
    expect(dial).to_have_attribute("aria-valuenow", "0.00")
    assert apart(looks(canvas), changed) < 1  # the latent is rounded on its way
    if model == "Digits":  # on coming back a dial stands where it was
        dial.focus()
        page.keyboard.press("Shift+ArrowRight")
        changed = looks_new(canvas, changed)
        page.get_by_test_id("stPlotlyChart").wait_for()  # Python knows of it
        settled(page)
        go(page, "Play")
        go(page, "Attributes")
        expect(dial).to_have_attribute("aria-valuenow", "1.00")
        assert apart(looks(stage(page)), changed) < 1
    page.get_by_role("radio", name="Grid of two").click()
    page.get_by_role("button", name="Save the grid").wait_for()
    with Image.open(downloaded(page, "Save the grid")) as grid:
        assert grid.width == grid.height > 700


def test_a_photograph_is_framed_by_hand_where_no_face_is_found(visit):
    page = visit("attributes", model="Faces")
    canvas = stage(page)
    page.locator("input[type=file]").first.set_input_files([written("8")])
    page.get_by_text("No face was found in it").wait_for()
    settled(page)
    before = looks(canvas)
    page.locator("label", has_text="Frame").click()
    tool = page.get_by_test_id("frame-canvas")
    tool.focus()
    page.keyboard.press("2")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("No face was found in it").wait_for(state="detached")
    looks_new(canvas, before)
    settled(page)
    before = looks(canvas)
    drag(page, tool, 30, 20)  # not on a point: the frame as a whole
    looks_new(canvas, before)


def test_a_painted_part_is_guessed_and_a_guess_taken(visit):
    page = visit("inpaint", model="Digits")
    canvas = page.get_by_test_id("brush-canvas")
    canvas.wait_for()
    before = looks(canvas)
    drag(page, canvas, 60, 60)
    shown = guesses(page)
    assert shown.count() == 6
    page.get_by_text("where they differ").wait_for()
    page.get_by_role("button", name="Guess again").wait_for(timeout=LONG)
    page.get_by_role("button", name="Take").nth(3).click()
    page.get_by_text("kept here to the pixel, and what").wait_for()
    settled(page)
    looks_new(canvas, before)
    go(page, "Morph")
    page.get_by_text("current picture", exact=True).wait_for()


def test_guessing_stops_when_told(visit):
    page = visit("inpaint", model="Faces")
    canvas = page.get_by_test_id("brush-canvas")
    canvas.wait_for()
    drag(page, canvas, 120, 40)
    guesses(page)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Guess again").wait_for()
    assert guesses(page).count() == 6


def test_what_was_painted_is_still_there_when_one_comes_back(visit):
    page = visit("inpaint", model="Digits")
    drag(page, page.get_by_test_id("brush-canvas"), 60, 60)
    guesses(page)
    page.get_by_role("button", name="Guess again").wait_for(timeout=LONG)
    share = page.get_by_text("of the picture is painted over").inner_text()
    assert not share.startswith("0 ")
    go(page, "Morph")
    page.get_by_text("Pictures", exact=True).first.wait_for()
    go(page, "Inpaint")
    page.get_by_text(share, exact=True).wait_for()
    assert guesses(page).count() == 6
    page.get_by_role("button", name="Undo").click()  # what is there can be painted on
    drag(page, page.get_by_test_id("brush-canvas"), 90, 30)
    page.get_by_role("button", name="Guess again").wait_for(timeout=LONG)


def test_all_of_it_is_done_with_keys_alone(visit):
    page = visit("inpaint", model="Digits")
    canvas = page.get_by_test_id("brush-canvas")
    canvas.focus()
    for key in ("ArrowDown", "Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    guesses(page)
    page.get_by_role("button", name="Take").first.press("Enter")
    page.get_by_text("kept here to the pixel, and what").wait_for()


@pytest.mark.parametrize(
    ("name", "part"), [("morph", "film"), ("attributes", "stage"), ("inpaint", "brush")]
)
def test_a_phone_shows_it_without_scrolling_sideways(visit, name, part):
    page = visit(name, options=PHONE, model="Digits")
    canvas = page.get_by_test_id(f"{part}-canvas")
    canvas.wait_for()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    box = canvas.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
