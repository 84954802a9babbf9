"""The importance-weighted bound (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

Its encoder can learn by the doubly reparameterised gradient (Tucker et al. 2019,
arXiv:1810.04152), whose signal does not drown as the samples grow. Differs in that the first
steps may be trained with one sample, as Sønderby et al. 2016 fine-tune: fifty cost fifty times
more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor
from torch.distributions import Distribution, Independent

from explorer.distributions import diag_normal, draw
from explorer.errors import RunError
from explorer.protocol import LatentModel

from ..data import Split
from .phase import Phase, Terms


@dataclass(frozen=True)
class IWAE:
    """log of the mean of k weights p(x, z) / q(z|x), in nats per picture; k = 1 is the ELBO."""

    samples: int = field(
        default=5, metadata=dict(range=(1, 256), help="k: weights averaged before the logarithm")
    )
    gradient: Literal["dreg", "plain"] = field(
        default="dreg",
        metadata=dict(help="of the encoder: doubly reparameterised, or as autograd gives it"),
    )
    after: int = field(
        default=0, metadata=dict(range=(0, 10**7), help="steps trained with one sample first")
    )
    warmup: int = field(
        default=0,
        metadata=dict(range=(0, 10**7), help="of those, steps over which the KL's weight rises"),
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        if self.warmup > self.after:
            raise RunError(
                "The weight of the KL can rise only while there is one sample: many are no bound "
                "with it. Set warmup to at most after."
            )

        def loss(x: Tensor, y: Tensor | None, step: int) -> Terms:
            q, p = model.encode(x, y), model.prior(y)
            z, log_q = draw(q, (self.samples if step >= self.after else 1,))
            if self.gradient == "dreg":
                log_q = _fixed(q).log_prob(z)
            distortion = -model.decode(z, y).log_prob(x)
            rate = log_q - p.log_prob(z)
            beta = min(1.0, (step + 1) / max(1, self.warmup))
            return _terms(z, distortion, rate, beta, squared=self.gradient == "dreg")

        return [Phase("iwae", model, loss)]


def _terms(z: Tensor, distortion: Tensor, rate: Tensor, beta: float, squared: bool) -> Terms:
    """What is told of ``(k, B)`` samples; ``squared``: z feels the squares of their weights."""
    log_w = -distortion - beta * rate
    loss = math.log(len(log_w)) - log_w.logsumexp(0).mean()
    elbo = -distortion - rate
    if squared:
        share = log_w.detach().softmax(0)
        z.register_hook(lambda gradient: share[..., None] * gradient)
        surrogate = -(share * log_w).sum(0).mean()
        loss = surrogate + (loss - surrogate).detach()  # its gradient, and the bound's value
    bound = elbo.detach().logsumexp(0).mean() - math.log(len(elbo))
    return dict(
        loss=loss,
        distortion=distortion.mean(),
        rate=rate.mean(),
        elbo=elbo.mean(),
        bound=bound,
        beta=bound.new_full((), beta),
    )


def _fixed(q: Distribution) -> Distribution:
    """``q`` with parameters that learn nothing. Raises RunError where it is no diagonal normal."""
    if not isinstance(q, Independent):
        raise RunError(
            "The doubly reparameterised gradient is written for a diagonal posterior, and this "
            "family has another. Set gradient to plain."
        )
    return diag_normal(q.mean.detach(), q.stddev.detach())
