"""Distributions over latents and images, and the questions asked of any of them.

Everything is a ``torch.distributions.Distribution``. Shapes follow its convention: samples are
``sample_shape + batch_shape + event_shape``; latents have event ``(D,)``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    TransformedDistribution,
    kl_divergence,
)

Walk = Generator[Distribution, Tensor, None]


def diag_normal(loc: Tensor, scale: Tensor) -> Independent:
    """N(loc, diag(scale²)) over the last axis; the workhorse of the whole project."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


class Chain(Distribution):
    r"""A joint :math:`\prod_k p(z_k \mid z_{<k})` told once, as a generator.

    ``walk()`` yields the conditional of each block in turn and is sent the value chosen for it.
    Sampling, scoring, the mean path and noise coordinates are different ways to choose.

    Arguments:
        walk: makes a fresh generator; its conditionals have event ``(d_k,)``.
        sizes: the lengths ``d_k``; the event is their concatenation.
        batch_shape: the batch shape of the joint.
    """

    arg_constraints = {}  # pyright: ignore[reportAssignmentType]
    has_rsample = True

    def __init__(
        self, walk: Callable[[], Walk], sizes: Sequence[int], batch_shape: Sequence[int]
    ) -> None:
        self.walk, self.sizes = walk, tuple(sizes)
        self._walked: tuple[Tensor, list[Distribution]] | None = None  # the last draw, and how
        super().__init__(Size(batch_shape), Size([sum(sizes)]), validate_args=False)

    def trace(self, choose: Callable[[int, Distribution], Tensor]) -> tuple[Tensor, Tensor]:
        """``(z, log p(z))``: walks the chain, choosing each block."""
        walk, zs, log_p = self.walk(), [], torch.zeros(())
        conditional = next(walk)
        for k in range(len(self.sizes)):
            zs.append(choose(k, conditional))
            log_p = log_p + conditional.log_prob(zs[-1])
            if k + 1 < len(self.sizes):
                conditional = walk.send(zs[-1])
        return torch.cat(zs, -1), log_p

    def draw(self, shape: Size = Size()) -> tuple[Tensor, Tensor]:
        """``(z, log p(z))`` in one walk, ``z`` reparameterised, ``shape + batch + event``."""
        batch, seen = Size(shape) + self.batch_shape, []

        def choose(k: int, p: Distribution) -> Tensor:
            seen.append(p)
            return p.expand(batch).rsample()

        z, log_p = self.trace(choose)
        self._walked = z, seen
        return z, log_p

    def rsample(self, sample_shape: Size = Size()) -> Tensor:
        return self.draw(sample_shape)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        parts = value.split(self.sizes, -1)
        return self.trace(lambda k, p: parts[k])[1]

    @property
    def mean(self) -> Tensor:
        """The mean path: each block at its conditional mean (not the marginal mean)."""
        return self.trace(lambda k, p: p.expand(self.batch_shape).mean)[0]

    def from_noise(self, eps: Tensor) -> Tensor:
        """Pushes standard-normal coordinates through: edit the top, the rest follows."""
        parts = eps.split(self.sizes, -1)
        return self.trace(lambda k, p: p.mean + p.stddev * parts[k])[0]

    def to_noise(self, z: Tensor) -> Tensor:
        """The standard-normal coordinates that ``from_noise`` makes ``z`` of."""
        parts = zip(self.conditionals(z), z.split(self.sizes, -1), strict=True)
        return torch.cat([(part - p.mean) / p.stddev for p, part in parts], -1)

    def conditionals(self, z: Tensor) -> list[Distribution]:
        """The distribution of each block given the blocks of ``z`` before it."""
        if self._walked is not None and self._walked[0] is z:
            return self._walked[1]
        seen, parts = [], z.split(self.sizes, -1)

        def choose(k: int, p: Distribution) -> Tensor:
            seen.append(p)
            return parts[k]

        self.trace(choose)
        return seen


@singledispatch
def draw(q: Distribution, shape: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """``(z, log q(z))`` with reparameterised ``z`` of shape ``shape + batch + event``."""
    z = q.rsample(Size(shape))
    return z, q.log_prob(z)


@draw.register
def _(q: Chain, shape: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    return q.draw(Size(shape))


@draw.register
def _(q: MixtureSameFamily, shape: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    # learned through by its density alone: which part a draw is of has no gradient
    z = q.sample(Size(shape))
    return z, q.log_prob(z)


@draw.register
def _(q: TransformedDistribution, shape: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    # forwards alone: undoing a step may take one pass for each coordinate
    z: Any
    z, log_q = draw(q.base_dist, shape)
    for step in q.transforms:
        before, z = z, step(z)
        log_q = log_q - step.log_abs_det_jacobian(before, z)
    return z, log_q


@singledispatch
def centre(q: Distribution) -> Tensor:
    """One representative value, batch + event: the mean, or the mean path of a chain."""
    return q.mean


@centre.register
def _(q: TransformedDistribution) -> Tensor:
    """Where the centre of what is bent is taken."""
    z: Any = centre(q.base_dist)
    for step in q.transforms:
        z = step(z)
    return z


@centre.register
def _(q: MixtureSameFamily) -> Tensor:
    """The centre of the heaviest part: between the parts there may be nothing."""
    heaviest = q.mixture_distribution.logits.argmax(-1)
    return q.component_distribution.mean[..., heaviest, :]


def rate(q: Distribution, p: Distribution, z: Tensor, log_q: Tensor) -> Tensor:
    """KL(q‖p) in nats, batch-shaped: exact where there is a formula, else one-sample at ``z``.

    Of a chain each block's KL is exact given the blocks of ``z`` before it: the same on average as
    log q - log p, and steadier.
    """
    if isinstance(q, Chain):
        return rate_per_coordinate(q, p, z).sum(-1)
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return log_q - p.log_prob(z)


def rate_per_coordinate(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """``batch + (D,)``: the KL of each coordinate in nats, ``z`` a draw of ``q``.

    For distributions that factorise, wherever ``z`` is, and for chains of them, along ``z``.
    """
    if isinstance(q, Chain):
        pairs = zip(q.conditionals(z), _conditionals(p, q.sizes, z), strict=True)
        shares = [rate_per_coordinate(a, b, z) for a, b in pairs]
        return torch.cat([share.expand(*z.shape[:-1], -1) for share in shares], -1)
    if not (isinstance(q, Independent) and isinstance(p, Independent)):
        raise NotImplementedError("the KL has no share per coordinate unless both factorise")
    return kl_divergence(q.base_dist, p.base_dist)


def _conditionals(p: Distribution, sizes: Sequence[int], z: Tensor) -> list[Distribution]:
    """Those of a chain, or the slices of a diagonal normal."""
    if isinstance(p, Chain):
        return p.conditionals(z)
    parts = zip(p.mean.split(tuple(sizes), -1), p.stddev.split(tuple(sizes), -1), strict=True)
    return [diag_normal(loc, scale) for loc, scale in parts]


def responsibilities(p: MixtureSameFamily, z: Tensor) -> Tensor:
    """p(c | z) of a mixture, ``(..., K)`` for ``z: (..., D)``: clustering is a question to it."""
    log_joint = p.component_distribution.log_prob(z.unsqueeze(-2)) + p.mixture_distribution.logits
    return log_joint.softmax(-1)
