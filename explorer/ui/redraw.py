"""What a model makes of pictures, beside what another one makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

from explorer import images
from explorer.cards import Card
from explorer.shelf import SHELF, Opened
from explorer.ui import bring, cache, framing, show
from explorer.ui.framing import Own
from explorer.ui.state import remembered, workbench

SIDE = 96
SHOWN = "faces", "digits", "fashion"  # whose pictures stand there before one brings any
NOBODY = "No other model"


def section(opened: Opened) -> None:
    """Pictures, brought or of a shipped model; what this one and another one make of them."""
    st.markdown("#### What it makes of pictures")
    bring.add("redraw", opened.data, lambda title: None)
    own = bring.owned() or _borrowed(opened)
    if not own:
        return
    others = _others(opened)
    other = st.selectbox(
        "Compare with", (NOBODY, *others), format_func=lambda k: others.get(k) or k,
        key="redraw/other", width=260, **remembered(),
    )  # fmt: skip
    _row("As they came", opened, own, look=False)
    _row(opened.card.title or opened.card.name, opened, own)
    if other != NOBODY:
        _row(others[other], SHELF[other], own)


def _row(title: str, opened: Opened, own: Sequence[Own], look: bool = True) -> None:
    """Pictures as a model wants them or, if it is to ``look``, as it redraws them."""
    x = np.concatenate([framing.prepared(o, opened.data) for o in own])
    pixels = cache.drawn(opened, cache.latent(opened, x)) if look else images.to_pixels(x)
    show.strip(pixels, side=SIDE)
    error = x - np.moveaxis(pixels, -1, 1) / np.float32(255)
    missed = f": misses a pixel by {np.sqrt(np.square(error).mean()):.3f} of white" if look else ""
    st.caption(
        f"{show.plain(title)}{missed}",
        help="The root mean square over these pictures at the model's own size." if look else None,
    )


def _borrowed(opened: Opened) -> list[Own]:
    """Pictures that the first shipped model of the same colours draws."""
    known = _others(opened)
    names = sorted(known, key=lambda name: (name not in SHOWN, name))
    like = [name for name in names if SHELF[name].data.channels == opened.data.channels]
    if not names:
        return []
    other = SHELF[(like or names)[0]]
    z = np.stack([cache.sample(other, seed) for seed in range(4)])
    pixels = cache.pixels(other, z)
    return [Own(f"Drawn {k + 1}", Image.fromarray(p.squeeze())) for k, p in enumerate(pixels)]


def _others(opened: Opened) -> dict[str, str]:
    """Models that can look at a picture and draw at once, by key, with their titles."""
    bench = workbench()
    found = {k: c for k, c in cache.catalogue().items() if isinstance(c, Card)}
    found |= {key: SHELF[key].card for key in bench.own}
    return {
        key: bench.own.get(key) or card.title or card.name
        for key, card in found.items()
        if key != opened.key and card.family != "pixel" and "encoder" not in card.lacks
    }
