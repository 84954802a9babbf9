"""Networks that judge faces, and are no part of any model: made here from a fixed recipe.

No weights are shipped. Whoever measures a model trains them once on his own machine, from a seed,
in minutes; they are kept in the cache. ``features`` and ``witness`` read attributes off a picture,
the one trained on all training pictures, the other on every second, wider and from another seed.
``likeness`` was told no attribute: it learned to recognise one photograph in two disguises.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import trange

from explorer.attributes import ATTRIBUTES
from explorer.nets import Centred
from explorer.rng import seeded

from .data import Split
from .data.places import cache, once
from .disguise import augmented

SIZE = 128  # pixels on a side of what is judged; smaller pictures are enlarged
BATCH = 64
READ = tuple(a.name for a in ATTRIBUTES)  # and, last, how much a picture has been blurred
MIRRORED = ("yaw", "light_right")  # change their sign in a mirror


@dataclass(frozen=True)
class Judging:
    """How a judge is made.

    Attributes:
        every: of the training pictures, this one in so many is seen.
        size: pixels on a side that it looks at.
    """

    epochs: int
    width: int
    seed: int
    every: int = 1
    size: int = SIZE
    out: int = len(READ) + 1


JUDGES = {
    "features": Judging(epochs=8, width=16, seed=11),
    "witness": Judging(epochs=12, width=24, seed=12, every=2, size=64),
    "likeness": Judging(epochs=12, width=16, seed=13, size=64, out=64),
}


class Judge(nn.Module):
    """``(N, 3, H, W)`` in [0, 1] to ``(N, out)``, over features of the whole picture."""

    def __init__(self, size: int, width: int, out: int, wide: int = 128) -> None:
        super().__init__()
        self.size = size
        sizes = [3, *(min(wide, width << k) for k in range(int(math.log2(size)) - 2))]
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 4, stride=2, padding=1), nn.GroupNorm(8, b), nn.SiLU(inplace=True)
            )
            for a, b in pairwise(sizes)
        )
        self.centred = Centred()
        self.embedding = nn.Sequential(nn.Flatten(), nn.Linear(16 * sizes[-1], wide), nn.SiLU())
        self.head = nn.Linear(wide, out)

    def maps(self, x: Tensor) -> list[Tensor]:
        """``(N, C_l, H_l, W_l)`` at every level, the finest first."""
        h, found = self.centred(resized(x, self.size)), []
        for level in self.levels:
            h = level(h)
            found.append(h)
        return found

    def embed(self, x: Tensor) -> Tensor:
        """``(N, 128)``: what the judgement is made from."""
        return self.embedding(self.maps(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x))


def resized(x: Tensor, size: int) -> Tensor:
    """``(N, C, size, size)``: smaller by means of whole pixels, larger smoothly."""
    if x.shape[-1] == size:
        return x
    if x.shape[-1] % size == 0:
        return F.avg_pool2d(x, x.shape[-1] // size)
    return F.interpolate(x, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def judge(name: str, train: Split) -> Judge:
    """The judge of that name, trained on ``train`` the first time it is asked for."""
    made = JUDGES[name]
    key = f"{made} {train.x.shape} {sorted(train.attributes)}"
    digest = hashlib.blake2b(key.encode(), digest_size=6).hexdigest()
    folder = cache() / "judges" / f"{name}-{digest}"
    once(folder, lambda into: _train(name, made, train, into))
    net = Judge(made.size, made.width, made.out)
    net.load_state_dict(load_file(folder / "weights.safetensors"))
    return net.eval().requires_grad_(False)


def _train(name: str, made: Judging, train: Split, into: Path) -> None:
    part = Split(train.x[:: made.every], None, _every(train.attributes, made.every))
    with seeded(made.seed):
        net = Judge(made.size, made.width, made.out)
        net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        losses = _contrasts(net, part) if name == "likeness" else _readings(net, part)
        _descend(net, losses, made.epochs * (len(part.x) // BATCH), name)
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    save_file(state, into / "weights.safetensors")


def _every(attributes: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    return {name: value[::step] for name, value in attributes.items()}


def _descend(net: Judge, losses: Iterator[Tensor], steps: int, name: str) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in trange(steps, desc=f"judge {name}", unit=" steps", disable=None):
        optimizer.zero_grad()
        next(losses).backward()
        optimizer.step()
        schedule.step()


def _batches(split: Split, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Which pictures, and they in [0, 1], ``(BATCH, 3, size, size)``; pass after pass."""
    while True:
        order = torch.randperm(len(split.x))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            pick = order[start : start + BATCH]
            x = resized(split.x[pick].float() / 255, size)
            yield pick, x.contiguous(memory_format=torch.channels_last)


# -- attributes, and how much a picture was blurred


def targets(attributes: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """``(N, len(READ))`` twice, of the pictures and of their mirror images: attributes in units
    of spread about the mean; NaN where unknown."""
    value = torch.stack([attributes[name] for name in READ], 1)
    known = value[~value.isnan().any(1)]
    turned = value * torch.tensor([-1.0 if name in MIRRORED else 1.0 for name in READ])
    return tuple((v - known.mean(0)) / known.std(0) for v in (value, turned))  # pyright: ignore[reportReturnType]


def _readings(net: Judge, split: Split) -> Iterator[Tensor]:
    wanted, turned = targets(split.attributes)
    for pick, x in _batches(split, net.size):
        mirrored = torch.rand(len(x), 1) < 0.5
        x = torch.where(mirrored[..., None, None], x.flip(-1), x)
        x, share = _half_blurred((x * (1 + 0.1 * torch.randn(len(x), 1, 1, 1))).clamp(0, 1))
        truth = torch.where(mirrored, turned[pick], wanted[pick])
        error = net(x) - torch.cat([truth, 2 * share], 1)
        known = ~error.isnan()
        # a value that is unknown pulls at nothing
        yield torch.where(known, error, 0).square().sum() / known.sum()


def _half_blurred(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` with half of its pictures mixed with a blurred copy, and ``(N, 1)`` how much."""
    share = torch.rand(len(x), 1) * (torch.rand(len(x), 1) < 0.5)
    return torch.lerp(x, blurred(x), share[..., None, None]), share


def blurred(x: Tensor, sigma: float = 2.0) -> Tensor:
    """``x: (N, C, H, W)`` under a Gaussian of ``sigma`` pixels, its border repeated."""
    reach = math.ceil(3 * sigma)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype)
    weight = torch.exp(-0.5 * (at / sigma) ** 2)
    weight = (weight / weight.sum()).expand(x.shape[1], 1, -1)
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    down = F.conv2d(padded, weight[..., None], groups=x.shape[1])
    return F.conv2d(down, weight[:, :, None], groups=x.shape[1])


# -- one photograph in two disguises


def _contrasts(net: Judge, split: Split) -> Iterator[Tensor]:
    """Each half of a pair is to be nearer to the other than to all else (SimCLR: Chen et al. 2020,
    arXiv:2002.05709), at a temperature of 0.2."""
    for _, x in _batches(split, net.size):
        z = F.normalize(net(torch.cat([_disguised(x), _disguised(x)])), dim=1)
        near = z @ z.T / 0.2
        near.fill_diagonal_(-torch.inf)
        partner = torch.arange(len(z)).roll(len(x))
        yield F.cross_entropy(near, partner)


def _disguised(x: Tensor) -> Tensor:
    """Mirrored, lit otherwise, shifted, recoloured, blurred, a part hidden: each its own way."""
    mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
    x = augmented(torch.where(mirrored, x.flip(-1), x)) + (torch.rand(len(x), 1, 1, 1) - 0.5)
    return _half_blurred(x)[0]


def in_chunks(look: Callable[[Tensor], Tensor], x: Tensor, size: int = 100) -> Tensor:
    """``look`` at ``x: (N, ...)``, ``size`` at a time."""
    with torch.no_grad():
        return torch.cat([look(part) for part in x.split(size)])
