"""Autoencoding beyond pixels using a learned similarity metric (Larsen et al. 2016,
arXiv:1512.09300).

Differs in that the pixels keep their likelihood and the critic's features are added to it, that
the rate is held at a number of nats, and in how the critic is kept honest and in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.distributions import draw, rate
from explorer.inference import picture
from explorer.protocol import LatentModel

from ..data import Split
from .critic import Critic
from .elbo import Multiplier
from .phase import Phase, Terms

KEEN = 0.02  # how fast the critic's say follows what it knows
LAZY = 16  # steps from one penalty on the critic's gradient to the next
PACE = 4.0  # of log beta: when the critic comes, the same nats are soon worth twice as much
LARGEST = 1e4  # weight of the adversary, however small its gradient


@dataclass(frozen=True)
class VAEGAN:
    """The bound, a likeness in the critic's features, and a critic that pictures must convince.

    The critic tells training pictures from reconstructions, part by part (hinge loss, gradient
    penalty R1 of Mescheder et al. 2018, arXiv:1801.04406). Draws from the prior it is not shown:
    no picture says what they should have been, and what then pleases a small critic is garish.
    What it teaches the decoder they share. It teaches the decoder alone: were its gradient
    to reach the encoder, people would come out as somebody more usual. Its weight is such that
    where pictures meet critic its gradient is at most ``adversary`` times as large as that of the
    reconstruction (after Esser et al. 2021, arXiv:2012.09841, there at the last layer), and less
    the less the critic tells apart: of one that knows nothing only noise could be learned.
    """

    hold_rate: float = field(
        default=130.0, metadata=dict(range=(0.1, 1e5), help="nats at which the KL is held")
    )
    beta: float = field(
        default=1.0, metadata=dict(range=(0.001, 1000.0), help="weight of the KL at the start")
    )
    similarity: float = field(
        default=1.0,
        metadata=dict(
            range=(0.0, 100.0), help="weight of the critic's features; 1 is that of the pixels"
        ),
    )
    adversary: float = field(
        default=0.5,
        metadata=dict(
            range=(0.0, 10.0), help="the critic's gradient, relative to the reconstruction's"
        ),
    )
    after: int = field(
        default=0, metadata=dict(range=(0, 10**6), help="steps on the bound before a critic comes")
    )
    r1: float = field(
        default=0.03, metadata=dict(range=(0.0, 1000.0), help="penalty on the critic's gradient")
    )
    width: int = field(
        default=16,
        metadata=dict(range=(8, 128), step=8, help="the critic's channels at half size"),
    )

    def phases(self, model: LatentModel, data: Split) -> list[Phase]:
        held = Multiplier(self.beta, PACE)
        critic = Critic(model.data.shape, self.width).to(next(model.parameters()))
        made = torch.empty(0)  # of this step, by the first phase, for the second to judge

        def learn(x: Tensor, y: Tensor | None, step: int) -> Terms:
            nonlocal made
            q, p = model.encode(x, y), model.prior(y)
            z, log_q = draw(q)
            seen = model.decode(z, y)
            distortion = -seen.log_prob(x).mean()
            kl = rate(q, p, z, log_q).mean()
            terms = dict(
                loss=distortion + held.price(kl, self.hold_rate),
                distortion=distortion,
                rate=kl,
                elbo=-distortion - kl,
                beta=held.beta().detach(),
            )
            if step < self.after:
                return terms
            again = picture(seen)
            made = again.detach()
            likeness, pull = _likeness(critic, x, again, self.similarity)
            doubt = _doubt(critic, again, self.adversary * critic.knows.clamp(0, 1) * pull)
            # what of it comes back to the latent is taken out again: none reaches the encoder
            (adverse,) = torch.autograd.grad(doubt, z, retain_graph=True)
            z.register_hook(lambda slope: slope - adverse)
            return terms | dict(
                loss=terms["loss"] + likeness + doubt, likeness=likeness, adversary=doubt
            )

        def judge(x: Tensor, y: Tensor | None, step: int) -> Terms:
            lazy = self.r1 > 0 and (step - self.after) % LAZY == 0
            real = x.detach().requires_grad_(lazy)
            on_real, on_made = critic(real), critic(made)
            terms = dict(
                loss=F.relu(1 - on_real).mean() + F.relu(1 + on_made).mean(),
                real=on_real.mean(),
                made=on_made.mean(),
            )
            critic.knows.lerp_((terms["real"] - terms["made"]).detach() / 2, KEEN)
            terms["knows"] = critic.knows.clone()
            if lazy:
                (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
                penalty = slope.square().sum() / on_real.numel()
                terms["loss"] = terms["loss"] + LAZY * self.r1 / 2 * penalty
                terms["r1"] = penalty
            return terms

        return [
            Phase("vae", nn.ModuleList([model, held]), learn, momentum=0.5),
            Phase("critic", critic, judge, begins=self.after, momentum=0.5),
        ]


def _likeness(critic: Critic, x: Tensor, again: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """How unlike ``again`` is to ``x: (B, C, H, W)`` in the critic's features, ``()`` nats; and
    the length of the gradient, with respect to ``again``, of that and of the pixels' likelihood.

    -log N(features | again's, sigma²) up to a constant, averaged over the levels, sigma the best
    for this batch (Rybkin et al. 2021): no level outweighs another, and all of them together,
    being counted as many numbers as a picture has pixels, weigh what its pixels weigh.
    """
    leaf = again.detach().requires_grad_()
    half = math.prod(x.shape[1:]) / 2
    with torch.no_grad():
        theirs = critic.features(x)
    pixels = half * _log_error(x, leaf)
    (pull,) = torch.autograd.grad(pixels, leaf)
    if not weight:
        return pixels.new_zeros(()), pull.norm()
    unlike = weight * half * _mean(map(_log_error, theirs, critic.features(leaf)))
    (slope,) = torch.autograd.grad(unlike, leaf)
    return _with_gradient(unlike, again, slope), (pull + slope).norm()


def _doubt(critic: Critic, made: Tensor, pull: Tensor) -> Tensor:
    """``()``: what the critic holds against ``made: (B, C, H, W)``, weighted so that its gradient
    with respect to them is as long as ``pull``."""
    leaf = made.detach().requires_grad_()
    verdict = -critic(leaf).mean()
    (slope,) = torch.autograd.grad(verdict, leaf)
    weight = (pull / slope.norm().clamp(min=1e-12)).clamp(max=LARGEST)
    return _with_gradient(weight * verdict, made, weight * slope)


def _log_error(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean().clamp(min=1e-10).log()


def _mean(values: map[Tensor] | Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def _with_gradient(value: Tensor, x: Tensor, slope: Tensor) -> Tensor:
    """``value``, whose gradient with respect to ``x`` is ``slope``: the way back through the
    critic, walked once, is not walked again, and leaves no gradient in the critic."""
    return value.detach() + ((x - x.detach()) * slope).sum()
