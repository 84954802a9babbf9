"""From a plan and choices to the graph of `models/foreign.py`, and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from .blocks import Block
from .chains import Chain
from .layers import Layer, between_norm, gap
from .plans import Choices, Exact, Plan, table
from .rows import Row, Step, Weights, own
from .sizes import Move


def graph(plan: Plan | Exact, choices: Choices) -> tuple[dict[str, Any], Weights]:
    """The graph of `models.foreign.Foreign` and its weights."""
    if isinstance(plan, Exact):
        rows = dict(plan.rows)
    else:
        rows = _rows(plan, choices)
    found: dict[str, Any] = {part: row.steps for part, row in rows.items()}
    found |= {
        "latent": plan.latent, "layout": choices.layout, "spread": choices.spread,
        "output": choices.output, "into": list(choices.into), "out_of": list(choices.out_of),
        "classes": plan.classes,
    }  # fmt: skip
    found.setdefault("encoder", None)
    return found, {f"{p}.{n}": v for p, row in rows.items() for n, v in row.weights.items()}


def _rows(plan: Plan, choices: Choices) -> dict[str, Row]:
    reading = plan.reading
    rows = {"decoder": _decoder(plan, choices)}
    if reading.encoder is not None:
        assert reading.mean is not None
        rows["encoder"] = _encoder(plan, choices)
        mean, second = reading.mean, reading.second
        if choices.swapped and second is not None:
            mean, second = second, mean
        rows["mean"] = _head(mean, plan)
        if choices.headed:
            rows["mean"].act(choices.hidden)
        if second is not None:
            rows["second"] = _head(second, plan)
        if reading.choice:
            rows["choice"] = _choice(reading.choice)
    return rows


def _encoder(plan: Plan, choices: Choices) -> Row:
    reading, row = plan.reading, Row()
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
        active = choices.top if following is None else _bends(layer, following, choices)
        if following is None and isinstance(layer, Block):
            active = active and not (choices.summed and not _opens(layer, choices))
        move = next(moves) if maps else None
        _layer(row, layer, move, choices, choices.hidden if active else "none")
    if reading.mean.kind != "conv" and not flat:
        _flatten(row, plan)
    if reading.beside:
        _label(row, plan, reading.beside, False)
    return row


def _bends(layer: Layer, following: Layer, choices: Choices) -> bool:
    """Whether an activation stands between two layers, where names or blocks tell; else yes."""
    apart = gap(layer, following)
    if isinstance(following, Block) and _opens(following, choices):
        return bool(apart)
    if isinstance(layer, Block):
        if apart is not None:
            return apart > 0
        bent = choices.summed and not _opens(layer, choices)  # it ends in one already
        return not bent and not isinstance(following, Block)
    return apart != 0


def _opens(block: Block, choices: Choices) -> bool:
    return block.opens != (choices.flipped and not block.told)


def _flatten(row: Row, plan: Plan) -> None:
    if plan.averaged:
        row.add({"op": "average"})
    row.add({"op": "flatten"})


def _decoder(plan: Plan, choices: Choices) -> Row:
    reading, row = plan.reading, Row()
    hidden = choices.drawing or choices.hidden
    moves = iter(plan.up)
    layers = reading.decoder.layers
    maps = False
    for k, layer in enumerate(layers):
        if reading.decoder.surplus[k] and not reading.choice:
            _label(row, plan, reading.decoder.surplus[k], False)
        if layer.kind == "conv" and not maps:
            row.add({"op": "view", "shape": [_channels(reading.decoder, k, plan), *plan.seam]})
            if reading.codes is not None:
                row.quantise(reading.codes)
            if plan.grown > 1:
                row.upsample(plan.grown)
            maps = True
        following = layers[k + 1] if k + 1 < len(layers) else None
        active = following is not None and _bends(layer, following, choices)
        if following is not None and following.kind == "conv" and layer.kind == "linear":
            steps = gap(layer, following)
            active = steps >= 2 if steps is not None and steps != 1 else choices.bridge
        move = next(moves) if maps else None
        _layer(row, layer, move, replace(choices, hidden=hidden), hidden if active else "none")
    if not maps:
        row.add({"op": "view", "shape": list(plan.shape)})
    elif plan.drawn != plan.shape[1:]:
        row.add({"op": "resize", "size": list(plan.shape[1:]), "cut": plan.cut})
    return row


def _channels(decoder: Chain, k: int, plan: Plan) -> int:
    move = plan.up[0]
    return decoder.layers[k].ins(move.how == "convt")


def _head(layer: Layer, plan: Plan) -> Row:
    row = Row()
    move = plan.down[-1] if layer.kind == "conv" else None
    _layer(row, layer, move, Choices(), "none")
    return row


def _choice(layers: Sequence[Layer]) -> Row:
    row = Row()
    _layer(row, layers[0], None, Choices(), "none")
    return row


def _label(row: Row, plan: Plan, width: int, maps: bool) -> None:
    known = table(plan.reading.tables, width)
    step: Step = {"op": "label", "size": width, "table": known is not None, "planes": maps}
    if known is None:
        row.add(step)
        return
    layer, _, embedding = known
    weight = layer.weight.T if embedding else layer.weight
    bias = layer.tensors.get("bias", weight.new_zeros(width))
    row.add(step, {"table.weight": weight.contiguous(), "table.bias": bias})


def _layer(row: Row, layer: Layer, move: Move | None, choices: Choices, act: str) -> None:
    """The layer with its norm, slope and activation, and what halves or doubles it."""
    if isinstance(layer, Block):
        assert move is not None
        _block(row, layer, move, choices)
    else:
        if move is not None and move.double:
            row.upsample()
        _bare(row, layer, move)
        inside = between_norm(layer)
        late = choices.late if inside is None else inside > 0
        if layer.norm is not None and not late:
            _norm(row, layer.norm, move is not None)
    if not isinstance(layer, Block) and layer.slope is not None:
        weight = layer.slope.weight
        row.add({"op": "prelu", "size": len(weight)}, {"weight": weight})
    else:
        row.act(act)
    if not isinstance(layer, Block) and layer.norm is not None and late:
        _norm(row, layer.norm, move is not None)
    if move is not None and move.shuffle:
        row.add({"op": "shuffle", "factor": 2})
    if move is not None and move.pool:
        # after a strided convolution it is the pooling that ResNets begin with
        row.add({"op": "pool", "kind": "max of 3" if move.stride > 1 else "max"})


def _block(row: Row, block: Block, move: Move, choices: Choices) -> None:
    """A residual block; what doubles its maps stands before it or, if named so, within."""
    hidden, inner = choices.hidden, choices.inner or choices.hidden
    grown = block.grown if move.double else -1
    if move.double and grown < 0:
        row.upsample()
    opens = _opens(block, choices)
    if opens and choices.bent:
        row.act(inner)
    body, skip = Row(), Row()
    for k, part in enumerate(block.parts):
        if block.before and part.norm is not None:
            _norm(body, part.norm, True)
        if k > 0 or opens:
            body.act(inner)
        if k == grown:
            body.upsample()
        body.conv(part, move.stride if k == block.wide else 1)
        if not block.before and part.norm is not None:
            _norm(body, part.norm, True)
    if block.skip is not None:
        if grown >= 0:
            skip.upsample()
        skip.conv(block.skip, move.stride)
        if block.skip.norm is not None:
            _norm(skip, block.skip.norm, True)
    row.residual(body, skip)
    if choices.summed and not opens:
        row.act(hidden)


def _bare(row: Row, layer: Layer, move: Move | None) -> None:
    if move is None:
        row.linear(layer)
    elif move.how == "convt":
        row.turned(layer, move.stride, move.padding, move.extra)
    else:
        row.conv(layer, move.stride, move.padding)


def _norm(row: Row, norm: Layer, maps: bool) -> None:
    tensors = norm.tensors
    if "running_mean" in tensors:
        size, affine = len(tensors["running_mean"]), "weight" in tensors
        kept = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        weights = {n: tensors[n] for n in kept if n in tensors}
        weights.setdefault("num_batches_tracked", torch.tensor(0))
        step: Step = {"op": "batchnorm", "size": size, "maps": maps, "affine": affine}
    elif tensors["weight"].dim() > 1 or not maps:
        weights = own(norm)
        step = {"op": "layernorm", "shape": list(tensors["weight"].shape)}
    else:
        weights = own(norm)
        step = {
            "op": "groupnorm",
            "groups": groups(len(tensors["weight"])),
            "size": len(tensors["weight"]),
        }
    row.add(step, weights)


def groups(size: int) -> int:
    """The usual number of groups of a norm over that many channels."""
    return next(g for g in (32, 16, 8, 4, 2, 1) if (size % g == 0 and size >= 2 * g) or g == 1)
