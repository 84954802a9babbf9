"""Models from elsewhere: a run of one's own, somebody's checkpoint, a folder here, a zip."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path

import streamlit as st

from explorer import bundle, guard
from explorer.errors import BundleError
from explorer.shelf import SHELF
from explorer.ui import foreign, progress
from explorer.ui.state import Workbench, workbench

LARGEST = 64  # MB of an uploaded zip


def another() -> None:
    """Ways to open a model that is not in the picker; what opens is chosen there."""
    bench = workbench()
    ways = {
        "From a training run": from_run,
        "Somebody's checkpoint": lambda bench: foreign.from_file(partial(own_folder, bench)),
        "From a zip": from_zip,
    }
    if guard.on_loopback():
        ways["From a folder"] = from_folder
    for tab, way in zip(st.tabs(list(ways)), ways.values(), strict=True):
        with tab:
            folder = way(bench)
        if folder is not None:
            bench.adopt(SHELF.open(folder))
            st.rerun()


def from_run(bench: Workbench) -> Path | None:
    """A run's folder, which stands for its newest checkpoint; None until a button is pressed."""
    runs = progress.visible(bench.runs)
    trained = {run.name: run for run in runs if run.checkpoint() is not None}
    if not trained:
        st.caption("No run has a checkpoint yet. Start one on the Train page.")
        return None
    name = st.selectbox("Run", list(trained), key="model/run")
    return trained[name].folder if st.button("Open its newest checkpoint") else None


def from_folder(bench: Workbench) -> Path | None:
    """A bundle's folder, or a run's, on this computer."""
    typed = st.text_input(
        "Folder on this computer", key="model/folder", placeholder="/home/me/runs/my-model"
    )
    if not st.button("Open the folder", disabled=not typed):
        return None
    folder = Path(typed.strip()).expanduser()
    if not folder.is_dir():
        raise BundleError(f"There is no folder {typed.strip()!r}. Type the whole path of one.")
    return folder


def from_zip(bench: Workbench) -> Path | None:
    """An uploaded bundle, unpacked where it lives no longer than the visit."""
    file = st.file_uploader(
        "A zip of a model's folder", type="zip", key="model/zip", max_upload_size=LARGEST,
        help="With card.json and weights.safetensors. Only these and the atlas are read; nothing "
        "in it is executed. It goes when you leave.",
    )  # fmt: skip
    if file is None or not st.button("Open the zip"):
        return None
    return bundle.unpack(file, own_folder(bench))


def own_folder(bench: Workbench) -> Path:
    """This visitor's, removed with the visit or the process."""
    if "model/unpacked" not in st.session_state:
        folder = tempfile.mkdtemp(prefix="latent-")
        weakref.finalize(bench, shutil.rmtree, folder, ignore_errors=True)
        st.session_state["model/unpacked"] = folder
    return Path(st.session_state["model/unpacked"])
