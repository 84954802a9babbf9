"""Inpaint (F4): brush a part away, and see in how many ways the model would fill it."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from explorer import images
from explorer.cards import QUADRANTS
from explorer.ensemble import ensemble
from explorer.hole import Completions
from explorer.inpainting import INPAINTERS, disagreement, feather, in_stretches, in_words
from explorer.shelf import Opened
from explorer.ui import bring, cache, components, kinds, show
from explorer.ui.state import remembered, workbench

GUESSES = 6
SIDE = 128  # pixels of a guess on the page
PAUSE = 0.25  # seconds between two drawings of a better answer
METHODS = {
    "langevin": ("Explore", "Wanders among all that fits what is visible: Langevin chains."),
    "optimise": ("Fit", "Looks for what fits best from several starts: variational inference."),
    "gibbs": ("Redraw", "Looks at the whole and redraws the hole, again and again: pseudo-Gibbs."),
}


@dataclass
class Work:
    """The newest answer to one question, the one on the page, its pictures ``(k, C, H, W)`` as
    they are shown, and whether it is the last one."""

    question: int
    answer: Completions | None = None
    shown: Completions | None = None
    pictures: Tensor | None = None
    done: bool = False


def ask(opened: Opened) -> tuple[str, int, bool]:
    """How to guess, from which seed, and whether to soften the seam."""
    titles = {name: METHODS.get(name, (name, ""))[0] for name in INPAINTERS}
    method = st.segmented_control(
        "How to guess", titles, format_func=titles.__getitem__, default=next(iter(titles)),
        required=True, key="inpaint/method", **remembered(),
        help="\n\n".join(f"**{title}**: {words}" for title, words in METHODS.values()),
    )  # fmt: skip
    soft = not opened.data.pixelated and st.toggle(
        "Soft seam", key="inpaint/soft", **remembered(),
        help="Light and colour of the guess are fitted to what surrounds it.",
    )  # fmt: skip
    return method, st.session_state.get("inpaint/again", 0), soft


def work_on(*parts: bytes) -> Work:
    """This visitor's work on the question that the parts make up, begun if it is a new one."""
    question = zlib.crc32(b"|".join(parts))
    work = st.session_state.get("inpaint/work")
    if work is None or work.question != question:
        work = st.session_state["inpaint/work"] = Work(question)
    return work


class Table:
    """Where the guesses are laid out; every better answer is drawn in the same places."""

    def __init__(self, x: Tensor, known: Tensor, soft: bool) -> None:
        self.x, self.known, self.soft = x, known, soft
        with st.container(horizontal=True):
            self.places = [self._place(k) for k in range(GUESSES)]
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container(width=SIDE):
                self.map = st.empty()
            with st.container(width="stretch"):
                self.words = st.empty()

    def _place(self, k: int) -> DeltaGenerator:
        with st.container(width=SIDE, gap="small"):
            place = st.empty()
            st.button(
                "Take", key=f"inpaint/take/{k}", on_click=take, args=(k,), width="stretch",
                help="Here it is kept to the pixel, and you can paint on. Other pages go on from "
                "what the model draws of it.",
            )  # fmt: skip
        return place

    def draw(self, work: Work) -> None:
        """All guesses, what they have in common in words, and where they differ."""
        answer = work.shown = work.answer
        if answer is None:
            return
        pictures = answer.pictures
        if self.soft:
            pictures = feather(self.x, answer.drawn, self.known, max(1, self.x.shape[-1] // 16))
        work.pictures = pictures
        pixels = images.enlarge(images.to_pixels(pictures), SIDE, pictures.shape[-1] <= 32)
        shares = answer.weights.tolist()
        for place, picture, share in zip(self.places, pixels, shares, strict=False):
            place.image(picture.squeeze(), f"stands for {share:.0%}", width=SIDE)
        apart = disagreement(pictures, answer.weights).numpy()
        glowing = images.enlarge(
            show.tinted(images.to_pixels(self.x)[0], apart), SIDE, pictures.shape[-1] <= 32
        )
        self.map.image(glowing, "where they differ", width=SIDE)
        self.words.markdown(in_words(answer, self.known), help=MOST.format(apart.max()))


def take(k: int) -> None:
    stop()
    work = st.session_state["inpaint/work"]  # what was to be seen as it was pressed
    if work.shown is not None and k < len(work.shown.latents):
        bench, z = workbench(), work.shown.latents[k].numpy()
        pixels = images.to_pixels(work.pictures[k : k + 1])[0]
        st.session_state["inpaint/which"] = bring.take(pixels, bench.opened, z)
        bench.move(z)
        st.toast(
            "Taken: kept here to the pixel, and what the model draws of it is the current picture "
            "on every page.", icon=":material/check:",
        )  # fmt: skip


def stop() -> None:
    st.session_state["inpaint/work"].done = True


def again() -> None:
    st.session_state["inpaint/again"] = st.session_state.get("inpaint/again", 0) + 1


def guess(
    opened: Opened, x: Tensor, painted: NDArray[np.bool_], settings: tuple[str, int, bool]
) -> None:
    """Draws guess after better guess, until it is told to stop or nothing gets better."""
    method, seed, soft = settings
    known, y = torch.from_numpy(~painted), cache.told(opened)
    said = f"{method} {seed} {y}".encode()
    work = work_on(opened.key.encode(), x.numpy().tobytes(), painted.tobytes(), said)
    head, button = st.columns([4, 1], vertical_alignment="bottom")
    head.markdown("### The model's guesses", help=ABOUT)
    control = button.empty()
    table = Table(x, known, soft)
    if not work.done:
        control.button("Stop", key="inpaint/stop", on_click=stop, type="primary", width="stretch")
        place = opened.device
        label = None if y is None else torch.tensor([y], device=place)
        answers = INPAINTERS[method](opened.model, x.to(place), known.to(place), GUESSES, label)
        drawn = 0.0
        for answer in in_stretches(answers, seed):
            work.answer = answer.cpu().placed(work.answer)
            if time.monotonic() - drawn > PAUSE:
                table.draw(work)
                drawn = time.monotonic()
        work.done = True
    table.draw(work)
    control.button("Guess again", key="inpaint/more", on_click=again, width="stretch")


def get_ready(opened: Opened) -> None:
    """Makes what the first answer needs while the visitor paints."""
    y = cache.told(opened)
    ensemble(opened.model, None if y is None else torch.tensor([y], device=opened.device))


ABOUT = (
    "Nobody knows what was there: these are draws of what the model finds likely given the rest. "
    "What is not painted over stays exactly as it was. Of all guesses made, those are shown that "
    "differ most; each stands for those like it."
)


MOST = (
    "The map glows where the guesses differ; where it is brightest, their standard deviation is "
    "{:.0%} of the range from black to white."
)


def show_page() -> None:
    opened = workbench().opened
    stage, controls = st.columns([3, 2], gap="large")
    with controls:
        x = bring.one("inpaint", opened).x
        settings = ask(opened)
    with stage:
        data = opened.data
        painted = components.brush(
            "inpaint/brush", images.to_pixels(x)[0], size=(data.height, data.width)
        )
    if painted is None:
        st.info("Paint over what you would like to see guessed: half of it, a mouth, a corner.")
        get_ready(opened)
    else:
        guess(opened, torch.from_numpy(x), painted, settings)
    if QUADRANTS in opened.card.files:
        kinds.quadrants(opened, x)


show_page()
