"""A crowd of a model's own pictures, from which any hole in any picture is answered at once.

The ensemble Kalman update (Evensen 1994; perturbed observations of Burgers et al. 1998): how
latents and known pixels vary together over draws from the prior says, to first order, how far
each latent has to move for its picture to show what is known. Exact for a linear Gaussian model
and many draws; for others a start. Draws and their pictures are made once per model.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Size, Tensor
from torch.nn import functional as F

from .hole import temperature
from .inference import picture
from .protocol import LatentModel
from .rng import seeded

MEMBERS = 1024
WITNESSES = 16  # members that the temperature is read from
COARSE = 32  # pixels on the shorter side of what is compared: ample for a first answer


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Draws from the prior, and what they look like.

    Attributes:
        z: ``(N, D)``.
        seen: ``(N, P)``, their pictures, coarse.
        noise: of one coarse pixel, the variance that the model gives it about its mean.
        pool: pixels on a side that make one coarse pixel.
        temperature: pixels that make one witness (`hole.temperature`).
    """

    z: Tensor
    seen: Tensor
    noise: float
    pool: int
    temperature: float

    @torch.no_grad()
    def given(self, x: Tensor, known: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """``(n, D)`` draws of z given the ``known: (C, H, W)`` pixels of ``x: (1, C, H, W)``, and
        ``(D, D)``, a triangular root of their covariance."""
        whole = F.avg_pool2d(known.to(x.dtype)[None], self.pool).flatten() == 1
        truth = F.avg_pool2d(x, self.pool).flatten()[whole]
        noise = self.temperature * self.noise
        seen = self.seen[:, whole]
        about, varied = seen - seen.mean(0), self.z - self.z.mean(0)
        many = len(seen) - 1
        gram = about @ about.T / many
        gram.diagonal().add_(noise + 1e-6 * gram.diagonal().mean())
        factor = torch.linalg.cholesky(gram)

        pick = torch.randint(len(seen), (n,), device=x.device)
        gap = truth + noise**0.5 * torch.randn(n, len(truth)).to(seen) - seen[pick]
        share = torch.cholesky_solve(about @ gap.T / many, factor)
        left = noise / many * varied.T @ torch.cholesky_solve(varied, factor)
        return self.z[pick] + share.T @ varied, _root(left)


def _root(covariance: Tensor) -> Tensor:
    eye = torch.eye(len(covariance), dtype=torch.float64)
    return torch.linalg.cholesky(covariance.double().cpu() + 1e-8 * eye).to(covariance)


_MADE: WeakKeyDictionary[LatentModel, dict[int, Ensemble]] = WeakKeyDictionary()


def ensemble(model: LatentModel, y: Tensor | None = None) -> Ensemble:
    """The model's, of the class ``y: (1,)`` where it is told one; made the first time."""
    made = _MADE.setdefault(model, {})
    label = -1 if y is None else int(y)
    if label not in made:
        with seeded(0):
            made[label] = _drawn(model, y)
    return made[label]


@torch.no_grad()
def _drawn(model: LatentModel, y: Tensor | None) -> Ensemble:
    pool = max(1, min(model.data.height, model.data.width) // COARSE)
    z = model.prior(y).sample(Size([MEMBERS])).reshape(MEMBERS, -1)
    seen, noise, some = [], [], None
    for part in z.split(64):
        label = None if y is None else y.expand(len(part))
        p = model.decode(part, label)
        mean = picture(p)
        some = mean[:WITNESSES] if some is None else some
        seen.append(F.avg_pool2d(mean, pool).flatten(1))
        noise.append((p.sample() - mean).square().mean())
    assert some is not None
    label = None if y is None else y.expand(len(some))
    heat = temperature(model, some, label)
    return Ensemble(z, torch.cat(seen), float(torch.stack(noise).mean()) / pool**2, pool, heat)
