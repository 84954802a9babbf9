"""Play, Manifold, Map and the card in a real browser, on the shipped models."""

import io
import zipfile

import numpy as np
from browsing import (
    apart,
    circle,
    drag,
    go,
    looks,
    looks_new,
    middle,
    pixels,
    settled,
    stage,
)
from playwright.sync_api import expect

from explorer.runs import ROOT

SAME = 1.5  # of 255: the browser rounds a latent otherwise than Python


def dial(tab, k):
    return tab.locator(".dial [role=slider]").nth(k)


def fits_a_phone(tab):
    """On a narrow screen, then wide again, nothing scrolls sideways; the picture comes first."""
    wide = tab.viewport_size
    tab.set_viewport_size({"width": 390, "height": 844})
    main = "document.querySelector('[data-testid=stMain]')"
    tab.wait_for_function(f"{main}.clientWidth <= 390 && {main}.scrollWidth <= 390")
    if tab.get_by_test_id("stage-canvas").count():
        picture = stage(tab).bounding_box()
        assert picture["y"] < 220
        assert picture["y"] + picture["height"] < 700
    tab.set_viewport_size(wide)


def test_a_face_drifts_until_a_hand_takes_it(visit):
    tab = visit(options={"reduced_motion": "no-preference"})
    caption = tab.get_by_text("Nobody you see here exists. Drag anywhere.")
    expect(caption).to_be_visible()
    canvas = stage(tab)
    looks_new(canvas, looks(canvas), still=0)
    drag(tab, canvas, 160, 60)
    expect(caption).to_have_css("opacity", "0")


def test_what_is_on_the_stage_is_there_when_one_comes_back(visit):
    tab = visit(model="Digits")
    canvas = stage(tab)
    first = looks(canvas)
    drag(tab, canvas, 150, -90)
    dial(tab, 0).focus()
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
    left = looks_new(canvas, first)
    settled(tab)
    expect(tab.locator(".dial output").first).to_have_text("+1.2")
    tab.keyboard.press("Shift+ArrowRight")
    left = looks_new(canvas, left)
    turned = tab.locator(".dial output").first.text_content()
    go(tab, "Manifold")
    go(tab, "Play")
    assert apart(looks(stage(tab)), left) < SAME
    assert turned == "+2.2"
    expect(tab.locator(".dial output").first).to_have_text(turned)


def test_a_world_is_an_address(visit):
    tab = visit(model="Digits", seed=7)
    seven = looks(stage(tab))
    tab.get_by_role("spinbutton", name="World").fill("8")
    tab.keyboard.press("Enter")
    eight = looks_new(stage(tab), seven)
    tab.wait_for_url("**seed=8**")
    link = tab.url.split("?")[1]
    assert looks(stage(visit("?" + link))) == eight


def test_a_variation_is_taken_and_has_variations_of_its_own(visit):
    tab = visit(model="Digits")
    before = looks(stage(tab))
    kin = tab.locator("[class*=play-like] img")
    expect(kin).to_have_count(5)
    fits_a_phone(tab)
    source = kin.nth(2).get_attribute("src")
    kin.nth(2).click()
    looks_new(stage(tab), before)
    expect(kin.nth(2)).not_to_have_attribute("src", source)


def test_a_place_on_the_sheet_becomes_the_current_picture(visit):
    tab = visit("manifold", model="Digits")
    sheet, canvas = tab.get_by_test_id("sheet-canvas"), stage(tab)
    fits_a_phone(tab)
    before = looks(canvas)
    x, y = middle(sheet)
    tab.mouse.move(x - 90, y + 70)
    looks_new(canvas, before)  # seen before it is taken
    tab.mouse.move(10, 10)
    wait_until(tab, canvas, before)
    tab.mouse.click(x + 120, y - 100)
    tab.mouse.move(10, 10)
    taken = looks_new(canvas, before)
    settled(tab)
    tab.get_by_role("link", name="Open in Play").click()
    tab.wait_for_url("**/?*")
    assert apart(looks(stage(tab)), taken) < SAME


def wait_until(tab, canvas, look):
    """Waits until a canvas shows what it showed before."""
    tab.wait_for_function(
        "([c, look]) => c.toDataURL() === look", arg=[canvas.element_handle(), look]
    )


def test_two_numbers_are_drawn_from_tiles_while_they_move_and_truly_when_they_rest(visit):
    tab = visit("manifold", model="digits-2d")
    sheet, canvas = tab.get_by_test_id("sheet-canvas"), stage(tab)
    tab.evaluate(
        "window.frames_seen = [];"
        "addEventListener('stage:frame', ({ detail }) =>"
        " frames_seen.push([detail.source, detail.cause]))"
    )
    x, y = middle(sheet)
    tab.mouse.move(x - 100, y)
    tab.mouse.down()
    side = 1  # the tiles come behind everything else: one drags on meanwhile
    while not tab.evaluate("frames_seen.some(([source]) => source === 'tiles')"):
        tab.mouse.move(x - 100, y + side)
        side = -side
    for k in range(12):
        tab.mouse.move(x - 100 + 15 * k, y + 8 * k)
    blended = looks(canvas)
    tab.mouse.up()
    tab.wait_for_function("frames_seen.at(-1)[0] === 'server' && frames_seen.at(-1)[1] === 'rest'")
    true = looks(canvas)
    drawn = tab.evaluate("frames_seen.filter(([, cause]) => cause === 'sheet').map(([s]) => s)")
    assert drawn.count("tiles") > 5
    assert likeness(blended, true) > 40  # dB at one place; 53 in the mean over all


def likeness(a, b):
    """Peak signal-to-noise ratio of two looks, in dB."""
    one, two = (pixels(look) for look in (a, b))
    return 10 * np.log10(255**2 / max(1e-3, np.square(one - two).mean()))


def test_the_map_shows_what_is_under_the_pointer_and_keeps_a_lassoed_group(visit):
    tab = visit("map", model="Digits")
    points, canvas = tab.get_by_test_id("points-canvas"), stage(tab)
    fits_a_phone(tab)
    before = looks(canvas)
    x, y = middle(points)
    tab.mouse.move(x - 20, y - 20)
    looks_new(canvas, before)
    tab.mouse.move(10, 10)
    wait_until(tab, canvas, before)
    tab.get_by_role("button", name="Lasso").click()
    circle(tab, points, 120)
    expect(tab.get_by_text("In the lasso:")).to_be_visible()
    tab.get_by_label("Call it").fill("The *middle*")
    tab.get_by_role("button", name="Keep this group").click()
    expect(tab.get_by_role("heading", name="The *middle*:")).to_be_visible()
    tab.mouse.click(*middle(points))
    looks_new(canvas, before)


def zipped(name, spoil=False):
    """A shipped model as somebody would zip it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((ROOT / "pretrained" / name).iterdir()):
            content = path.read_bytes()
            if spoil and path.name.startswith("weights"):
                content = content[:-1] + bytes([content[-1] ^ 1])
            archive.writestr(f"{name}/{path.name}", content)
    return {"name": f"{name}.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}


def bring(tab, file):
    tab.get_by_role("tab", name="From a zip").click()
    zips = tab.get_by_role("tabpanel", name="From a zip")
    button = tab.get_by_role("button", name="Open the zip")
    if button.is_visible():  # the one before goes first, or it might be opened again
        zips.get_by_test_id("stFileChipDeleteBtn").get_by_role("button").click()
        expect(button).to_be_hidden()
    zips.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    button.click()


def test_a_zip_is_opened_and_a_damaged_one_leaves_what_was_open(visit):
    tab = visit("model", model="Digits")
    fits_a_phone(tab)
    bring(tab, zipped("digits", spoil=True))
    expect(tab.get_by_test_id("stAlert")).to_contain_text("hash")
    picker = tab.get_by_role("combobox", name="Model")
    expect(picker).to_have_value("Digits")
    bring(tab, zipped("digits"))
    expect(picker).to_have_value("Digits (yours)")
    expect(tab.get_by_role("heading", name="Digits")).to_be_visible()
