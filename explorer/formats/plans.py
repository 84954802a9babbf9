"""A reading with its sizes settled, and the graph it becomes once the rest has been chosen."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .blocks import Block
from .chains import Chain, Reading
from .layers import Layer, rooms
from .rows import Row
from .sizes import LARGEST, Move, Way, after, downward, known, sides, upward, usual

MOST_LOOKED_AT, MOST_KEPT = 5000, 24  # plans of a reading


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


def plans(
    reading: Reading, wanted: tuple[int, int] | None = None, up: tuple[Move, ...] = ()
) -> list[Plan]:
    """The ways to make sizes fit, cheapest first.

    ``wanted`` is a height and width, ``up`` the decoder's moves, where these are known.
    """
    found = [] if reading.codes is not None else list(_sized(reading, wanted, up))
    found = found or list(_spread(reading, wanted))
    found.sort(key=lambda p: p.cost)
    kept: list[Plan] = []
    often: Counter[tuple[Any, ...]] = Counter()
    for plan in found[:MOST_LOOKED_AT]:
        # for variety, none of the ways down or up fills the list
        size = (plan.shape, plan.cut)
        ways = ("down", plan.down, size), ("up", plan.up, size)
        if max(often[way] for way in ways) < 5:
            kept.append(plan)
            often.update(ways)
        if len(kept) == MOST_KEPT:
            break
    return kept


def _sized(
    reading: Reading, wanted: tuple[int, int] | None, told: tuple[Move, ...]
) -> Iterator[Plan]:
    channels, height, width = reading.shape
    ups = _ups(reading.decoder, told)
    downs = functools.cache(lambda size: list(_downs(reading, size)))
    for up, seam, grown, odd in ups:
        drawn = (
            (height, width)
            if up is None
            else (up.sizes[-1], _across(reading, up, seam[1] * grown))
        )
        sizes = [drawn]
        if up is not None:
            square = drawn[0] == drawn[1]
            sizes += [(s, s) for s in (28, 32, 64) if square and s < drawn[0] <= s + 4]
            if height and (height, width) != drawn and abs(height - drawn[0]) <= 4:
                sizes = [(height, width)]
        for size in sizes:
            if height and up is not None and size != (height, width):
                continue
            if min(size) < 1 or max(size) > LARGEST or (wanted and size != wanted):
                continue
            rare = 0 if wanted else max(map(usual, size)) + odd
            base = reading.cost + (up.cost if up else 0) + rare
            ways = (False,) if size == drawn else (False, True)
            for cut in ways:
                extra = 0 if size == drawn else 1.5 + 0.2 * cut
                for down, averaged, cost in downs(size):
                    if up is not None:
                        cost -= 0.8 * mirrored(reading, down, up, size[0])
                        cost -= 0.8 * (not any(m.padding for m in (*down, *up.moves)))
                    yield Plan(
                        reading, (channels, *size), down, up.moves if up else (), seam, drawn,
                        cut, averaged, grown, base + extra + cost,
                    )  # fmt: skip


def mirrored(reading: Reading, down: tuple[Move, ...], up: Way, size: int) -> bool:
    """Whether the decoder goes up through the sizes that the encoder came down."""
    if reading.encoder is None or len(down) < 2:
        return False
    sizes = [size]
    convs = [w for w in reading.encoder.layers if w.kind == "conv"]
    for layer, move in zip(convs, down, strict=False):
        sizes.append(after(sizes[-1], layer.kernel, move))
    return tuple(dict.fromkeys(sizes)) == tuple(dict.fromkeys(reversed(up.sizes)))


def _across(reading: Reading, up: Way, start: int) -> int:
    """The width that the decoder draws from a first map of width ``start``."""
    kernels = (w.kernel for w in reading.decoder.layers if w.kind == "conv")
    for kernel, move in zip(kernels, up.moves, strict=True):
        start = after(start, kernel, move)
    return start


def _ups(
    decoder: Chain, told: tuple[Move, ...]
) -> list[tuple[Way | None, tuple[int, int], int, float]]:
    """Ways up, each with the sides of its first map, how often it is repeated, how odd that is."""
    convs = [
        (w, t) for w, t in zip(decoder.layers, decoder.turned, strict=True) if w.kind == "conv"
    ]
    if not convs:
        return [(None, (0, 0), 1, 0.0)]
    at = decoder.layers.index(convs[0][0])
    first, turned = convs[0]
    if at == 0:
        seams = [((1, 1), 0.0)]
    else:
        ins = first.ins(turned is True)
        seams = sides(decoder.layers[at - 1].outs() // ins)
    kernels = tuple(w.kernel for w, _ in convs)
    turns = tuple(t for _, t in convs)
    starts = [(seam, 1, odd) for seam, odd in seams]
    free = (None, *rooms([w for w, _ in convs]))
    if (1, 1) in (seam for seam, _ in seams) and turned is not True:
        starts += [((1, 1), grown, odd) for grown, odd in ((4, 0.5), (2, 0.9), (8, 1.1))]
    found: list[tuple[Way | None, tuple[int, int], int, float]] = []
    for seam, grown, odd in starts:
        fixed = known(kernels, told, seam[0])
        ways = [fixed] if fixed else upward(kernels, turns, seam[0] * grown, free)
        found += [(way, seam, grown, odd) for way in ways]
    return found


def _spread(reading: Reading, wanted: tuple[int, int] | None) -> Iterator[Plan]:
    """Plans whose latent is a map: of any size, so of the wanted one or one of the usual."""
    encoder, decoder, head = reading.encoder, reading.decoder, reading.mean
    if encoder is None or head is None or head.kind != "conv" or decoder.layers[0].kind != "conv":
        return
    down = (*(w.kernel for w in encoder.layers if w.kind == "conv"), head.kernel)
    up = tuple(w.kernel for w in decoder.layers)
    for side in (wanted[0],) if wanted else (64, 32, 28, 128):
        back: dict[int, list[Way]] = {}
        for way in downward(down, side):
            end = way.sizes[-1]
            if not 1 < end < side:
                continue
            if end not in back:
                ways = upward(up, decoder.turned, end)
                back[end] = [w for w in ways if w.sizes[-1] == side][:6]
            for other in back[end]:
                # maps of 8 x 8 are the commonest
                cost = reading.cost + way.cost + other.cost + usual(side)
                cost += 0.2 * abs(math.log2(end / 8))
                yield Plan(
                    reading, (reading.shape[0], side, side), way.moves, other.moves,
                    (end, end), (side, side), cost=cost,
                )  # fmt: skip


def _downs(
    reading: Reading, size: tuple[int, int]
) -> Iterator[tuple[tuple[Move, ...], bool, float]]:
    """Moves of the encoder's convolutions (and of convolutional heads) for pictures of a size."""
    if reading.encoder is None:
        yield (), False, 0.0
        return
    assert reading.mean is not None
    convs = [w for w in reading.encoder.layers if w.kind == "conv"]
    if not convs:
        yield (), False, 0.0
        return
    heads = [reading.mean] if reading.mean.kind == "conv" else []
    rest = [*reading.encoder.layers, reading.mean]
    following = rest[rest.index(convs[-1]) + 1]
    free = (*rooms(convs), None, *(None for _ in heads))
    for way in downward(tuple(w.kernel for w in [*convs, *heads]), size[0], free)[:200]:
        end = way.sizes[-1]
        across = size[1]
        for layer, move in zip([*convs, *heads], way.moves, strict=True):
            across = after(across, layer.kernel, move)
        if heads:
            if end == across == 1:
                yield way.moves, False, way.cost
            continue
        told = following is reading.mean
        surplus = reading.beside if told else _surplus_of(reading.encoder, following)
        width = following.ins() - surplus
        if width == convs[-1].outs() * end * across:
            yield way.moves, False, way.cost
        elif width == convs[-1].outs():
            # ResNets are averaged, others hardly
            yield way.moves, True, way.cost + (0.3 if isinstance(convs[-1], Block) else 2.0)


def _surplus_of(chain: Chain, layer: Layer) -> int:
    return chain.surplus[chain.layers.index(layer)]


def table(tables: Sequence[Layer], width: int) -> tuple[Layer, int, bool] | None:
    """The label table of ``width`` numbers, its classes, and whether it is an embedding."""
    for layer in tables:
        rows, columns = layer.weight.shape
        if columns == width:
            return layer, rows, True
        if rows == width and layer.kind == "linear":
            return layer, columns, False
    return None
