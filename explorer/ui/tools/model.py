"""M1, M2: what the open model is, how good it is and how that was measured; open another."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from explorer import diagnostics
from explorer.cards import Metric
from explorer.device import available
from explorer.shelf import SHELF, Opened
from explorer.ui import cache, opening, redraw, show, wander
from explorer.ui.state import Workbench, remembered, workbench

SAMPLES = 16
WORDS = {"shows": "What it shows", "bias": "What it is biased about", "data": "Its pictures"}
FACTS = {"data": "Data", "licence": "Licence of the data", "credit": "Credit"}
DEVICES = {"cpu": "Processor (CPU)", "cuda": "Graphics card (CUDA)", "mps": "Apple GPU (MPS)"}
COLLAPSED = 0.5  # nats in all coordinates together
READ = "read: "  # begins the notes of a checkpoint that was read
UNTRAINED = (
    "not from here: its layers are those of another program and its file does not say how pixels "
    "scatter, so there is no bound to raise. A model like it can be trained on the Train page."
)
LOOKS = ("Information", "Spread", "Spectrum")


def show_page() -> None:
    bench = workbench()
    if bench.key is not None:
        card(bench, bench.opened)
    else:
        st.markdown("### Open another model")
    opening.another()


def card(bench: Workbench, opened: Opened) -> None:
    """All that the model says of itself, and what can be seen of it."""
    said = opened.card
    st.markdown(f"### {show.plain(said.title or said.name)}")
    st.caption(show.plain(said.notes.get("shows", "A model that draws pictures.")))
    left, right = st.columns([3, 2], gap="large")
    with left:
        if "vector" in said.lacks:
            redraw.section(opened)
        else:
            drawn = cache.pixels(opened, wander.world(opened, 1, SAMPLES))
            show.contact(drawn, f"{SAMPLES} pictures that the model made up", 480)
            st.caption(
                f"{SAMPLES} pictures that it made up: the first that chance gave, none chosen."
            )
    with right:
        weights = sum(p.numel() for p in opened.model.parameters())
        size = opened.latent_size
        show.fact("Model", f"{said.family.upper()}, {size} coordinates, {weights:,} weights")
        for key, title in FACTS.items():
            if key in said.provenance:
                show.fact(title, said.provenance[key])
        for key, title in WORDS.items():
            if key in said.notes and key != "shows":
                show.fact(title, said.notes[key])
        where(bench, opened)
    trust(opened)
    st.markdown("### How good it is")
    if said.metrics:
        numbers(said.metrics)
    elif said.family == "foreign":
        st.caption(
            "Its file tells no numbers, and how its pixels scatter is not among its weights: nats "
            "would not compare with those of other models."
        )
    else:
        st.caption(
            "Not measured yet. `python -m train evaluate FOLDER` measures it on pictures that it "
            "never saw and writes the numbers here."
        )
    if "vector" not in said.lacks:
        coordinates(opened)
    origin(opened)


def numbers(metrics: Sequence[Metric]) -> None:
    """What was measured of the whole, and of each dial."""
    of_dials = [m for m in metrics if m.name.startswith(show.OF_DIALS)]
    show.numbers([m for m in metrics if m not in of_dials])
    if of_dials:
        with st.expander("What its attribute dials do, on pictures that it never saw"):
            show.dials(of_dials)
            st.caption(FLIPS)


FLIPS = (
    "AUC: how well a straight line through the latent space tells with from without; 1 is always, "
    "0.5 is chance. Flips: the share of faces without it that a classifier of another making "
    "finds to have it when the dial stands there; by chance: the same for a random direction. "
    "Likeness: how like the photograph the changed face is, relative to the unchanged one, to a "
    "network that was told no attribute. Witness right: how often the classifier itself is."
)


def trust(opened: Opened) -> None:
    """How a checkpoint of somebody else's was read, and how sure that is."""
    read = {k: v for k, v in opened.card.notes.items() if k.startswith(READ)}
    if read:
        st.markdown("### How it was read")
    for title, text in read.items():
        show.fact(title.removeprefix(READ), text)
    if read:
        show.fact("Training on", UNTRAINED)


def where(bench: Workbench, opened: Opened) -> None:
    """Where it runs, with a choice where there is one."""
    there = available()
    if len(there) == 1:
        show.fact("Runs on", f"{DEVICES[opened.device]}, the only device that torch finds here")
        return
    wanted = st.segmented_control(
        "Runs on", there, default=opened.device, required=True, format_func=DEVICES.__getitem__,
        key=f"model/device/{opened.key}",
    )  # fmt: skip
    if wanted != opened.device:
        bench.adopt(SHELF.open(opened.folder, wanted))
        st.rerun()


def coordinates(opened: Opened) -> None:
    """How much of the latent space is used."""
    st.markdown("### How it uses its coordinates")
    if "encoder" in opened.card.lacks:
        st.caption(opened.card.lacks["encoder"])
        return
    size = opened.latent_size
    look = st.segmented_control(
        "Look at", LOOKS, default=LOOKS[0], required=True, key="model/look",
        label_visibility="collapsed", **remembered(),
    )  # fmt: skip
    if look == "Information":
        try:
            rates = cache.rates(opened)
        except NotImplementedError:
            st.caption(
                "In this model information belongs to no coordinate alone: its posterior is bent, "
                "or its prior a mixture. How much it is in all stands above."
            )
            return
        show.profile(rates, "KL, nats", "coordinates, from the most to the least used")
        st.caption(
            f"{rates.sum():.1f} nats in all {size} coordinates, over {cache.OWN} pictures that "
            "the model drew itself. A coordinate that tells nothing has collapsed onto the prior.",
            help="KL(q(z|x) ‖ p(z)) of each coordinate: what the encoder tells about a picture.",
        )
        if rates.sum() < COLLAPSED:
            st.warning(
                "The posterior has collapsed: the encoder tells nothing, so the decoder draws one "
                "and the same mean picture wherever you go. A KL that rises slowly (warmup) or "
                "some free bits keep it awake: both are on the Train page.",
                icon=":material/hotel:",
            )
    elif opened.atlas is None:
        st.caption("This needs an atlas, and the model came without one.")
    elif look == "Spread":
        known = opened.atlas.latents
        show.profile(known.var(0), "variance", "coordinates, from the most to the least used")
        st.caption(
            f"{diagnostics.used(known)} of {size} coordinates are in use: their posterior mean "
            f"varies by more than {diagnostics.ACTIVE} over {len(known):,} held-out pictures "
            "(Burda et al. 2016)."
        )
    else:
        share = diagnostics.spectrum(opened.atlas.latents)
        show.profile(100 * share, "% of variance", "principal axes of the held-out latents")
        half = int((share.cumsum() < 0.5).sum()) + 1
        st.caption(f"The {half} largest of {size} principal axes hold half of the variance.")


def origin(opened: Opened) -> None:
    """Where it comes from, to make it again."""
    with st.expander("Where it comes from"):
        rest = {k: v for k, v in opened.card.provenance.items() if k not in FACTS}
        facts = {"Family": opened.card.family, **rest}
        for name, digest in opened.card.files.items():
            facts[f"SHA-256 of {name}"] = f"`{digest}`"
        for title, text in facts.items():
            show.fact(title.capitalize() if title.islower() else title, text)
        if opened.card.training:
            st.caption("The settings that trained it")
            st.json(opened.card.training, expanded=False)


show_page()
