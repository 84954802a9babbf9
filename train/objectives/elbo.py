"""The evidence lower bound (Kingma & Welling 2014) and how its KL is weighed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from explorer.distributions import draw, rate, rate_per_coordinate
from explorer.errors import RunError
from explorer.protocol import LatentModel

from ..data import Split
from .phase import Phase, Terms


@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound, E log p(x|z) - beta KL(q(z|x) ‖ p(z)), in nats per picture.

    ``beta`` other than 1 is the beta-VAE (Higgins et al. 2017). ``warmup`` lets beta rise from 0
    (Sønderby et al. 2016), ``free_bits`` spends that many nats of every coordinate for nothing
    (Kingma et al. 2016, with the batch mean), ``hold_rate`` keeps the KL at a number of nats by
    treating beta as a Lagrange multiplier (Rezende & Viola 2018, arXiv:1810.00597).
    """

    beta: float = field(default=1.0, metadata=dict(range=(0.0, 1000.0), help="weight of the KL"))
    warmup: int = field(
        default=0, metadata=dict(range=(0, 10**6), help="steps over which beta rises from 0")
    )
    free_bits: float = field(
        default=0.0, metadata=dict(range=(0.0, 10.0), help="nats per coordinate that cost nothing")
    )
    hold_rate: float = field(
        default=0.0, metadata=dict(range=(0.0, 1e5), help="nats at which the KL is held; 0 is off")
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        self._check()
        held = Multiplier(self.beta) if self.hold_rate else None

        def loss(x: Tensor, y: Tensor | None, step: int) -> Terms:
            q, p = model.encode(x, y), model.prior(y)
            z, log_q = draw(q)
            distortion = -model.decode(z, y).log_prob(x).mean()
            kl = rate(q, p, z, log_q).mean()
            if held is not None:
                beta, price = held.beta(), held.price(kl, self.hold_rate)
            else:
                beta = kl.new_full((), self.beta * min(1.0, (step + 1) / max(1, self.warmup)))
                price = beta * (self._counted(q, p, z) if self.free_bits else kl)
            return dict(
                loss=distortion + price,
                distortion=distortion,
                rate=kl,
                elbo=-distortion - kl,
                beta=beta.detach(),
            )

        module = nn.ModuleList([model]) if held is None else nn.ModuleList([model, held])
        return [Phase("vae", module, loss)]

    def _check(self) -> None:
        """Raises RunError for settings of which one would be ignored."""
        if self.hold_rate and not self.beta:
            raise RunError("A held rate begins at beta, which cannot be 0. Set beta to 1.")
        if self.hold_rate and (self.warmup or self.free_bits):
            raise RunError(
                "A held rate finds its own beta, so that warm-up and free bits would do nothing "
                "beside it. Set hold_rate to 0, or both of them."
            )

    def _counted(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """``()``: the batch's mean KL, no coordinate counted below ``free_bits``."""
        return rate_per_coordinate(q, p, z).mean(0).clamp(min=self.free_bits).sum()


class Multiplier(nn.Module):
    """A positive Lagrange multiplier, learned by the optimiser of the model it restrains.

    Its logarithm moves ``pace`` times as far in a step as a weight does.
    """

    def __init__(self, start: float, pace: float = 1.0) -> None:
        super().__init__()
        self.log_beta = nn.Parameter(torch.tensor(float(start)).log() / pace)
        self.pace = pace

    def beta(self) -> Tensor:
        return (self.pace * self.log_beta).exp()

    def price(self, kl: Tensor, held: float) -> Tensor:
        """``()``: what a ``kl`` that should be ``held`` nats costs. Down its gradient the model
        sees beta·KL, and log beta climbs while the KL is above what it may be."""
        beta = self.beta()
        return beta.detach() * kl - beta * (kl.detach() - held)
