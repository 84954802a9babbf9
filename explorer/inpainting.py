"""What may be behind the hole: guesses pasted around the pixels that are known.

Every method works for any model with factorised pixels, through ``prior``, ``encode``, ``decode``
and gradients in z alone, and is an iterator of ever better answers that may be left at any time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import NamedTuple, TypeVar

import torch
from torch import Size, Tensor
from torch.nn import functional as F

from . import masked
from .distributions import diag_normal, draw
from .ensemble import ensemble
from .hole import Completions, Hole, hole_in
from .protocol import LatentModel
from .rng import seeded

SPARE = 2  # guesses made for each one shown; the most distinct are kept

T = TypeVar("T")
Inpainter = Callable[[LatentModel, Tensor, Tensor, int, Tensor | None], Iterator[Completions]]


def in_stretches(answers: Iterator[T], seed: int) -> Iterator[T]:
    """The answers, reproducible; the process-wide generator is held only while one is made."""
    for stretch in count():
        with seeded(1000 * seed + stretch):
            answer = next(answers, None)
        if answer is None:
            return
        yield answer


def langevin(
    model: LatentModel,
    x: Tensor,
    known: Tensor,
    completions: int,
    y: Tensor | None = None,
    steps: int = 300,
) -> Iterator[Completions]:
    """Langevin chains (MALA, Roberts & Tweedie 1996) from the first guesses; soon true draws.

    Preconditioned by the covariance that the ensemble leaves, so that what the known pixels leave
    open is crossed in long steps (Girolami & Calderhead 2011, the metric taken once). What the
    chains have passed since the first quarter of their way counts as guesses, too.
    """
    hole, z, root = _begun(model, x, known, completions, y)
    yield hole.answer(z)
    chains = _Chains(z, *hole.slope(z), torch.zeros_like(z[:, 0]))
    passed = []
    for step in range(steps):
        chains = _moved(hole, chains, root, rate=(1 + step) ** -0.5)
        if step % 5 == 4:
            passed.append(chains.z)
            yield hole.answer(chains.z, past=torch.cat(passed[len(passed) // 4 :]))


def optimise(
    model: LatentModel,
    x: Tensor,
    known: Tensor,
    completions: int,
    y: Tensor | None = None,
    steps: int = 200,
) -> Iterator[Completions]:
    """A Gaussian fitted around every start, weighted by its evidence; one draw of each.

    Stochastic variational inference as in `inference.refine`, on the known pixels alone.
    """
    hole, z, _ = _begun(model, x, known, completions, y)
    yield hole.answer(z)
    loc = z.clone().requires_grad_()
    log_scale = z.std(0).log().expand_as(z).clone().requires_grad_()
    optimizer = torch.optim.Adam([loc, log_scale], lr=0.05)
    mark = torch.randn_like(z)  # one point of every Gaussian, followed as it moves
    evidence = z.new_zeros(len(z))
    for step in range(steps):
        with torch.enable_grad():
            z, log_q = draw(diag_normal(loc, log_scale.exp()))
            bound = hole.log_prob(z) - log_q
            loc.grad, log_scale.grad = torch.autograd.grad(-bound.sum(), [loc, log_scale])
        optimizer.step()
        evidence = torch.lerp(bound.detach(), evidence, min(0.9, step / (step + 1)))
        if step % 10 == 9:
            yield hole.answer((loc + log_scale.exp() * mark).detach(), evidence)


def gibbs(
    model: LatentModel,
    x: Tensor,
    known: Tensor,
    completions: int,
    y: Tensor | None = None,
    sweeps: int = 100,
) -> Iterator[Completions]:
    """Pseudo-Gibbs (Rezende et al. 2014, arXiv:1401.4082): read the picture, redraw the hole.

    Differs in that the hole is filled with the mean of the pixels, not with their noise too.
    """
    hole = hole_in(model, x, known, completions, y)
    z = _from_prior(hole, SPARE * completions)
    for _ in range(sweeps):
        z = draw(hole.reading(z))[0]
        yield hole.answer(z)


INPAINTERS: dict[str, Inpainter] = {"langevin": langevin, "optimise": optimise, "gibbs": gibbs}


def disagreement(pictures: Tensor, weights: Tensor) -> Tensor:
    """``(H, W)``: standard deviation over ``pictures: (k, C, H, W)``, pooled over channels."""
    w = weights[:, None, None, None]
    mean = (w * pictures).sum(0)
    return (w * (pictures - mean).square()).sum(0).mean(0).sqrt()


def in_words(answer: Completions, known: Tensor) -> str:
    """One sentence: how much is hidden, and how far the guesses differ there."""
    hidden = ~known.expand(answer.pictures.shape[1:]).all(0)
    spread = disagreement(answer.pictures, answer.weights)[hidden].square().mean().sqrt().item()
    open_ = next(words for limit, words in _HOW_OPEN if spread < limit)
    return (
        f"{_percent(hidden.float().mean().item())} of the picture is hidden; the model's "
        f"{len(answer.pictures)} guesses differ there by {_percent(spread)} of the range from "
        f"black to white: {open_}."
    )


_HOW_OPEN = (
    (0.04, "what is visible settles nearly everything"),
    (0.12, "what is visible settles most of it, details are open"),
    (math.inf, "what is visible leaves much open"),
)


def _percent(share: float) -> str:
    return "less than 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def feather(original: Tensor, drawn: Tensor, known: Tensor, width: int) -> Tensor:
    """``(k, C, H, W)``: ``drawn`` pasted into ``original: (1, C, H, W)`` with a soft seam.

    Hidden pixels nearer than ``width`` to known ones take on part of the model's error there, so
    that light and colour meet at the seam. Known pixels stay bit for bit.
    """
    seen = known.expand(drawn.shape[1:]).to(drawn.dtype)

    def blur(image: Tensor) -> Tensor:
        return F.avg_pool2d(image, 2 * width + 1, stride=1, padding=width)

    # along a straight seam half of the window is known, and ever less further in
    offset = blur((original - drawn) * seen) / blur(seen).clamp(min=0.5)
    return torch.where(known, original, (drawn + offset).clamp(0, 1))


def _from_prior(hole: Hole, n: int) -> Tensor:
    """``(n, D)`` draws of p(z | y)."""
    return hole.model.prior(hole.y).sample(Size([n])).reshape(n, -1)


def _begun(
    model: LatentModel, x: Tensor, known: Tensor, k: int, y: Tensor | None
) -> tuple[Hole, Tensor, Tensor]:
    """The hole at the model's temperature, ``(SPARE k, D)`` first guesses, and a root of their
    covariance: from the net beside the model that reads holes, where there is one, else from a
    crowd of its own pictures."""
    hole, crowd = hole_in(model, x, known, k, y), ensemble(model, y)
    z, root = crowd.given(x, hole.known, SPARE * k)
    reader = masked.beside(model)
    if reader is not None:
        with torch.no_grad():
            z = reader(x, hole.known.all(0)[None, None]).sample(Size([SPARE * k]))[:, 0]
    return replace(hole, temperature=crowd.temperature), z, root


class _Chains(NamedTuple):
    """Where Markov chains are: ``z (n, D)``, log p ``(n,)``, its gradient, log step ``(n,)``."""

    z: Tensor
    log_p: Tensor
    gradient: Tensor
    log_step: Tensor


def _moved(hole: Hole, now: _Chains, root: Tensor, rate: float) -> _Chains:
    """The chains one Metropolis-Hastings step on, their steps nearer to 57 % acceptance."""
    step, noise = now.log_step.exp().unsqueeze(1), torch.randn_like(now.z)
    z = now.z + (0.5 * step**2 * (now.gradient @ root) + step * noise) @ root.T
    log_p, gradient = hole.slope(z)
    # the noise that would lead back, in the coordinates that root makes round
    back = noise + 0.5 * step * ((now.gradient + gradient) @ root)
    log_ratio = log_p - now.log_p + 0.5 * (noise.square() - back.square()).sum(1)
    chance = log_ratio.exp().nan_to_num(0.0).clamp(max=1)  # a step out of the world is refused
    moves = torch.rand_like(chance) < chance
    return _Chains(
        torch.where(moves.unsqueeze(1), z, now.z),
        torch.where(moves, log_p, now.log_p),
        torch.where(moves.unsqueeze(1), gradient, now.gradient),
        now.log_step + rate * (chance - 0.574),
    )
