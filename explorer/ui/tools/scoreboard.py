"""M4: every shipped model in one honest table, made of what the cards say."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from explorer.cards import Card, Metric
from explorer.ui import cache, show

PICTURES = {
    "mnist": "Digits",
    "digits-8x8": "Small digits",
    "fashion-mnist": "Garments",
    "faces": "Faces",
    "sprites": "Sprites",
}
COLUMNS = ("elbo", "log_likelihood", "rate", "active_units", "squared_error")  # what all have
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
    st.markdown(OUTSIDE)


def rank(name: str) -> tuple[int, str]:
    """Pictures that ship first and in order, then others by name."""
    return ([*PICTURES].index(name) if name in PICTURES else len(PICTURES)), name


def board(name: str, of_it: Sequence[Card]) -> None:
    """One table, the likeliest model first."""
    st.markdown(f"### {PICTURES.get(name, show.plain(name))}")
    order = sorted(of_it, key=lambda card: -worth(card))
    st.table([row(card) for card in order], border="horizontal", hide_index=True)
    said = {m.protocol for c in order for m in c.metrics if m.name == "log_likelihood"}
    st.caption("How log p was measured: " + "; ".join(sorted(said)) + ".")


def row(card: Card) -> dict[str, str]:
    """What the table says of a model, all of it from its card."""
    others = [m for m in card.metrics if m.name not in COLUMNS and not m.name.startswith("auc/")]
    published, budget = card.notes.get("published", ""), card.notes.get("budget", "")
    objective = card.training.get("objective", "")
    return {
        "Model": f"**{show.plain(card.title or card.name)}** {card.family}, {objective}",
        "log p(x)": said(number(card, "log_likelihood")),
        "ELBO": said(number(card, "elbo")),
        "Information": said(number(card, "rate")),
        "In use": said(number(card, "active_units")),
        "Its own numbers": "; ".join(f"{show.called(m)} {said(m)}" for m in others) or "–",
        "Published": show.plain(" ".join(part for part in (published, budget) if part)) or "–",
    }


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
    error = f" ± {metric.error:.2f}" if metric.error is not None else ""
    return f"{metric.value:.2f}{error}".replace("-", "−")


show_page()
