"""The only st.cache_*: pictures and latents by what determines them.

Models are held by the shelf, which the decode route shares. A model's generation changes with
its weights, so a picture of older weights is never shown for newer ones.
"""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

import train.data
import train.pace
from explorer import bundle, diagnostics, images
from explorer.bundle import Card
from explorer.distributions import centre
from explorer.errors import BundleError
from explorer.inference import picture
from explorer.protocol import DataSpec
from explorer.rng import seeded
from explorer.shelf import PRETRAINED, SHELF, Opened
from explorer.ui import sources, wander
from explorer.ui.sources import Source
from train.config import TrainConfig


def cards() -> dict[str, Card | BundleError]:
    """The shipped models by name; an unreadable one maps to the reason."""
    return bundle.catalogue(PRETRAINED)


def pixels(opened: Opened, z: NDArray[np.float32] | torch.Tensor) -> NDArray[np.uint8]:
    """``(n, H, W, C)``: the pictures of latents ``z: (n, D)``."""
    return _pixels(opened.key, opened.generation, np.asarray(z, np.float32))


@st.cache_data(max_entries=256, show_spinner=False)
def _pixels(key: str, generation: int, z: NDArray[np.float32]) -> NDArray[np.uint8]:
    return images.to_pixels(drawn(SHELF[key], z))


def latent(opened: Opened, x: torch.Tensor) -> NDArray[np.float32]:
    """``(n, D)``: the encoder's best guess for pictures ``x: (n, C, H, W)``. Not cached: E5."""
    with torch.no_grad():
        return centre(opened.model.encode(x.to(opened.device))).cpu().numpy()


def at_home(opened: Opened) -> NDArray[np.float32]:
    """``(D,)``: where a model is shown first: a known latent, typical but not the bland middle."""
    if opened.atlas is None:
        return np.zeros(opened.model.latent_size, np.float32)
    known = opened.atlas
    distance = ((known.latents - known.mean) / known.spread.clamp(min=1e-6)).norm(dim=1)
    return known.latents[distance.argsort()[len(distance) // 4]].numpy()


def drawn(opened: Opened, z: NDArray[np.float32] | torch.Tensor) -> torch.Tensor:
    """``(n, C, H, W)``: the pictures of latents ``z: (n, D)``. Not cached: they may be private."""
    with torch.no_grad(), seeded(0):
        parts = torch.as_tensor(z, dtype=torch.float32).to(opened.device).split(64)
        return torch.cat([picture(opened.model.decode(p)) for p in parts]).cpu()


def sample(opened: Opened, seed: int) -> NDArray[np.float32]:
    """``(D,)``: one of the known latents; of a model without an atlas, a draw of its prior."""
    if opened.atlas is not None:
        known = opened.atlas.latents
        return known[np.random.default_rng(seed).integers(len(known))].numpy()
    with torch.no_grad(), seeded(seed):
        return opened.model.prior().sample().cpu().numpy().reshape(-1)


def worse_than(opened: Opened, x: torch.Tensor, redrawn: torch.Tensor) -> NDArray[np.float32]:
    """``(n,)`` in [0, 1]: the share of known pictures that the model redraws better than ``x``."""
    if opened.atlas is None:
        return np.zeros(len(x), np.float32)
    error = (x - redrawn).square().flatten(1).mean(1)
    known = opened.atlas.error.sort().values
    return (torch.searchsorted(known, error) / len(known)).numpy()


OWN = 128  # pictures of a model's own that its rates are taken over


def rates(opened: Opened) -> NDArray[np.float32]:
    """``(D,)`` nats: each coordinate's mean KL over OWN pictures that the model draws."""
    return _rates(opened.key, opened.generation)


@st.cache_data(max_entries=16, show_spinner=False)
def _rates(key: str, generation: int) -> NDArray[np.float32]:
    opened = SHELF[key]
    z = torch.from_numpy(wander.world(opened, 0, OWN)).to(opened.device)
    return diagnostics.rates(opened.model, z).cpu().numpy()


def glimpse(source: Source, count: int = 48) -> NDArray[np.uint8] | None:
    """``(count, H, W, C)``: some pictures of a data set that is on this machine, else None."""
    return _glimpse(source, source.title, count) if source.at_hand else None


@st.cache_data(max_entries=16, show_spinner=False)
def _glimpse(_source: Source, title: str, count: int) -> NDArray[np.uint8] | None:
    x = sources.glimpse(_source, count)
    return None if x is None else x.permute(0, 2, 3, 1).numpy()


def pace(config: TrainConfig) -> float:
    """Steps a second that this machine would train at, timed once for each kind of step."""
    kind = (config.family, config.model, config.objective, config.terms, config.batch)
    spec = train.data.spec(config.dataset, config.data)
    return _pace(config, spec, repr((*kind, config.threads, config.device, spec)))


@st.cache_data(max_entries=256, show_spinner=False)
def _pace(_config: TrainConfig, _spec: DataSpec, kind: str) -> float:
    return train.pace.pace(_config, _spec)
