"""What one can train on from the page, and three ready settings for each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train import batches, data
from train.config import TrainConfig, recipe
from train.data.archive import opened
from train.data.faces import PICTURES, ordered, picture
from train.data.places import given

QUICK, GOOD, BEST = "Quick", "Good", "Best"
PRESETS = (QUICK, GOOD, BEST)
MINUTE = 55  # seconds of steps; starting takes the rest
OWN = "folder"


@dataclass(frozen=True)
class Source:
    """Pictures to train on.

    Attributes:
        dataset: its name in DATASETS.
        title: what people read.
        about: what the pictures are.
        pictures: how many are trained on.
        settings: what the data set's function takes.
        needs: a file that has to be on this machine; None where the pictures come along.
        megabytes: what is downloaded once where that file is missing; 0 where it cannot be.
    """

    dataset: str
    title: str
    about: str
    pictures: int
    settings: dict[str, Any] = field(default_factory=dict)
    needs: str | None = None
    megabytes: int = 0

    @property
    def at_hand(self) -> bool:
        return self.needs is None or given(self.needs) is not None


SOURCES = (
    Source("digits-8x8", "Small digits", "1,797 handwritten digits, 8 × 8 pixels", 1500),
    Source(
        "mnist",
        "Digits",
        "70,000 handwritten digits, 28 × 28 pixels (MNIST)",
        60_000,
        needs="mnist/train-images-idx3-ubyte.gz",
        megabytes=12,
    ),
    Source(
        "fashion-mnist",
        "Garments",
        "70,000 pieces of clothing, 28 × 28 pixels (Fashion-MNIST)",
        60_000,
        needs="fashion-mnist/train-images-idx3-ubyte.gz",
        megabytes=31,
    ),
    Source(
        "faces",
        "Faces",
        "12,000 adults looking at the camera, 64 × 64 pixels (FairFace)",
        10_671,
        {"size": 64},
        needs=PICTURES,
    ),
)


def offered() -> dict[str, Source]:
    """The sources by title that this machine has or can fetch."""
    return {s.title: s for s in SOURCES if s.at_hand or s.megabytes}


def own(pictures: int, settings: dict[str, Any]) -> Source:
    """A visitor's own pictures, of which a tenth is held out."""
    return Source(OWN, "My pictures", "", max(1, round(0.9 * pictures)), settings)


# -- ready settings: a recipe, and what is different from it

_CONV = {"net": "conv", "likelihood": "learned_gaussian"}
_SETTINGS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "digits-8x8": {
        QUICK: ("tiny", {}),
        GOOD: ("tiny", dict(model=dict(latent=16, hidden=256), epochs=600, lr=1e-3, ema=0.99)),
        BEST: ("tiny", dict(model=dict(latent=16, hidden=256), epochs=1500, lr=1e-3, ema=0.999)),
    },
    "mnist": {
        QUICK: ("digits", dict(epochs=20)),
        GOOD: ("digits", dict(epochs=30)),
        BEST: ("digits", {}),
    },
    "fashion-mnist": {
        QUICK: ("fashion", dict(epochs=20)),
        GOOD: ("fashion", dict(epochs=20)),
        BEST: ("fashion", {}),
    },
    "faces": {
        QUICK: ("faces-small", dict(model=dict(latent=32, width=8, **_CONV), terms={}, ema=0.99)),
        GOOD: ("faces-small", dict(model=dict(latent=64, width=16, **_CONV), epochs=15)),
        BEST: ("faces-small", {}),
    },
    OWN: {
        QUICK: ("faces-small", dict(model=dict(latent=16, width=8, **_CONV), terms={}, ema=0.99)),
        GOOD: ("faces-small", dict(model=dict(latent=32, width=16, **_CONV), terms={})),
        BEST: ("faces-small", dict(model=dict(latent=64, width=32, **_CONV), terms={})),
    },
}
_OWN_STEPS = {QUICK: 20_000, GOOD: 10_000, BEST: 40_000}  # at most, whatever their number


def preset(source: Source, name: str) -> TrainConfig:
    """The ready settings of that name for a source."""
    start, changes = _SETTINGS[source.dataset][name]
    config = dataclasses.replace(
        recipe(start),
        **changes,
        name=source.title.lower().replace(" ", "-"),
        title=source.title,
        dataset=source.dataset,
        data=source.settings,
        threads=0,
        half=False,
    )
    if source.dataset == OWN:
        batch = min(config.batch, source.pictures)
        epochs = max(1, _OWN_STEPS[name] // batches.per_epoch(source.pictures, batch))
        config = dataclasses.replace(config, batch=batch, epochs=epochs)
    return told_often(config, source)


def within(config: TrainConfig, source: Source, pace: float, seconds: float) -> TrainConfig:
    """``config`` with as many of its epochs as fit into ``seconds``, and one at least."""
    fit = int(seconds * pace / batches.per_epoch(source.pictures, config.batch))
    return told_often(dataclasses.replace(config, epochs=max(1, min(config.epochs, fit))), source)


def steps(config: TrainConfig, source: Source) -> int:
    """How many steps the run will take."""
    return config.epochs * batches.per_epoch(source.pictures, config.batch)


def told_often(config: TrainConfig, source: Source) -> TrainConfig:
    """``config`` with so many records and sheets that somebody who watches sees it move."""
    total = steps(config, source)
    return dataclasses.replace(
        config,
        log_every=min(20, max(5, total // 400)),
        evaluate_every=min(500, max(20, total // 40)),
        checkpoint_every=min(1000, max(50, total // 20)),
    )


def glimpse(source: Source, count: int) -> NDArray[np.uint8] | None:
    """``(count, H, W, C)``: some of the pictures; None where they are not here yet."""
    if not source.at_hand:
        return None
    zipped_faces = given(PICTURES) if source.dataset == "faces" else None
    if zipped_faces is None:
        x = data.load(source.dataset, source.settings).train.x[:count]
        return x.permute(0, 2, 3, 1).numpy()
    # decoding them all takes longer than a page may
    zipped = opened(zipped_faces)
    side = (source.settings["size"],) * 2
    few = [picture(zipped, name) for name in ordered(zipped, "val")[:count]]
    return np.stack([np.asarray(image.resize(side, Image.Resampling.LANCZOS)) for image in few])
