"""Walks from layer to layer by their widths: from a latent to a picture, from one to a head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .blocks import Block
from .layers import Layer
from .sizes import SHUFFLED, Turn, sides

MOST_VISITS = 1500  # steps of one walk
SIDES = (8, 16, 20, 24, 28, 32, 36, 40, 48, 50, 56, 60, 64, 72, 80, 84, 96, 100, 112, 120, 128)
SIDES = (*SIDES, 144, 160, 178, 192, 200, 224, 256)
OBLONG = {560: (1, 28, 20), 10304: (1, 112, 92)}  # Frey's and the AT&T laboratory's faces


@dataclass(frozen=True)
class Chain:
    """Layers in a row, and for each convolution whether it is transposed (None: unknown) or
    its channels are shuffled into larger maps."""

    layers: tuple[Layer, ...]
    turned: tuple[Turn, ...]
    surplus: tuple[int, ...]  # of each layer: widths beyond what the one before gives


def pixels(count: int) -> tuple[int, int, int] | None:
    """``(C, H, W)`` of flattened pictures; None for what is hardly a picture."""
    if count < 1:
        return None
    if count in OBLONG:
        return OBLONG[count]
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if count % channels == 0 and side * side * channels == count and side in SIDES:
            return channels, side, side
    return None


State = tuple[str, int]  # ("flat", width) or ("maps", channels)


def downstream(pool: Sequence[Layer], first: Layer, latent: int, surplus: int) -> Iterator[Chain]:
    """The fullest chains of ``pool`` from the latent to a picture that begin with ``first``."""
    starts: list[tuple[State, Turn]] = []
    if first.kind == "linear" and first.ins() == latent + surplus:
        starts.append((("flat", first.outs()), False))
    if first.kind == "conv" and not isinstance(first, Block):
        if first.turns is not False and first.ins(True) == latent + surplus:
            starts.append((("maps", first.outs(True)), True))
        if first.turns is not True and first.ins() == latent + surplus:
            starts.append((("maps", first.outs()), False))
    for state, turned in starts:
        begun = Chain((first,), (turned,), (surplus,))
        yield from _walk(begun, state, pool, {0, surplus}, _is_picture, False)


def _is_picture(state: State) -> bool:
    kind, n = state
    return n in (1, 3) if kind == "maps" else pixels(n) is not None


def picture(chain: Chain) -> tuple[int, int, int] | None:
    last, turned = chain.layers[-1], chain.turned[-1]
    if last.kind == "linear":
        return pixels(last.outs())
    channels = last.outs() // 4 if turned == SHUFFLED else last.outs(bool(turned))
    return (channels, 0, 0) if channels in (1, 3) else None


def upstream(
    pool: Sequence[Layer],
    head: Layer,
    shape: tuple[int, int, int],
    surplus: int,
    tables: Sequence[Layer],
) -> Chain | None:
    """The fullest chain of ``pool`` from a picture of ``shape`` to ``head``."""
    allowed = {0, surplus} | {t.weight.shape[1] for t in tables}

    def fits(state: State) -> bool:
        return into(state, head, {0, surplus}) is not None

    best = None
    for first in [None, *pool]:
        if first is None:  # the heads may see the pixels themselves
            starts = []
        elif first.kind == "linear":
            count = math.prod(shape)
            extra = first.ins() - count if count else 0
            known = bool(count) or any(pixels(first.ins() - s) for s in allowed)
            if not count:
                extra = next((s for s in sorted(allowed) if pixels(first.ins() - s)), 0)
            starts = [(("flat", first.outs()), extra)] if known and extra in allowed else []
        else:
            extra = first.ins() - shape[0]
            fits_in = first.turns is not True and extra in allowed | {1}
            starts = [(("maps", first.outs()), extra)] if fits_in else []
        for state, extra in starts:
            assert first is not None
            begun = Chain((first,), (False,), (extra,))
            for chain in _walk(begun, state, pool, allowed, fits, True)[:1]:
                if best is None or len(chain.layers) > len(best.layers):
                    best = chain
    return best


def _walk(
    begun: Chain, state: State, pool: Sequence[Layer], extra: set[int], done: object, encoder: bool
) -> list[Chain]:
    """Continuations of ``begun`` whose last state is ``done``: of each length the first found."""
    assert callable(done)
    best: dict[int, Chain] = {}
    visits = 0
    stack = [(begun, state)]
    wide = {1, 3} | {w.ins() for w in pool if w.kind == "conv"}
    most = sum(1 for w in pool if w is not begun.layers[0]) + 1
    while stack and visits < MOST_VISITS:
        visits += 1
        chain, state = stack.pop()
        if done(state):
            best.setdefault(len(chain.layers), chain)
            if len(chain.layers) == most:
                break
        at = chain.layers[-1].place
        ahead = sorted(
            (w for w in pool if w not in chain.layers), key=lambda w: (w.place < at, w.place)
        )
        for layer in reversed(ahead):  # the stack gives the last one first
            for turned, surplus, after in _moves(state, layer, extra, encoder, wide):
                stack.append(
                    (
                        Chain(
                            (*chain.layers, layer),
                            (*chain.turned, turned),
                            (*chain.surplus, surplus),
                        ),
                        after,
                    )
                )
    return [best[n] for n in sorted(best, reverse=True)]


def _moves(
    state: State, layer: Layer, extra: set[int], encoder: bool, wide: set[int]
) -> Iterator[tuple[Turn, int, State]]:
    if layer.kind == "linear":
        surplus = into(state, layer, extra)
        if surplus is not None and (encoder or state[0] == "flat"):
            yield False, surplus, ("flat", layer.outs())
        return
    for turned in (False,) if encoder else (True, False):
        if layer.turns is (not turned):
            continue
        width, (kind, n) = layer.ins(turned), state
        if kind == "maps":
            fits = n == width
        else:
            fits = not encoder and n % width == 0 and bool(sides(n // width))
        if fits:
            known = turned if encoder or layer.turns is not None else None
            same = layer.ins() == layer.outs()
            if not (encoder or turned) and _shuffled(layer) in wide:
                yield SHUFFLED, 0, ("maps", _shuffled(layer))
            yield (known if same else turned), 0, ("maps", layer.outs(turned))
            if same:
                return


def _shuffled(layer: Layer) -> int:
    """The channels of four times as many shuffled into larger maps; 0 where that cannot be."""
    fits = layer.outs() % 4 == 0 and not isinstance(layer, Block) and layer.kernel % 2
    return layer.outs() // 4 if fits else 0


def into(state: State, layer: Layer, extra: set[int]) -> int | None:
    """The surplus with which a layer can follow; None where it cannot."""
    kind, n = state
    if layer.kind == "conv":
        return 0 if kind == "maps" and layer.turns is not True and layer.ins() == n else None
    for surplus in sorted(extra):
        width = layer.ins() - surplus
        if kind == "flat" and width == n:
            return surplus
        if kind == "maps" and width > 0 and width % n == 0:
            if sides(width // n):
                return surplus
    return None
