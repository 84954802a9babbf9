"""PixelVAE (Gulrajani et al. 2017, arXiv:1611.05013): each pixel is drawn given those before it.

Differs: a few gated layers whose one stack looks above and to the left (it has the blind spot of
the first PixelCNN), and a small head that learns beside it what the mean picture of z is. The head
is what is shown while somebody drags; it reads z and teaches it nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Size, Tensor, nn
from torch.distributions import Bernoulli, Distribution

from ..distributions import diag_normal
from ..errors import BundleError
from ..nets import dense_decoder, gaussian, mlp, set_output_bias
from ..protocol import Block, DataSpec, LatentModel


@dataclass(frozen=True)
class Config:
    latent: int = field(default=16, metadata=dict(range=(2, 256), help="coordinates of z"))
    hidden: int = field(
        default=300, metadata=dict(range=(16, 2048), help="units in each dense layer")
    )
    channels: int = field(
        default=16, metadata=dict(range=(4, 128), help="channels of the layers over pixels")
    )
    layers: int = field(
        default=3, metadata=dict(range=(1, 16), help="layers over pixels: each sees two further")
    )
    told: int = field(
        default=32, metadata=dict(range=(1, 128), help="numbers that z says of each pixel")
    )
    likelihood: Literal["bernoulli"] = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given those before it")
    )


class Masked(nn.Conv2d):
    """A 5x5 convolution that sees what is above and to the left, and its own pixel if ``own``."""

    def __init__(self, c: int, d: int, own: bool) -> None:
        super().__init__(c, d, 5, padding=2)
        mask = torch.zeros(5, 5)
        mask[:2], mask[2, : 2 + own] = 1, 1
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Strokes(nn.Module):
    """``x: (N, C, H, W)`` and what z says of it, ``(N, F, H, W)``, to logits ``(N, C, H, W)``."""

    def __init__(self, c: int, channels: int, layers: int, told: int) -> None:
        super().__init__()
        self.first = Masked(c, channels, own=False)
        self.gates = nn.ModuleList(
            Masked(channels, 2 * channels, own=True) for _ in range(layers - 1)
        )
        self.told = nn.ModuleList(nn.Conv2d(told, 2 * channels, 1) for _ in range(layers - 1))
        self.begin = nn.Conv2d(told, channels, 1)
        self.last = nn.Conv2d(channels, c, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        h = self.first(x) + self.begin(told)
        for gate, say in zip(self.gates, self.told, strict=True):
            a, b = (gate(h) + say(told)).chunk(2, -3)
            h = h + a.tanh() * b.sigmoid()
        return self.last(h.relu())


class PixelByPixel(Distribution):
    """Black-and-white pictures, each pixel given those before it, row by row.

    ``told: (*batch, F, H, W)`` is what the latent says of each pixel, ``guess: (*batch, C, H, W)``
    the logits of the head's mean picture. Scoring takes one pass, drawing one for each pixel.
    """

    arg_constraints = {}  # pyright: ignore[reportAssignmentType]

    def __init__(self, strokes: Strokes, told: Tensor, guess: Tensor) -> None:
        self.strokes, self.told, self.guess = strokes, told, guess
        super().__init__(guess.shape[:-3], guess.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The head's guess at it: the true mean is an average over all drawings."""
        return self.guess.sigmoid()

    def logits(self, x: Tensor) -> Tensor:
        """Of each pixel of ``x`` given those before it."""
        lead = torch.broadcast_shapes(x.shape[:-3], self.told.shape[:-3])
        x, told = (v.expand(*lead, *v.shape[-3:]).flatten(0, -4) for v in (x, self.told))
        return self.strokes(x, told).reshape(*lead, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        score = Bernoulli(logits=self.logits(value), validate_args=False).log_prob(value)
        # nothing is added to the value; its gradient is the head's only lesson
        head = Bernoulli(logits=self.guess, validate_args=False).log_prob(value)
        return (score + head - head.detach()).sum((-1, -2, -3))

    @torch.no_grad()
    def sample(self, sample_shape: Size = Size()) -> Tensor:
        *_, x = self.film(sample_shape)
        return x

    @torch.no_grad()
    def film(
        self, sample_shape: Size = Size(), chance: torch.Generator | None = None
    ) -> Iterator[Tensor]:
        """The drawing as it grows, ``sample + batch + (C, H, W)`` after each row."""
        c, h, w = self.event_shape
        x = self.told.new_zeros(*sample_shape, *self.batch_shape, c, h, w)
        for row in range(h):
            for column in range(w):
                ink = self.logits(x)[..., row, column].sigmoid()
                x[..., row, column] = torch.bernoulli(ink, generator=chance)
            yield x.clone()


class PixelVAE(LatentModel):
    """N(0, I) prior, diagonal posterior, and a decoder that looks at what it has drawn so far."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config, self.blocks = data, config, (Block("z", (config.latent,)),)
        if data.channels != 1:
            raise BundleError(
                f"{data.name} has colour pictures, and pixel by pixel only black and white is "
                "drawn. Choose the family vae."
            )
        (c, h, w), hidden, f = data.shape, config.hidden, config.told
        self.encoder = nn.Sequential(
            nn.Flatten(), mlp(c * h * w, hidden, hidden, 2 * config.latent)
        )
        self.told = dense_decoder(config.latent, hidden, (f, h, w))
        self.head = dense_decoder(config.latent, hidden, data.shape)
        self.strokes = Strokes(c, config.channels, config.layers, f)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(config.latent), persistent=False)

    def start_at(self, mean: Tensor) -> None:
        set_output_bias(self.head, mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*gaussian(self.encoder(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return PixelByPixel(self.strokes, self.told(z), self.head(z.detach()))
