"""pythae: folders with a config; its own networks for digits and CelebA have odd sizes."""

from __future__ import annotations

from ..plans import Choices
from ..sizes import Move
from .format import Format, Tensors, shape

DIGITS = Move("convt", 2, 1, 0), Move("convt", 2, 1, 1), Move("convt", 2, 1, 1)
CELEBA = (
    Move("convt", 2, 2, 0), Move("convt", 2, 1, 0), Move("convt", 2, 2, 1), Move("convt", 1, 1, 0),
)  # fmt: skip


def fits(t: Tensors) -> bool:
    return "encoder.embedding.weight" in t and any(n.startswith("decoder.layers.") for n in t)


def celeba(t: Tensors) -> bool:
    return fits(t) and shape(t, "decoder.layers.0.0.weight")[:1] == (65536,)


def digits(t: Tensors) -> bool:
    return fits(t) and shape(t, "decoder.layers.0.weight")[:1] == (16384,)


PYTHAE_CELEBA = Format("pythae, for CelebA", celeba, Choices(bridge=False), 64, CELEBA)
PYTHAE_DIGITS = Format("pythae, for digits", digits, Choices(bridge=False), 28, DIGITS)
PYTHAE = Format("pythae", fits, Choices(bridge=False))
