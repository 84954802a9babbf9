"""Does a model use its coordinates? Asked of latents, and of pictures that it draws itself."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import ops
from .distributions import draw, rate_per_coordinate
from .inference import picture
from .protocol import LatentModel

ACTIVE = 0.01  # a coordinate is in use where its mean varies more than this (Burda et al. 2016)


@torch.no_grad()
def rates(model: LatentModel, z: Tensor) -> Tensor:
    """``(D,)`` nats: each coordinate's mean KL over the pictures that the model draws at ``z``, of
    its classes in turn where it is told one. Raises NotImplementedError where the posterior's
    coordinates, or the prior's, have no KL of their own."""
    k = len(model.data.classes)
    y = torch.arange(len(z), device=z.device) % k if model.conditional else None
    x = picture(model.decode(z, y))
    q = model.encode(x, y)
    return rate_per_coordinate(q, model.prior(y), draw(q)[0]).mean(0)


def spectrum(z: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(D,)``: the share of the variance of ``z: (N, D)`` along each principal axis, falling."""
    variance = np.linalg.eigvalsh(ops.covariance(z))[::-1].clip(0)
    return variance / variance.sum()


def used(z: NDArray[np.float32]) -> int:
    """How many coordinates of posterior means ``z: (N, D)`` are in use."""
    return int((z.var(0, ddof=1) > ACTIVE).sum())
