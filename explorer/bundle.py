"""A trained model is a folder: card.json says what it is, weights.safetensors is it. No pickle."""

from __future__ import annotations

import lzma
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import torch
from safetensors.torch import save_file
from torch import Tensor

from . import masked, quadrants
from .cards import (
    ATLAS,
    CARD,
    DECODER,
    ENCODER,
    LARGEST_CARD,
    LARGEST_FILE,
    MASKED,
    QUADRANTS,
    WEIGHTS,
    Card,
    filled,
    read_arrays,
    read_card,
    write_card,
)
from .errors import BundleError
from .models import FAMILIES, READ
from .protocol import LatentModel

MOST_WEIGHTS = LARGEST_FILE // 2  # in half precision they would fill a file

# what zipfile raises on damaged files, beside OSError; RuntimeError is a password
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError)


def build(card: Card) -> LatentModel:
    """The untrained model a card describes."""
    families = FAMILIES | READ
    if card.family not in families:
        known = ", ".join(families)
        raise BundleError(
            f"{card.name} is of the family {card.family!r}, which this version does not know "
            f"(it knows {known}). Update Latent Explorer, or choose another model."
        )
    family = families[card.family]
    where = f"{card.name}: its config does not fit {card.family}"
    config = filled(family.Config, card.config, where)
    with torch.device("meta"):  # shapes without memory
        weights = sum(p.numel() for p in family(card.data, config).parameters())
    if weights > MOST_WEIGHTS:
        raise BundleError(
            f"{card.name} would have {weights:,} weights, which are too many: at most "
            f"{MOST_WEIGHTS:,} can be kept. Choose a smaller model or smaller pictures."
        )
    return family(card.data, config)


def save(folder: Path, state: Mapping[str, Tensor], card: Card, half: bool = False) -> Card:
    """Writes weights, then the card, and lets go of what was made from other weights.

    Returns the card with hashes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().to("cpu").contiguous() for name, value in state.items()}
    if half:
        tensors = {n: v.half() if v.is_floating_point() else v for n, v in tensors.items()}
    for made in (ATLAS, DECODER, ENCODER, MASKED, QUADRANTS):
        (folder / made).unlink(missing_ok=True)  # of other weights
    partial = folder / f"{WEIGHTS}.part"
    save_file(tensors, partial)
    os.replace(partial, folder / WEIGHTS)
    return write_card(folder, card)


def load(folder: Path, device: str | torch.device = "cpu") -> tuple[LatentModel, Card]:
    """The model, in eval mode and without gradients, and its card. Raises BundleError."""
    card = read_card(folder)
    arrays = read_arrays(folder / WEIGHTS, card.files.get(WEIGHTS, ""))
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    bad = [name for name, value in state.items() if not value.isfinite().all()]
    if bad:
        raise BundleError(f"{card.name}: {bad[0]} holds NaN or infinity; this training diverged.")
    model = build(card)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise BundleError(f"{card.name}: the weights do not fit the card. {first}") from None
    model.to(device).eval().requires_grad_(False)
    masked.load(folder, model, card)
    quadrants.load(folder, model, card)
    return model, card


def unpack(archive: IO[bytes], into: Path) -> Path:
    """The folder of the one bundle in a zip, unpacked below ``into``.

    Only the names a bundle can have are taken, from one folder, with their sizes checked; so no
    path escapes, no link is followed and nothing else is written. A decoder is left behind: it is
    a program for another reader, and what it does the weights can do.
    """
    wanted = {CARD: LARGEST_CARD} | dict.fromkeys(
        (WEIGHTS, ATLAS, MASKED, QUADRANTS), LARGEST_FILE
    )
    try:
        with zipfile.ZipFile(archive) as zipped:
            cards = [i for i in zipped.infolist() if PurePosixPath(i.filename).name == CARD]
            if len(cards) != 1:
                raise BundleError(
                    f"The zip holds {len(cards)} card.json and a bundle has one. "
                    "Zip one model's folder."
                )
            parent = PurePosixPath(cards[0].filename).parent
            folder = Path(tempfile.mkdtemp(prefix="bundle-", dir=into))
            for info in zipped.infolist():
                path = PurePosixPath(info.filename)
                if path.parent == parent and path.name in wanted:
                    _extract(zipped, info, folder / path.name, wanted[path.name])
    except (*DAMAGE, RuntimeError, OSError) as error:
        raise BundleError(
            f"The file is not a zip that can be read ({error}). Zip the model's folder again."
        ) from None
    return folder


def _extract(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, limit: int) -> None:
    with zipped.open(info) as source, open(target, "wb") as out:
        written = 0
        while chunk := source.read(1 << 20):  # counted as it comes: headers can lie
            written += len(chunk)
            if written > limit:
                raise BundleError(
                    f"{info.filename} in the zip unpacks to more than {limit >> 20} MB."
                )
            out.write(chunk)
