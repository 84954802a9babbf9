"""Beta-VAE (1Konny): all of each half in one numbered row, for pictures of 64 x 64."""

from __future__ import annotations

from ..plans import Choices
from .format import Format, Tensors, shape


def larger(t: Tensors) -> bool:
    numbered = "decoder.11.weight" in t and "encoder.13.weight" not in t
    return numbered and shape(t, "encoder.11.weight")[1:] == (256,)


def burgess(t: Tensors) -> bool:
    return shape(t, "encoder.13.weight")[1:] == (256,) and "decoder.13.weight" in t


KONNY_H = Format("Beta-VAE (1Konny), H", larger, Choices(layout="chunked"), 64)
KONNY_B = Format("Beta-VAE (1Konny), B", burgess, Choices(layout="chunked"), 64)
