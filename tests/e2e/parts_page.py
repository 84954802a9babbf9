"""One part of `?part=`; what it returned and how often the page ran stand below it as JSON."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer.shelf import SHELF
from explorer.ui import components as parts

opened = SHELF.open(Path(os.environ["LATENT_PARTS"]), "cpu")
atlas = opened.atlas
D = opened.latent_size


def stage() -> object:
    plane = parts.Plane(atlas.draws(0, 256), seed=3) if "plane" in st.query_params else None
    axes = [parts.Axis("Width", np.eye(D)[0]), parts.Axis("Height", np.eye(D)[1], -2, 2)]
    return on_stage(parts.Dials(axes, plane), captions=["Drag anywhere.", "Or not."], drift=True)


def sheet() -> object:
    eye = np.eye(D)
    return on_stage(parts.Sheet(np.zeros(D), eye[0], eye[1], "Width", "Height"))


def points() -> object:
    return on_stage(parts.Map("pca", atlas.maps["pca"], np.arange(20) % 2, ["even", "odd"]))


def on_stage(surface: parts.Dials | parts.Sheet | parts.Map, **more: Any) -> object:
    return parts.stage("part", opened=opened, origin=np.zeros(D), surface=surface, **more)


def film() -> object:
    frames = np.arange(11 * 16, dtype=np.uint8).reshape(11, 4, 4, 1)
    labels = [f"frame {k}" for k in range(11)]
    return parts.film("part", frames, pixelated=True, labels=labels, gauge=np.linspace(0, 1, 11))


def brush() -> object:
    return parts.brush("part", np.zeros((8, 8, 3), np.uint8), size=(8, 8))


def curve() -> object:
    return parts.curve("part", {"a-run": "A run"}, [parts.Series("elbo", "Evidence bound")])


def plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {k: plain(v) for k, v in vars(value).items()}
    return np.asarray(value).tolist() if isinstance(value, np.ndarray) else value


found = {f.__name__: f for f in (stage, film, brush, sheet, points, curve)}
st.session_state.runs = st.session_state.get("runs", 0) + 1
value = plain(found[st.query_params["part"]]())
st.html(f"<pre id=value>{json.dumps({'runs': st.session_state.runs, 'value': value})}</pre>")
