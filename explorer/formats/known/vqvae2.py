"""VQ-VAE-2 (Razavi et al. 2019, arXiv:1906.00446), as rosinality wrote it: two maps of codes.

The flat latent holds the upper map, then the lower one, both before they are quantised.
"""

from __future__ import annotations

import math
import re

from torch import Tensor

from ...errors import FormatError
from ..layers import Layer
from ..plans import Choices, Exact
from ..rows import Row
from .format import SIGNED, Facts, Format, Tensors, has

BENT = False  # whether the first ReLU of its blocks works in place


def _layer(tensors: Tensors, name: str) -> Layer:
    own = {n: tensors[f"{name}.{n}"] for n in ("weight", "bias") if f"{name}.{n}" in tensors}
    return Layer(name, "conv", own, 0)


def _blocks(row: Row, tensors: Tensors, prefix: str, turned: bool, bent: bool) -> None:
    """A row called ``prefix.blocks``: convolutions, residual blocks, and ReLU between."""
    found = (re.match(rf"{prefix}\.blocks\.(\d+)\.", name) for name in tensors)
    numbers = sorted({int(m[1]) for m in found if m})
    before = None
    for k in numbers:
        name = f"{prefix}.blocks.{k}"
        if before is not None and k - before > 1:
            row.act("relu")
        before = k
        if f"{name}.conv.1.weight" in tensors:
            body = Row()
            if bent:
                row.act("relu")
            else:
                body.act("relu")
            body.conv(_layer(tensors, f"{name}.conv.1"))
            body.act("relu")
            body.conv(_layer(tensors, f"{name}.conv.3"))
            row.residual(body, Row())
            continue
        layer = _layer(tensors, name)
        if layer.kernel != 4:
            row.conv(layer)
        elif turned:
            row.turned(layer, 2, 1)
        else:
            row.conv(layer, 2, 1)
    if not turned:
        row.act("relu")


def _flat() -> Row:
    row = Row()
    row.add({"op": "flatten"})
    return row


def _take(at: int, map: tuple[int, int, int], codes: Tensor | None = None) -> Row:
    row = Row()
    row.add({"op": "take", "at": at, "shape": list(map)})
    if codes is not None:
        row.quantise(codes)
    return row


def build(tensors: Tensors, facts: Facts) -> list[Exact]:
    """The model, once with blocks in place and once without. Raises FormatError."""
    try:
        return [_built(tensors, facts, bent) for bent in (BENT, not BENT)]
    except (KeyError, IndexError) as error:
        raise FormatError(
            f"This is a VQ-VAE-2 with a part missing ({str(error)[:80]}). Choose the whole file."
        ) from None


def _built(tensors: Tensors, facts: Facts, bent: bool) -> Exact:
    said = facts.get("size") or facts.get("image_size")
    side = said if type(said) is int and 16 <= said <= 256 and said % 8 == 0 else 64
    top, bottom = tensors["quantize_t.embed"].T, tensors["quantize_b.embed"].T
    quarter, eighth = side // 4, side // 8
    upper = len(top[0]), eighth, eighth
    lower = len(bottom[0]), quarter, quarter
    width = _layer(tensors, "enc_t.blocks.0").ins()
    seen = width, quarter, quarter
    places = math.prod(upper)

    encoder = Row()
    _blocks(encoder, tensors, "enc_b", False, bent)
    up = Row()
    _blocks(up, tensors, "enc_t", False, bent)
    up.conv(_layer(tensors, "quantize_conv_t"))
    up.add({"op": "flatten"})
    encoder.beside(up, _flat())
    first, down = _take(0, upper), Row()
    first.add({"op": "flatten"})
    drawn = _take(0, upper, top)
    _blocks(drawn, tensors, "dec_t", True, bent)
    down.beside(drawn, _take(places, seen))
    down.conv(_layer(tensors, "quantize_conv_b"))
    down.add({"op": "flatten"})
    encoder.beside(first, down)

    decoder = Row()
    raised = _take(0, upper, top)
    raised.turned(_layer(tensors, "upsample_t"), 2, 1)
    decoder.beside(raised, _take(places, lower, bottom))
    _blocks(decoder, tensors, "dec", True, bent)
    rows = ("encoder", encoder), ("mean", Row()), ("decoder", decoder)
    shape = _layer(tensors, "enc_b.blocks.0").ins(), side, side
    count = places + math.prod(lower)
    return Exact("VQ-VAE", rows, shape, count, lower, codes=top, cost=0.1 if bent else 0.0)


SAID = Choices(output="linear", into=SIGNED, out_of=SIGNED)
VQVAE2 = Format("VQ-VAE-2 (rosinality)", has("quantize_t.embed", "quantize_b.embed"), SAID,
                build=build)  # fmt: skip
