"""A model that begins as a smaller one that is known, and learns the finer pixels first.

After progressive growing (Karras et al. 2018, arXiv:1710.10196), in one step and without fading.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import torch
from torch import nn

from explorer import bundle, cards
from explorer.errors import RunError
from explorer.models.vae import VAE
from explorer.protocol import LatentModel

PRETRAINED = Path(__file__).parents[1] / "pretrained"


def grow(model: LatentModel, recipe: str) -> None:
    """Starts ``model`` with what fits of the shipped model that ``recipe`` made.

    Both look at a picture through ever coarser layers to the same latent, so the encoders agree
    at their end and the decoders at their beginning. Raises RunError where nothing fits.
    """
    smaller = _made_by(recipe)
    if not (isinstance(model, VAE) and isinstance(smaller, VAE)):
        raise RunError(f"Only models of the family vae grow; {recipe} or its successor is none.")
    pairs = [
        *_fitting(reversed(_layers(smaller.encoder)), reversed(_layers(model.encoder))),
        *_fitting(iter(_layers(smaller.decoder)), iter(_layers(model.decoder))),
    ]
    if not pairs:
        raise RunError(
            f"No layer of {recipe} fits this model. Give both the same latent, and half the width "
            "at twice the size."
        )
    scale = _fitting(iter(_layers(smaller.likelihood)), iter(_layers(model.likelihood)))
    for old, new in (*pairs, *scale):
        new.load_state_dict(old.state_dict())


def _made_by(recipe: str) -> LatentModel:
    for name, card in cards.catalogue(PRETRAINED).items():
        if isinstance(card, cards.Card) and card.provenance.get("recipe") == recipe:
            return bundle.load(PRETRAINED / name)[0]
    raise RunError(f"No shipped model was made by the recipe {recipe!r}, so none can be grown.")


def _layers(net: nn.Module) -> list[nn.Module]:
    """What has parameters of its own, in the order of its use."""
    return [m for m in net.modules() if next(m.parameters(recurse=False), None) is not None]


def _fitting(
    old: Iterator[nn.Module], new: Iterator[nn.Module]
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Pairs of layers of one shape, up to the first that differ."""
    return takewhile(
        lambda pair: _shapes(pair[0]) == _shapes(pair[1]), zip(old, new, strict=False)
    )


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in layer.state_dict().items()}
