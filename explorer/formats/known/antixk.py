"""PyTorch-VAE (AntixK): a Lightning program with many kinds of VAE; tanh comes out."""

from __future__ import annotations

from dataclasses import replace

from ..plans import Choices
from .format import SIGNED, Format, Tensors

SAID = Choices("leaky 0.01", bridge=False, output="tanh", into=SIGNED, out_of=SIGNED)


def vanilla(t: Tensors) -> bool:
    heads = "fc_mu.weight" in t or "fc_z.weight" in t
    return "final_layer.3.weight" in t and "decoder_input.weight" in t and heads


def quantised(t: Tensors) -> bool:
    return "vq_layer.embedding.weight" in t and any(".resblock." in name for name in t)


ANTIXK = Format("PyTorch-VAE (AntixK)", vanilla, SAID)
ANTIXK_VQ = Format(
    "PyTorch-VAE (AntixK), VQ-VAE", quantised,
    replace(SAID, inner="relu", summed=False, headed=True), 64,
)  # fmt: skip
