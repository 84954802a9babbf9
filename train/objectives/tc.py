"""The KL of beta-VAE taken apart (Chen et al. 2018, arXiv:1802.04942): beta on total correlation.

KL(q(z|x) ‖ p(z)) is the index-code mutual information, the total correlation of the aggregate
posterior, and its coordinates' own KL. The aggregate posterior is estimated from the batch by
minibatch weighted sampling, which is biased: low for mutual information in small batches. What is
looked at on held-out pictures is weighed by strata (`train/evaluate.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor
from torch.distributions import Distribution, Independent

from explorer.distributions import draw
from explorer.errors import RunError
from explorer.protocol import LatentModel

from ..data import Split
from .phase import Phase, Terms


@dataclass(frozen=True)
class BetaTC:
    """E log p(x|z) less the three parts of the KL, each with its weight; all 1 is the ELBO."""

    beta: float = field(
        default=6.0, metadata=dict(range=(0.0, 1000.0), help="weight of the total correlation")
    )
    information: float = field(
        default=1.0, metadata=dict(range=(0.0, 100.0), help="weight of the mutual information")
    )
    coordinates: float = field(
        default=1.0, metadata=dict(range=(0.0, 100.0), help="weight of the coordinates' own KL")
    )
    warmup: int = field(
        default=0, metadata=dict(range=(0, 10**6), help="steps over which the weights rise from 0")
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        weights = self.information, self.beta, self.coordinates

        def loss(x: Tensor, y: Tensor | None, step: int) -> Terms:
            q, p = model.encode(x, y), model.prior(y)
            z, _ = draw(q)
            distortion = -model.decode(z, y).log_prob(x).mean()
            parts = shares(q, p, z, len(data.x))
            rise = min(1.0, (step + 1) / max(1, self.warmup))
            price = sum(rise * w * part for w, part in zip(weights, parts, strict=True))
            mutual, correlation, own = parts
            kl = mutual + correlation + own
            return dict(
                loss=distortion + price,
                distortion=distortion,
                rate=kl,
                elbo=-distortion - kl,
                mutual_information=mutual,
                total_correlation=correlation,
                coordinates_kl=own,
                beta=kl.new_full((), rise * self.beta),
            )

        return [Phase("vae", model, loss)]


def shares(
    q: Distribution, p: Distribution, z: Tensor, pictures: int, stratified: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Mutual information, total correlation, coordinates' KL: ``()`` each, in nats.

    Arguments:
        q: posterior of a batch of B, which factorises; ``z: (B, D)`` a draw of it.
        pictures: N, how many there are in all.
        stratified: weighs a picture's own posterior 1/N and shares the rest among the others
            (their appendix C.2), for numbers that are looked at; else all weigh 1/NB, which is
            trained with.
    """
    if not (isinstance(q, Independent) and isinstance(p, Independent)):
        raise RunError(
            "The total correlation is taken of a posterior and a prior that factorise, and this "
            "family's do not. Choose the family vae, or the objective elbo."
        )
    each = q.base_dist.log_prob(z[:, None])  # (B, B, D): of z_i under the posterior of x_j
    given = each.diagonal().sum(0)  # (B,): log q(z_i | x_i)
    b = len(z)
    weights = each.new_full((b, b), -math.log(b * pictures))
    if stratified:
        weights.fill_(math.log((pictures - 1) / (pictures * (b - 1))))
        weights.fill_diagonal_(-math.log(pictures))
    together = (each.sum(-1) + weights).logsumexp(1)  # log q(z_i)
    apart = (each + weights[..., None]).logsumexp(1).sum(-1)  # log of the product of q(z_id)
    prior = p.log_prob(z)
    return (given - together).mean(), (together - apart).mean(), (apart - prior).mean()
