"""VQ-VAE with one code book (van den Oord et al. 2017, arXiv:1711.00937), as commonly written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from ..plans import Choices
from .format import HALVES, Format, Tensors, any_has

BOOK = ("codebook", "vq", "quantiz")
HALVED = Choices(output="linear", into=HALVES, out_of=HALVES)
BENT = replace(HALVED, bent=True)  # their ReLU works in place: what goes past it is bent as well


def books(tensors: Tensors) -> Iterator[tuple[str, Tensor]]:
    """``name, (K, D)`` of every code book."""
    for name, value in tensors.items():
        last = name.lower().rsplit(".", 1)[-1]
        said = any(word in name.lower() for word in BOOK)
        if not said or not value.is_floating_point() or last in ("ema_w", "_ema_w", "embed_avg"):
            continue
        if last == "embed" and value.dim() == 2:  # rosinality's is (D, K)
            count = tensors.get(name[: -len("embed")] + "cluster_size")
            turned = count is not None and count.numel() == value.shape[1]
            yield name, value.T if turned else value
        elif last in ("weight", "embed", "embeddings", "embedding", "codebook"):
            value = value[0] if value.dim() == 3 and len(value) == 1 else value
            if value.dim() == 2 and len(value) > 1:
                yield name, value


ZALANDO = Format(
    "VQ-VAE (zalandoresearch)", any_has("_residual_stack", "_pre_vq_conv"),
    BENT, 32,
)  # fmt: skip
LASKIN = Format(
    "VQ-VAE (MishaLaskin)", any_has("pre_quantization_conv", "inverse_conv_stack"),
    BENT, 32,
)  # fmt: skip
VQ = Format("VQ-VAE", lambda t: len(list(books(t))) == 1, BENT)
