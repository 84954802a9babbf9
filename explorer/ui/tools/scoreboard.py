"""M4: every shipped model in one honest table, made of what the cards say."""

from __future__ import annotations

import re
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from explorer.cards import Card, Metric
from explorer.rates import shipped
from explorer.ui import cache, show

PICTURES = {
    "mnist": "Digits",
    "mnist-fixed": "Digits in black and white",
    "digits-8x8": "Small digits",
    "fashion-mnist": "Garments",
    "faces": "Faces",
    "sprites": "Sprites",
}
COLUMNS = ("elbo", "log_likelihood", "rate", "active_units", "squared_error")  # what all have
TABLES = {  # numbers that come in rows and columns: what they say, and the two parts of a name
    "the share that was sorted as a person would, by others": r"cluster_accuracy/(\w+)/(\w+)",
    "log p of the other quadrants, nats": r"rest/(\w+), (\d given)",
}
UNTOLD = (*show.OF_DIALS, "few/")  # begin what other pages tell
OUTSIDE = """
**What is not here, and why.** The texts behind this program name relatives of these models that no
image explorer can show. *Text* (Bowman et al. 2016) is a row of words, not a picture, though it is
where a decoder too strong for its latent was first seen; the collapsed model of small digits shows
the same with pictures. *Molecules* (Gómez-Bombarelli et al. 2018; Kusner et al. 2017) are strings
of a grammar whose worth only chemistry can judge, and *materials* (Xie et al. 2022) are crystals
whose worth only physics can. *Birds and their outlines* (CUB-200) were announced in the survey
without a result to compare with.
"""


def show_page() -> None:
    cards = [card for card in cache.catalogue().values() if isinstance(card, Card)]
    measured = [card for card in cards if number(card, "log_likelihood") is not None]
    if not measured:
        st.info("No shipped model has been measured. `python -m train evaluate FOLDER` does it.")
    st.caption(
        "Nats per picture; up is better. Numbers of one table compare, those of two never do: the "
        "pictures differ. What a paper reports is its own measurement, under its own protocol.",
        help="log p(x) is the importance-weighted bound (Burda et al. 2016), the ELBO the plain "
        "one, both on held-out pictures. ± is one standard error over pictures.",
    )
    for name in sorted({card.data.name for card in measured}, key=rank):
        board(name, [card for card in measured if card.data.name == name])
        if name == "sprites":
            prices()
    st.markdown(OUTSIDE)


def prices() -> None:
    """The rate-distortion curve that ships: one model at several prices of information."""
    protocol, points = shipped()
    line = go.Scatter(
        x=[p.rate for p in points], y=[p.distortion for p in points], mode="lines+markers+text",
        text=[f"β = {p.beta:g}" for p in points], textposition="top right", hoverinfo="skip",
    )  # fmt: skip
    figure = go.Figure(line)
    figure.update_layout(
        height=320, margin=dict(l=0, r=0, t=8, b=32),
        xaxis_title="information kept, nats", yaxis_title="redrawing error, nats",
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1.12 * max(p.rate for p in points)])
    st.markdown("#### What information costs")
    st.plotly_chart(figure, key="scoreboard/rates", config={"displayModeBar": False})
    st.caption(
        f"The dearer information is, the less a code keeps and the worse it redraws: {protocol}, "
        f"n = {points[0].n:,} (`python -m train rates`).",
        help="Rate is KL(q(z|x) ‖ p(z)), distortion -log p(x|z); their sum is least, and the ELBO "
        "highest, at beta = 1 but for chance (Higgins et al. 2017; Alemi et al. 2018).",
    )


def rank(name: str) -> tuple[int, str]:
    """Pictures that ship first and in order, then others by name."""
    return ([*PICTURES].index(name) if name in PICTURES else len(PICTURES)), name


def board(name: str, of_it: Sequence[Card]) -> None:
    """One table, the likeliest model first, and what else the cards say."""
    st.markdown(f"### {PICTURES.get(name, show.plain(name))}")
    order = sorted(of_it, key=lambda card: -worth(card))
    st.table([row(card) for card in order], border="horizontal", hide_index=True)
    told = [line(card) for card in order]
    st.markdown("\n".join(f"- {each}" for each in told if each))
    for card in order:
        for says, names in TABLES.items():
            if rows := table(card, names):
                st.caption(f"{show.plain(card.title or card.name)}: {says}")
                st.table(rows, border="horizontal", hide_index=True, width="content")


def table(card: Card, names: str) -> list[dict[str, str]]:
    """The card's numbers whose names match, by the two parts of the name."""
    rows: dict[str, dict[str, str]] = {}
    for metric in card.metrics:
        if found := re.fullmatch(names, metric.name):
            rows.setdefault(found[1], {"": found[1]})[found[2]] = said(metric)
    return list(rows.values())


def row(card: Card) -> dict[str, str]:
    """What the table says of a model, all of it from its card."""
    found = number(card, "log_likelihood")
    return {
        "Model": show.plain(card.title or card.name),
        "log p(x)": said(found),
        "ELBO": said(number(card, "elbo")),
        "Information": said(number(card, "rate")),
        "In use": said(number(card, "active_units")),
        "How": how(found),
    }


def how(metric: Metric | None) -> str:
    """The protocol of a log-likelihood in short: what is given, K, and how many pictures."""
    if metric is None:
        return "–"
    weights = re.search(r"K = (\d+)", metric.protocol)
    parts = [
        "given the class" if "given the class" in metric.protocol else "",
        f"K = {int(weights[1]):,}" if weights else "",
        f"n = {metric.n:,}",
        "binarised" if "binarised" in metric.protocol else "",
    ]
    return ", ".join(part for part in parts if part)


def line(card: Card) -> str:
    """What it has beside the table's columns: its own numbers, and the published one."""
    told = {*COLUMNS, *(m.name for m in card.metrics if m.name.startswith(UNTOLD))}
    told |= {m.name for m in card.metrics for names in TABLES.values() if re.match(names, m.name)}
    others = [m for m in card.metrics if m.name not in told]
    own = ", ".join(f"{show.called(m)} {said(m)}" for m in others)
    facts = [f"{own[0].upper()}{own[1:]}."] if own else []
    if "published" in card.notes:
        facts.append(f"Published: {show.plain(card.notes['published'])}")
    facts.append(show.plain(card.notes.get("budget", "")))
    text = " ".join(fact for fact in facts if fact)
    objective = card.training.get("objective", "")
    kind = show.plain(f"{card.family}, {objective}")
    return f"**{show.plain(card.title or card.name)}** ({kind}). {text}"


def number(card: Card, name: str) -> Metric | None:
    """The card's number of that name."""
    return next((m for m in card.metrics if m.name == name), None)


def worth(card: Card) -> float:
    """Its log-likelihood."""
    found = number(card, "log_likelihood")
    assert found is not None
    return found.value


def said(metric: Metric | None) -> str:
    """Value and error in few digits."""
    if metric is None:
        return "–"
    if metric.name == "active_units":
        return f"{metric.value:.0f} {metric.unit}"
    if metric.unit.startswith("of "):  # a share
        error = f" ± {100 * metric.error:.1f}" if metric.error is not None else ""
        return f"{100 * metric.value:.1f}{error} %"
    error = f" ± {metric.error:.2f}" if metric.error is not None else ""
    return f"{metric.value:.2f}{error}".replace("-", "−")


show_page()
