"""Building blocks that know nothing of probability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ONEDNN = (
    torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
)


class Linear(nn.Linear):
    """``nn.Linear``, whose products oneDNN computes while it is trained on a processor.

    PyTorch asks MKL, which takes twice as long on processors with AVX-512 that Intel did not make
    (`make bench-train`).
    """

    def forward(self, input: Tensor) -> Tensor:
        trained = self.weight.requires_grad and torch.is_grad_enabled()
        single = input.dtype == self.weight.dtype == torch.float32
        if ONEDNN and trained and single and input.ndim == 2 and input.device.type == "cpu":
            return _Affine.apply(input, self.weight, self.bias)
        return super().forward(input)


class _Affine(torch.autograd.Function):
    """``x: (B, n), w: (m, n), b: (m,) -> (B, m)``, as ``F.linear``; differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        return product(x, w, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        to_x, to_w, to_b = ctx.needs_input_grad
        return (
            product(g, w.T) if to_x else None,
            product(g.T, x.T) if to_w else None,
            g.sum(0) if to_b else None,
        )


def product(a: Tensor, b: Tensor, plus: Tensor | None = None) -> Tensor:
    """``a @ b.T + plus`` of float32 matrices on a processor, by oneDNN; no gradient."""
    return torch.ops.mkldnn._linear_pointwise(a, b, plus, "none", [], "")


def mlp(*sizes: int) -> nn.Sequential:
    """``(..., sizes[0]) -> (..., sizes[-1])`` with ReLU between the linear layers."""
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes[:-1]):
        layers += [Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, Linear(sizes[-2], sizes[-1]))


class OverLeading(nn.Module):
    """Lets a net written for ``(N, *event)`` take any leading dimensions."""

    def __init__(self, net: nn.Module, event_dims: int) -> None:
        super().__init__()
        self.net, self.event_dims = net, event_dims

    def forward(self, x: Tensor) -> Tensor:
        lead = x.shape[: x.ndim - self.event_dims]
        y = self.net(x.reshape(-1, *x.shape[len(lead) :]))
        return y.reshape(*lead, *y.shape[1:])


def dense_decoder(latent: int, hidden: int, shape: Sequence[int]) -> OverLeading:
    """``(*S, latent) -> (*S, C, H, W)`` with two hidden layers."""
    net = mlp(latent, hidden, hidden, prod(shape))
    return OverLeading(nn.Sequential(net, nn.Unflatten(-1, tuple(shape))), 1)


def gaussian(h: Tensor) -> tuple[Tensor, Tensor]:
    """``(loc, scale)``: splits a head's output in two, the second half being log scale."""
    loc, log_scale = h.chunk(2, -1)
    return loc, log_scale.clamp(-8.0, 4.0).exp()


def _norm(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU())


class Residual(nn.Module):
    """``x + f(x)`` with one normalised 3x3 convolution, at the size of ``x``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_norm(channels), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def halvings(height: int, width: int) -> int:
    """How often a picture can be halved before a side is odd or no longer than 4 pixels."""
    n = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > 4:
        height, width, n = height // 2, width // 2, n + 1
    return n


def channels_at(width: int, level: int) -> int:
    """Channels after ``level`` halvings: doubling, but never more than 256."""
    return min(256, width << level)


class Centred(nn.Module):
    """Pixels in [0, 1] moved to [-2, 2]: with a mean near zero the first layer learns faster."""

    def forward(self, x: Tensor) -> Tensor:
        return 4 * x - 2


def conv_encoder(shape: Sequence[int], width: int, out: int) -> nn.Sequential:
    """``(N, C, H, W) -> (N, out)``: 4x4 convolutions of stride 2, then one linear head."""
    c, h, w = shape
    n = halvings(h, w)
    layers: list[nn.Module] = [Centred()]
    for level in range(n):
        d = channels_at(width, level)
        layers += [nn.Conv2d(c, d, 4, stride=2, padding=1), _norm(d)]
        c = d
    return nn.Sequential(*layers, nn.Flatten(), Linear(c * (h >> n) * (w >> n), out))


class Smooth(nn.Module):
    """Every pixel the mean of itself and its neighbours above and to the left, sizes kept.

    After a pixel shuffle, whose four phases have filters of their own, nothing of period two is
    left: a checkerboard cannot be drawn (Sugawara et al. 2018, arXiv:1806.02658).
    """

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[..., :1, :], x], -2)
        x = (x[..., 1:, :] + x[..., :-1, :]) / 2
        x = torch.cat([x[..., :1], x], -1)
        return (x[..., 1:] + x[..., :-1]) / 2


class _Double(nn.Module):
    """Twice the size, ``d`` channels: pixel shuffle (no checkerboard), a 3x3 convolution."""

    def __init__(self, c: int, d: int, smooth: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(c, 4 * d, 1),
            nn.PixelShuffle(2),
            *([Smooth()] if smooth else []),
            _norm(d),
            nn.Conv2d(d, d, 3, padding=1),
            _norm(d),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def conv_decoder(
    latent: int, shape: Sequence[int], width: int, residual: Sequence[int], smooth: bool = False
) -> nn.Sequential:
    """``(N, latent) -> (N, C, H, W)``; ``residual[k]`` extra blocks at the k-th coarsest size.

    The capacity belongs at 4x4 to 16x16, where a parameter costs the fewest operations.
    ``smooth`` rules checkerboards out, of two pixels and of four: coarser ones no picture showed.
    """
    c, h, w = shape
    n = halvings(h, w)
    d = channels_at(width, n - 1)
    layers: list[nn.Module] = [
        Linear(latent, d * (h >> n) * (w >> n)),
        nn.Unflatten(-1, (d, h >> n, w >> n)),
    ]
    for level in range(n):
        blocks = residual[level] if level < len(residual) else 0
        layers += [Residual(d) for _ in range(blocks)]
        if level < n - 1:
            e = channels_at(width, n - 2 - level)
            layers += [_Double(d, e, smooth and level == n - 2)]
            d = e
    layers += [nn.Conv2d(d, 4 * c, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, *([Smooth()] if smooth else []))


def set_output_bias(net: nn.Module, logits: Tensor) -> None:
    """Starts ``net``'s last linear layer at ``logits``: the mean picture before any training."""
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(logits.flatten())
