"""How a mixture prior is begun (Jiang et al. 2017, arXiv:1611.05148, section 4).

First an autoencoder, then a Gaussian mixture of its codes as the prior, then the ELBO. Differs in
that the autoencoder, which denoises as theirs, is trained whole instead of layer by layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from explorer.distributions import centre
from explorer.errors import RunError
from explorer.models.vade import VaDE
from explorer.protocol import LatentModel

from ..data import Split
from .elbo import ELBO
from .phase import Phase, Terms

SOME = 20_000  # codes that the mixture is fitted to
SPREAD = -3.0  # of the posterior where the ELBO begins: log, as the codes had none so far


@dataclass(frozen=True)
class Clusters:
    """The ELBO of a mixture prior that begins where the pictures' codes already crowd."""

    pretrain: int = field(
        default=500, metadata=dict(range=(0, 10**7), help="steps as an autoencoder first")
    )
    corrupt: float = field(
        default=0.0,
        metadata=dict(
            range=(0.0, 0.9),
            help="share of pixels the autoencoder has to guess",
        ),
    )
    restarts: int = field(
        default=10, metadata=dict(range=(1, 100), help="mixtures fitted, the likeliest kept")
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        if not isinstance(model, VaDE):
            raise RunError(
                "The objective vade begins a mixture prior, and this family has none. Choose the "
                "family vade, or the objective elbo."
            )
        (bound,) = ELBO().phases(model, data)

        def loss(x: Tensor, y: Tensor | None, step: int) -> Terms:
            if step < self.pretrain:
                part = x * (torch.rand_like(x) >= self.corrupt) if self.corrupt else x
                distortion = -model.decode(centre(model.encode(part))).log_prob(x).mean()
                return dict(loss=distortion, distortion=distortion)
            if step == self.pretrain:
                begin(model, data, self.restarts)
            return bound.loss(x, y, step)

        return [Phase("vade", model, loss)]


@torch.no_grad()
def begin(model: VaDE, data: Split, restarts: int) -> None:
    """Puts the prior where the codes of ``data`` are, and gives the posterior some spread."""
    from sklearn.mixture import GaussianMixture

    device = next(model.parameters()).device
    parts = (part.to(device).float() / 255 for part in data.x[:SOME].split(1000))
    z = torch.cat([centre(model.encode(x)) for x in parts])
    fit = GaussianMixture(
        min(model.config.clusters, len(z)), covariance_type="diag", n_init=restarts,
        random_state=0, reg_covar=1e-4,
    ).fit(z.double().cpu().numpy())  # fmt: skip
    shares, loc, variance = (
        torch.as_tensor(part, dtype=z.dtype, device=device)
        for part in (fit.weights_, fit.means_, fit.covariances_)
    )
    model.cluster_at(shares.clamp(min=1e-6), loc, variance.sqrt())
    head = list(model.encoder.modules())[-1]
    assert isinstance(head, nn.Linear)
    head.weight[model.latent_size :] = 0  # log spreads, that nobody trained
    head.bias[model.latent_size :] = SPREAD
