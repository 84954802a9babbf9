"""M3: somebody else's checkpoint, dropped or named: what it is, how sure that is, opening it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import guard
from explorer.errors import ExplorerError
from explorer.ui import show

if TYPE_CHECKING:
    from explorer.formats.reading import Found

LARGEST = 400  # MB of an uploaded file
DRAWN = 6  # pictures of each reading
SIDE = 72
HELD = "model/found"  # what was read last, with the mark of the file it was read from
MAPPING = "Its dials and its map are being measured: some ten seconds."
STEPS = (
    "The file is read as numbers, its layers are put in order, and what no number tells is "
    "measured: some ten seconds."
)


def from_file(folder: Callable[[], Path]) -> Path | None:
    """A bundle of an uploaded or named checkpoint below ``folder()``; None until it is taken."""
    asked = _asked()
    if asked is None:
        st.session_state.pop(HELD, None)
        return None
    mark, source, name = asked
    likes = st.file_uploader(
        "A few pictures of its kind (optional)", key="model/likes",
        accept_multiple_files=True, max_upload_size=20,
        help="What it makes of pictures like those it was trained on settles ranges and bends "
        "that weights alone leave open. Twenty-four are enough, and the map will be of them; none "
        "is kept.",
    )  # fmt: skip
    mark = " ".join([mark, *(file.file_id for file in likes)])
    if st.session_state.get(HELD, ("",))[0] != mark:
        with st.spinner(STEPS):
            st.session_state[HELD] = (
                mark,
                *_read(source, name, [file.getvalue() for file in likes]),
            )
    _, found, refusal = st.session_state[HELD]
    if refusal is not None:
        show.trouble(refusal)
        return None
    taken = _panel(found, name)
    if taken is None:
        return None
    with st.spinner(MAPPING):
        return _adopted(taken, folder(), name, [file.getvalue() for file in likes])


def _asked() -> tuple[str, Path | bytes, str] | None:
    """A mark of the file, the file and its name; None before one is given."""
    file = st.file_uploader(
        "A checkpoint of somebody else's VAE", key="model/file", max_upload_size=LARGEST,
        help=".pt, .pth, .ckpt, .bin, .tar, .safetensors, or a zip of a model's folder. Nothing "
        "in it is executed, and nothing is kept unless you open it.",
    )  # fmt: skip
    if file is not None:
        return str(file.file_id), file.getvalue(), file.name
    if not guard.on_loopback():
        return None
    typed = st.text_input(
        "Or its path on this computer", key="model/path", placeholder="/home/me/vae.pth"
    ).strip()
    if not typed:
        return None
    path = Path(typed).expanduser()
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    return f"{typed} {stamp}", path, path.name


def _read(
    source: Path | bytes, name: str, likes: list[bytes]
) -> tuple[Found | None, ExplorerError | None]:
    """What it is, measured by the bytes of pictures of its kind, or why it cannot be read."""
    from explorer.formats import files, probes, reading

    try:
        own = probes.given(likes) if likes else None
        if isinstance(source, Path):
            return reading.inspect(source, own), None
        contents = files.read_stream(io.BytesIO(source), len(source), name)
        return reading.recognise(contents, own), None
    except ExplorerError as error:
        return None, error


def _panel(found: Found, name: str) -> Found | None:
    """The trust card and strips under two readings; the one that is taken."""
    from explorer.formats import reading, telling

    said = telling.words(found)
    st.markdown(f"#### {show.plain(name)}")
    left, right = st.columns([3, 2], gap="large")
    with right:
        for title, text in said.items():
            show.fact(title, text)
    with left:
        taken = _reading("As it was read", found, "Open it", "best", primary=True)
        if found.second is not None:
            other = reading.taking(found, found.second)
            label = "Open this reading instead"
            taken = _reading("The next best reading", other, label, "second") or taken
    return taken


def _reading(
    title: str, shown: Found, label: str, key: str, primary: bool = False
) -> Found | None:
    """Pictures under one reading and the button that takes it; the reading once pressed."""
    st.markdown(f"**{title}**")
    drawn, redrawn = _pictures(shown)
    show.strip(drawn, side=SIDE)
    if redrawn is not None:
        show.strip(redrawn, side=SIDE)
        first = "Drawn by chance" if not shown.plan.spatial else "Pictures of another model"
        st.caption(f"{first}, and below them what it makes of these.")
    kind = "primary" if primary else "secondary"
    return shown if st.button(label, key=f"model/take/{key}", type=kind) else None


def _pictures(found: Found) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """What it draws by chance, and what it makes of these when it looks at them."""
    import torch

    from explorer import images
    from explorer.formats.calibrate import fitted
    from explorer.formats.probes import shipped
    from explorer.rng import seeded

    model, classes = found.best.model(), found.plan.classes
    with torch.no_grad(), seeded(1):
        known = shipped()
        if found.plan.spatial and known:
            like = known.get(found.best.like, next(iter(known.values())))
            x = fitted(like[:DRAWN], *found.plan.shape)
            return images.to_pixels(x), images.to_pixels(model.decode(model.encode(x).mean).mean)
        z = model.prior().sample(torch.Size([DRAWN]))
        y = torch.arange(DRAWN) % classes if classes else None
        x = model.decode(z, y).mean
        if not model.encodes:
            return images.to_pixels(x), None
        return images.to_pixels(x), images.to_pixels(model.decode(model.encode(x, y).mean, y).mean)


def _adopted(found: Found, folder: Path, name: str, likes: list[bytes]) -> Path:
    from explorer.formats import adopting, probes

    stem = Path(name).stem[:30] or "model"
    place = Path(tempfile.mkdtemp(prefix="read-", dir=folder))
    own = probes.given(likes) if likes else None
    adopting.adopt(found, place, name, stem, own)
    st.session_state.pop(HELD, None)
    return place
