"""D7: a round cloud, bent step by step into four shapes that no Gaussian has."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch

from explorer.energies import ENERGIES, STEPS, Shipped, log_volume, shipped, square
from explorer.ui import components, show
from explorer.ui.cache import Pixels
from explorer.ui.state import remembered

EDGE, CELLS = 4.4, 96  # of the square that is shown
FILM = 8  # pictures of a flow on its way, and the cloud that it begins with
SMALL = 132  # pixels of a shape on the page
TERMS = (
    "A planar step z + u tanh(wᵀz + b) shifts all points along u, each as far as it lies on the "
    "one or the other side of a line, and its log-determinant says how the density changes "
    "(Rezende & Mohamed 2015, arXiv:1505.05770; the shapes are those of their figure 3, here kept "
    "in by a wall). KL(q ‖ p) is 0 where the flow has become the shape."
)


def show_page() -> None:
    found = shipped()
    left, right = st.columns([3, 2], gap="large")
    with right:
        name = st.segmented_control(
            "Shape", list(ENERGIES), format_func=str.capitalize, default="ring", required=True,
            key="flows/shape", **remembered(),
        )  # fmt: skip
        steps = st.segmented_control(
            "Steps", STEPS[1:], default=STEPS[-1], required=True, key="flows/steps",
            **remembered(),
        )  # fmt: skip
        kl, error = found.kl[name, steps]
        st.metric("From the shape, nats", f"{kl:.2f} ± {error:.2f}", help=TERMS)
        st.caption(
            f"The best diagonal Gaussian stays {found.kl[name, 0][0]:.2f} nats away: it is what a "
            "plain VAE has for the code of a picture. Every step bends it once more."
        )
    with left:
        frames, labels = bending(name, steps)
        components.film(f"flows/film/{name}/{steps}", frames, pixelated=False, labels=labels)
    st.markdown("#### All four, by what they are given")
    for each in ENERGIES:
        show.strip(densities(each), captions(found, each), SMALL)
    st.caption(
        f"Nats are KL(q ‖ p). How they were fitted and measured: {found.protocol} "
        "(`python -m train energies`).",
        help=TERMS,
    )


def captions(found: Shipped, name: str) -> list[str]:
    """What stands under the five pictures of a shape."""
    of_flows = [f"{k} steps, {found.kl[name, k][0]:.2f} nats" for k in STEPS[1:]]
    return [name.capitalize(), f"a Gaussian, {found.kl[name, 0][0]:.2f} nats", *of_flows]


@st.cache_data(max_entries=16, show_spinner=False)
def bending(name: str, steps: int) -> tuple[Pixels, list[str]]:
    """The density on its way, ``(n, H, W, C)``, and after how many steps each is."""
    fit, z = shipped().fits[name, steps], square(EDGE, CELLS)
    counts = sorted({round(k * steps / FILM) for k in range(FILM + 1)})
    each = [fit.picture(z, k) for k in counts]
    return pictures(torch.stack(each)), [f"after {k} of {steps} steps" for k in counts]


@st.cache_data(max_entries=8, show_spinner=False)
def densities(name: str) -> Pixels:
    """``(5, H, W, C)``: the shape, and what each number of steps comes to."""
    fits, z = shipped().fits, square(EDGE, CELLS)
    truth = (-ENERGIES[name](z) - log_volume(name)).exp()
    each = [fits[name, k].picture(z) for k in STEPS]
    return pictures(torch.stack([truth, *each]))


def pictures(density: torch.Tensor) -> Pixels:
    """``(n, H, W, 3)``: densities ``(n, H, W)``, the highest of each brightest."""
    return np.stack([show.heat(each / each.max()) for each in density.numpy()])


show_page()
