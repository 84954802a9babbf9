"""A model is taught from the page, watched, left, found again, stopped, and played with."""

import math
import re
import time

import pytest
from browsing import drag, looks, looks_new, settled, stage
from PIL import Image
from playwright.sync_api import expect

from explorer.runs import Run
from train.config import recipe

MANY = 100_000
FIRST = 15  # s to the first pictures and points; 5 with nothing else to do, as tests have
STARTS = 120_000  # ms: a trainer yields to everything else on the machine


def train(tab):
    """Presses Train and waits for the page that it leads to."""
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_url(re.compile(r"/runs\?.*run="))


def sheet(tab):
    return tab.get_by_role("img", name=re.compile("Pictures by the model"))


def inked(tab):
    """Waits until the curve has a line: enough in a colour of its own."""
    tab.get_by_test_id("curve").evaluate(
        """(chart) => new Promise((done) => {
          const look = () => {
            const canvas = chart.querySelector("canvas");
            let coloured = 0;
            if (canvas?.width) {
              const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              for (let k = 0; k < all.data.length; k += 4)
                coloured += all.data[k + 3] > 200 && Math.abs(all.data[k] - all.data[k + 1]) > 60;
            }
            if (coloured > 30) done();
            else setTimeout(look, 200);
          };
          look();
        })"""
    )


def test_small_digits_are_trained_watched_left_found_again_stopped_and_played_with(visit):
    tab = visit("train")
    expect(tab.get_by_role("img", name=re.compile("Some of the pictures"))).to_be_visible()
    expect(tab.get_by_text(re.compile("About .* on this machine"))).to_be_visible()
    tab.get_by_role(
        "radio", name=re.compile("^Best")
    ).click()  # long enough not to be over before we stop it
    expect(tab.get_by_text("22,500 steps")).to_be_visible()
    began = time.monotonic()
    train(tab)
    expect(sheet(tab)).to_be_visible(timeout=STARTS)
    inked(tab)
    assert time.monotonic() - began < FIRST

    # the run is on disk, not in the tab
    address = tab.url
    tab.reload()
    settled(tab)
    assert tab.url == address
    expect(sheet(tab)).to_be_visible()
    expect(tab.get_by_text("Small digits,")).to_be_visible()
    inked(tab)

    # a public run is there for somebody else, too
    other = visit("runs")
    expect(other.get_by_text("Small digits,").first).to_be_visible()
    other.context.close()

    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Go on")).to_be_visible(timeout=STARTS)
    expect(tab.get_by_text(re.compile(r"stopped at \d+%"))).to_be_visible()  # in the list

    tab.get_by_role("button", name="Open in Play").click()
    tab.wait_for_url(re.compile(r"/(\?|$)"))
    settled(tab)
    expect(tab.get_by_role("combobox", name="Model")).to_have_value("Small digits (yours)")
    canvas = stage(tab)
    before = looks(canvas)
    drag(tab, canvas, 150, -90)
    looks_new(canvas, before)

    tab.goto(address)
    settled(tab)
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("button", name="Delete it").click()
    expect(tab.get_by_text("Small digits,")).to_have_count(0)


def test_a_run_is_paused_resumed_forked_and_compared(visit):
    tab = visit("train")
    tab.get_by_role("radio", name=re.compile("^Best")).click()
    expect(tab.get_by_text("22,500 steps")).to_be_visible()
    train(tab)
    expect(sheet(tab)).to_be_visible(timeout=STARTS)
    tab.get_by_role("button", name="Pause").click()
    expect(tab.get_by_text(re.compile(r"paused at \d+%"))).to_be_visible(timeout=STARTS)
    tab.get_by_role("button", name="Go on").click()
    expect(tab.get_by_role("button", name="Pause")).to_be_visible(timeout=STARTS)
    expect(tab.get_by_text(re.compile("pictures a second"))).to_be_visible(timeout=STARTS)

    # a fork waits for its turn, and is trained once its parent is asked to stop
    first = tab.url
    tab.get_by_role("button", name="Fork").click()
    tab.get_by_role("spinbutton", name="beta").fill("4")
    tab.get_by_role("spinbutton", name="beta").press("Enter")
    tab.get_by_role("button", name="Fork it").click()
    expect(tab.get_by_text("Waits for Small digits to end")).to_be_visible(timeout=STARTS)
    fork = tab.url
    assert fork != first
    tab.goto(first)
    settled(tab)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_text(re.compile(r"stopped at \d+%"))).to_be_visible(timeout=STARTS)
    tab.goto(fork)
    settled(tab)
    expect(tab.get_by_text(re.compile("pictures a second"))).to_be_visible(timeout=STARTS)
    # what was changed stands under the curve that it marks
    expect(tab.get_by_text(re.compile("from step .*: beta 1 → 4"))).to_be_visible()
    inked(tab)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Go on")).to_be_visible(timeout=STARTS)

    tab.get_by_role("button", name="Compare").click()
    tab.wait_for_url(re.compile("/compare"))
    settled(tab)
    inked(tab)
    expect(tab.get_by_text("beside the first: beta 1 → 4")).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile("^Small digits"))).to_have_count(4)
    tab.get_by_role("button", name="Measure the difference").click()
    expect(tab.get_by_text("More than the first")).to_be_visible(timeout=STARTS)
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.wait_for_function("document.querySelector('[data-testid=stMain]').scrollWidth <= 390")


def test_a_collapsed_run_is_told_and_mended_by_one_click(visit):
    tab = visit("train")
    tab.get_by_text("All settings").click()
    tab.get_by_role("spinbutton", name="beta").fill("30")
    tab.get_by_role("spinbutton", name="beta").press("Enter")
    settled(tab)
    train(tab)
    expect(tab.get_by_text("Posterior collapse")).to_be_visible(timeout=STARTS)
    expect(tab.get_by_text(re.compile("carry 0.0. nats per held-out picture"))).to_be_visible()
    before = tab.url
    tab.get_by_role("button", name="Begin anew with a warm-up and free bits").click()
    expect(tab.get_by_text(re.compile("beta 30 → 1")).first).to_be_visible(timeout=STARTS)
    assert tab.url != before
    expect(tab.get_by_text(re.compile("pictures a second"))).to_be_visible(timeout=STARTS)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Go on")).to_be_visible(timeout=STARTS)


def test_a_hundred_thousand_records_are_drawn_at_once(visit, home):
    folder = home / "runs" / "20260101-000000-long"
    run = Run.prepare(folder, recipe("tiny").as_dict())
    with open(run.folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        for step in range(1, MANY + 1):
            elbo = 10 * math.sin(step) - 3e4 / (step + 99)
            file.write(
                f'{{"step": {step}, "elbo": {elbo}, "distortion": {5 - elbo}, "rate": 5}}\n'
            )
    run.report("done", MANY, of=MANY)
    tab = visit("runs", run=run.name)
    inked(tab)
    assert float(tab.get_by_test_id("curve").get_attribute("data-drawn")) < 100  # ms
    run.delete()


@pytest.fixture
def pictures(tmp_path):
    """Files of a red or blue patch each."""
    for k in range(12):
        shade = (200, 30, 10 * k) if k % 2 else (10 * k, 30, 200)
        Image.new("RGB", (48, 64), shade).save(tmp_path / f"{k}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    return sorted(tmp_path.iterdir())


def test_a_run_on_ones_own_pictures_is_seen_by_its_link_alone(visit, pictures):
    tab = visit("train")
    tab.get_by_text("My own").click()
    tab.locator("input[type=file]").set_input_files(pictures)
    preview = tab.get_by_role("img", name="Your pictures as the model will see them")
    expect(preview).to_be_visible()
    expect(tab.get_by_text("12 pictures, as the model will see them.")).to_be_visible()
    expect(tab.get_by_text("1 file is left out")).to_be_visible()
    train(tab)
    expect(tab.get_by_text("who has this page's address")).to_be_visible()

    stranger = visit("runs")
    expect(stranger.get_by_text("My pictures,")).to_have_count(0)
    stranger.goto(tab.url)
    settled(stranger)
    expect(stranger.get_by_text("My pictures,")).to_be_visible()
    stranger.get_by_role("button", name="Delete").click()
    stranger.get_by_role("button", name="Delete it").click()
    expect(stranger.get_by_text("My pictures,")).to_have_count(0, timeout=STARTS)

    # whoever watches is told, and nothing is left behind
    expect(tab.get_by_text("My pictures,")).to_have_count(0, timeout=STARTS)


def test_the_pages_fit_a_phone(visit):
    for name in ("train", "runs"):
        tab = visit(name, options={"viewport": {"width": 390, "height": 844}})
        wide = "document.querySelector('[data-testid=stMain]').scrollWidth"
        assert tab.evaluate(wide) <= 390
