"""Formats by fingerprint: names and shapes that only one program writes.

A fingerprint decides what a file is called and where calibration starts; the layers are read from
the tensors as in any other file, and everything is still measured. Only where layers do not stand
in a row does a format build its model itself. To add one: a file beside these and a line here.
"""

from .antixk import ANTIXK, ANTIXK_VQ
from .burgess import BURGESS
from .examples import EXAMPLES
from .format import USUAL, Format, Tensors
from .kl import DIFFUSERS, LDM
from .konny import KONNY_B, KONNY_H
from .pythae import PYTHAE, PYTHAE_CELEBA, PYTHAE_DIGITS
from .vq import LASKIN, VQ, ZALANDO
from .vqvae2 import VQVAE2
from .world_models import WORLD_MODELS

FORMATS = (
    BURGESS, ANTIXK, ANTIXK_VQ, PYTHAE_CELEBA, PYTHAE_DIGITS, PYTHAE, KONNY_H, KONNY_B, EXAMPLES,
    WORLD_MODELS, DIFFUSERS, LDM, VQVAE2, ZALANDO, LASKIN, VQ,
)  # fmt: skip


def recognised(tensors: Tensors) -> Format | None:
    """The first format whose fingerprint the tensors carry."""
    return next((f for f in FORMATS if f.fits(tensors)), None)


__all__ = ["FORMATS", "USUAL", "Format", "recognised"]
