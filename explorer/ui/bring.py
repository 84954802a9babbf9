"""B1: pictures to work on: a visitor's own, the one in hand, or samples that the model knows.

What a visitor brings is read once and stays in the session, so that every page has it (E5: nowhere
else). It is framed anew for whatever model is in hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from explorer import images
from explorer.errors import ImageError
from explorer.ops import Array
from explorer.shelf import Opened
from explorer.spec import DataSpec
from explorer.ui import cache, components, framing, photo, show
from explorer.ui.framing import Own
from explorer.ui.state import remembered, workbench

MOST = 4  # pictures of one's own that are kept, the newest
PAD = (112, 112)  # pixels of the drawing pad
DOUBTFUL = 0.99  # redrawn worse than this share of the known pictures
SIDE = 88  # pixels of a picture in the list
CURRENT, SAMPLE, TAKEN = "Current picture", "A sample", "Inpainted"


@dataclass(frozen=True, eq=False)
class Brought:
    """Pictures, framed for the model in hand.

    Attributes:
        titles: what each is called.
        own: whether a visitor brought it; the others are what the model draws.
        x: ``(n, C, H, W)`` in [0, 1], as they were brought.
        z: ``(n, D)``, where the model sees them.
        redrawn: ``(n, H, W, C)``, what the model draws there.
        doubt: ``(n,)``, the share of known pictures that it redraws better.
    """

    titles: tuple[str, ...]
    own: tuple[bool, ...]
    x: Array
    z: Array
    redrawn: NDArray[np.uint8]
    doubt: Array


def owned() -> list[Own]:
    """This visitor's pictures, oldest first."""
    return st.session_state.setdefault("brought", [])


def owned_as(title: str) -> Own:
    """This visitor's picture of that title."""
    return next(o for o in owned() if o.title == title)


def several(key: str, opened: Opened) -> Brought:
    """Two to four pictures: the visitor's own first, then the one in hand, then samples."""
    place, count = st.container(), f"{key}/count"

    def make_room(_: str) -> None:
        st.session_state[count] = max(st.session_state[count], len(owned()))

    st.session_state.setdefault(count, 2)
    add(key, opened.data, make_room)
    with place:
        n = st.segmented_control("Pictures", (2, 3, 4), required=True, key=count, **remembered())
        own = owned()[-n:]
        free = range(len(own), n)
        found = _seen(opened, own, [_filling(key, opened, k, len(own)) for k in free])
        for k in range(n):
            _row(key, found, k, opened)
    return found


def one(key: str, opened: Opened) -> Brought:
    """One picture: that in hand, a sample, or one that the visitor brought."""
    place, which = st.container(), f"{key}/which"

    def choose(title: str) -> None:
        st.session_state[which] = title

    add(key, opened.data, choose)
    own = {o.title: o for o in owned()}
    if st.session_state.get(which) not in (CURRENT, SAMPLE, *own):
        choose(CURRENT)
    with place:
        chosen = st.segmented_control(
            "Picture", (CURRENT, SAMPLE, *own), required=True, key=which, **remembered()
        )
        given = _current(opened) if chosen == CURRENT else _sample(key, opened, 0)
        found = _seen(opened, [own[chosen]], []) if chosen in own else _seen(opened, [], [given])
        if chosen != CURRENT:
            _row(key, found, 0, opened)
    return found


# --- what is brought ------------------------------------------------------------------------

Offered = list[tuple[str, Callable[[], Image.Image]]]  # names, and how to get at the pictures


def add(key: str, data: DataSpec, landed: Callable[[str], None]) -> None:
    """Asks for pictures, by file, camera or pad; runs again with them, each title told."""
    ways = ["Upload", "Camera"] + (["Draw"] if data.pixelated and data.classes else [])
    way = st.segmented_control(
        "Bring your own", ways, default="Upload", required=True, key=f"{key}/way", **remembered()
    )
    for refused in st.session_state.pop(f"{key}/refused", ()):
        show.trouble(refused)

    asked = st.session_state.setdefault(f"{key}/asked", 0)
    offered = WAYS[way](f"{key}/{way.lower()}/{asked}")
    if not offered:
        return
    for name, read in offered[-MOST:]:
        try:
            landed(_keep(name, read()))
        except ImageError as error:
            refused = st.session_state.setdefault(f"{key}/refused", [])
            refused.append(ImageError(f"{name}: {error}"))
    st.session_state[f"{key}/asked"] = asked + 1  # a new key is an empty one
    st.rerun()


def _upload(key: str) -> Offered:
    files = st.file_uploader(
        "Pictures of your own",
        accept_multiple_files=True,
        key=key,
        label_visibility="collapsed",
        help="PNG, JPEG, WebP, GIF, BMP or TIFF. They stay in this session; nothing is kept.",
    )
    return [(file.name, partial(images.read, file.getvalue())) for file in files]


def _camera(key: str) -> Offered:
    shot = st.camera_input("Take a picture", key=key, label_visibility="collapsed")
    return [] if shot is None else [("Photo", partial(images.read, shot.getvalue()))]


def _draw(key: str) -> Offered:
    ink = components.brush(key, None, size=PAD, purpose="ink")
    pressed = st.button("Use this drawing", key=f"{key}/use", type="primary", disabled=ink is None)
    return [("Drawing", partial(images.from_ink, ink))] if pressed and ink is not None else []


WAYS: dict[str, Callable[[str], Offered]] = {"Upload": _upload, "Camera": _camera, "Draw": _draw}


def _keep(name: str, image: Image.Image) -> str:
    """The title under which this visitor's session has it from now on."""
    short = name if len(name) <= 18 else f"{name[:10]}…{name[-7:]}"
    taken = {o.title for o in owned()}
    titles = (short if k == 1 else f"{short} {k}" for k in range(1, MOST + 2))
    title = next(t for t in titles if t not in taken)
    owned().append(Own(title, image))
    del owned()[:-MOST]
    return title


def take(pixels: NDArray[np.uint8], opened: Opened, z: Array) -> str:
    """Keeps a guess ``(H, W, C)`` to the last pixel, and ``z: (D,)`` with it, in place of the one
    that was taken before; its title."""
    own = Own(TAKEN, Image.fromarray(pixels.squeeze()), framed=True)
    own.remember(opened, z)
    st.session_state["brought"] = [*(o for o in owned() if o.title != TAKEN), own][-MOST:]
    return TAKEN


# --- what is chosen -------------------------------------------------------------------------

Given = tuple[str, Array]  # a title and a latent (D,)


def _current(opened: Opened) -> Given:
    z = workbench().z
    return CURRENT, cache.at_home(opened) if z is None else z


def _sample(key: str, opened: Opened, place: int) -> Given:
    """Another one each time its button is pressed."""
    turn = st.session_state.get(f"{key}/turn/{place}", 0)
    return SAMPLE, cache.sample(opened, 1000 * workbench().seed + 10 * turn + place)


def _filling(key: str, opened: Opened, place: int, first: int) -> Given:
    """What stands in a place that the visitor's own pictures leave free, from ``first`` on."""
    untouched = st.session_state.get(f"{key}/turn/{place}", 0) == 0
    if place == first and untouched and workbench().z is not None:
        return _current(opened)
    return _sample(key, opened, place)


def _seen(opened: Opened, own: list[Own], given: list[Given]) -> Brought:
    """The visitor's pictures, framed and encoded, then those that the model draws."""
    x, z = [framing.prepared(o, opened.data) for o in own], []
    if own:
        first = cache.latent(opened, np.concatenate(x))
        closer = [o.latent(opened) for o in own]
        z.append(np.stack([a if b is None else b for a, b in zip(first, closer, strict=True)]))
    z += [latent[None] for _, latent in given]
    redrawn = cache.drawn(opened, np.concatenate(z))
    seen = np.moveaxis(redrawn[len(own) :], -1, 1) / np.float32(255)
    x = np.concatenate([*x, seen])
    return Brought(
        titles=(*(o.title for o in own), *(title for title, _ in given)),
        own=tuple(k < len(own) for k in range(len(x))),
        x=x,
        z=np.concatenate(z),
        redrawn=redrawn,
        doubt=cache.worse_than(opened, x, redrawn),
    )


def _row(key: str, found: Brought, k: int, opened: Opened) -> None:
    """One picture as it came, beside what the model makes of it, and how to be rid of it."""
    title = found.titles[k]
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.own[k]:
            show.strip(images.to_pixels(found.x[k : k + 1]), ["yours"], SIDE)
            show.strip(found.redrawn[k : k + 1], ["the model's"], SIDE)
            st.button("Remove", key=f"{key}/remove/{k}", on_click=_forget, args=(title,))
        else:
            show.strip(images.to_pixels(found.x[k : k + 1]), [title.lower()], SIDE)
            st.button("Another", key=f"{key}/another/{k}", on_click=_turn, args=(key, k))
    if found.own[k] and found.doubt[k] > DOUBTFUL:
        st.caption(
            ":material/help: This does not look like what the model knows: of 100 pictures it was "
            f"tested on, it redraws {int(100 * found.doubt[k])} better. Take the right-hand "
            "picture as its nearest guess."
        )
    if found.own[k]:
        own = owned_as(title)
        photo.likeness(f"{key}/{title}", own, opened)
        framing.row(f"{key}/{title}", own, opened.data)


def _forget(title: str) -> None:
    st.session_state["brought"] = [o for o in owned() if o.title != title]


def _turn(key: str, place: int) -> None:
    st.session_state[f"{key}/turn/{place}"] = st.session_state.get(f"{key}/turn/{place}", 0) + 1
