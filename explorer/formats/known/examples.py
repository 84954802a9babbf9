"""pytorch/examples/vae, which everybody copies."""

from __future__ import annotations

from .format import Format, has

EXAMPLES = Format(
    "pytorch/examples",
    has("fc1.weight", "fc21.weight", "fc22.weight", "fc3.weight", "fc4.weight"),
)
