"""A picture with a hole, put as a question to a model: what may be behind, given the rest?

The answer sought is p(z) p(known pixels | z)^(1/T). Pixel likelihoods claim too much: their noise
is independent from pixel to pixel and what they miss is not, so that a thousand pixels of skin
count as a thousand witnesses and all guesses come out alike. Training with the KL weighted by beta
teaches a model that beta pixels make one witness, and `temperature` reads that number back from
the encoder. So T is beta, or 1 for a model trained on the plain bound, and a picture without a
hole would be read exactly as carefully as the encoder reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from .distributions import centre, draw
from .errors import ExplorerError
from .inference import picture
from .protocol import LatentModel


@dataclass(frozen=True)
class Completions:
    """Guesses at one picture that differ from each other.

    Attributes:
        pictures: ``(k, C, H, W)``, the known pixels bit for bit as they were.
        drawn: ``(k, C, H, W)``, what the model draws everywhere, known pixels included.
        latents: ``(k, D)``.
        weights: ``(k,)``, the share of all guesses that each stands for; they sum to one.
        every: ``(m, D)``, all guesses made so far that count, of which these differ most.
        shares: ``(m,)``, how much each of those counts; they sum to one.
    """

    pictures: Tensor
    drawn: Tensor
    latents: Tensor
    weights: Tensor
    every: Tensor
    shares: Tensor

    def cpu(self) -> Completions:
        """The same, where pages and files can have it."""
        return Completions(*(getattr(self, f.name).cpu() for f in fields(self)))

    def placed(self, before: Completions | None) -> Completions:
        """The same guesses, each in the place of the one ``before`` that it is most like, so that
        nothing changes places under a hand."""
        if before is None or before.pictures.shape != self.pictures.shape:
            return self
        gaps = torch.cdist(before.pictures.flatten(1), self.pictures.flatten(1))
        order = torch.empty(len(gaps), dtype=torch.int64)
        for _ in range(len(gaps)):  # the most alike first
            old, new = divmod(int(gaps.argmin()), len(gaps))
            order[old] = new
            gaps[old], gaps[:, new] = math.inf, math.inf
        kept = {n: getattr(self, n)[order] for n in ("pictures", "drawn", "latents", "weights")}
        return replace(self, **kept)


@torch.no_grad()
def temperature(model: LatentModel, x: Tensor, y: Tensor | None = None, samples: int = 2) -> float:
    """T >= 1 at which the encoder's spread at ``x: (B, C, H, W)`` is the best spread.

    Where E log p(x | z) / T - KL(q‖p) is greatest, widening q about its centre gains nothing. So T
    is what the first term would lose by it over what the second would gain.
    """
    q, p = model.encode(x, y), model.prior(y)
    middle, z = centre(q), draw(q, (samples,))[0]
    with torch.enable_grad():
        width = torch.ones((), dtype=z.dtype, device=z.device, requires_grad=True)
        wider = middle + width * (z - middle)
        fit = per_pixel(model.decode(wider, y), x).sum()
        (loss,) = torch.autograd.grad(-fit, width, retain_graph=True)
        (drift,) = torch.autograd.grad(p.log_prob(wider).sum(), width)
    # -KL is E log p(z) and the entropy of q, which grows by one nat per coordinate
    gain = z.numel() + drift
    return max(1.0, float(loss / gain)) if gain > 0 else 1.0


@dataclass(frozen=True)
class Hole:
    """``x: (1, C, H, W)``, of which only the pixels ``known: (C, H, W)`` are to be believed."""

    model: LatentModel
    x: Tensor
    known: Tensor
    completions: int
    y: Tensor | None
    temperature: float = 1.0

    def label(self, n: int) -> Tensor | None:
        return None if self.y is None else self.y.expand(n)

    def decode(self, z: Tensor) -> Distribution:
        return self.model.decode(z, self.label(len(z)))

    def seen(self, p: Distribution, x: Tensor) -> Tensor:
        """``(n,)``: log p of the known pixels of ``x``, tempered, in nats."""
        return per_pixel(p, x).where(self.known, 0).sum((-3, -2, -1)) / self.temperature

    def log_prob(self, z: Tensor) -> Tensor:
        """``(n,)``: log p(z) + log p(known pixels | z) / T in nats, ``z: (n, D)``."""
        return self.model.prior(self.label(len(z))).log_prob(z) + self.seen(self.decode(z), self.x)

    def slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``log_prob`` and its gradient ``(n, D)``; no parameter's ``.grad`` is touched."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            log_p = self.log_prob(z)
            (gradient,) = torch.autograd.grad(log_p.sum(), z)
        return log_p.detach(), gradient

    @torch.no_grad()
    def filled(self, z: Tensor) -> Tensor:
        """``(n, C, H, W)``: the hole filled with what each ``z: (n, D)`` draws."""
        return torch.where(self.known, self.x, picture(self.decode(z)))

    @torch.no_grad()
    def reading(self, z: Tensor) -> Distribution:
        """q(z | x) of the picture filled by each ``z: (n, D)``; batch ``(n,)``."""
        return self.model.encode(self.filled(z), self.label(len(z)))

    @torch.no_grad()
    def answer(
        self, z: Tensor, log_weights: Tensor | None = None, past: Tensor | None = None
    ) -> Completions:
        """What ``z: (n, D)`` come to, the most distinct of them; all equally likely by default,
        and as likely as the guesses ``past: (m, D)`` where there are such."""
        weights = torch.zeros_like(z[:, 0]) if log_weights is None else log_weights
        shares = weights.softmax(0)
        drawn = picture(self.decode(z))
        kept, weights = _distinct(drawn[:, ~self.known], shares, self.completions)
        drawn = drawn[kept]
        every = z if past is None else past
        if past is not None:
            shares = torch.full_like(past[:, 0], 1 / len(past))
        pictures = torch.where(self.known, self.x, drawn)
        return Completions(pictures, drawn, z[kept], weights, every, shares)


def per_pixel(p: Distribution, x: Tensor) -> Tensor:
    """``batch + (C, H, W)``: the log-likelihood of every pixel by itself."""
    if not (isinstance(p, Independent) and p.reinterpreted_batch_ndims == 3):
        raise ExplorerError(
            "This model does not score pixels one by one, so it cannot be asked about a part of "
            "a picture. Choose another model."
        )
    return p.base_dist.log_prob(x)


def hole_in(model: LatentModel, x: Tensor, known: Tensor, k: int, y: Tensor | None) -> Hole:
    """The question, checked; ``k`` completions of it are wanted."""
    if x.shape != (1, *model.data.shape):
        raise ExplorerError(
            f"The picture has the shape {tuple(x.shape)}; this model completes one of "
            f"{(1, *model.data.shape)}. Frame it for this model first."
        )
    if known.all():
        raise ExplorerError("Nothing is hidden yet. Brush over a part of the picture first.")
    return Hole(model, x, known.expand(model.data.shape), k, y)


def _distinct(values: Tensor, weights: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Which ``(n,)`` of ``values: (m, P)`` to show and ``(n,)`` their weights.

    Of the two most alike the lighter goes and leaves its weight to the other until ``n`` are left,
    so that a person sees what differs, and how much of everything each stands for.
    """
    gaps = torch.cdist(values, values).fill_diagonal_(math.inf)
    weights, kept = weights.clone(), list(range(len(values)))
    for _ in range(len(values) - n):
        pair = divmod(int(gaps.argmin()), len(values))
        stays, goes = sorted(pair, key=lambda i: (-float(weights[i]), i))
        weights[stays] += weights[goes]
        gaps[goes], gaps[:, goes] = math.inf, math.inf
        kept.remove(goes)
    index = torch.tensor(kept, device=values.device)
    return index, weights[index]
