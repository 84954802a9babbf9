"""C13, C14: how far a bound lies below log p(x) for one picture, and what of it is whose."""

from __future__ import annotations

from itertools import islice

import streamlit as st
import torch
from torch import Tensor

from explorer.inference import bound, log_likelihood, refinements
from explorer.likelihoods import LIKELIHOODS
from explorer.rng import seeded
from explorer.shelf import Opened
from explorer.ui import bring, cache, posterior, show
from explorer.ui.state import workbench

STRETCH = 20  # steps of refinement between two looks
# weights in log p, samples that a bound is averaged over, steps of refinement
WORK, LESS = (5000, 500, 200), (200, 50, 100)  # for a small picture and for a large one
FITTING = "Fitting a Gaussian to this one picture…"
LABELS = ("The encoder's bound", "The best Gaussian's", "log p(x), nats")
GAPS = ("Amortisation gap", "Approximation gap")
MANY = {
    "few/encoder": LABELS[0],
    "few/refined": LABELS[1],
    "few/log_p": "log p(x)",
    "gap/amortisation": GAPS[0],
    "gap/approximation": GAPS[1],
}
LITTLE = 0.02  # nats
HOW = (
    "Bounds are means over {} samples, log p is the importance-weighted bound with K = {}, drawn "
    "from the encoder's Gaussian or the fitted one, whichever says more; the last digit is chance."
)
TERMS = (
    "log p(x) less the encoder's ELBO is KL(q‖p(z|x)). The amortisation gap is what a Gaussian "
    "fitted to this very picture wins back; the approximation gap is what no diagonal Gaussian "
    "can (Cremer, Li & Duvenaud 2018, arXiv:1801.03558)."
)


def show_page() -> None:
    opened = workbench().opened
    stage, controls = st.columns([3, 2], gap="large")
    with controls:
        x = torch.from_numpy(bring.one("gaps", opened).x).to(opened.device)
    if LIKELIHOODS[opened.card.config.get("likelihood", "bernoulli")].binary:
        x = (x > 0.5).float()  # ink or none: of grey its nats would say nothing
    told = cache.told(opened)
    y = None if told is None else torch.tensor([told], device=opened.device)
    with stage:
        above = st.container()  # takes its time
        if opened.data.pixelated:
            posterior.plane(opened, x, y)
            over_many(opened)
        with above:
            measure(opened, x, y)


def measure(opened: Opened, x: Tensor, y: Tensor | None) -> None:
    """The three numbers as they come, then the two gaps to scale."""
    k, samples, steps = WORK if opened.data.pixelated else LESS
    places = [column.empty() for column in st.columns(3)]
    bar = st.progress(0.0, FITTING)

    def look(place: int, value: float) -> float:
        places[place].metric(LABELS[place], f"{value:.2f}".replace("-", "−"))
        return value

    with seeded(0):
        first = look(0, bound(opened.model, x, samples, y).item())
    with seeded(0), torch.no_grad():
        log_p = look(2, log_likelihood(opened.model, x, k, y).item())
    nearer = refinements(opened.model, x, steps, y=y)
    best, q = first, None
    for stretch in range(steps // STRETCH):
        with seeded(stretch):
            *_, q = islice(nearer, STRETCH)
            best = look(1, max(best, bound(opened.model, x, samples, y, q).item()))
        log_p = look(2, max(log_p, best))  # all of them are lower bounds
        bar.progress((stretch + 1) * STRETCH / steps, FITTING)
    with seeded(0), torch.no_grad():  # once more, weighted by the better proposal
        log_p = look(2, max(log_p, log_likelihood(opened.model, x, k, y, q).item()))
    bar.empty()
    show.bars([best - first, log_p - best], list(GAPS), "nats")
    st.caption(f"{verdict(log_p - first, best - first)} {HOW.format(samples, k)}", help=TERMS)


def over_many(opened: Opened) -> None:
    """The same over held-out pictures, as it stands on the card."""
    known = {m.name: m for m in opened.card.metrics}
    found = [(words, known[name]) for name, words in MANY.items() if name in known]
    if not found:
        return
    st.markdown(f"#### Over {found[0][1].n} pictures that it never saw")
    rows = [
        {"What": words, "Nats": f"{m.value:.2f} ± {m.error or 0:.2f}".replace("-", "−")}
        for words, m in found
    ]
    st.table(rows, border="horizontal", hide_index=True)
    st.caption(f"Means and their standard errors: {show.plain(found[0][1].protocol)}.")


def verdict(whole: float, haste: float) -> str:
    """Whose the gap is, in words."""
    if haste < LITTLE:
        return (
            f"The bound lies {whole:.2f} nats too low, and a Gaussian fitted to this very picture "
            "is no better than what the encoder said."
        )
    return (
        f"Of the {whole:.2f} nats that the encoder's bound lies too low, {haste:.2f} are its "
        "haste: one guess for all pictures."
    )


show_page()
