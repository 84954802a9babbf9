"""A reading with its sizes settled, and the graph it becomes once the rest has been chosen."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .chains import Chain, Reading
from .layers import Layer, between_norm, gap
from .sizes import LARGEST, Move, Way, after, downward, known, sides, upward, usual

Step = dict[str, Any]
MOST_LOOKED_AT, MOST_KEPT = 5000, 24  # plans of a reading
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Choices:
    """What leaves no tensor and has to be measured.

    Attributes:
        hidden: the activation between layers; ``drawing``: in the decoder, if another.
        bridge: whether one stands between the decoder's last linear layer and its maps.
        top: whether one stands between the encoder's last layer and the heads.
        late: whether activations stand before their norms.
        swapped: whether the second of two heads is the mean.
    """

    hidden: str = "relu"
    drawing: str = ""
    bridge: bool = True
    top: bool = True
    late: bool = False
    layout: str = "separate"
    swapped: bool = False
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
    """

    reading: Reading
    shape: tuple[int, int, int]
    down: tuple[Move, ...]
    up: tuple[Move, ...]
    seam: tuple[int, int]
    drawn: tuple[int, int]
    cut: bool = False
    averaged: bool = False
    cost: float = 0.0

    @property
    def classes(self) -> int:
        """How many labels it takes, 0 for none."""
        r = self.reading
        if not r.label or r.choice:
            return 0
        table = _table(r.tables, r.label)
        return table[1] if table else r.label

    @property
    def latent(self) -> int:
        """D, discrete codes included."""
        return self.reading.latent + sum(c.outs() for c in self.reading.choice)


def plans(
    reading: Reading, wanted: tuple[int, int] | None = None, up: tuple[Move, ...] = ()
) -> list[Plan]:
    """The ways to make sizes fit, cheapest first.

    ``wanted`` is a height and width, ``up`` the decoder's moves, where these are known.
    """
    found = list(_sized(reading, wanted, up))
    found.sort(key=lambda p: p.cost)
    kept: list[Plan] = []
    often: Counter[tuple[Any, ...]] = Counter()
    for plan in found[:MOST_LOOKED_AT]:
        # for variety, none of the ways down or up fills the list
        size = (plan.shape, plan.cut)
        ways = ("down", plan.down, size), ("up", plan.up, size)
        if max(often[way] for way in ways) < 4:
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
    for up, seam, odd in ups:
        drawn = (height, width) if up is None else (up.sizes[-1], _across(reading, up, seam[1]))
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
                    yield Plan(
                        reading, (channels, *size), down, up.moves if up else (), seam, drawn,
                        cut, averaged, base + extra + cost,
                    )  # fmt: skip


def _across(reading: Reading, up: Way, start: int) -> int:
    """The width that the decoder draws from a first map of width ``start``."""
    kernels = (w.kernel for w in reading.decoder.layers if w.kind == "conv")
    for kernel, move in zip(kernels, up.moves, strict=True):
        start = after(start, kernel, move)
    return start


def _ups(
    decoder: Chain, told: tuple[Move, ...]
) -> list[tuple[Way | None, tuple[int, int], float]]:
    """Ways up, each with the sides of its first map and how odd these are."""
    convs = [
        (w, t) for w, t in zip(decoder.layers, decoder.turned, strict=True) if w.kind == "conv"
    ]
    if not convs:
        return [(None, (0, 0), 0.0)]
    at = decoder.layers.index(convs[0][0])
    first, turned = convs[0]
    if at == 0:
        seams = [((1, 1), 0.0)]
    else:
        ins = first.ins(bool(turned) if turned is not None else False)
        seams = sides(decoder.layers[at - 1].outs() // ins)
    kernels = tuple(w.kernel for w, _ in convs)
    found: list[tuple[Way | None, tuple[int, int], float]] = []
    for seam, odd in seams:
        fixed = known(kernels, told, seam[0])
        turns = tuple(t for _, t in convs)
        ways = upward(kernels, turns, seam[0]) if fixed is None else [fixed]
        found += [(way, seam, odd) for way in ways]
    return found


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
    for way in downward(tuple(w.kernel for w in [*convs, *heads]), size[0])[:200]:
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
            yield way.moves, True, way.cost + 2.0


def _surplus_of(chain: Chain, layer: Layer) -> int:
    return chain.surplus[chain.layers.index(layer)]


def _table(tables: Sequence[Layer], width: int) -> tuple[Layer, int, bool] | None:
    """The label table of ``width`` numbers, its classes, and whether it is an embedding."""
    for table in tables:
        rows, columns = table.weight.shape
        if columns == width:
            return table, rows, True
        if rows == width and table.kind == "linear":
            return table, columns, False
    return None


# --- from a plan to a graph ---------------------------------------------------------------------


class _Row:
    """Steps in a row, with the weights of each under the names that `Steps` gives them."""

    def __init__(self, part: str) -> None:
        self.part, self.steps, self.weights = part, [], {}

    def add(self, step: Step, tensors: Weights | None = None, below: str = "") -> None:
        place = f"{self.part}.layers.{len(self.steps)}."
        self.steps.append(step)
        self.weights |= {place + below + name: value for name, value in (tensors or {}).items()}

    def act(self, kind: str) -> None:
        if kind != "none":
            self.add({"op": "act", "kind": kind})


def graph(plan: Plan, choices: Choices) -> tuple[dict[str, Any], Weights]:
    """The graph of `models.foreign.Foreign` and its weights."""
    reading = plan.reading
    rows = [_decoder(plan, choices)]
    if reading.encoder is not None:
        assert reading.mean is not None
        rows.append(_encoder(plan, choices))
        mean, second = reading.mean, reading.second
        if choices.swapped and second is not None:
            mean, second = second, mean
        heads = (("mean", mean), ("second", second))
        rows += [_head(name, layer, plan) for name, layer in heads if layer is not None]
        if reading.choice:
            rows.append(_choice(reading.choice))
    found: dict[str, Any] = {row.part: row.steps for row in rows}
    found |= {
        "latent": plan.latent, "layout": choices.layout, "spread": choices.spread,
        "output": choices.output, "into": list(choices.into), "out_of": list(choices.out_of),
        "classes": plan.classes,
    }  # fmt: skip
    found.setdefault("encoder", None)
    return found, {k: v for row in rows for k, v in row.weights.items()}


def _encoder(plan: Plan, choices: Choices) -> _Row:
    reading, row = plan.reading, _Row("encoder")
    assert reading.encoder is not None
    assert reading.mean is not None
    moves = iter(plan.down)
    flat = False
    layers = reading.encoder.layers
    for k, layer in enumerate(layers):
        maps = layer.kind == "conv"
        if not maps and not flat:
            _flatten(row, plan)
            flat = True
        if reading.encoder.surplus[k]:
            _label(row, plan, reading.encoder.surplus[k], maps)
        following = layers[k + 1] if k + 1 < len(layers) else None
        active = choices.top if following is None else gap(layer, following) != 0
        _layer(
            row,
            layer,
            next(moves) if maps else None,
            choices,
            choices.hidden if active else "none",
        )
    if reading.mean.kind != "conv" and not flat:
        _flatten(row, plan)
    if reading.beside:
        _label(row, plan, reading.beside, False)
    return row


def _flatten(row: _Row, plan: Plan) -> None:
    if plan.averaged:
        row.add({"op": "average"})
    row.add({"op": "flatten"})


def _decoder(plan: Plan, choices: Choices) -> _Row:
    reading, row = plan.reading, _Row("decoder")
    hidden = choices.drawing or choices.hidden
    moves = iter(plan.up)
    layers = reading.decoder.layers
    maps = False
    for k, layer in enumerate(layers):
        if reading.decoder.surplus[k] and not reading.choice:
            _label(row, plan, reading.decoder.surplus[k], False)
        if layer.kind == "conv" and not maps:
            channels = _channels(reading.decoder, k, plan)
            row.add({"op": "view", "shape": [channels, *plan.seam]})
            maps = True
        following = layers[k + 1] if k + 1 < len(layers) else None
        active = following is not None and gap(layer, following) != 0
        if following is not None and following.kind == "conv" and layer.kind == "linear":
            steps = gap(layer, following)
            active = steps >= 2 if steps is not None and steps != 1 else choices.bridge
        _layer(row, layer, next(moves) if maps else None, choices, hidden if active else "none")
    if not maps:
        row.add({"op": "view", "shape": list(plan.shape)})
    elif plan.drawn != plan.shape[1:]:
        row.add({"op": "resize", "size": list(plan.shape[1:]), "cut": plan.cut})
    return row


def _channels(decoder: Chain, k: int, plan: Plan) -> int:
    move = plan.up[0]
    return decoder.layers[k].ins(move.how == "convt")


def _head(name: str, layer: Layer, plan: Plan) -> _Row:
    row = _Row(name)
    move = plan.down[-1] if layer.kind == "conv" else None
    _layer(row, layer, move, Choices(), "none")
    return row


def _choice(layers: Sequence[Layer]) -> _Row:
    row = _Row("choice")
    _layer(row, layers[0], None, Choices(), "none")
    return row


def _label(row: _Row, plan: Plan, width: int, maps: bool) -> None:
    table = _table(plan.reading.tables, width)
    step: Step = {"op": "label", "size": width, "table": table is not None, "planes": maps}
    if table is None:
        row.add(step)
        return
    layer, _, embedding = table
    weight = layer.weight.T if embedding else layer.weight
    bias = layer.tensors.get("bias", weight.new_zeros(width))
    row.add(step, {"table.weight": weight.contiguous(), "table.bias": bias})


def _layer(row: _Row, layer: Layer, move: Move | None, choices: Choices, act: str) -> None:
    """The layer with its norm, slope and activation, and what halves or doubles it."""
    if move is not None and move.double:
        row.add({"op": "upsample", "mode": "nearest"})
    row.add(*_bare(layer, move))
    inside = between_norm(layer)
    late = choices.late if inside is None else inside > 0
    for what in ("act", "norm") if late else ("norm", "act"):
        if what == "norm" and layer.norm is not None:
            row.add(*_norm(layer.norm, move is not None))
        elif what == "act" and layer.slope is not None:
            weight = layer.slope.weight
            row.add({"op": "prelu", "size": len(weight)}, {"weight": weight})
        elif what == "act":
            row.act(act)
    if move is not None and move.pool:
        row.add({"op": "pool", "kind": "max"})


def _bare(layer: Layer, move: Move | None) -> tuple[Step, Weights]:
    tensors = {n: layer.tensors[n] for n in ("weight", "bias") if n in layer.tensors}
    if move is None:
        step = {"op": "linear", "ins": layer.ins(), "outs": layer.outs(), "bias": layer.bias}
        return step, tensors
    turned = move.how == "convt"
    step = {
        "op": move.how, "ins": layer.ins(turned), "outs": layer.outs(turned), "bias": layer.bias,
        "kernel": layer.kernel, "stride": move.stride, "padding": move.padding,
    }  # fmt: skip
    return (step | {"extra": move.extra} if turned else step), tensors


def _norm(norm: Layer, maps: bool) -> tuple[Step, Weights]:
    tensors = norm.tensors
    if "running_mean" in tensors:
        size, affine = len(tensors["running_mean"]), "weight" in tensors
        kept = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        weights = {n: tensors[n] for n in kept if n in tensors}
        weights.setdefault("num_batches_tracked", torch.tensor(0))
        return {"op": "batchnorm", "size": size, "maps": maps, "affine": affine}, weights
    weights = {n: tensors[n] for n in ("weight", "bias")}
    if tensors["weight"].dim() > 1 or not maps:
        return {"op": "layernorm", "shape": list(tensors["weight"].shape)}, weights
    size = len(tensors["weight"])
    groups = next(g for g in (32, 16, 8, 4, 2, 1) if (size % g == 0 and size >= 2 * g) or g == 1)
    return {"op": "groupnorm", "groups": groups, "size": size}, weights
