"""Auto-Encoding Variational Bayes (Kingma & Welling 2014, arXiv:1312.6114).

Differs in depth (two hidden layers, or convolutions) and in the choice of likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..distributions import diag_normal
from ..errors import BundleError
from ..likelihoods import LIKELIHOODS
from ..nets import (
    OverLeading,
    conv_decoder,
    conv_encoder,
    dense_decoder,
    gaussian,
    halvings,
    mlp,
    set_output_bias,
)
from ..protocol import Block, DataSpec, LatentModel


@dataclass(frozen=True)
class Config:
    latent: int = field(default=16, metadata=dict(range=(2, 256), help="coordinates of z"))
    net: Literal["mlp", "conv"] = field(
        default="mlp", metadata=dict(help="fully connected layers, or residual convolutions")
    )
    hidden: int = field(
        default=500, metadata=dict(range=(16, 2048), help="units in each of the two layers (mlp)")
    )
    width: int = field(
        default=32,
        metadata=dict(
            range=(8, 64), step=8, help="channels at half size, doubled at each halving (conv)"
        ),
    )
    doubling: Literal["shuffle", "smooth"] = field(
        default="shuffle",
        metadata=dict(
            help="the last doubling of size; smooth: a mean over 2x2 pixels rules checkerboards "
            "out, as a critic needs it (conv)"
        ),
    )
    likelihood: Literal[
        "bernoulli",
        "continuous_bernoulli",
        "gaussian",
        "learned_gaussian",
        "laplace",
        "discretized_logistic",
    ] = field(default="bernoulli", metadata=dict(help="what a pixel is, given its parameters"))


class VAE(LatentModel):
    """N(0, I) prior, diagonal Gaussian posterior, one of LIKELIHOODS for the pixels."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config, self.blocks = data, config, (Block("z", (config.latent,)),)
        self.likelihood = LIKELIHOODS[config.likelihood]()
        c, h, w = data.shape
        out = (c * self.likelihood.per_pixel, h, w)
        if config.net == "conv":
            if halvings(h, w) == 0:
                raise BundleError(
                    f"Pictures of {h} x {w} cannot be halved, as convolutions do. Choose net mlp."
                )
            self.encoder = conv_encoder(data.shape, config.width, 2 * config.latent)
            smooth = config.doubling == "smooth"
            decoder = conv_decoder(config.latent, out, config.width, (1, 1), smooth)
            self.decoder = OverLeading(decoder, 1)
        else:
            hidden = (config.hidden, config.hidden)
            self.encoder = nn.Sequential(nn.Flatten(), mlp(c * h * w, *hidden, 2 * config.latent))
            self.decoder = dense_decoder(config.latent, config.hidden, out)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(config.latent), persistent=False)

    def start_at(self, mean: Tensor) -> None:
        if self.config.net == "mlp" and self.likelihood.per_pixel == 1:
            set_output_bias(self.decoder, mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*gaussian(self.encoder(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(z))
