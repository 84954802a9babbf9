"""A reading with its sizes settled, and the graph it becomes once the rest has been chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .blocks import Block
from .chains import Reading
from .layers import Layer
from .rows import Row
from .sizes import Move


@dataclass(frozen=True)
class Choices:
    """What leaves no tensor and has to be measured.

    Attributes:
        hidden: the activation between layers; ``drawing``: in the decoder, if another.
        inner: within residual blocks, if another.
        bridge: whether one stands between the decoder's last linear layer and its maps.
        top: whether one stands between the encoder's last layer and the heads.
        late: whether activations stand before their norms.
        swapped: whether the second of two heads is the mean.
        summed: whether an activation ends a residual block that does not begin with one.
        flipped: whether blocks of which nothing tells it begin as they likely do not.
        bent: whether the activation that begins one also bends what goes past (in place).
        headed: whether one follows the code.
    """

    hidden: str = "relu"
    drawing: str = ""
    inner: str = ""
    bridge: bool = True
    top: bool = True
    late: bool = False
    layout: str = "separate"
    swapped: bool = False
    summed: bool = True
    flipped: bool = False
    bent: bool = False
    headed: bool = False
    output: str = "sigmoid"
    into: tuple[float, float] = (0.0, 1.0)
    out_of: tuple[float, float] = (0.0, 1.0)
    spread: str = "log variance"


@dataclass(frozen=True)
class Plan:
    """A reading whose sizes fit.

    Attributes:
        shape: ``(C, H, W)`` of its pictures.
        down, up: moves of the encoder's and the decoder's convolutions.
        seam: height and width of the decoder's first map (0 for an MLP); ``drawn``: of its last.
        cut: whether a drawn picture that is too large is cut (else resized).
        averaged: whether the encoder's last map is averaged.
        grown: how many times larger than ``seam`` the decoder makes its first map by repeating.
    """

    reading: Reading
    shape: tuple[int, int, int]
    down: tuple[Move, ...]
    up: tuple[Move, ...]
    seam: tuple[int, int]
    drawn: tuple[int, int]
    cut: bool = False
    averaged: bool = False
    grown: int = 1
    cost: float = 0.0

    @property
    def classes(self) -> int:
        """How many labels it takes, 0 for none."""
        r = self.reading
        if not r.label or r.choice:
            return 0
        known = table(r.tables, r.label)
        return known[1] if known else r.label

    @property
    def spatial(self) -> bool:
        """Whether its latent is a map."""
        return self.reading.decoder.layers[0].kind == "conv" and self.seam != (1, 1)

    @property
    def latent(self) -> int:
        """D, discrete codes and all places of a map included."""
        places = math.prod(self.seam) if self.spatial else 1
        return self.reading.latent * places + self.discrete

    @property
    def family(self) -> str:
        """ "VAE", or what it is instead."""
        r = self.reading
        if r.encoder is None:
            return "decoder alone"
        if r.codes is not None:
            return "VQ-VAE"
        if r.choice:
            return "VAE with a discrete code"
        if r.second is None and not r.doubled:
            return "autoencoder"
        return "conditional VAE" if self.classes else "VAE"

    @property
    def codes(self) -> Tensor | None:
        """``(K, D)``: its code book."""
        return self.reading.codes

    @property
    def discrete(self) -> int:
        """How many of its coordinates are shares of a discrete code."""
        return sum(c.outs() for c in self.reading.choice)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The residual blocks in it."""
        halves = (self.reading.encoder, self.reading.decoder)
        layers = (w for half in halves if half is not None for w in half.layers)
        return tuple(w for w in layers if isinstance(w, Block))


@dataclass(frozen=True)
class Exact:
    """A model whose program is known to the last step: only what pixels mean is measured.

    Attributes:
        rows: the graph's rows by part.
        latent: D; ``map``: ``(C, H, W)`` of a latent that is a map.
        doubled: whether its head gives both halves.
    """

    family: str
    rows: tuple[tuple[str, Row], ...]
    shape: tuple[int, int, int]
    latent: int
    map: tuple[int, int, int] | None = None
    doubled: bool = False
    codes: Tensor | None = None
    classes: int = 0
    cost: float = 0.0

    @property
    def spatial(self) -> bool:
        """Whether its latent is a map."""
        return self.map is not None

    @property
    def layout(self) -> str:
        """How its heads lie, of `models.foreign.LAYOUTS`."""
        if any(part == "second" for part, _ in self.rows):
            return "separate"
        return "chunked" if self.doubled else "mean only"


def table(tables: Sequence[Layer], width: int) -> tuple[Layer, int, bool] | None:
    """The label table of ``width`` numbers, its classes, and whether it is an embedding."""
    for layer in tables:
        rows, columns = layer.weight.shape
        if columns == width:
            return layer, rows, True
        if rows == width and layer.kind == "linear":
            return layer, columns, False
    return None
