"""The README's picture is the app as this browser sees it; LATENT_PICTURES=1 takes it anew."""

import io
import os
from pathlib import Path

import numpy as np
from browsing import looks, looks_new, stage
from PIL import Image

EMPTY = "data:,"  # no canvas looks like this: what is waited for is rest
SHOWN = Path(__file__).parent / "pictures" / "play.png"


def test_the_front_page_shows_the_app_as_it_is(visit):
    tab = visit(options={"viewport": {"width": 1280, "height": 760}})
    canvas = stage(tab)
    before = looks(canvas)
    tab.get_by_role("button", name="Surprise me").click()
    looks_new(canvas, before)
    looks_new(tab.locator(".dial canvas").last, EMPTY)
    taken = tab.screenshot()
    if os.environ.get("LATENT_PICTURES"):
        SHOWN.write_bytes(taken)

    # not to the pixel, which fonts decide: the same size, and the same page at arm's length
    now, then = (Image.open(io.BytesIO(raw)) for raw in (taken, SHOWN.read_bytes()))
    assert now.size == then.size
    far = [np.asarray(p.convert("L").resize((32, 19)), float) for p in (now, then)]
    assert np.abs(far[0] - far[1]).mean() < 30
