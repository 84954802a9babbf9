"""F5: one's own photograph: a closer likeness looked for, and an edit that keeps its pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from explorer import images, sharp
from explorer.distributions import centre
from explorer.ensemble import ensemble
from explorer.inference import refinements
from explorer.inpainting import in_stretches
from explorer.ops import Array
from explorer.shelf import Opened
from explorer.ui import cache
from explorer.ui.framing import Own, prepared
from explorer.ui.state import remembered

STEPS = 120  # of refinement, at most
SHOWN = 10  # steps from one look at it to the next
LARGE = 384  # pixels on a side of a photograph that is kept sharp
PHOTO, MODEL = "My photo, changed", "What the model draws"
ABOUT = (
    "The photo's own pixels are kept: what the model draws with the change, less what it draws "
    "without, is added to them. So it looks sharper and more alike than the model is; *What the "
    "model draws* shows what it does by itself."
)


def likeness(key: str, own: Own, opened: Opened) -> None:
    """A button that looks for a latent whose picture is closer to the photograph, and Stop."""
    name, working = cache.told(opened), f"{key}/refining"
    if not st.session_state.get(working):
        closer = own.latent(opened) is not None
        st.button(
            "Look closer again" if closer else "Look closer", key=f"{key}/refine",
            on_click=_set, args=(working, True),
            help="Looks for a place in the model's space whose picture is more like yours, step "
            "by step, from the one it saw at first glance.",
        )  # fmt: skip
        return
    st.button(
        "Stop", key=f"{key}/stop", on_click=st.session_state.pop, args=(working,), type="primary"
    )
    place, bar = st.empty(), st.progress(0.0, "Looking closer…")
    label = None if name is None else torch.tensor([name], device=opened.device)
    x = torch.from_numpy(prepared(own, opened.data)).to(opened.device)
    steps = refinements(
        opened.model, x, STEPS, samples=2, y=label,
        temperature=ensemble(opened.model, label).temperature,
    )  # fmt: skip
    for k, q in enumerate(in_stretches(steps, 0)):
        if k and k % SHOWN == 0:
            own.remember(opened, centre(q)[0].cpu().numpy())
            pixels = cache.drawn(opened, centre(q).cpu().numpy())
            place.image(images.enlarge(pixels[0], 96, opened.data.pixelated), width=96)
            bar.progress(k / STEPS, "Looking closer…")
    _set(working, False)
    st.rerun()


def _set(key: str, value: bool) -> None:
    st.session_state[key] = value


def kept_sharp(own: Own, opened: Opened, before: Array, after: Array) -> None:
    """The photograph with the change from ``before`` to ``after: (D,)``, or the model's own."""
    st.markdown("#### My photo, kept sharp", help=ABOUT)
    shown = st.segmented_control(
        "Shown", (PHOTO, MODEL), default=PHOTO, required=True, key="photo/shown",
        label_visibility="collapsed", **remembered(),
    )  # fmt: skip
    pixels = picture(own, opened, before, after, shown == PHOTO)
    with st.container(width=LARGE):
        st.image(pixels, width="stretch", caption=SAID[shown])
    st.download_button(
        "Save it", lambda: images.png(pixels), "changed.png", "image/png", key="photo/save",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip


SAID = {
    PHOTO: "Your photo's pixels, and the difference that the model drew",
    MODEL: "Every pixel by the model",
}


def picture(
    own: Own, opened: Opened, before: Array, after: Array, keep: bool
) -> NDArray[np.uint8]:
    """``(LARGE, LARGE', C)``: the photograph changed, or what the model draws, enlarged."""
    drawn = cache.drawn(opened, np.stack([before, after]))
    data = opened.data
    times = max(1, round(LARGE / max(data.height, data.width)))
    large = dataclasses.replace(data, height=times * data.height, width=times * data.width)
    if not keep:
        return images.enlarge(drawn[1], large.height, False)
    return sharp.changed(images.to_pixels(prepared(own, large))[0], drawn[0], drawn[1])
