"""The critic of an adversarial objective."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from explorer.errors import RunError
from explorer.nets import Centred, channels_at, halvings

DEPTH = 3  # halvings at most: at 128 pixels a verdict is on 38 of them


class Critic(nn.Module):
    """How real each part of a picture looks, ``(N, C, H, W) -> (N, P)``, and the features it
    judges by.

    4x4 convolutions of stride 2 without normalisation, so that a penalty on the gradient means
    what it says. It judges parts, never the whole (Isola et al. 2017, arXiv:1611.07004): hundreds
    of verdicts on every picture, so that it learns from few, and about skin, hair and edges
    alone, so that it cannot ask for another person.
    """

    knows: Tensor

    def __init__(self, shape: Sequence[int], width: int) -> None:
        super().__init__()
        c, h, w = shape
        n = min(halvings(h, w), DEPTH)
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
        self.verdict = nn.Conv2d(sizes[-1], 1, 3, padding=1)
        for layer in self.modules():  # the usual start lets a picture fade from layer to layer
            if isinstance(layer, nn.Conv2d):
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
        return self.verdict(self.features(x)[-1]).flatten(1)
