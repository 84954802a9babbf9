"""Formats by fingerprint: names and shapes that only one program writes.

A fingerprint decides what a file is called and where calibration starts; the layers are read from
the tensors as in any other file, and everything is still measured. To add a format: a function and
a line in FORMATS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .plans import Choices
from .sizes import Move

Tensors = dict[str, Tensor]
USUAL = Choices()
SIGNED = (-1.0, 1.0)


@dataclass(frozen=True)
class Format:
    """A program's way to write a model.

    Attributes:
        fits: whether tensors carry its fingerprint.
        start: what the program is known to do where no tensor says it.
        size: the side of its pictures where it has only one, else 0.
        up: what its decoder's convolutions do to sizes, where that is unusual.
    """

    name: str
    fits: Callable[[Tensors], bool]
    start: Choices = USUAL
    size: int = 0
    up: tuple[Move, ...] = ()


def _shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    return tuple(tensors[name].shape) if name in tensors else ()


def _has(*names: str) -> Callable[[Tensors], bool]:
    return lambda tensors: all(name in tensors for name in names)


def _burgess(t: Tensors) -> bool:
    return "encoder.mu_logvar_gen.weight" in t and _shape(t, "encoder.conv1.weight")[2:] == (4, 4)


def _antixk(t: Tensors) -> bool:
    return "final_layer.3.weight" in t and "decoder_input.weight" in t and "fc_mu.weight" in t


def _pythae(t: Tensors) -> bool:
    return "encoder.embedding.weight" in t and any(n.startswith("decoder.layers.") for n in t)


def _pythae_celeba(t: Tensors) -> bool:
    return _pythae(t) and _shape(t, "decoder.layers.0.0.weight")[:1] == (65536,)


def _pythae_digits(t: Tensors) -> bool:
    return _pythae(t) and _shape(t, "decoder.layers.0.weight")[:1] == (16384,)


PYTHAE_DIGITS = Move("convt", 2, 1, 0), Move("convt", 2, 1, 1), Move("convt", 2, 1, 1)
PYTHAE_CELEBA = (
    Move("convt", 2, 2, 0), Move("convt", 2, 1, 0), Move("convt", 2, 2, 1), Move("convt", 1, 1, 0),
)  # fmt: skip


def _beta_h(t: Tensors) -> bool:
    numbered = "decoder.11.weight" in t and "encoder.13.weight" not in t
    return numbered and _shape(t, "encoder.11.weight")[1:] == (256,)


def _beta_b(t: Tensors) -> bool:
    return _shape(t, "encoder.13.weight")[1:] == (256,) and "decoder.13.weight" in t


FORMATS = (
    Format("disentangling-vae", _burgess, Choices(layout="interleaved")),
    Format(
        "PyTorch-VAE (AntixK)", _antixk,
        Choices("leaky 0.01", bridge=False, output="tanh", into=SIGNED, out_of=SIGNED),
    ),
    Format("pythae, for CelebA", _pythae_celeba, Choices(bridge=False), 64, PYTHAE_CELEBA),
    Format("pythae, for digits", _pythae_digits, Choices(bridge=False), 28, PYTHAE_DIGITS),
    Format("pythae", _pythae, Choices(bridge=False)),
    Format("Beta-VAE (1Konny), H", _beta_h, Choices(layout="chunked"), 64),
    Format("Beta-VAE (1Konny), B", _beta_b, Choices(layout="chunked"), 64),
    Format(
        "pytorch/examples",
        _has("fc1.weight", "fc21.weight", "fc22.weight", "fc3.weight", "fc4.weight"),
    ),
    Format(
        "world-models",
        _has("encoder.fc_mu.weight", "encoder.fc_logsigma.weight", "decoder.deconv4.weight"),
        Choices(spread="log sigma"),
        64,
    ),
)  # fmt: skip


def recognised(tensors: Tensors) -> Format | None:
    """The first format whose fingerprint the tensors carry."""
    return next((f for f in FORMATS if f.fits(tensors)), None)


# --- what is known and has no latent that one could drag through ------------------------------

SPATIAL = (
    "Its latent is a small map for each picture, nearly a compressed copy of it: mixing two is "
    "close to a cross-fade, and dials or a grid over two of its thousands of numbers would show "
    "nothing."
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
        re.compile(r"codebook|(^|[._])vq|quantiz|_embedding\.weight$|ema_w$"),
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
        r"(^|[._])res(idual|net|_?block|_?stack|_?layer|\d|\.)|shortcut|(^|[._])skip"
        r"|(^|\.)downsample\.\d|(^|\.)layer\d\.\d+\.conv\d",
        re.I,
    ),
    "Its layers add to what goes past them, which the general reader does not follow: it would "
    "read them as a row and draw nonsense. Choose a VAE of layers in a row.",
)
INSIDE = re.compile(r"((?:^|.*\.)\d+\.(?:.*\.)?)(conv_?)?(\d+)\.weight$")


def limited(tensors: Tensors) -> Limit | None:
    """The kind of model that the tensors are and that cannot be wandered through."""
    limits = (*LIMITS, SKIPS)
    named = next((k for k in limits if any(k.pattern.search(name) for name in tensors)), None)
    return named or (SKIPS if _branches(tensors) else None)


def _branches(tensors: Tensors) -> bool:
    """Whether numbered blocks give as many channels as they take, as only a sum asks for.

    Such a block is of convolutions called ``conv1, conv2``, or in a row that begins with an
    activation or is narrower in its middle.
    """
    blocks: dict[str, list[tuple[bool, int, tuple[int, ...]]]] = {}
    for name, value in tensors.items():
        part = INSIDE.match(name)
        if part and value.dim() == 4:
            block = blocks.setdefault(part[1], [])
            block.append((bool(part[2]), int(part[3]), tuple(value.shape)))
    for row in (row for row in blocks.values() if len(row) > 1):
        (named, begins, first), (_, _, last) = row[0], row[-1]
        kept = first[1] == last[0] and all(shape[2] % 2 for _, _, shape in row)
        if kept and (named or begins > 0 or first[0] != first[1]):
            return True
    return False
