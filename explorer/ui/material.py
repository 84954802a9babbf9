"""What to train on: asked for on the page, and shown as the model will see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from explorer import guard
from explorer.ui import cache, collection, sources
from explorer.ui.show import mosaic
from explorer.ui.sources import Source
from explorer.ui.state import remembered
from train import data

KINDS = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "zip"]


def show(source: Source) -> None:
    """Some of the pictures, and what having them costs."""
    pixels = cache.glimpse(source)
    if pixels is None:
        st.info(
            f"{source.about}. They are downloaded once, {source.megabytes} MB, when the training "
            "starts.",
            icon=":material/download:",
        )
        return
    mosaic(pixels, alt=f"Some of the pictures: {source.about}")
    st.caption(f"{source.about}. They are on this machine.")


def own(picture: DeltaGenerator) -> tuple[list[UploadedFile], Source | None]:
    """Asks for a visitor's own pictures; the files and what to train on, None before there is."""
    files = st.file_uploader(
        "Your pictures, or one zip",
        KINDS,
        accept_multiple_files=True,
        key="train/files",
        help="At most 16 MB a file. They stay in this session until you press Train; then the run "
        "keeps them, and they go when the run is deleted. Only you, or who has its link, sees it.",
    )
    path = ""
    if guard.on_loopback() and not files:
        typed = st.text_input(
            "Or a folder or zip on this computer",
            key="train/path",
            placeholder="/home/me/pictures",
            help="Read where it is; nothing is copied but the small pictures to learn from.",
            **remembered(),
        )
        path = (typed or "").strip().strip("\"'")
    columns = st.columns(2, vertical_alignment="bottom")
    size = columns[0].segmented_control(
        "Size in pixels", (32, 64), default=32, required=True, key="train/size", **remembered()
    )
    grey = columns[1].toggle("Grey", key="train/grey", **remembered())
    with picture:
        if not files and not path:
            st.info(
                "Bring some pictures of one kind: faces, shoes, leaves. A few hundred are a good "
                "beginning, and the more alike they are framed the better. The middle square of "
                "each is used.",
                icon=":material/add_photo_alternate:",
            )
            return [], None
        told = {"path": path, "size": size, "grey": grey}
        found = _looked_at(files, told)
        mosaic(found.shown, alt="Your pictures as the model will see them")
        _show_count(found)
    return files, sources.own(found.count, told)


def _looked_at(files: Sequence[UploadedFile], told: dict[str, Any]) -> collection.Collection:
    """What was brought, read once and kept in this session alone."""
    stamp = (tuple(f.file_id for f in files), tuple(told.values()))
    before = st.session_state.get("train/found")
    if before is None or before[0] != stamp:
        with st.spinner("Looking at your pictures…"):
            archive = collection.uploaded(files) if files else collection.typed(told["path"])
            found = collection.look(archive, data.spec(sources.OWN, told))
        st.session_state["train/found"] = before = (stamp, found)
    return before[1]


def _show_count(found: collection.Collection) -> None:
    """How many there are, and which cannot be used."""
    st.caption(f"{found.count:,} pictures, as the model will see them.")
    if found.doubtful:
        st.caption(f"{found.doubtful:,} of them are looked at only when the training starts.")
    if found.skipped:
        files = "1 file is" if len(found.skipped) == 1 else f"{len(found.skipped):,} files are"
        with st.expander(f"{files} left out", icon=":material/help:"):
            st.text("\n".join(found.skipped[:100]))
