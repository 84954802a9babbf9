"""What only some models can be asked for: how far they have learned, a class, a cluster."""

from __future__ import annotations

import zlib

import numpy as np
import streamlit as st

from explorer import images
from explorer.atlas import Atlas
from explorer.ops import Array
from explorer.runs import STOPPABLE, Run
from explorer.shelf import Opened
from explorer.ui import bring, cache, components, progress, show, wander
from explorer.ui.state import Workbench, remembered

PAUSE = 2.0  # seconds between two looks for a newer checkpoint


def learning(opened: Opened) -> None:
    """Of a run's model: after how many steps it is seen, and the newer one once there is one."""
    if opened.folder.parent.name != "checkpoints":
        return
    run = Run(opened.folder.parents[1])
    moves = progress.status(run)["state"] in STOPPABLE
    part = st.fragment(_learned, run_every=PAUSE if moves else None)
    part(run, opened.folder.name, moves)


def _learned(run: Run, shown: str, moved: bool) -> None:
    status, newest = progress.status(run), run.checkpoint()
    moves = status["state"] in STOPPABLE
    if newest is not None and (newest.name != shown or moved != moves):
        st.rerun()
    of = f" of {status['of']:,}" if status.get("of") else ""
    still = "It is still learning, and the picture changes as it does." if moves else ""
    st.caption(f":material/model_training: As learned after {int(shown):,}{of} steps. {still}")


def classes(bench: Workbench) -> None:
    """The picture's place in every class; the one that is pressed is drawn from now on."""
    assert bench.z is not None
    assert bench.y is not None
    names = bench.opened.classes
    each = [cache.drawn(bench.opened, bench.z[None], y) for y in range(len(names))]
    pressed = show.choices("play/class", "The same hand writes them all", np.concatenate(each))
    st.caption(
        f"You see {names[bench.y]}. Press another: the place stays, and with it slant, weight "
        "and width.",
        help="A conditional model is told the class y, so its latent z is left with the rest. "
        "Here z stays and y changes (Sohn et al. 2015; Kingma et al. 2014).",
    )
    if pressed is not None:
        bench.y = pressed
        bench.move(bench.z)
        st.rerun()


def clusters(bench: Workbench, known: Atlas) -> None:
    """The middle of every cluster; of the one that is pressed a picture is drawn."""
    assert bench.z is not None
    assert known.clusters is not None
    middles = cache.pixels(bench.opened, known.clusters.loc)
    pressed = show.choices("play/cluster", "Draw from a cluster", middles)
    here = int(known.cluster_of(bench.z[None])[0])
    st.caption(
        f"Your picture lies in {wander.cluster_names(bench.opened)[here].lower()}.",
        help="The prior is a mixture of Gaussians, learned without labels; p(c | z) says which of "
        "them a picture belongs to (Jiang et al. 2017). Above is the middle of each.",
    )
    if pressed is not None:
        turn = st.session_state["play/cluster/turn"] = (
            st.session_state.get("play/cluster/turn", 0) + 1
        )
        bench.move(known.clusters.part(pressed).draws(turn, 1)[0])
        st.rerun()


def drawn_cluster(bench: Workbench, known: Atlas) -> None:
    """Which cluster a digit belongs to that a visitor draws; it can be taken onto the stage."""
    opened = bench.opened
    st.markdown("#### Which is yours?")
    pad, answer = st.columns(2, gap="large")
    with pad:
        ink = components.brush("play/ink", None, size=bring.PAD, purpose="ink")
    with answer:
        if ink is None:
            st.caption("Draw a digit, and see which cluster takes it. Nobody told it what a 7 is.")
            return
        x = images.prepare(images.from_ink(ink), opened.data)
        z = cache.latent(opened, x)
        show.strip(images.to_pixels(x), ["yours, as it sees it"], SEEN)
        show.strip(cache.drawn(opened, z), ["as it draws it"], SEEN)
        shares, names = known.cluster_shares(z)[0], wander.cluster_names(opened)
        for k in shares.argsort()[::-1][:LIKELIEST]:
            st.progress(float(shares[k]), f"{names[k]}, probability {shares[k]:.0%}")
        if st.button("Take it onto the stage", key="play/ink/take", icon=":material/input:"):
            bench.move(z[0])
            st.rerun()


SEEN, LIKELIEST = 96, 3  # pixels of a drawing on the page, and clusters that are named


def level(bench: Workbench, k: int, n: int) -> Array:
    """``(n, D)``: the current picture with level ``k`` drawn anew; the same for the same z."""
    assert bench.z is not None
    return cache.redrawn(bench.opened, bench.z, k, n, zlib.crc32(bench.z.tobytes()))


DRAWINGS = 6


def strokes(bench: Workbench) -> None:
    """Drawings of the current latent as they grow, pixel by pixel; Stop ends them."""
    assert bench.z is not None
    st.markdown("#### Drawn pixel by pixel")
    st.caption(
        "While you drag you see a guess at the mean picture. The model itself draws one pixel "
        "after the other, each given those before: one place, several drawings.",
        help="PixelVAE (Gulrajani et al. 2017): z carries the gist, the pixels their own detail. "
        f"A drawing takes {bench.opened.data.height * bench.opened.data.width} passes.",
    )
    if not st.button(f"Draw {DRAWINGS}", key="play/draw", icon=":material/draw:"):
        return
    place, bar = st.empty(), st.progress(0.0)
    st.button("Stop", key="play/stop")  # whatever is pressed ends this run of the page
    rows, turn = bench.opened.data.height, st.session_state.get("play/drawings", 0)
    st.session_state["play/drawings"] = turn + 1
    for k, pixels in enumerate(cache.film(bench.opened, bench.z, turn, DRAWINGS)):
        with place:
            show.strip(pixels)
        bar.progress((k + 1) / rows)


def painting(bench: Workbench) -> None:
    """The canvas after every step, and the window through which each stroke was put there."""
    assert bench.z is not None
    frames, windowed = cache.painted(bench.opened, bench.z)
    st.markdown("#### Painted step by step")
    st.caption(
        f"{len(frames) - 1} steps, each with a part of the latent of its own. "
        + ("The frame is where a stroke went." if windowed else "Each changes all of the canvas."),
        help="DRAW (Gregor et al. 2015): a recurrent painter adds to a canvas, at each step "
        "through a window of Gaussian filters whose place and size it chooses itself.",
    )
    labels = ["the empty canvas", *(f"step {k}" for k in range(1, len(frames)))]
    with st.container(width=PAINTING):
        components.film("play/painting", frames, pixelated=False, labels=labels)


PAINTING = 320  # pixels of it on the page


WAYS = 6  # completions of a picture from its quadrants


def quadrants(opened: Opened, x: Array) -> None:
    """``x: (1, C, H, W)`` from some of its quadrants: a plain network's guess, and draws."""
    from explorer.quadrants import GIVEN  # which needs torch, and the first page waits for none

    st.markdown("#### From some of its quadrants")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        given = st.segmented_control(
            "Given", list(GIVEN), format_func=lambda k: GIVEN[k], default=1, required=True,
            key="quadrants/given", **remembered(),
        )  # fmt: skip
        if st.button("Draw others", key="quadrants/again", icon=":material/casino:"):
            st.session_state["quadrants/turn"] = st.session_state.get("quadrants/turn", 0) + 1
    turn = st.session_state.get("quadrants/turn", 0)
    shown, drawn = cache.completed(opened, x, given, WAYS, turn)
    show.strip(shown, ["given", "one guess", "the picture"])
    show.strip(drawn, [f"way {k + 1}" for k in range(WAYS)])
    gained = next(
        (m for m in opened.card.metrics if m.name == f"rest/gained, {given} given"), None
    )
    worth = f" On held-out pictures that is worth {gained.value:.1f} nats." if gained else ""
    st.caption(
        "A plain network has one guess for every hidden pixel, so that what could go several ways "
        f"comes out blurred. A conditional VAE draws one way at a time.{worth}",
        help="Structured prediction: p(hidden | z, given), with p(z | given) as its prior (Sohn, "
        "Lee & Yan 2015). The card has both log-likelihoods.",
    )
