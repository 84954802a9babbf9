"""Questions asked of any model: how likely, what latent, what picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor
from torch.distributions import Distribution, Independent

from .distributions import Chain, centre, diag_normal, draw
from .protocol import LatentModel
from .rng import seeded


def log_weights(
    model: LatentModel,
    x: Tensor,
    samples: int,
    y: Tensor | None = None,
    q: Distribution | None = None,
) -> Tensor:
    """``(samples, B)`` of log p(x, z) - log q(z | x) in nats, z ~ q (the encoder's by default)."""
    q = model.encode(x, y) if q is None else q
    z, log_q = draw(q, (samples,))
    return model.decode(z, y).log_prob(x) + model.prior(y).log_prob(z) - log_q


def log_likelihood(
    model: LatentModel,
    x: Tensor,
    samples: int = 512,
    y: Tensor | None = None,
    q: Distribution | None = None,
    chunk: int = 64,
) -> Tensor:
    """Importance-weighted lower bound on log p(x), ``(B,)`` nats (Burda et al. 2016).

    ``samples=1`` is a one-sample ELBO. Memory holds ``chunk`` samples at a time.
    """
    parts = [
        log_weights(model, x, min(chunk, samples - done), y, q).logsumexp(0)
        for done in range(0, samples, chunk)
    ]
    return torch.stack(parts).logsumexp(0) - math.log(samples)


def refine(
    model: LatentModel,
    x: Tensor,
    steps: int = 50,
    lr: float = 0.05,
    samples: int = 8,
    y: Tensor | None = None,
) -> Independent:
    """A Gaussian q fitted to this very x by ascending its ELBO from the encoder's guess."""
    *_, q = refinements(model, x, steps, lr, samples, y)
    return q


def refinements(
    model: LatentModel,
    x: Tensor,
    steps: int = 50,
    lr: float = 0.05,
    samples: int = 8,
    y: Tensor | None = None,
    temperature: float = 1.0,
) -> Iterator[Independent]:
    """Gaussians ever better fitted to this very x, the first of them the encoder's guess; pixels
    count ``1/temperature`` each.

    Stochastic variational inference (Hoffman et al. 2013; Kim et al. 2018, arXiv:1802.02550).
    Uses gradients of its own two tensors only: the shared model's ``.grad`` stays untouched.
    """
    with torch.no_grad():
        z = draw(model.encode(x, y), (64,))[0]
    loc = z.mean(0).clone().requires_grad_()
    log_scale = z.std(0).log().clone().requires_grad_()
    optimizer = torch.optim.Adam([loc, log_scale], lr=lr)
    for step in range(steps + 1):
        yield diag_normal(loc.detach().clone(), log_scale.exp().detach())
        if step < steps:
            with torch.enable_grad():
                z, log_q = draw(diag_normal(loc, log_scale.exp()), (samples,))
                seen = model.decode(z, y).log_prob(x) / temperature
                loss = -(seen + model.prior(y).log_prob(z) - log_q).mean(0).sum()
                loc.grad, log_scale.grad = torch.autograd.grad(loss, [loc, log_scale])
            optimizer.step()


@torch.no_grad()
def bound(
    model: LatentModel,
    x: Tensor,
    samples: int,
    y: Tensor | None = None,
    q: Distribution | None = None,
) -> Tensor:
    """``(B,)`` nats: the ELBO of ``q`` (the encoder's by default), the mean of some weights."""
    return log_weights(model, x, samples, y, q).mean(0)


@torch.no_grad()
def likely_class(model: LatentModel, x: Tensor, samples: int = 16) -> Tensor:
    """``(B,)``: the class under which a conditional model finds ``x: (B, C, H, W)`` likeliest.

    Bayes' rule with equal shares for the classes and ``log_likelihood`` for log p(x|y).
    """
    each = []
    for k in range(len(model.data.classes)):
        y = torch.full((len(x),), k, device=x.device)
        with seeded(0):  # the same noise for all
            each.append(log_likelihood(model, x, samples, y))
    return torch.stack(each).argmax(0)


@torch.no_grad()
def prior_centre(model: LatentModel) -> NDArray[np.float32]:
    """``(D,)``: the representative of p(z)."""
    return centre(model.prior()).cpu().numpy()


@torch.no_grad()
def prior_draws(model: LatentModel, seed: int, n: int) -> NDArray[np.float32]:
    """``(n, D)``: seeded draws of p(z)."""
    with seeded(seed):
        return model.prior().sample(Size([n])).cpu().numpy().reshape(n, -1)


@torch.no_grad()
def redrawn(
    model: LatentModel, z: NDArray[np.float32], level: int, n: int, seed: int
) -> NDArray[np.float32]:
    """``(n, D)``: ``z: (D,)`` with the noise of block ``level`` drawn anew, the others' kept.

    What depends on that block follows it, as in the ladder of Sønderby et al. 2016. Noise that is
    kept is shortened to its usual length where ``z`` is far from what the levels above expect: of
    another picture nothing could be expected to be so odd.
    """
    prior, start = model.prior(), sum(block.size for block in model.blocks[:level])
    assert isinstance(prior, Chain)
    part = slice(start, start + model.blocks[level].size)
    eps = prior.to_noise(torch.from_numpy(z).to(next(model.parameters()).device)).repeat(n, 1)
    kept = [
        block / max(1.0, block[0].square().mean().item() ** 0.5)
        for block in eps.split([block.size for block in model.blocks], -1)
    ]
    eps = torch.cat(kept, -1)
    with seeded(seed):
        eps[:, part] = torch.randn(n, model.blocks[level].size).to(eps)
    return prior.from_noise(eps).cpu().numpy()


def picture(p: Distribution) -> Tensor:
    """``batch + (C, H, W)`` in [0, 1]: the mean if the likelihood has one, else a sample."""
    try:
        return p.mean
    except NotImplementedError:
        return p.sample()
