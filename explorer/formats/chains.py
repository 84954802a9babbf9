"""Which layers follow which: heads, the encoder before them, the decoder after, by their widths.

A reading uses as many layers as it can. Names and the file's order say where to look first; only
widths decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .blocks import Block
from .layers import Layer, side
from .walks import Chain, downstream, into, picture, pixels, upstream

MEAN = re.compile(r"mu|mean|loc(?!al)|(^|[._])m$|embedding", re.I)
SECOND = re.compile(r"var|sig|std|scale|log_?v|(^|[._])s$", re.I)
MOST_CLASSES = 200


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
        for chain in downstream(weighted, first, latent, 0):
            left = tuple(w for w in weighted if w not in chain.layers)
            shape = picture(chain)
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
                for decoder in downstream(after, first, latent, surplus):
                    shape = picture(decoder)
                    if shape is None:
                        continue
                    others = [w for w in before if w not in decoder.layers]
                    encoder = upstream(others, mean, shape, surplus, tables)
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
    return into(state, head, {0, surplus}) or 0


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
