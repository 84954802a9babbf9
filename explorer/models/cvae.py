"""Conditional VAE on class labels (Sohn, Lee & Yan 2015, NeurIPS).

Differs in that the prior is N(0, I) whatever the class, so that one z is one handwriting and y
says what it writes (as in Kingma et al. 2014, arXiv:1406.5298, their figure 1). An unknown class
is all of them in equal parts: it was never trained, and its pictures are blends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..distributions import diag_normal
from ..errors import BundleError
from ..likelihoods import LIKELIHOODS, Pixels
from ..nets import dense_decoder, gaussian, mlp, set_output_bias
from ..protocol import Block, DataSpec, LatentModel


@dataclass(frozen=True)
class Config:
    latent: int = field(default=16, metadata=dict(range=(2, 256), help="coordinates of z"))
    hidden: int = field(
        default=400, metadata=dict(range=(16, 2048), help="units in each of the two layers")
    )
    likelihood: Pixels = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given its parameters")
    )


class CVAE(LatentModel):
    """The class, as one number of K that is 1, goes into encoder and decoder."""

    Config = Config
    conditional = True

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config, self.blocks = data, config, (Block("z", (config.latent,)),)
        if not data.classes:
            raise BundleError(
                f"{data.name} has no classes, and a conditional VAE draws by class. Choose the "
                "family vae, or pictures with labels."
            )
        self.likelihood = LIKELIHOODS[config.likelihood]()
        k, hidden = len(data.classes), config.hidden
        self.encoder = mlp(prod(data.shape) + k, hidden, hidden, 2 * config.latent)
        self.decoder = dense_decoder(config.latent + k, hidden, data.shape)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(config.latent), persistent=False)

    def start_at(self, mean: Tensor) -> None:
        set_output_bias(self.decoder, mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*gaussian(self.encoder(self._told(x.flatten(1), y))))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(self._told(z, y)))

    def _told(self, h: Tensor, y: Tensor | None) -> Tensor:
        """``(*S, B, F + K)``: ``h: (*S, B, F)`` and the class beside it."""
        classes = shares(y, len(self.data.classes), h)
        return torch.cat([h, classes.expand(*h.shape[:-1], -1)], -1)


def shares(y: Tensor | None, k: int, like: Tensor) -> Tensor:
    """``(B, k)``: 1 at each class of ``y: (B,)``; ``1 / k`` everywhere where it is unknown."""
    if y is None:
        return like.new_full((1, k), 1 / k)
    known = (y[:, None] == torch.arange(k, device=y.device)).to(like.dtype)
    return torch.where(y[:, None] < 0, 1 / k, known)
