"""Against a posterior that lags behind: more steps of the encoder for each of the whole (He et al.
2019, arXiv:1901.05534).

Differs: a fixed number of encoder steps on the batch in hand, all through the training, instead of
many on other batches until the mutual information no longer climbs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from explorer.distributions import draw
from explorer.protocol import LatentModel

from ..data import Split
from .elbo import ELBO
from .phase import Phase


@dataclass(frozen=True)
class Lagging:
    """The ELBO, climbed by the encoder alone between the steps that all of the model takes."""

    inner: int = field(
        default=4, metadata=dict(range=(1, 50), help="encoder steps for each of the whole")
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        (whole,) = ELBO().phases(model, data)
        encoder = recognition(model, data)
        return [whole, *(Phase(f"encoder{k}", encoder, whole.loss) for k in range(self.inner))]


def recognition(model: LatentModel, data: Split) -> nn.ParameterList:
    """What q(z|x) depends on, found by asking it for a draw."""
    some = next(model.parameters())
    x = data.x[:2].to(some.device, some.dtype) / 255
    y = None if data.y is None else data.y[:2].to(some.device)
    with torch.enable_grad():
        z, _ = draw(model.encode(x, y))
    parameters = list(model.parameters())
    slopes: tuple[Tensor | None, ...] = torch.autograd.grad(z.sum(), parameters, allow_unused=True)
    return nn.ParameterList(p for p, g in zip(parameters, slopes, strict=True) if g is not None)
