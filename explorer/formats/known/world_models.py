"""World models (Ha and Schmidhuber 2018, arXiv:1803.10122), as ctallec wrote them."""

from __future__ import annotations

from ..plans import Choices
from .format import Format, has

WORLD_MODELS = Format(
    "world-models",
    has("encoder.fc_mu.weight", "encoder.fc_logsigma.weight", "decoder.deconv4.weight"),
    Choices(spread="log sigma"),
    64,
)
