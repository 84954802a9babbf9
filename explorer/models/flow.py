"""A posterior bent by a flow: planar steps (Rezende & Mohamed 2015, arXiv:1505.05770), or inverse
autoregressive ones (Kingma et al. 2016, arXiv:1606.04934).

Differs: IAF's steps are zuko's masked autoregressive transforms, each seeing the picture and going
through the coordinates in the other order than the one before; "none" is the diagonal twin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform, TransformedDistribution, constraints
from torch.nn import functional as F
from zuko.flows import MaskedAutoregressiveTransform

from ..distributions import diag_normal
from ..likelihoods import LIKELIHOODS, Pixels
from ..nets import dense_decoder, gaussian, mlp, set_output_bias
from ..protocol import Block, DataSpec, LatentModel

CONTEXT, UNITS = 64, 128  # numbers about the picture that an IAF step sees; its hidden units
HALVINGS = 60  # of an interval, when a planar step is undone


@dataclass(frozen=True)
class Config:
    latent: int = field(default=40, metadata=dict(range=(2, 256), help="coordinates of z"))
    flow: Literal["planar", "iaf", "none"] = field(
        default="iaf", metadata=dict(help="what bends the posterior; none leaves it diagonal")
    )
    steps: int = field(default=4, metadata=dict(range=(1, 32), help="how often it is bent"))
    hidden: int = field(
        default=300, metadata=dict(range=(16, 2048), help="units in each of the layers")
    )
    likelihood: Pixels = field(
        default="bernoulli", metadata=dict(help="what a pixel is, given its parameters")
    )


class Planar(Transform):
    """z + û tanh(wᵀz + b), all of whose parameters may differ from picture to picture.

    ``u``, ``w``: ``(*batch, D)``, ``b``: ``(*batch,)``. û is u moved so that wᵀû >= -1, when the
    step can be undone (the paper's appendix A.1).
    """

    domain = codomain = constraints.real_vector  # pyright: ignore[reportAssignmentType]
    bijective = True

    def __init__(self, u: Tensor, w: Tensor, b: Tensor) -> None:
        super().__init__()
        overlap = (w * u).sum(-1, keepdim=True)
        length = w.square().sum(-1, keepdim=True).clamp(min=1e-6)
        self.u = u + (F.softplus(overlap) - 1 - overlap) * w / length
        self.w, self.b = w, b

    def _call(self, x: Tensor) -> Tensor:
        return x + self.u * ((self.w * x).sum(-1) + self.b).tanh()[..., None]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        slope = 1 - ((self.w * x).sum(-1) + self.b).tanh().square()
        return (1 + slope * (self.w * self.u).sum(-1)).abs().log()

    def _inverse(self, y: Tensor) -> Tensor:
        """By halving: along w the step is one rising function of one number."""
        goal, lean = (self.w * y).sum(-1), (self.w * self.u).sum(-1)
        low, high = goal - lean.abs(), goal + lean.abs()
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = middle + lean * (middle + self.b).tanh() < goal
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return y - self.u * ((low + high) / 2 + self.b).tanh()[..., None]


class FlowVAE(LatentModel):
    """A diagonal Gaussian posterior, then ``steps`` invertible ones; the prior is N(0, I)."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config, self.blocks = data, config, (Block("z", (config.latent,)),)
        self.likelihood = LIKELIHOODS[config.likelihood]()
        d, hidden, steps = config.latent, config.hidden, config.steps
        self.encoder = nn.Sequential(
            nn.Flatten(), mlp(prod(data.shape), hidden, hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, 2 * d)
        if config.flow == "planar":
            self.bends = nn.Linear(hidden, steps * (2 * d + 1))
        elif config.flow == "iaf":
            self.context = nn.Linear(hidden, CONTEXT)
            with torch.device("cpu"):  # zuko finds its masks by asking for values
                self.bends = nn.ModuleList(_autoregressive(d, k % 2 == 1) for k in range(steps))
        self.decoder = dense_decoder(d, hidden, data.shape)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(d), persistent=False)

    def start_at(self, mean: Tensor) -> None:
        set_output_bias(self.decoder, mean.clamp(0.005, 0.995).logit())

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        h = self.encoder(x)
        base = diag_normal(*gaussian(self.head(h)))
        if self.config.flow == "none":
            return base
        return TransformedDistribution(base, self._transforms(h), validate_args=False)

    def _transforms(self, h: Tensor) -> list[Transform]:
        if isinstance(self.bends, nn.Linear):
            each = self.bends(h).unflatten(-1, (self.config.steps, -1)).unbind(-2)
            d = self.config.latent
            return [Planar(p[..., :d], p[..., d:-1], p[..., -1]) for p in each]
        context = self.context(h)
        return [bend(context) for bend in self.bends]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(z))


def _autoregressive(d: int, turned: bool) -> nn.Module:
    """One step of IAF over ``d`` coordinates, in their order or from the last to the first."""
    order: Any = torch.arange(d).flip(0) if turned else torch.arange(d)
    return MaskedAutoregressiveTransform(d, CONTEXT, order=order, hidden_features=(UNITS,))
