"""The critic of an adversarial objective, and how its few pictures are made to go further."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.errors import RunError
from explorer.nets import Centred, channels_at, halvings


class Critic(nn.Module):
    """How real a picture looks: ``(N, C, H, W) -> (N,)``, and the features it judges by.

    4x4 convolutions of stride 2 without normalisation, so that a penalty on the gradient means
    what it says; the last layer also sees how much a batch varies (Karras et al. 2018,
    arXiv:1710.10196, section 3).
    """

    knows: Tensor

    def __init__(self, shape: Sequence[int], width: int) -> None:
        super().__init__()
        c, h, w = shape
        n = halvings(h, w)
        if n == 0:
            raise RunError(
                f"Pictures of {h} x {w} cannot be halved, as the critic does. Choose elbo."
            )
        sizes = [c, *(channels_at(width, level) for level in range(n))]
        self.register_buffer("knows", torch.zeros(()))  # half the margin of late: 1 is all
        self.centred = Centred()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
            for a, b in pairwise(sizes)
        )
        self.verdict = nn.Linear((sizes[-1] + 1) * (h >> n) * (w >> n), 1)
        for layer in self.modules():  # the usual start lets a picture fade from layer to layer
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 0.2)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def features(self, x: Tensor) -> list[Tensor]:
        """``(N, C_l, H_l, W_l)`` at every level, the finest first."""
        h, found = self.centred(x), []
        for level in self.levels:
            h = level(h)
            found.append(h)
        return found

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)[-1]
        spread = (h.var(0, correction=0) + 1e-8).sqrt().mean().expand(len(h), 1, *h.shape[2:])
        return self.verdict(torch.cat([h, spread], 1).flatten(1)).squeeze(1)


def augmented(x: Tensor) -> Tensor:
    """``x: (N, C, H, W)`` recoloured, shifted by up to an eighth and a square of half its side
    hidden, each picture otherwise, so that gradients pass.

    Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738): a critic that never sees a
    picture as it is cannot learn the training set by heart.
    """
    return _with_a_hole(_shifted(_recoloured(x)))


def _recoloured(x: Tensor) -> Tensor:
    light, colour, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    x = x + (light - 0.5) / 2
    grey = x.mean(1, keepdim=True)
    x = grey + 2 * colour * (x - grey)
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (0.5 + contrast) * (x - middle)


def _shifted(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    down = torch.randint(-(h // 8), h // 8 + 1, (n, 1), device=x.device)
    right = torch.randint(-(w // 8), w // 8 + 1, (n, 1), device=x.device)
    # what comes in from beyond the edge is 0, as in a border of one that is added
    rows = (torch.arange(h, device=x.device) + down + 1).clamp(0, h + 1)
    columns = (torch.arange(w, device=x.device) + right + 1).clamp(0, w + 1)
    each = torch.arange(n, device=x.device)[:, None, None]
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _with_a_hole(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    top = torch.randint(-(h // 4), h - h // 4 + 1, (n, 1), device=x.device)
    left = torch.randint(-(w // 4), w - w // 4 + 1, (n, 1), device=x.device)
    rows, columns = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    inside = (
        ((rows >= top) & (rows < top + h // 2))[:, None, :, None]
        & ((columns >= left) & (columns < left + w // 2))[:, None, None, :]
    )  # fmt: skip
    return x.masked_fill(inside, 0.5)
