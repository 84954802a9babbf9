"""What is known of a model's latent space: latents of held-out pictures, and no pictures.

latents (N, D)  labels (N,)  kl (N,)  error (N,)       of every held-out picture
attribute/<name> (N,)                                  measured or labelled; NaN: unknown
direction/<name> (D,), scale/<name> (3,)               from the training part; see Direction
map/pca (N, 2)  map/umap (N, 2)                        where each point lies on a map
axes (K, D)                                            dials, by what the eye sees
mixture/weights (M,)  mixture/loc  mixture/scale (M, D)  the aggregate posterior's density
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily

from .bundle import ATLAS, read_tensors
from .distributions import diag_normal
from .errors import BundleError
from .rng import seeded


@dataclass(frozen=True)
class Direction:
    """A move that changes one attribute.

    Attributes:
        move: ``(D,)``; added once, it flips the attribute for half of the pictures without it.
        normal: ``(D,)`` and ``threshold``: the attribute is there where ``z @ normal`` exceeds.
        auc: how well the normal tells held-out pictures apart, 0.5 to 1.
    """

    move: Tensor
    normal: Tensor
    threshold: float
    auc: float


@dataclass(frozen=True)
class Atlas:
    latents: Tensor
    kl: Tensor
    error: Tensor
    axes: Tensor
    weights: Tensor
    loc: Tensor
    scale: Tensor
    labels: Tensor | None = None
    maps: dict[str, Tensor] = field(default_factory=dict)
    attributes: dict[str, Tensor] = field(default_factory=dict)
    directions: dict[str, Direction] = field(default_factory=dict)

    @cached_property
    def mixture(self) -> MixtureSameFamily:
        """The density of known latents, event ``(D,)``."""
        parts = diag_normal(self.loc, self.scale)
        return MixtureSameFamily(Categorical(self.weights), parts, validate_args=False)

    @cached_property
    def spread(self) -> Tensor:
        """``(D,)``: standard deviation of every coordinate over the known latents."""
        return self.latents.std(0)

    @cached_property
    def mean(self) -> Tensor:
        """``(D,)``: the mean of the known latents."""
        return self.latents.mean(0)

    @cached_property
    def _unit(self) -> Tensor:
        return self.spread.clamp(min=1e-6)

    @cached_property
    def _scaled(self) -> Tensor:
        return self.latents / self._unit

    @cached_property
    def _levels(self) -> Tensor:
        return self.mixture.log_prob(self.latents).sort().values

    def typicality(self, z: Tensor) -> Tensor:
        """``(n,)`` in [0, 1]: the share of known latents less likely than ``z: (n, D)``."""
        return torch.searchsorted(self._levels, self.mixture.log_prob(z)) / len(self._levels)

    def nearest(self, z: Tensor) -> Tensor:
        """``(n,)`` indices of the known latents nearest to ``z: (n, D)`` in units of spread."""
        return torch.cdist(z / self._unit, self._scaled).argmin(-1)

    def at(self, name: str, xy: Tensor, neighbours: int = 8) -> Tensor:
        """``(n, D)``: latents blended from those mapped nearest to ``xy: (n, 2)`` of a map.

        On a known point it is that point's latent; the weight falls as the inverse square of the
        distance (Shepard's interpolation).
        """
        points = self.maps[name]
        # the quick way through a product of matrices is too coarse to find zero
        distance = torch.cdist(xy, points, compute_mode="donot_use_mm_for_euclid_dist")
        distance, index = distance.topk(min(neighbours, len(points)), largest=False)
        weight = 1 / distance.square().clamp(min=1e-12)
        weight = weight / weight.sum(-1, keepdim=True)
        return (weight.unsqueeze(-1) * self.latents[index]).sum(1)

    def draws(self, seed: int, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, D)``: seeded draws of the mixture, their noise scaled by ``temperature``."""
        with seeded(seed):
            part = torch.multinomial(self.weights, n, replacement=True)
            noise = torch.randn(n, self.loc.shape[1])
        return self.loc[part] + temperature * self.scale[part] * noise

    def snapped(self, z: Tensor) -> Tensor:
        """``(D,)``: ``z: (D,)`` drawn towards its part of the mixture until it is typical."""
        component = self.mixture.component_distribution.log_prob(z) + self.weights.log()
        home = self.loc[component.argmax()]
        for step in torch.linspace(0, 1, 21):
            moved = torch.lerp(z, home, step)
            if self.typicality(moved[None]).item() >= 0.1:
                break
        return moved


def save(folder: Path, atlas: Atlas) -> None:
    """Writes atlas.safetensors: floats in half precision, maps in full. Rewrite the card after."""
    tensors = {
        "latents": atlas.latents.half(),
        "kl": atlas.kl.half(),
        "error": atlas.error.half(),
        "axes": atlas.axes.half(),
        "mixture/weights": atlas.weights,
        "mixture/loc": atlas.loc.half(),
        "mixture/scale": atlas.scale.half(),
    }
    if atlas.labels is not None:
        tensors["labels"] = atlas.labels.to(torch.uint8)
    tensors |= {f"map/{name}": xy for name, xy in atlas.maps.items()}
    tensors |= {f"attribute/{name}": v.half() for name, v in atlas.attributes.items()}
    for name, d in atlas.directions.items():
        tensors[f"direction/{name}"] = torch.stack([d.move, d.normal])
        tensors[f"scale/{name}"] = torch.tensor([d.threshold, d.auc])
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / ATLAS)


def load(folder: Path, expected: str | None) -> Atlas | None:
    """The bundle's atlas, its hash checked; None where the card names none."""
    if expected is None:
        return None
    tensors = read_tensors(folder / ATLAS, expected)
    try:
        atlas = Atlas(
            latents=tensors["latents"],
            kl=tensors["kl"],
            error=tensors["error"],
            axes=tensors["axes"],
            weights=tensors["mixture/weights"],
            loc=tensors["mixture/loc"],
            scale=tensors["mixture/scale"],
            labels=tensors["labels"].long() if "labels" in tensors else None,
            maps=_under(tensors, "map/"),
            attributes=_under(tensors, "attribute/"),
            directions={
                name: Direction(pair[0], pair[1], *tensors[f"scale/{name}"].tolist())
                for name, pair in _under(tensors, "direction/").items()
            },
        )
    except (KeyError, IndexError, TypeError) as error:
        raise BundleError(
            f"{folder.name}: its atlas is damaged ({error}). Build it again."
        ) from None
    _check(folder.name, atlas)
    return atlas


def _check(name: str, atlas: Atlas) -> None:
    n, d = atlas.latents.shape if atlas.latents.ndim == 2 else (0, 0)
    fits = (
        n > 0
        and atlas.axes.ndim == 2
        and atlas.axes.shape[1] == d
        and atlas.loc.shape == atlas.scale.shape == (len(atlas.weights), d)
        and all(xy.shape == (n, 2) for xy in atlas.maps.values())
        and all(v.shape == (n,) for v in (atlas.kl, atlas.error, *atlas.attributes.values()))
        and all(v.move.shape == (d,) for v in atlas.directions.values())
    )
    if not fits:
        raise BundleError(f"{name}: the parts of its atlas do not fit together. Build it again.")


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
