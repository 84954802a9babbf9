"""Attributes (F1, F3): a picture made to smile, turn, age; and what else that changes in it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import images, ops
from explorer.atlas import Atlas
from explorer.errors import ExplorerError, ImageError
from explorer.ops import Array
from explorer.shelf import Opened
from explorer.ui import bring, cache, components, framing, moves, photo, show
from explorer.ui.moves import Move
from explorer.ui.state import Workbench, remembered, workbench

FIRST = 6  # dials at first
CELLS = 7  # pictures on a side of the grid
KNOWN, CLASSES, GROUPS, EXAMPLES = "Learned", "Kinds", "My groups", "My examples"
NOTHING = {
    GROUPS: "Draw a lasso around some pictures on the Map and name the group: it becomes a dial.",
    EXAMPLES: "Bring pictures with something and pictures without it: that becomes a dial.",
}
UNITS = (
    "1 changes it for half of the pictures that were without it. It is measured with a linear "
    "reading of the latent, the numbers from which the model draws."
)
MEANS = "1 leads from the average of the one kind to the average of the other."


def sources(opened: Opened) -> list[str]:
    """Where directions can come from."""
    learned = [KNOWN] if opened.atlas and opened.atlas.directions else []
    labelled = opened.atlas is not None and opened.atlas.labels is not None
    kinds = [CLASSES] if labelled and opened.data.classes else []
    return [*learned, *kinds, GROUPS, EXAMPLES]


def find(source: str, opened: Opened, known: Atlas, z: NDArray[np.float32]) -> list[Move]:
    """The changes that the source offers for the picture of ``z: (D,)``."""
    if source == KNOWN:
        return moves.learned(known)
    if source == CLASSES:
        return moves.between_classes(known, opened.data.classes, z)
    if source == GROUPS:
        return moves.towards_groups(known, workbench().groups)
    sides = [encoded(opened, title) for title in ("With it", "Without it")]
    return [moves.from_examples(known, *sides)] if all(len(s) for s in sides) else []


def encoded(opened: Opened, title: str) -> NDArray[np.float32]:
    """``(n, D)`` of the pictures that a visitor brings as examples."""
    files = st.file_uploader(title, accept_multiple_files=True, key=f"attributes/{title}")
    x = []
    for file in files:
        try:
            own = framing.Own(file.name, images.read(file.getvalue()))
            x.append(framing.prepared(own, opened.data))
        except ImageError as error:
            show.trouble(ImageError(f"{file.name}: {error}"))
    size = opened.latent_size
    return cache.latent(opened, np.concatenate(x)) if x else np.zeros((0, size), np.float32)


def choose(offered: list[Move], source: str) -> list[Move]:
    """The moves that get dials, without what is to stay as it is."""
    by_name = {m.label: m for m in offered}
    if len(offered) > FIRST and not st.toggle(
        f"All {len(offered)} dials", key="attributes/all", **remembered()
    ):
        by_name = dict(list(by_name.items())[:FIRST])
    fixed = st.multiselect(
        "Keep as they are", [m.label for m in offered], key=f"attributes/fixed/{source}",
        placeholder="Nothing in particular", **remembered(),
        help="Every dial loses what would change these (it is made orthogonal to their readings).",
    )  # fmt: skip
    held = [m for m in offered if m.label in fixed]
    return [moves.holding(m, held) for m in by_name.values()]


@dataclass
class Turned:
    """What has been done to one picture.

    Attributes:
        base: ``(D,)`` that the stage began with, ``rest`` what is left without its dials now:
            another one, where a step was undone.
        by: what each dial is at; ``start``, what those on the stage began with.
        ways: tells their directions from others under the same labels.
    """

    picture: int
    base: Array
    rest: Array
    by: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    ways: int = 0
    start: tuple[float, ...] = ()
    revision: int = 0


def dials(opened: Opened, z: Array, chosen: list[Move]) -> Array:
    """``(D,)``: where the picture of ``z: (D,)`` rests on the stage, a dial for each move."""
    picture = zlib.crc32(opened.key.encode() + z.tobytes())
    turned: Turned | None = st.session_state.get("attributes/turned")
    if turned is None or turned.picture != picture:
        turned = st.session_state["attributes/turned"] = Turned(picture, z, z)
    labels = tuple(m.label for m in chosen)
    directions = np.stack([m.direction for m in chosen])
    ways = zlib.crc32(directions.tobytes())
    back = "attributes/stage" not in st.session_state  # one comes from another page
    if back or (turned.labels, turned.ways) != (labels, ways):
        # where the dials begin may only change with the revision, or a hand would lose its hold
        turned.labels, turned.ways, turned.base = labels, ways, turned.rest
        turned.start = tuple(turned.by.get(label, 0.0) for label in labels)
        turned.revision = zlib.crc32("|".join(labels).encode(), picture ^ turned.revision ^ ways)
    found = components.stage(
        "attributes/stage",
        opened=opened,
        origin=turned.base,
        surface=components.Dials(
            [components.Axis(m.label, m.direction, m.low, m.high) for m in chosen],
            values=turned.start,
        ),
        revision=turned.revision,
    )
    if found.z is None:
        return ops.moved(turned.base, directions, np.array(turned.start, np.float32))
    turned.by.update(zip(labels, found.values.tolist(), strict=True))
    turned.rest = ops.moved(found.z, directions, -found.values)
    return found.z


def grid(opened: Opened, z: NDArray[np.float32], chosen: list[Move]) -> None:
    """Two changes at once on one picture, from two steps less to two steps more of each."""
    labels = [m.label for m in chosen]
    picture, axes = st.columns([3, 2], gap="large")
    with axes:
        u = st.selectbox("To the right, more", labels, 0, key="attributes/across")
        v = st.selectbox("Upwards, more", labels, 1, key="attributes/upwards")
    across, upwards = (next(m.direction for m in chosen if m.label == name) for name in (u, v))
    plane = ops.plane(z, across, upwards, np.linspace(-2, 2, CELLS))
    drawn = cache.drawn(opened, plane.reshape(CELLS * CELLS, -1))
    sheet = images.sheet(images.enlarge(drawn, 112, opened.data.pixelated), CELLS)
    with picture:
        alt = f"{CELLS} by {CELLS} pictures: {u} grows to the right, {v} upwards"
        st.image(sheet.squeeze(), width="stretch", alt=alt)
    with axes:
        st.caption("The picture itself is in the middle; the edges are two steps away from it.")
        st.download_button(
            "Save the grid", lambda: images.png(sheet), "grid.png", "image/png",
            key="attributes/save", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def keep(bench: Workbench, z: NDArray[np.float32]) -> None:
    bench.move(z)
    st.session_state["attributes/which"] = bring.CURRENT


def show_page() -> None:
    bench = workbench()
    opened = bench.opened
    known = opened.atlas
    if known is None:
        raise ExplorerError(
            "This model has no atlas, so nothing is known of what its pictures have in common. "
            "Make one with: python -m train atlas, or choose another model at the top."
        )
    stage = st.container()
    material, settings = st.columns(2, gap="large")
    with material:
        brought = bring.one("attributes", opened)
        z = brought.z[0]
    with settings:
        offers = sources(opened)
        source = st.segmented_control(
            "Changes", offers, default=offers[0], required=True,
            key=f"attributes/source/{opened.key}", **remembered(),
        )  # fmt: skip
        offered = find(source, opened, known, z)
        if not offered:
            st.info(NOTHING[source])
        chosen = choose(offered, source) if offered else []
    if not offered:
        with stage.container(width=photo.LARGE):
            pixels = images.enlarge(
                cache.drawn(opened, z[None])[0], photo.LARGE, opened.data.pixelated
            )
            st.image(pixels.squeeze(), brought.titles[0], width="stretch")
        return
    with stage:
        views = ("Dials", "Grid of two") if len(chosen) > 1 else ("Dials",)
        view = st.segmented_control(
            "View", views, default="Dials", required=True, key="attributes/view",
            label_visibility="collapsed", **remembered(),
        )  # fmt: skip
        if view != "Dials":
            grid(opened, z, chosen)
            return
        edited = dials(opened, z, chosen)
        st.button(
            "Keep this picture", key="attributes/keep", on_click=keep, args=(bench, edited),
            help="It becomes the current picture, on this page and all others.",
        )  # fmt: skip
    if brought.own[0] and not opened.data.pixelated:
        photo.kept_sharp(bring.owned_as(brought.titles[0]), opened, z, edited)
    side_effects(offered, edited - z, UNITS if source == KNOWN else MEANS)


def side_effects(offered: list[Move], step: NDArray[np.float32], unit: str) -> None:
    """What the dials have changed, asked for or not, and how well that is known."""
    st.markdown("#### What has changed", help=unit)
    if step.any():
        show.bars(moves.effects(offered, step), [m.label for m in offered], "how far")
    else:
        st.caption("Nothing yet: turn a dial. What comes along unasked shows here, too.")
    with st.expander("How well is this known?"):
        rows = [{"change": m.label, "known from": m.source} for m in offered]
        st.dataframe(rows, hide_index=True, width="stretch")
        if unit == UNITS:
            st.caption(QUALITY)


QUALITY = (
    "AUC, the area under the curve, is how often a picture with it reads higher than one without: "
    "1 is always, 0.5 is chance."
)


show_page()
