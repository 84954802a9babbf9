"""A variational autoencoder read from somebody else's checkpoint: its graph is in its config.

The graph says which layers follow which, how the posterior's heads lie, and what pixels go in
and come out as; `explorer/formats` finds it. The prior is N(0, I), as those programs have it
(Kingma & Welling 2014, arXiv:1312.6114). No weights tell how pixels scatter about a picture, so
p(x | z) is N(picture, 0.1²), and nats of it compare only with one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal
from torch.nn import functional as F

from ..distributions import diag_normal
from ..errors import BundleError
from ..likelihoods import GaussianPixels
from ..protocol import Block, DataSpec, LatentModel
from ..steps import Steps, label_vector

LAYOUTS = ("separate", "chunked", "chunked, second first", "interleaved", "mean only")
SPREADS = {  # what the second head says -> the standard deviation
    "log variance": lambda s: (0.5 * s.clamp(-30, 20)).exp(),
    "log sigma": lambda s: s.clamp(-15, 10).exp(),
    "sigma": lambda s: s.abs() + 1e-6,
    "softplus": lambda s: F.softplus(s) + 1e-6,
}
OUTPUTS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "linear": lambda t: t}
NARROW = 0.01  # the spread of a code that was not made with one
USUAL = {
    "latent": 2,
    "encoder": [{"op": "flatten"}],
    "mean": [{"op": "linear", "ins": 64, "outs": 2}],
    "second": [{"op": "linear", "ins": 64, "outs": 2}],
    "decoder": [
        {"op": "linear", "ins": 2, "outs": 64},
        {"op": "view", "shape": [1, 8, 8]},
    ],
}


@dataclass(frozen=True)
class Config:
    """``graph`` is a table of plain values; see `Foreign` for its keys."""

    graph: dict[str, Any] = field(default_factory=lambda: dict(USUAL))


class Foreign(LatentModel):
    """What a graph describes.

    Keys of the graph: ``latent`` (D); ``encoder``, ``mean``, ``second``, ``choice``, ``decoder``
    (lists of steps; all but the decoder may be missing); ``layout`` (of LAYOUTS), ``spread`` (of
    SPREADS), ``output`` (of OUTPUTS), ``into`` and ``out_of`` (what 0 and 1 are for the encoder
    and for the decoder), ``classes`` (K, 0 without labels).
    """

    Config = Config
    encoder: Steps
    mean: Steps
    second: Steps
    choice: Steps
    decoder: Steps

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.config = data, config
        graph = config.graph
        try:
            latent, self.classes = int(graph["latent"]), int(graph.get("classes", 0))
            if not 1 <= latent <= 65536 or not 0 <= self.classes <= 1000:
                raise ValueError("the size of its latent, or the number of its classes")
            self.layout = str(graph.get("layout", "separate"))
            self.spread = SPREADS[graph.get("spread", "log variance")]
            self.output = OUTPUTS[graph.get("output", "sigmoid")]
            self.into = _range(graph.get("into", (0, 1)))
            self.out_of = _range(graph.get("out_of", (0, 1)))
            self.encodes = graph.get("encoder") is not None
            for part in ("encoder", "mean", "second", "choice", "decoder"):
                setattr(self, part, Steps(graph.get(part) or (), self.classes))
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            raise BundleError(
                f"{data.name}: the graph on its card cannot be built ({error}). Read the "
                "checkpoint again."
            ) from None
        self.conditional = self.classes > 0
        self.blocks = (Block("z", (latent,)),)
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*self.heads(self.features(x, y)))

    def features(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """``(B, F)``: what the heads see of ``x: (B, C, H, W)``."""
        if not self.encodes:
            raise BundleError(
                "This model is a decoder alone: it draws pictures and cannot look at one. Wander "
                "on Play or Manifold, or choose a model with an encoder at the top."
            )
        low, high = self.into
        return self.encoder(low + (high - low) * x, label_vector(y, self.classes, x))

    def heads(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """``(mean, standard deviation)``, each ``(B, D)``, of features."""
        mean = self.mean(h).flatten(1)
        if self.layout == "separate":
            second = self.second(h).flatten(1)
        elif self.layout == "chunked":
            mean, second = mean.chunk(2, -1)
        elif self.layout == "chunked, second first":
            second, mean = mean.chunk(2, -1)
        elif self.layout == "interleaved":
            mean, second = mean.unflatten(-1, (-1, 2)).unbind(-1)
        else:
            return mean, torch.full_like(mean, NARROW)
        spread = self.spread(second)
        if len(self.choice):
            share = self.choice(h).softmax(-1)
            mean = torch.cat([mean, share], -1)
            spread = torch.cat([spread, torch.full_like(share, NARROW)], -1)
        return mean, spread

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        loc = self.painted(self.raw(z, y))
        scale = torch.full_like(loc, GaussianPixels.sigma)
        return Independent(Normal(loc, scale, validate_args=False), 3, validate_args=False)

    def raw(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """``(*S, B, C, H, W)``: what the decoder gives before its last activation."""
        flat = z.reshape(-1, z.shape[-1])
        labels = label_vector(y, self.classes, z)
        if labels is not None:
            labels = labels.expand(*z.shape[:-1], self.classes).reshape(len(flat), -1)
        return self.decoder(flat, labels).reshape(*z.shape[:-1], *self.data.shape)

    def painted(self, t: Tensor) -> Tensor:
        """Pixels in [0, 1] of what `raw` gave."""
        low, high = self.out_of
        return ((self.output(t) - low) / (high - low)).clamp(0, 1)


def _range(pair: Any) -> tuple[float, float]:
    low, high = map(float, pair)
    if not -1000 < low < high < 1000:
        raise ValueError(f"a range of {low} to {high}")
    return low, high
