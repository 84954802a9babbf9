"""The rest of a picture, given some of its quadrants: a structured CVAE beside a model (Sohn, Lee
& Yan 2015, NeurIPS, sections 4.1 and 5.1).

A plain network gives the likeliest guess at every hidden pixel by itself, so that where several
things may follow it blurs them together. p(z | given) and p(hidden | z, given) draw one of them at
a time; as in the paper the prior sees the plain network's guess. Differs: one set of small nets
for one, two and three quadrants, told which; the decoder sees what the prior sees. It is a file
of its own in a bundle, and optional.
"""

from __future__ import annotations

import math
from math import prod
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from safetensors.torch import save_file
from torch import Size, Tensor, nn
from torch.distributions import Bernoulli, Independent
from torch.nn import functional as F

from .cards import QUADRANTS, Card, read_arrays, write_card
from .distributions import diag_normal, draw
from .errors import BundleError
from .nets import gaussian, mlp
from .protocol import LatentModel
from .spec import DataSpec

GIVEN = {1: "the lower left", 2: "the left half", 3: "all but the lower right"}
LATENT = 32


def known(given: Tensor, height: int, width: int) -> Tensor:
    """``(B, 1, height, width)`` bool, True in the ``given: (B,)`` quadrants: one is the lower
    left, two the left half, three all but the lower right."""
    low = (torch.arange(height, device=given.device) >= height // 2)[:, None]
    left = (torch.arange(width, device=given.device) < width // 2)[None, :]
    which = torch.stack([low & left, left.expand(height, width), left | ~low])
    return which[given - 1][:, None]


class Quadrants(nn.Module):
    """Four nets over black-and-white pictures ``x: (B, C, H, W)``, ``given: (B,)`` of 1 to 3."""

    def __init__(self, data: DataSpec, hidden: int = 128) -> None:
        super().__init__()
        self.shape = data.shape
        pixels, told = prod(data.shape), prod(data.shape) + len(GIVEN)
        self.plain = mlp(told, hidden, hidden, pixels)
        self.before = mlp(told, hidden, hidden, 2 * LATENT)
        self.after = mlp(told, hidden, hidden, 2 * LATENT)
        self.decoder = mlp(LATENT + told, hidden, hidden, pixels)

    def guess(self, x: Tensor, given: Tensor) -> Tensor:
        """``(B, C, H, W)``: the plain network's logits; it sees the given pixels alone."""
        return self.plain(self._told(self._given(x, given, 0.5), given)).unflatten(-1, self.shape)

    def prior(self, x: Tensor, given: Tensor) -> Independent:
        """p(z | given); batch ``(B,)``."""
        return diag_normal(*gaussian(self.before(self._completed(x, given))))

    def posterior(self, x: Tensor, given: Tensor) -> Independent:
        """q(z | the whole picture, given); batch ``(B,)``."""
        return diag_normal(*gaussian(self.after(self._told(x, given))))

    def decode(self, z: Tensor, x: Tensor, given: Tensor) -> Tensor:
        """``(*S, B, C, H, W)``: logits of the hidden pixels given ``z: (*S, B, D)``."""
        told = self._completed(x, given).expand(*z.shape[:-1], -1)
        return self.decoder(torch.cat([z, told], -1)).unflatten(-1, self.shape)

    def _given(self, x: Tensor, given: Tensor, fill: Tensor | float) -> Tensor:
        return torch.where(known(given, *x.shape[-2:]), x, fill)

    def _completed(self, x: Tensor, given: Tensor) -> Tensor:
        """What is given, the plain network's guess in the hole; it learns nothing by it."""
        with torch.no_grad():
            guess = self.guess(x, given).sigmoid()
        return self._told(self._given(x, given, guess), given)

    def _told(self, x: Tensor, given: Tensor) -> Tensor:
        return torch.cat([x.flatten(1), F.one_hot(given - 1, len(GIVEN)).to(x.dtype)], -1)


def log_rest(logits: Tensor, x: Tensor, given: Tensor) -> Tensor:
    """``(*S, B)`` nats: log p of the hidden pixels of ``x`` under ``logits: (*S, B, C, H, W)``."""
    each = Bernoulli(logits=logits, validate_args=False).log_prob(x.expand_as(logits))
    return each.where(~known(given, *x.shape[-2:]), 0).sum((-3, -2, -1))


def log_weights(net: Quadrants, x: Tensor, given: Tensor, samples: int) -> Tensor:
    """``(samples, B)`` nats: log p(hidden, z | given) - log q(z | x), z drawn of q."""
    z, log_q = draw(net.posterior(x, given), (samples,))
    rest = log_rest(net.decode(z, x, given), x, given)
    return rest + net.prior(x, given).log_prob(z) - log_q


@torch.no_grad()
def log_likelihood(net: Quadrants, x: Tensor, given: Tensor, samples: int = 100) -> Tensor:
    """``(B,)`` nats: the importance-weighted bound on log p(hidden | given), their "CVAE (IS)"."""
    return log_weights(net, x, given, samples).logsumexp(0) - math.log(samples)


@torch.no_grad()
def completions(net: Quadrants, x: Tensor, given: int, n: int) -> tuple[Tensor, Tensor]:
    """The plain network's completion ``(C, H, W)`` of ``x: (1, C, H, W)``, and ``n`` draws of the
    CVAE's, ``(n, C, H, W)``: of each its mean picture, what is given as it was."""
    which = torch.tensor([given], device=x.device)
    there = known(which, *x.shape[-2:])
    z = net.prior(x, which).sample(Size([n]))
    drawn = net.decode(z, x, which)[:, 0].sigmoid()
    plain = net.guess(x, which).sigmoid()
    return torch.where(there, x, plain)[0], torch.where(there, x, drawn)


def save(folder: Path, net: Quadrants, card: Card) -> Card:
    """Writes it beside the bundle's weights in half precision; returns the card with its hash."""
    state = {n: v.detach().cpu().half().contiguous() for n, v in net.state_dict().items()}
    save_file(state, folder / QUADRANTS)
    return write_card(folder, card)


_BESIDE: WeakKeyDictionary[LatentModel, Quadrants] = WeakKeyDictionary()


def load(folder: Path, model: LatentModel, card: Card) -> Quadrants | None:
    """The bundle's, from now on `beside` ``model``; None where it has none. Raises BundleError."""
    if QUADRANTS not in card.files:
        return None
    arrays = read_arrays(folder / QUADRANTS, card.files[QUADRANTS])
    try:
        net = Quadrants(model.data, len(arrays["plain.0.bias"]))
        net.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    except (KeyError, RuntimeError, TypeError):
        raise BundleError(
            f"{folder.name}: {QUADRANTS} does not fit the model. Make it again with: "
            f"python -m train quadrants {folder}"
        ) from None
    device = next(model.parameters()).device
    _BESIDE[model] = net.to(device).eval().requires_grad_(False)
    return _BESIDE[model]


def beside(model: LatentModel) -> Quadrants | None:
    """What was loaded for ``model``."""
    return _BESIDE.get(model)
