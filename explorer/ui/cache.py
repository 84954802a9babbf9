"""The only st.cache_*: pictures and latents by what determines them.

Models are held by the shelf, which the decode route shares. A model's generation changes with
its weights, so a picture of older weights is never shown for newer ones. What needs torch imports
it when it is called, so that the first page does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import cards, images
from explorer.cards import Card
from explorer.errors import BundleError
from explorer.ops import Array
from explorer.shelf import PRETRAINED, SHELF, Opened
from explorer.spec import DataSpec
from explorer.ui import wander
from explorer.ui.state import workbench

if TYPE_CHECKING:
    from explorer.ui.sources import Source
    from train.config import TrainConfig

Pixels = NDArray[np.uint8]


def catalogue() -> dict[str, Card | BundleError]:
    """The shipped models by name; an unreadable one maps to the reason."""
    return cards.catalogue(PRETRAINED)


def pixels(opened: Opened, z: Array) -> Pixels:
    """``(n, H, W, C)``: the pictures of latents ``z: (n, D)``, of the class that is chosen."""
    return _pixels(opened.key, opened.generation, np.asarray(z, np.float32), told(opened))


@st.cache_data(max_entries=256, show_spinner=False)
def _pixels(key: str, generation: int, z: Array, y: int | None) -> Pixels:
    return drawn(SHELF[key], z, y)


def drawn(opened: Opened, z: Array, y: int | None = None) -> Pixels:
    """``(n, H, W, C)``: the pictures of latents ``z: (n, D)``, of class ``y`` or the one that is
    chosen. Not cached: they may be private."""
    return opened.decoder(np.asarray(z, np.float32), told(opened) if y is None else y, seed=0)


def told(opened: Opened) -> int | None:
    """The class that this visitor has chosen; None where the model is not told one."""
    return workbench().y if opened.classes else None


def latent(opened: Opened, x: Array) -> Array:
    """``(n, D)``: the encoder's best guess for ``x: (n, C, H, W)``, each in its likeliest class;
    not cached, as they may be private."""
    import torch

    from explorer.distributions import centre
    from explorer.inference import likely_class

    with torch.no_grad():
        seen = torch.from_numpy(x).to(opened.device)
        y = likely_class(opened.model, seen) if opened.classes else None
        return centre(opened.model.encode(seen, y)).cpu().numpy()


def redrawn(opened: Opened, z: Array, level: int, n: int, seed: int) -> Array:
    """``(n, D)``: ``z: (D,)`` with one of its levels drawn anew."""
    from explorer.inference import redrawn

    return redrawn(opened.model, z, level, n, seed)


def film(opened: Opened, z: Array, seed: int, n: int) -> Iterator[Pixels]:
    """``(n, H, W, C)`` drawings of ``z: (D,)`` after each row, of a model that draws by pixels."""
    import torch

    from explorer.models.pixel import PixelByPixel

    p = opened.model.decode(torch.from_numpy(z).to(opened.device))
    assert isinstance(p, PixelByPixel)
    chance = torch.Generator(opened.device).manual_seed(seed)
    for x in p.film(torch.Size([n]), chance):
        yield images.to_pixels(x.cpu())


def painted(opened: Opened, z: Array, side: int = 280) -> tuple[Pixels, bool]:
    """``(T + 1, H, W, C)``, large: the canvas at first and after each step of ``z: (D,)``, of a
    model that paints in steps; and whether it does so through a window, whose frame is on them."""
    import torch

    from explorer.inference import picture
    from explorer.models.draw import DRAW

    model = opened.model
    assert isinstance(model, DRAW)
    with torch.no_grad():
        at = torch.from_numpy(z).to(opened.device)
        canvases = torch.stack([model.start, *model.canvases(at)])
        frames = images.to_pixels(picture(model.likelihood(canvases)).cpu())
        windows = torch.stack(model.windows(at)).cpu().numpy() if model.windowed else None
    large = images.enlarge(frames, side, frames.shape[1] <= 32)
    if windows is None:
        return large, False
    boxes = (windows + np.array([0, 0, 1, 1])) * (large.shape[1] / frames.shape[1])
    outlined = [images.framed(f, tuple(b)) for f, b in zip(large[1:], boxes, strict=True)]
    return np.stack([np.broadcast_to(large[0], outlined[0].shape), *outlined]), True


def completed(opened: Opened, x: Array, given: int, n: int, seed: int) -> tuple[Pixels, Pixels]:
    """What is given of ``x: (1, C, H, W)``, the plain network's completion of it and ``x``,
    ``(3, H, W, C)``; and ``n`` drawn ones. Not cached: they may be private."""
    import torch

    from explorer.quadrants import beside, completions, known
    from explorer.rng import seeded

    net, seen = beside(opened.model), torch.from_numpy(x).to(opened.device)
    assert net is not None
    with seeded(seed):
        plain, drawn = completions(net, seen, given, n)
    there = known(torch.tensor([given], device=seen.device), *x.shape[-2:])
    shown = torch.stack([torch.where(there, seen, 0.5)[0], plain, seen[0]])
    return images.to_pixels(shown.cpu()), images.to_pixels(drawn.cpu())


def at_home(opened: Opened) -> Array:
    """``(D,)``: where a model is shown first: a known latent, typical but not the bland middle."""
    if opened.atlas is None:
        return np.zeros(opened.latent_size, np.float32)
    known = opened.atlas
    away = (known.latents - known.mean) / np.maximum(known.spread, 1e-6)
    return known.latents[np.linalg.norm(away, axis=1).argsort()[len(away) // 4]]


def sample(opened: Opened, seed: int) -> Array:
    """``(D,)``: one of the known latents; of a model without an atlas, a draw of its prior."""
    if opened.atlas is None:
        return wander.world(opened, seed, 1)[0]
    known = opened.atlas.latents
    return known[np.random.default_rng(seed).integers(len(known))]


def worse_than(opened: Opened, x: Array, redrawn: Pixels) -> Array:
    """``(n,)`` in [0, 1]: the share of known pictures that the model redraws better than ``x``."""
    if opened.atlas is None or opened.classes:  # redrawn as the class that is chosen: no error
        return np.zeros(len(x))
    error = np.square(x - np.moveaxis(redrawn, -1, 1) / np.float32(255))
    known = np.sort(opened.atlas.error)
    return np.searchsorted(known, error.reshape(len(x), -1).mean(1)) / len(known)


OWN = 128  # pictures of a model's own that its rates are taken over


def rates(opened: Opened) -> Array:
    """``(D,)`` nats: each coordinate's mean KL over OWN pictures that the model draws."""
    return _rates(opened.key, opened.generation)


@st.cache_data(max_entries=16, show_spinner=False)
def _rates(key: str, generation: int) -> Array:
    import torch

    from explorer import diagnostics

    opened = SHELF[key]
    z = torch.from_numpy(wander.world(opened, 0, OWN)).to(opened.device)
    return diagnostics.rates(opened.model, z).cpu().numpy()


def glimpse(source: Source, count: int = 48) -> Pixels | None:
    """``(count, H, W, C)``: some pictures of a data set that is on this machine, else None."""
    return _glimpse(source, source.title, count) if source.at_hand else None


@st.cache_data(max_entries=16, show_spinner=False)
def _glimpse(_source: Source, title: str, count: int) -> Pixels | None:
    from explorer.ui import sources

    return sources.glimpse(_source, count)


def pace(config: TrainConfig) -> float:
    """Steps a second that this machine would train at, timed once for each kind of step."""
    import train.data
    from train.fork import whole

    told = whole(config)  # also what is left out, so that the form's own settings are not others
    kind = (config.family, told["model"], config.objective, told["terms"], config.batch)
    spec = train.data.spec(config.dataset, config.data)
    return _pace(config, spec, repr((*kind, config.threads, config.device, spec)))


@st.cache_data(max_entries=256, show_spinner=False)
def _pace(_config: TrainConfig, _spec: DataSpec, kind: str) -> float:
    import train.pace

    return train.pace.pace(_config, _spec)
