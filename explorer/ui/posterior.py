"""C16, D7: one picture's posterior in a plane, the true one beside the encoder's."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st
from torch import Tensor

from explorer.posterior import Cut, Density, cut
from explorer.shelf import Opened

ORANGE = "#f0894f"  # the theme's, seen on dark and light
NAMES = {"truth": "What is true", "guess": "What the encoder says"}
LITTLE = 0.05  # nats of bend that nobody sees
TERMS = (
    "p(z|x) and q(z|x) cut through where q is centred, all other coordinates held there, in the "
    "two coordinates that the true posterior couples most. The dashed line is two standard "
    "deviations of the Gaussian with the same mean and covariance. No diagonal Gaussian can lean; "
    "a flow gives q the means to lean and to bend (Rezende & Mohamed 2015)."
)


def plane(opened: Opened, x: Tensor, y: Tensor | None) -> None:
    """Both densities of ``x: (1, C, H, W)``, and in words how they differ."""
    if len(opened.model.blocks) > 1:
        return  # a level's posterior depends on the one above, and a plane through both is empty
    st.markdown("#### Its posterior in a plane")
    found = cut(opened.model, x, y)
    for column, name in zip(st.columns(2, gap="large"), NAMES, strict=True):
        with column:
            st.markdown(f"**{NAMES[name]}**")
            heat(getattr(found, name), found.pair, name)
    st.caption(f"{words(found)}", help=TERMS)


def heat(density: Density, pair: tuple[int, int], key: str) -> None:
    """One density, and the ellipse that it would be."""
    cells = go.Heatmap(
        x=density.across, y=density.up, z=density.shares, showscale=False, hoverinfo="skip",
        colorscale=[[0, "rgba(240, 137, 79, 0)"], [1, ORANGE]], zsmooth="best",
    )  # fmt: skip
    ellipse = density.ellipse()
    outline = go.Scatter(
        x=ellipse[:, 0], y=ellipse[:, 1], mode="lines", hoverinfo="skip",
        line=dict(dash="dash", width=1.5, color="#888"),
    )  # fmt: skip
    figure = go.Figure([cells, outline])
    figure.update_layout(
        height=300, margin=dict(l=0, r=0, t=8, b=32), showlegend=False,
        xaxis_title=f"coordinate {pair[0] + 1}", yaxis_title=f"coordinate {pair[1] + 1}",
    )  # fmt: skip
    st.plotly_chart(figure, key=f"posterior/{key}", config={"displayModeBar": False})


def words(found: Cut) -> str:
    """How far they lean, whether they bend, and what that costs."""
    leans = [f"{density.lean:.2f}".replace("-", "−") for density in (found.truth, found.guess)]
    bends = [
        f"bends away from its ellipse by {density.bend:.2f} nats"
        if density.bend > LITTLE
        else "hardly bends"
        for density in (found.truth, found.guess)
    ]
    return (
        f"The true one leans (correlation {leans[0]}) and {bends[0]}; the encoder's leans by "
        f"{leans[1]} and {bends[1]}. In this plane they are {found.divergence:.2f} nats apart."
    )
