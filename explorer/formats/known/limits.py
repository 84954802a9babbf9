"""Kinds of models that are called by their name and not opened, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SPATIAL = (
    "Its latent is a small map for each picture, nearly a compressed copy of it, so that dials "
    "would show nothing, and its layers are named as no program known here names them."
)


@dataclass(frozen=True)
class Limit:
    """A kind of model that is recognised and cannot be wandered through, with the reason."""

    family: str
    pattern: re.Pattern[str]
    reason: str


LIMITS = (
    Limit(
        "VQ-VAE",
        re.compile(r"codebook|(^|[._])vq|quantiz|ema_w$"),
        "Its code is a grid of entries from a code book, with no Gaussian posterior, so there is "
        "nothing between two codes to drag through. Choose a VAE with one latent vector.",
    ),
    Limit(
        "AutoencoderKL",
        re.compile(r"mid_block|mid\.attn_1|mid\.block_1|down_blocks\.|down\.\d+\.block"),
        f"{SPATIAL} Choose a VAE with one latent vector.",
    ),
    Limit(
        "tiny autoencoder (TAESD)",
        re.compile(
            r"^(encoder\.layers\.|decoder\.layers\.|encoder\.|decoder\.)?\d+\.conv\.\d+\.weight"
        ),
        f"{SPATIAL} Choose a VAE with one latent vector.",
    ),
    Limit(
        "network with attention",
        re.compile(
            r"in_proj_weight|self_attn|attention\.|q_proj|pos_embed|(^|[._])(attn|qkv|to_q|query)"
        ),
        "Attention is what the general reader does not follow. Choose a VAE of convolutions or "
        "linear layers.",
    ),
    Limit(
        "hierarchical VAE",
        re.compile(r"encoder_z2|fc_z2_mu|z2_layers"),
        "Its latents lie on several levels, which the general reader does not follow. Choose one "
        "with one latent vector.",
    ),
)


SKIPS = Limit(
    "network with skip connections",
    re.compile(
        r"(^|[._])res(idual|_?block|_?stack|_?layer|\d|\.)|shortcut|(^|[._])skip"
        r"|(^|\.)downsample\.\d|(^|\.)layer\d\.\d+\.conv\d",
        re.I,
    ),
    "Some of its layers add to what goes past them in a way that is not followed: read as a row "
    "they would draw nonsense. Choose a VAE of layers in a row or of common residual blocks.",
)


def limited(names: Iterable[str], rest: Iterable[str]) -> Limit | None:
    """The kind of a model that is not opened; ``rest`` are the names outside of its blocks."""
    names = list(names)
    named = next((k for k in LIMITS if any(k.pattern.search(name) for name in names)), None)
    return named or (SKIPS if any(SKIPS.pattern.search(name) for name in rest) else None)
