"""Which layers follow which: heads, the encoder before them, the decoder after, by their widths.

A reading uses as many layers as it can. Names and the file's order say where to look first; only
widths decide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .blocks import Block
from .layers import Layer, side
from .sizes import SHUFFLED, Turn, sides

MOST_VISITS = 1500  # steps of one walk
SIDES = (8, 16, 20, 24, 28, 32, 36, 40, 48, 50, 56, 60, 64, 72, 80, 84, 96, 100, 112, 120, 128)
SIDES = (*SIDES, 144, 160, 178, 192, 200, 224, 256)
OBLONG = {560: (1, 28, 20), 10304: (1, 112, 92)}  # Frey's and the AT&T laboratory's faces
MEAN = re.compile(r"mu|mean|loc(?!al)|(^|[._])m$|embedding", re.I)
SECOND = re.compile(r"var|sig|std|scale|log_?v|(^|[._])s$", re.I)
MOST_CLASSES = 200


@dataclass(frozen=True)
class Chain:
    """Layers in a row, and for each convolution whether it is transposed (None: unknown) or
    its channels are shuffled into larger maps."""

    layers: tuple[Layer, ...]
    turned: tuple[Turn, ...]
    surplus: tuple[int, ...]  # of each layer: widths beyond what the one before gives


@dataclass(frozen=True)
class Reading:
    """Heads with what leads to them and away from them.

    Attributes:
        encoder: None where the file holds a decoder alone.
        mean, second: the heads; ``second`` is None where one layer holds both, or there is one.
        doubled: whether ``mean`` is twice as wide as the latent.
        choice: heads of discrete codes that follow the continuous one, through a softmax.
        shape: ``(C, H, W)`` where an MLP says so, else ``(C, 0, 0)``.
        beside: the width of the label that the heads see beside the encoder's features.
        left: layers that have no part in it.
        codes: ``(K, D)``, a code book between the two.
    """

    encoder: Chain | None
    mean: Layer | None
    second: Layer | None
    doubled: bool
    decoder: Chain
    latent: int
    shape: tuple[int, int, int]
    label: int = 0
    beside: int = 0
    choice: tuple[Layer, ...] = ()
    tables: tuple[Layer, ...] = ()
    left: tuple[Layer, ...] = ()
    codes: Tensor | None = None
    cost: float = 0.0


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


def readings(layers: Sequence[Layer]) -> list[Reading]:
    """Every way to read the layers as an encoder, heads and a decoder, the fullest first."""
    tables = tuple(layer for layer in layers if layer.kind == "table")
    weighted = [layer for layer in layers if layer.kind != "table"]
    found: list[Reading] = []
    for mean, second, doubled in _heads(weighted):
        if found and _head_cost(mean, second, doubled) > min(r.cost for r in found) + 1.01:
            continue
        found += _around(weighted, tables, mean, second, doubled)
    found.sort(key=lambda r: r.cost)
    return [r for r in found if r.cost <= found[0].cost + 1.01][:12]


def quantised(layers: Sequence[Layer], codes: Tensor, place: int) -> list[Reading]:
    """Every way to read the layers as an encoder and a decoder with a code book between.

    ``place`` is where it stands among them: what stands right before it is asked first.
    """
    weighted = [w for w in layers if w.kind != "table" and w.weight.shape != codes.shape]
    heads = [
        w for w in weighted
        if w.kind == "conv" and w.turns is not True and w.outs() == codes.shape[1]
        and not isinstance(w, Block) and side(w.name) != "decoder"
    ]  # fmt: skip
    heads.sort(key=lambda w: (w.place > place, abs(w.place - place)))
    for head in heads:
        found = list(_around(weighted, (), head, None, False))
        if found:
            return [replace(r, codes=codes) for r in found]
    return []


def decoders(layers: Sequence[Layer]) -> list[Reading]:
    """The layers as a decoder alone."""
    weighted = [layer for layer in layers if layer.kind != "table"]
    found = []
    for first in weighted[:3]:
        latent = first.ins() if first.kind == "linear" else first.ins(True)
        for chain in _downstream(weighted, first, latent, 0):
            left = tuple(w for w in weighted if w not in chain.layers)
            shape = _picture(chain)
            if shape is not None and not left:
                found.append(Reading(None, None, None, False, chain, latent, shape))
    return found[:4]


Heads = tuple[Layer, Layer | None, bool]


def _heads(layers: Sequence[Layer]) -> Iterator[Heads]:
    last = [w for w in layers if side(w.name) != "decoder" and not isinstance(w, Block)]
    for i, a in enumerate(last):
        for b in last[i + 1 :]:
            if a.kind == b.kind and a.weight.shape == b.weight.shape and a.norm is b.norm:
                yield a, b, False
    for a in last:
        if a.outs() % 2 == 0 and a.turns is not True:
            yield a, None, True
    for a in last:
        if a.turns is not True:
            yield a, None, False


def _around(
    layers: Sequence[Layer],
    tables: tuple[Layer, ...],
    mean: Layer,
    second: Layer | None,
    doubled: bool,
) -> Iterator[Reading]:
    heads = [h for h in (mean, second) if h is not None]
    latent = mean.outs() // 2 if doubled else mean.outs()
    rest = [w for w in layers if w not in heads]
    cost = _head_cost(mean, second, doubled)
    early, late = _pools(rest, heads)
    for before, after in ((early, late), (rest, rest)):
        best = None
        for first in after:
            for surplus in _surplus(first, latent, tables):
                for decoder in _downstream(after, first, latent, surplus):
                    shape = _picture(decoder)
                    if shape is None:
                        continue
                    others = [w for w in before if w not in decoder.layers]
                    encoder = _upstream(others, mean, shape, surplus, tables)
                    if encoder is None:
                        continue
                    used = {*heads, *encoder.layers, *decoder.layers}
                    left = tuple(w for w in layers if w not in used)
                    choice = _choice(left, mean, surplus)
                    left = tuple(w for w in left if w not in choice)
                    beside = _beside(encoder, mean, surplus)
                    unseen = max(*encoder.surplus, beside) == 0 < surplus
                    whole = doubled and unseen and surplus == latent and not tables
                    full = cost + len(left) - len(choice) + 0.3 * unseen + 1.5 * whole
                    reading = Reading(
                        encoder, mean, second, doubled, decoder, latent, shape, surplus,
                        beside, choice, tables, left, None, full,
                    )  # fmt: skip
                    if best is None or reading.cost < best.cost:
                        best = reading
        if best is not None:
            yield replace(best, shape=_encoder_shape(best))
            return


def _beside(encoder: Chain, head: Layer, surplus: int) -> int:
    """How much wider a head is than the features that the encoder ends in."""
    last = encoder.layers[-1]
    state = ("maps" if last.kind == "conv" else "flat", last.outs())
    return _into(state, head, {0, surplus}) or 0


def _encoder_shape(reading: Reading) -> tuple[int, int, int]:
    """The picture's shape, from an encoder of flat pixels where the decoder leaves it open."""
    first = reading.encoder.layers[0] if reading.encoder else None
    if reading.shape[1] or first is None or first.kind != "linear":
        return reading.shape
    assert reading.encoder is not None
    return pixels(first.ins() - reading.encoder.surplus[0]) or reading.shape


def _head_cost(mean: Layer, second: Layer | None, doubled: bool) -> float:
    if second is not None:
        apart = abs(second.place - mean.place) > 1 + (mean.norm is not None)
        said = bool(MEAN.search(mean.name) and SECOND.search(second.name)) or bool(
            SECOND.search(mean.name) and MEAN.search(second.name)
        )
        return 0.4 * apart - 0.8 * said
    return 0.6 if doubled else 2.2


def _pools(rest: Sequence[Layer], heads: Sequence[Layer]) -> tuple[list[Layer], list[Layer]]:
    """Where encoder and decoder are looked for first: by names, else by the file's order."""
    middle = min(h.place for h in heads)
    said = {w: side(w.name) or ("encoder" if w.place < middle else "decoder") for w in rest}
    return (
        [w for w in rest if said[w] == "encoder"],
        [w for w in rest if said[w] == "decoder"],
    )


def _surplus(first: Layer, latent: int, tables: Sequence[Layer]) -> list[int]:
    """What widths beyond the latent the decoder's first layer may have for the label."""
    widths = [first.ins()] if first.kind == "linear" else [first.ins(True), first.ins(False)]
    found = [w - latent for w in dict.fromkeys(widths)]
    embedded = {t.outs() for t in tables} | {t.weight.shape[1] for t in tables}
    return [s for s in found if s == 0 or 2 <= s <= MOST_CLASSES or s in embedded]


def _choice(left: Sequence[Layer], mean: Layer, surplus: int) -> tuple[Layer, ...]:
    """Sibling heads that together are as wide as what the decoder takes beyond the latent."""
    siblings = tuple(w for w in left if w.kind == "linear" and w.ins() == mean.ins())
    return siblings if surplus and sum(w.outs() for w in siblings) == surplus else ()


# --- walks by width -------------------------------------------------------------------------

State = tuple[str, int]  # ("flat", width) or ("maps", channels)


def _downstream(pool: Sequence[Layer], first: Layer, latent: int, surplus: int) -> Iterator[Chain]:
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


def _picture(chain: Chain) -> tuple[int, int, int] | None:
    last, turned = chain.layers[-1], chain.turned[-1]
    if last.kind == "linear":
        return pixels(last.outs())
    channels = last.outs() // 4 if turned == SHUFFLED else last.outs(bool(turned))
    return (channels, 0, 0) if channels in (1, 3) else None


def _upstream(
    pool: Sequence[Layer],
    head: Layer,
    shape: tuple[int, int, int],
    surplus: int,
    tables: Sequence[Layer],
) -> Chain | None:
    """The fullest chain of ``pool`` from a picture of ``shape`` to ``head``."""
    allowed = {0, surplus} | {t.weight.shape[1] for t in tables}

    def fits(state: State) -> bool:
        return _into(state, head, {0, surplus}) is not None

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
        surplus = _into(state, layer, extra)
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


def _into(state: State, layer: Layer, extra: set[int]) -> int | None:
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
