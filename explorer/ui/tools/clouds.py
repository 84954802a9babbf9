"""D1, B10: what the KL term is for: where three models of one architecture put digits."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from explorer.cards import Card
from explorer.ops import Array
from explorer.shelf import PRETRAINED, SHELF, Opened
from explorer.ui import cache, show
from explorer.ui.state import remembered

CLOUDS = {
    "cloud-ae": (
        "Only redrawing counts",
        "An autoencoder: codes are points, and the prior meets only the crowd in the middle.",
    ),
    "cloud-kl": (
        "Only the KL counts",
        "Every digit lies at the origin, as wide as the prior: wherever one is, one mean picture.",
    ),
    "cloud-vae": ("Both count", "A VAE: the plane is filled as the prior fills it."),
}
POINTS, DRAWS = 2000, 8
NEAR = 3.5  # of the origin: as far as the prior reaches is always in view


def show_page() -> None:
    missing = [name for name in CLOUDS if not isinstance(cache.catalogue().get(name), Card)]
    if missing:
        st.info(f"This page compares three shipped models, and {missing[0]} is not there.")
        return
    opened = {name: SHELF.open(PRETRAINED / name) for name in CLOUDS}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        k = st.number_input(
            "Digit", 0, POINTS - 1, key="clouds/digit", width=150,
            help="One of the held-out digits: the ring shows where each model puts it.",
            **remembered(),
        )  # fmt: skip
        seed = st.number_input(
            "Draw", 0, 999, key="clouds/seed", width=150,
            help="The same places, drawn from the prior N(0, I), are decoded by each.",
            **remembered(),
        )  # fmt: skip
    places = np.random.default_rng(seed).standard_normal((DRAWS, 2), np.float32)
    for column, (name, (title, meaning)) in zip(
        st.columns(3, gap="medium"), CLOUDS.items(), strict=True
    ):
        with column:
            st.markdown(f"#### {title}")
            cloud(opened[name], int(k), places, name)
            show.mosaic(cache.pixels(opened[name], places), f"Eight places, {title}", 4)
            st.caption(f"{meaning} {holes(opened[name].card)}")
    st.caption(
        "Points are held-out digits, coloured by what they are; crosses are draws from the prior, "
        "and below each cloud is what its model draws at them. One of them in a gap of the first "
        "cloud is a hole: no digit ever taught the decoder what to draw there.",
        help="The KL keeps codes where the prior is, the redrawing keeps them apart; the ELBO is "
        "both (Kingma & Welling 2014).",
    )


def cloud(opened: Opened, k: int, places: Array, key: str) -> None:
    """Known latents in the plane, one of them ringed, and the places that are decoded."""
    assert opened.atlas is not None
    assert opened.atlas.labels is not None
    z, labels = opened.atlas.latents[:POINTS], opened.atlas.labels[:POINTS]
    dots = [
        go.Scattergl(
            x=z[labels == label, 0], y=z[labels == label, 1], mode="markers", name=name,
            hoverinfo="name", marker=dict(size=4, opacity=0.7),
        )
        for label, name in enumerate(opened.data.classes)
    ]  # fmt: skip
    ring = go.Scattergl(
        x=z[k : k + 1, 0], y=z[k : k + 1, 1], mode="markers", hoverinfo="skip",
        marker=dict(symbol="circle-open", size=18, line=dict(width=3), color="#f0894f"),
    )  # fmt: skip
    crosses = go.Scattergl(
        x=places[:, 0], y=places[:, 1], mode="markers", hoverinfo="skip",
        marker=dict(symbol="x", size=8, color="#888"),
    )  # fmt: skip
    figure = go.Figure([*dots, crosses, ring])
    reach = max(NEAR, 1.05 * float(np.abs(z).max()))
    figure.update_xaxes(range=[-reach, reach])
    figure.update_yaxes(range=[-reach, reach])
    figure.update_layout(height=320, margin=dict(l=0, r=0, t=8, b=24), showlegend=False)
    st.plotly_chart(figure, key=f"clouds/{key}", config={"displayModeBar": False})


def holes(card: Card) -> str:
    """The card's number of how much of the prior is a hole, in words."""
    found = next((m for m in card.metrics if m.name == "hole_share"), None)
    return (
        f"{found.value:.0%} of the prior lies where no digit's posterior reaches." if found else ""
    )


show_page()
