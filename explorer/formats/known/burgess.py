"""disentangling-vae (YannDubs): heads interleaved in one layer."""

from __future__ import annotations

from ..plans import Choices
from .format import Format, Tensors, shape


def fits(t: Tensors) -> bool:
    return "encoder.mu_logvar_gen.weight" in t and shape(t, "encoder.conv1.weight")[2:] == (4, 4)


BURGESS = Format("disentangling-vae", fits, Choices(layout="interleaved"))
