"""DRAW (Gregor et al. 2015, arXiv:1502.04623): a picture is painted in steps, each with a latent.

A recurrent painter adds a stroke to a canvas at every step, and a recurrent looker sees what is
still wrong. Both look and paint through a window of Gaussian filters that moves (equations 19 to
29), or see and paint all of the picture. The flat latent is every step's in turn, its prior
N(0, I). Differs: ten steps and small layers, windows that begin wide and soft, and states that
begin at nought.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log, prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..distributions import Chain, Walk, diag_normal
from ..likelihoods import LIKELIHOODS, Pixels
from ..nets import gaussian
from ..protocol import Block, DataSpec, LatentModel

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Config:
    latent: int = field(default=8, metadata=dict(range=(1, 128), help="coordinates of each step"))
    steps: int = field(default=10, metadata=dict(range=(2, 64), help="strokes in a picture"))
    hidden: int = field(
        default=128, metadata=dict(range=(8, 1024), help="units of either recurrent layer")
    )
    attention: Literal["window", "none"] = field(
        default="window", metadata=dict(help="look and paint through a window, or everywhere")
    )
    read: int = field(
        default=5, metadata=dict(range=(2, 16), help="filters a side of the window that looks")
    )
    write: int = field(
        default=5, metadata=dict(range=(2, 16), help="filters a side of the window that paints")
    )
    likelihood: Pixels = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given its parameters")
    )


class LSTM(nn.Module):
    """One step of Hochreiter & Schmidhuber 1997, over any leading dimensions."""

    def __init__(self, ins: int, units: int) -> None:
        super().__init__()
        self.gates = nn.Linear(ins + units, 4 * units)

    def forward(self, x: Tensor, state: State) -> State:
        h, c = state
        gates = self.gates(torch.cat([x, h.expand(*x.shape[:-1], -1)], -1))
        keep, take, give, new = gates.chunk(4, -1)
        c = (keep + 1).sigmoid() * c + take.sigmoid() * new.tanh()
        return give.sigmoid() * c.tanh(), c


class Window(nn.Module):
    """A grid of ``n`` by ``n`` Gaussian filters whose place, stride, width and strength a state
    of ``hidden`` numbers decides."""

    def __init__(self, hidden: int, n: int, height: int, width: int) -> None:
        super().__init__()
        self.n, self.size = n, (height, width)
        self.said = nn.Linear(hidden, 5)
        with torch.no_grad():  # it begins as a soft look at everything
            self.said.weight.mul_(0.1)
            self.said.bias.zero_()
            self.said.bias[2] = 2 * log(self.stride / 2)

    @property
    def stride(self) -> float:
        """Pixels from filter to filter where the window covers the whole picture."""
        return (max(self.size) - 1) / (self.n - 1)

    def place(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Middle ``y, x``, stride and width in pixels, and strength, each of ``h``'s leading
        shape. It paints with the inverse of the strength with which it would look."""
        x, y, width, stride, strength = self.said(h).unbind(-1)
        height, wide = self.size
        return (
            (height + 1) / 2 * (y + 1) - 1,
            (wide + 1) / 2 * (x + 1) - 1,
            self.stride * stride.clamp(-6, 2).exp(),
            (width.clamp(-6, 6) / 2).exp(),
            strength.clamp(-6, 6).exp(),
        )

    def banks(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(..., 1, n, H)`` and ``(..., 1, n, W)``: what every row and column of filters weighs;
        and the strength, ``(..., 1, 1, 1)``."""
        y, x, stride, width, strength = self.place(h)
        height, wide = self.size
        rows, columns = (
            bank(y, stride, width, self.n, height),
            bank(x, stride, width, self.n, wide),
        )
        return rows.unsqueeze(-3), columns.unsqueeze(-3), strength[..., None, None, None]

    def read(self, h: Tensor, picture: Tensor) -> Tensor:
        """``(..., C, n, n)``: ``picture: (..., C, H, W)`` through the filters."""
        rows, columns, strength = self.banks(h)
        return strength * (rows @ picture @ columns.mT)

    def write(self, h: Tensor, patch: Tensor) -> Tensor:
        """``(..., C, H, W)``: a ``patch: (..., C, n, n)`` put where the filters are."""
        rows, columns, strength = self.banks(h)
        return rows.mT @ patch @ columns / strength


def bank(middle: Tensor, stride: Tensor, width: Tensor, n: int, size: int) -> Tensor:
    """``(..., n, size)``: ``n`` Gaussians ``stride`` apart around ``middle``, each adding to 1."""
    steps = torch.arange(n, device=middle.device, dtype=middle.dtype) - (n - 1) / 2
    centres = middle[..., None] + stride[..., None] * steps
    pixels = torch.arange(size, device=middle.device, dtype=middle.dtype)
    far = (pixels - centres[..., None]) / width[..., None, None]
    weights = (-0.5 * far.square()).exp()
    return weights / (weights.sum(-1, keepdim=True) + 1e-8)


class DRAW(LatentModel):
    """p(z) = N(0, I) over all steps, q(z_t | x, z_<t), and p(x | z) from the last canvas."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config = data, config
        self.blocks = tuple(Block(f"step {t + 1}", (config.latent,)) for t in range(config.steps))
        self.likelihood = LIKELIHOODS[config.likelihood]()
        (c, height, width), hidden = data.shape, config.hidden
        if config.attention == "window":
            self.eye = Window(hidden, config.read, height, width)
            self.brush = Window(hidden, config.write, height, width)
            with torch.no_grad():  # a stroke of ones begins as ones on the canvas
                self.brush.said.bias[4] = -2 * log(self.brush.stride)
        seen = (c, config.read, config.read) if self.windowed else data.shape
        self.patch = (c, config.write, config.write) if self.windowed else data.shape
        self.looker = LSTM(2 * prod(seen) + hidden, hidden)
        self.head = nn.Linear(hidden, 2 * config.latent)
        self.painter = LSTM(config.latent, hidden)
        self.stroke = nn.Linear(hidden, prod(self.patch))
        self.start = nn.Parameter(torch.zeros(data.shape))
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(self.latent_size), persistent=False)

    @property
    def windowed(self) -> bool:
        return self.config.attention == "window"

    def start_at(self, mean: Tensor) -> None:
        with torch.no_grad():
            self.start.copy_(mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        def walk() -> Walk:
            nought = x.new_zeros(len(x), self.config.hidden)
            looker, painter, canvas = (nought, nought), (nought, nought), self.start
            for _ in self.blocks:
                seen = self._look(painter[0], x, x - canvas.sigmoid())
                looker = self.looker(torch.cat([seen, painter[0]], -1), looker)
                z = yield diag_normal(*gaussian(self.head(looker[0])))
                painter, canvas = self._paint(z, painter, canvas)

        return Chain(walk, [block.size for block in self.blocks], x.shape[:1])

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.canvases(z)[-1])

    def canvases(self, z: Tensor) -> list[Tensor]:
        """The canvas after each step, ``(*S, B, C, H, W)`` before the likelihood's squashing."""
        return [canvas for canvas, _ in self._steps(z)]

    def windows(self, z: Tensor) -> list[Tensor]:
        """``(*S, B, 4)`` for each step: left, top, right and bottom of the window that it painted
        through, in pixels, to the outer filters' own width; it must have one."""
        found = []
        for _, h in self._steps(z):
            y, x, stride, soft, _ = self.brush.place(h)
            reach = stride * (self.config.write - 1) / 2 + soft
            found.append(torch.stack([x - reach, y - reach, x + reach, y + reach], -1))
        return found

    def _steps(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Canvas and painter's state after each step."""
        nought = z.new_zeros(*z.shape[:-1], self.config.hidden)
        painter, canvas, found = (nought, nought), self.start, []
        for part in z.split(self.config.latent, -1):
            painter, canvas = self._paint(part, painter, canvas)
            found.append((canvas, painter[0]))
        return found

    def _look(self, h: Tensor, *pictures: Tensor) -> Tensor:
        """``(..., F)``: what a painter in state ``h`` sees of pictures ``(..., C, H, W)``."""
        lead = torch.broadcast_shapes(*(p.shape[:-3] for p in pictures))
        seen = torch.cat([p.expand(*lead, -1, -1, -1) for p in pictures], -3)
        return (self.eye.read(h, seen) if self.windowed else seen).flatten(-3)

    def _paint(self, z: Tensor, painter: State, canvas: Tensor) -> tuple[State, Tensor]:
        h, c = self.painter(z, painter)
        stroke = self.stroke(h).unflatten(-1, self.patch)
        return (h, c), canvas + (self.brush.write(h, stroke) if self.windowed else stroke)
