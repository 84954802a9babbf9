"""Given values, draws them. No model is asked and no latent is moved here."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from explorer import images
from explorer.attributes import ATTRIBUTES
from explorer.cards import Metric
from explorer.errors import ExplorerError
from explorer.shelf import Opened
from explorer.ui.menu import Page

CSS = """
<style>
  /* one calm column of space; nothing moves when a picture changes */
  .stMainBlockContainer { padding: 4.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 76rem; }
  .stImage img { border-radius: 0.4rem; }
  .crisp img { image-rendering: pixelated; }
  [class*="-choices"] button { padding: 0.25rem; border-radius: 0.6rem; }
  [class*="-choices"] img {
    width: min(6.5rem, 24vw); height: auto; max-height: none; margin: 0; border-radius: 0.4rem;
  }
  h1 { letter-spacing: -0.02em; }
  /* on a phone the picture comes first: title and model share a line */
  @media (max-width: 40rem) {
    .stMainBlockContainer { padding-top: 3.5rem; }
    .st-key-head { display: grid; grid: auto / 1fr 10rem; align-items: center; gap: 0.4rem; }
    .st-key-heading, :has(> .st-key-heading) { display: contents; }
    .st-key-heading > :last-child { grid-area: 2 / 1 / 2 / 3; }
    .st-key-head .stSelectbox label { display: none; }
  }
</style>
"""


def style() -> None:
    """What the theme's settings cannot say."""
    st.html(CSS)


def greyed(names: Sequence[str]) -> None:
    """Entries of the menu that the model in hand has nothing for; they still say why."""
    links = ", ".join(f'[href$="/{name}"]' for name in names)
    if links:
        entry = "[data-testid=stTopNavDropdownLink]"
        st.html(f"<style>{entry}:is({links}) {{ opacity: 0.4; }}</style>")


def trouble(error: ExplorerError) -> None:
    """A mistake or mishap, in words, where the picture would be."""
    st.error(str(error), icon=":material/error:")


def heading(page: Page) -> None:
    """A page's name and what one does there."""
    st.markdown(f"## {page.title}")
    st.caption(page.sentence)


def strip(
    pixels: NDArray[np.uint8], captions: Sequence[str] | None = None, side: int = 96
) -> None:
    """Pictures ``(n, H, W, C)`` in a row."""
    large = images.enlarge(pixels, side, pixelated=pixels.shape[1] <= 32)
    st.image(
        [picture.squeeze() for picture in large],
        caption=None if captions is None else list(captions),
        width=side,
    )


NUMBERS = {
    "elbo": "Bound (ELBO)",
    "log_likelihood": "Log-likelihood",
    "rate": "Information (KL)",
    "active_units": "Coordinates in use",
    "squared_error": "Redrawing error",
}


BEGINNINGS = {
    "auc/": "AUC of ",
    "few/": "over a hundred pictures: ",
    "gain/": "log p gained over ",
    "gap/": "gap of ",
    "grey/": "cross-entropy of the other quadrants, grey: ",
    "rate/": "information in ",
    "cluster_accuracy/": "accuracy of ",
    "label_error/": "error from 100 labels, on ",
    "rest/": "log p of the other quadrants: ",
    "seeds/": "over seeds: ",
    "frechet/": "Fréchet distance of ",
    "kernel/": "kernel distance of ",
    "precision/": "precision of ",
    "recall/": "recall of ",
    "sharpness/": "sharpness of ",
}
OF_DIALS = ("auc/", "witness", "flip", "likeness")  # begin the numbers of an attribute's dial


def called(metric: Metric) -> str:
    """What a measured number is called on a page."""
    name = metric.name
    for start, words in BEGINNINGS.items():
        if name.startswith(start):
            name = words + name.removeprefix(start).replace("/", " of ")
    return NUMBERS.get(metric.name, name.replace("_", " "))


def numbers(metrics: Sequence[Metric]) -> None:
    """A table of measured numbers, each with its protocol and error."""
    rows = [
        {
            "What": called(m),
            "Value": f"{m.value:.4g}" + (f" ± {m.error:.2g}" if m.error is not None else ""),
            "Unit": m.unit,
            "Pictures": f"{m.n:,}",
            "How it was measured": m.protocol,
        }
        for m in metrics
    ]
    # a table of the page, not of a grid: what does not fit goes on in the next line
    st.table(rows, border="horizontal", hide_index=True)


def dials(metrics: Sequence[Metric]) -> None:
    """A table of what attributes' dials do, from the numbers that begin with OF_DIALS."""
    known = {m.name: m for m in metrics}
    names = [m.name.removeprefix("auc/") for m in metrics if m.name.startswith("auc/")]
    titles = {a.name: a.title for a in ATTRIBUTES}

    def cell(name: str, form: str = "{:.0%}") -> str:
        m = known.get(name)
        if m is None:
            return ""
        return form.format(m.value) + ("" if m.error is None else f" ± {form.format(m.error)}")

    rows = []
    for name in names:
        row = {"Dial": titles.get(name, name), "AUC": cell(f"auc/{name}", "{:.2f}")}
        for strength in ("1", "2"):
            row[f"Flips at {strength}"] = cell(f"flip/{name}/{strength}")
            row[f"By chance at {strength}"] = cell(f"flip_random/{name}/{strength}")
            row[f"Likeness at {strength}"] = cell(f"likeness/{name}/{strength}", "{:.2f}")
        row["Witness right"] = cell(f"witness/{name}")
        rows.append({title: text for title, text in row.items() if text})
    st.table(rows, border="horizontal", hide_index=True)


def bars(values: Sequence[float], labels: Sequence[str], axis: str) -> None:
    """Horizontal bars with words at their feet."""
    figure = go.Figure(go.Bar(x=list(values), y=list(labels), orientation="h"))
    figure.update_layout(
        height=80 + 26 * len(labels), margin=dict(l=0, r=0, t=8, b=32), xaxis_title=axis
    )
    figure.update_yaxes(autorange="reversed")
    st.plotly_chart(figure, config={"displayModeBar": False})


def picture(pixels: NDArray[np.uint8], alt: str, side: int) -> None:
    """One picture ``(H, W, C)``, large."""
    large = images.enlarge(pixels, side, pixelated=pixels.shape[0] <= 32)
    st.image(large.squeeze(), width=side, alt=alt)


def contact(pixels: NDArray[np.uint8], alt: str, width: int) -> None:
    """Pictures ``(n, H, W, C)`` as one square sheet."""
    columns = math.isqrt(len(pixels))
    crisp = pixels.shape[1] <= 32
    large = images.enlarge(pixels, width // columns, pixelated=crisp)
    st.image(images.sheet(large, columns, gap=2).squeeze(), width=width, alt=alt)


def fact(title: str, text: str) -> None:
    """A small heading and a sentence."""
    st.caption(f"**{title}**  \n{plain(text)}")


def profile(values: ArrayLike, y: str, x: str) -> None:
    """Upright bars of ``values: (n,)``, from the highest to the lowest."""
    falling = np.sort(np.asarray(values, float))[::-1]
    figure = go.Figure(go.Bar(x=np.arange(1, len(falling) + 1), y=falling))
    figure.update_layout(
        height=260, margin=dict(l=0, r=0, t=8, b=32), xaxis_title=x, yaxis_title=y, bargap=0.15
    )
    st.plotly_chart(figure, config={"displayModeBar": False})


def plain(text: str) -> str:
    """Text that somebody typed, so that Markdown shows it as it is."""
    return re.sub(r"([^\w\s])", r"\\\1", text)


PEOPLE = ("face", "olivetti", "portrait", "people", "celeb")


def invitation(opened: Opened) -> list[str]:
    """What stands on a picture that nobody has touched yet: the first stops of the tour."""
    words = f"{opened.data.name} {opened.card.provenance.get('data', '')}".lower()
    people = any(word in words for word in PEOPLE)
    return [
        ("Nobody you see here exists. " if people else "") + "Drag anywhere.",
        "Every point is a picture: a machine with a few knobs drew them all.",
        "Your own picture has a point here, too: bring it on the Morph page.",
        "From any picture to any other there is a way: walk it on the Morph page.",
    ]


def choices(key: str, title: str, pixels: NDArray[np.uint8]) -> int | None:
    """Pictures ``(n, H, W, C)`` under a title, each a button; the one just pressed."""
    crisp = pixels.shape[1] <= 32
    taken = None
    with st.container(key=f"{key}-choices".replace("/", "-"), width="content"):
        st.markdown(f"#### {title}")
        with st.container(horizontal=True, gap="small"):
            for k, large in enumerate(images.enlarge(pixels, 112, pixelated=crisp)):
                source = base64.b64encode(images.png(large)).decode()
                label = f"![{title} {k + 1}](data:image/png;base64,{source})"
                if st.button(label, key=f"{key}/{k}"):
                    taken = k
    return taken


TINT = np.array(images.OUTLINE, np.float32)


def tinted(pixels: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``(H, W, 3)``: ``pixels: (H, W, C)`` dimmed, glowing where ``values: (H, W)`` are high."""
    grey = 0.4 * pixels.mean(-1, keepdims=True)
    glow = (values / max(float(values.max()), 1e-6))[..., None]
    return (grey + glow * (TINT - grey)).round().astype(np.uint8)


NIGHT, GLOW, PALE = (22, 24, 38), images.OUTLINE, (255, 240, 220)


def heat(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """``(H, W, 3)``: ``values: (H, W)`` in [0, 1] as light in the dark."""
    ramp = [np.interp(values, (0, 0.6, 1), ends) for ends in zip(NIGHT, GLOW, PALE, strict=True)]
    return np.stack(ramp, -1).round().astype(np.uint8)


def mosaic(pixels: NDArray[np.uint8], alt: str, columns: int = 8) -> None:
    """Pictures ``(n, H, W, C)`` as one sheet, as wide as its place."""
    large = images.enlarge(pixels, 80, pixelated=pixels.shape[1] <= 32)
    st.image(
        images.sheet(large, columns, 2).squeeze(), width="stretch", alt=alt, output_format="PNG"
    )


def waiting(sentence: str) -> None:
    """The room of a picture that is still to come."""
    with st.container(border=True, height=320, vertical_alignment="center"):
        st.caption(sentence, text_alignment="center")


def number(label: str, values: Sequence[float], better: int, note: str) -> None:
    """The last of some numbers and how it moved; ``better``: 1 is up, 0 is neither."""
    change = values[-1] - values[-2] if len(values) > 1 else 0.0
    moved = f"{change:+.2f}" if abs(change) >= 0.01 else None
    st.metric(
        f"{label}, nats",
        f"{values[-1]:.1f}".replace("-", "−") if values else "–",
        moved,
        delta_color="normal" if better else "off",
        help=note,
    )
