"""Ladder VAE (Sønderby et al. 2016, arXiv:1602.02282): two levels, each with its own information.

The top level says what the lower one is to be; the posterior of the lower one is the product of
what the picture says and what the level above expects. Differs: two levels instead of five, and
no batch normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from ..distributions import Chain, Walk, diag_normal
from ..likelihoods import LIKELIHOODS, Pixels
from ..nets import dense_decoder, gaussian, mlp, set_output_bias
from ..protocol import Block, DataSpec, LatentModel


@dataclass(frozen=True)
class Config:
    top: int = field(
        default=16, metadata=dict(range=(2, 128), help="coordinates of the top level")
    )
    bottom: int = field(
        default=32, metadata=dict(range=(2, 128), help="coordinates of the lower level")
    )
    hidden: int = field(
        default=300, metadata=dict(range=(16, 2048), help="units in each of the layers")
    )
    likelihood: Pixels = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given its parameters")
    )


class Ladder(LatentModel):
    """p(z2) p(z1 | z2) p(x | z1), and q(z2 | x) q(z1 | z2, x); the latent is (z2, z1)."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config = data, config
        self.blocks = Block("whole", (config.top,)), Block("detail", (config.bottom,))
        self.likelihood = LIKELIHOODS[config.likelihood]()
        hidden = config.hidden
        self.up = nn.Sequential(nn.Flatten(), mlp(prod(data.shape), hidden, hidden), nn.ReLU())
        self.seen = nn.Linear(hidden, 2 * config.bottom)  # of the lower level, in the picture
        self.top = mlp(hidden, hidden, 2 * config.top)
        self.down = mlp(config.top, hidden, hidden, 2 * config.bottom)
        self.decoder = dense_decoder(config.bottom, hidden, data.shape)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(config.top), persistent=False)

    @property
    def _sizes(self) -> list[int]:
        return [block.size for block in self.blocks]

    def start_at(self, mean: Tensor) -> None:
        set_output_bias(self.decoder, mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        def walk() -> Walk:
            z2 = yield diag_normal(self.origin, torch.ones_like(self.origin))
            yield diag_normal(*gaussian(self.down(z2)))

        return Chain(walk, self._sizes, Size())

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        h = self.up(x)
        seen, top = gaussian(self.seen(h)), gaussian(self.top(h))

        def walk() -> Walk:
            z2 = yield diag_normal(*top)
            yield diag_normal(*product(seen, gaussian(self.down(z2))))

        return Chain(walk, self._sizes, x.shape[:1])

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(z[..., self.config.top :]))


def product(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """``(loc, scale)`` of the product of two Gaussians, each ``(loc, scale)``: precisions add."""
    first, second = a[1] ** -2, b[1] ** -2
    return (a[0] * first + b[0] * second) / (first + second), (first + second) ** -0.5
