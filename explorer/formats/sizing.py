"""Readings become plans: sizes of pictures and maps that fit, the likeliest first."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .blocks import Block
from .chains import Chain, Reading
from .layers import Layer, rooms
from .plans import Plan
from .sizes import LARGEST, Move, Way, after, downward, known, sides, upward, usual

MOST_LOOKED_AT, MOST_KEPT = 5000, 24  # plans of a reading


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
