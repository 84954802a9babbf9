"""One part of `?part=`; what it returned and how often the page ran stand below it as JSON."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import streamlit as st

from explorer.shelf import SHELF
from explorer.ui import components as parts

opened = SHELF.open(Path(os.environ["LATENT_PARTS"]), "cpu")
atlas = opened.atlas
D = opened.model.latent_size


def stage() -> object:
    plane = None
    if "plane" in st.query_params:
        plane = parts.Plane(atlas.draws(0, 256).numpy(), seed=3)
    axes = [parts.Axis("Width", np.eye(D)[0]), parts.Axis("Height", np.eye(D)[1], -2, 2)]
    caption = "Drag anywhere."
    return parts.stage(
        "part", opened=opened, origin=np.zeros(D), axes=axes, plane=plane, caption=caption
    )


def film() -> object:
    frames = np.arange(11 * 16, dtype=np.uint8).reshape(11, 4, 4, 1)
    labels = [f"frame {k}" for k in range(11)]
    return parts.film("part", frames, pixelated=True, labels=labels, gauge=np.linspace(0, 1, 11))


def brush() -> object:
    return parts.brush("part", np.zeros((8, 8, 3), np.uint8), size=(8, 8))


def sheet() -> object:
    eye = np.eye(D)
    return parts.sheet(
        "part",
        opened=opened,
        origin=np.zeros(D),
        u=eye[0],
        v=eye[1],
        u_label="Width",
        v_label="Height",
    )


def points() -> object:
    return parts.points(
        "part",
        atlas.maps["pca"],
        opened=opened,
        map_name="pca",
        colour=np.arange(20) % 2,
        names=["even", "odd"],
    )


def curve() -> object:
    return parts.curve("part", "a-run", [parts.Series("elbo", "Evidence bound")])


def plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {k: plain(v) for k, v in vars(value).items()}
    return np.asarray(value).tolist() if isinstance(value, np.ndarray) else value


found = {f.__name__: f for f in (stage, film, brush, sheet, points, curve)}
st.session_state.runs = st.session_state.get("runs", 0) + 1
value = plain(found[st.query_params["part"]]())
st.html(f"<pre id=value>{json.dumps({'runs': st.session_state.runs, 'value': value})}</pre>")
