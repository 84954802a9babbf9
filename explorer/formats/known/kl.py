"""AutoencoderKL and VQModel (Rombach et al. 2022, arXiv:2112.10752): diffusers' names and LDM's.

LDM's names, which taming-transformers began, are turned into those of diffusers; then there is
one way to build both.
"""

from __future__ import annotations

import math
import re

from torch import Tensor

from ...errors import FormatError
from ..layers import Layer
from ..plans import Choices, Exact
from ..rows import Row
from .format import SIGNED, Facts, Format, Tensors

EPS = 1e-6
LARGE = 20_000_000  # weights; larger ones draw small pictures, for the patience of a processor
RENAMED = (
    (r"\.(down|up)\.(\d+)\.block\.", r".\1_blocks.\2.resnets."),
    (r"\.(down|up)\.(\d+)\.attn\.", r".\1_blocks.\2.attentions."),
    (r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0."),
    (r"\.up\.(\d+)\.upsample\.", r".up_blocks.\1.upsamplers.0."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."), (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", ".mid_block.attentions.0."), (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"coder\.norm_out\.", "coder.conv_norm_out."),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.\d+)\.(q|query)\.", r"\1.to_q."),
    (r"(attentions\.\d+)\.(k|key)\.", r"\1.to_k."),
    (r"(attentions\.\d+)\.(v|value)\.", r"\1.to_v."),
    (r"(attentions\.\d+)\.(proj_out|proj_attn)\.", r"\1.to_out.0."),
)  # fmt: skip


def diffusers(t: Tensors) -> bool:
    return "encoder.conv_in.weight" in t and "encoder.mid_block.resnets.0.conv1.weight" in t


def ldm(t: Tensors) -> bool:
    return "encoder.conv_in.weight" in t and "encoder.mid.block_1.conv1.weight" in t


def renamed(tensors: Tensors) -> Tensors:
    """LDM's tensors under diffusers' names; its upward blocks are counted from the picture."""
    ups = 1 + max((int(m[1]) for n in tensors if (m := re.match(r"decoder\.up\.(\d+)", n))),
                  default=-1)  # fmt: skip
    found = {}
    for name, value in tensors.items():
        for old, new in RENAMED if name.startswith(("encoder.", "decoder.")) else ():
            name = re.sub(old, new, name)
        if ups:
            name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up_blocks.{ups - 1 - int(m[1])}", name)
        found[name] = value
    return found


class _Builder:
    """Rows of the two halves from tensors by diffusers' names."""

    def __init__(self, tensors: Tensors, groups: int) -> None:
        self.tensors, self.most = tensors, groups

    def layer(self, name: str) -> Layer:
        found = {n: self.tensors[f"{name}.{n}"] for n in ("weight", "bias")
                 if f"{name}.{n}" in self.tensors}  # fmt: skip
        return Layer(name, "conv", found, 0)

    def many(self, prefix: str) -> int:
        found = (re.match(re.escape(prefix) + r"\.(\d+)\.", name) for name in self.tensors)
        return 1 + max((int(m[1]) for m in found if m), default=-1)

    def norm(self, row: Row, name: str) -> None:
        own = self.layer(name).tensors
        size = len(own["weight"])
        step = {"op": "groupnorm", "groups": math.gcd(self.most, size), "size": size, "eps": EPS}
        row.add(step, own)

    def resnet(self, row: Row, name: str) -> None:
        body, skip = Row(), Row()
        for k in (1, 2):
            self.norm(body, f"{name}.norm{k}")
            body.act("silu")
            body.conv(self.layer(f"{name}.conv{k}"))
        if f"{name}.conv_shortcut.weight" in self.tensors:
            skip.conv(self.layer(f"{name}.conv_shortcut"))
        row.residual(body, skip)

    def attention(self, row: Row, name: str) -> None:
        body = Row()
        self.norm(body, f"{name}.group_norm")
        own = {}
        for ours, theirs in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("out", "to_out.0")):
            for key, value in self.layer(f"{name}.{theirs}").tensors.items():
                own[f"{ours}.{key}"] = value.flatten(1) if value.dim() > 2 else value
        body.add({"op": "attention", "size": len(own["q.weight"])}, own)
        row.residual(body, Row())

    def stage(self, row: Row, name: str) -> None:
        for k in range(self.many(f"{name}.resnets")):
            self.resnet(row, f"{name}.resnets.{k}")
            if f"{name}.attentions.{k}.group_norm.weight" in self.tensors:
                self.attention(row, f"{name}.attentions.{k}")

    def end(self, row: Row, half: str) -> None:
        self.norm(row, f"{half}.conv_norm_out")
        row.act("silu")
        row.conv(self.layer(f"{half}.conv_out"))

    def encoder(self) -> tuple[Row, int]:
        """The row, and by how much it makes a picture smaller."""
        row, factor = Row(), 1
        row.conv(self.layer("encoder.conv_in"))
        for k in range(self.many("encoder.down_blocks")):
            self.stage(row, f"encoder.down_blocks.{k}")
            name = f"encoder.down_blocks.{k}.downsamplers.0.conv"
            if f"{name}.weight" in self.tensors:
                row.add({"op": "pad", "sides": [0, 1, 0, 1]})
                row.conv(self.layer(name), 2, 0)
                factor *= 2
        self.stage(row, "encoder.mid_block")
        self.end(row, "encoder")
        if "quant_conv.weight" in self.tensors:
            row.conv(self.layer("quant_conv"))
        return row, factor

    def decoder(self, seam: tuple[int, int, int], codes: Tensor | None) -> Row:
        row = Row()
        row.add({"op": "view", "shape": list(seam)})
        if codes is not None:
            row.quantise(codes)
        if "post_quant_conv.weight" in self.tensors:
            row.conv(self.layer("post_quant_conv"))
        row.conv(self.layer("decoder.conv_in"))
        self.stage(row, "decoder.mid_block")
        for k in range(self.many("decoder.up_blocks")):
            self.stage(row, f"decoder.up_blocks.{k}")
            name = f"decoder.up_blocks.{k}.upsamplers.0.conv"
            if f"{name}.weight" in self.tensors:
                row.upsample()
                row.conv(self.layer(name))
        self.end(row, "decoder")
        return row


# in mid_block the order is resnet, attention, resnet: attention k follows resnet k, as elsewhere


def build(tensors: Tensors, facts: Facts) -> list[Exact]:
    """The model. Raises FormatError where a part of it is missing or of another kind."""
    tensors = renamed(tensors)
    codes = tensors.get("quantize.embedding.weight")
    groups = facts.get("norm_num_groups")
    try:
        builder = _Builder(tensors, groups if type(groups) is int and groups > 0 else 32)
        encoder, factor = builder.encoder()
        first, last = encoder.steps[0], encoder.steps[-1]
        width = last["outs"] if codes is not None else last["outs"] // 2
        side = _side(facts, factor, sum(t.numel() for t in tensors.values()))
        seam = width, side // factor, side // factor
        rows = ("encoder", encoder), ("mean", Row()), ("decoder", builder.decoder(seam, codes))
    except (KeyError, IndexError) as error:
        raise FormatError(
            f"This is an AutoencoderKL with a part missing ({str(error)[:80]}). Choose the file "
            "that holds its encoder and its decoder."
        ) from None
    if first["ins"] not in (1, 3):
        raise FormatError(
            f"This AutoencoderKL takes pictures of {first['ins']} channels, not 1 or 3."
        )
    family = "AutoencoderKL" if codes is None else "VQModel"
    shape = first["ins"], side, side
    return [Exact(family, rows, shape, math.prod(seam), seam, codes is None, codes)]


def _side(facts: Facts, factor: int, weights: int) -> int:
    """Of its pictures: any would do, so what its config says within a processor's patience."""
    said = facts.get("sample_size")
    most = 128 if weights > LARGE else 256
    side = min(said if type(said) is int and said > 0 else 64, most)
    return max(side // factor, 2) * factor


SAID = Choices(output="linear", into=SIGNED, out_of=SIGNED)
DIFFUSERS = Format("diffusers", diffusers, SAID, build=build)
LDM = Format("latent diffusion", ldm, SAID, build=build)
