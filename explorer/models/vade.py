"""Variational deep embedding (Jiang et al. 2017, arXiv:1611.05148): a mixture prior that clusters.

Differs in how the KL to the mixture is estimated: log q(z|x) - log p(z) at the drawn z, all parts
summed, which is the paper's bound at its best responsibilities p(c|z).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily

from ..distributions import diag_normal
from ..likelihoods import LIKELIHOODS, Pixels
from ..nets import dense_decoder, gaussian, mlp, set_output_bias
from ..protocol import Block, DataSpec, LatentModel


@dataclass(frozen=True)
class Config:
    latent: int = field(default=10, metadata=dict(range=(2, 256), help="coordinates of z"))
    clusters: int = field(default=10, metadata=dict(range=(2, 100), help="parts of the prior"))
    hidden: int = field(
        default=500, metadata=dict(range=(16, 2048), help="units in each of the two layers")
    )
    likelihood: Pixels = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given its parameters")
    )


class VaDE(LatentModel):
    """p(z) is a mixture of Gaussians, learned with the rest; the cluster of z is p(c | z)."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config, self.blocks = data, config, (Block("z", (config.latent,)),)
        self.likelihood = LIKELIHOODS[config.likelihood]()
        hidden, k = (config.hidden, config.hidden), config.clusters
        out = 2 * config.latent
        self.encoder = nn.Sequential(nn.Flatten(), mlp(prod(data.shape), *hidden, out))
        self.decoder = dense_decoder(config.latent, config.hidden, data.shape)
        self.logits = nn.Parameter(torch.zeros(k))
        self.loc = nn.Parameter(torch.randn(k, config.latent))
        self.log_scale = nn.Parameter(torch.zeros(k, config.latent))

    def start_at(self, mean: Tensor) -> None:
        set_output_bias(self.decoder, mean.clamp(0.005, 0.995).logit())

    @torch.no_grad()
    def cluster_at(self, weights: Tensor, loc: Tensor, scale: Tensor) -> None:
        """Begins the prior at these shares ``(K,)``, centres and spreads ``(K, D)``."""
        self.logits.copy_(weights.log())
        self.loc.copy_(loc)
        self.log_scale.copy_(scale.log())

    def prior(self, y: Tensor | None = None) -> Distribution:
        parts = diag_normal(self.loc, self.log_scale.clamp(-8.0, 4.0).exp())
        return MixtureSameFamily(Categorical(logits=self.logits), parts, validate_args=False)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*gaussian(self.encoder(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(z))
