"""What a bundle says of itself, and its files as bytes and arrays: all that needs no torch.

card.json            what it is, how good, where from; a hash of every other file
weights.safetensors  the parameters, in half precision where no headline number minds
atlas.safetensors    known latents and what is known of them (see atlas.py); optional
masked.safetensors   what reads pictures with holes (see masked.py); optional
quadrants.safetensors  what completes from quadrants (see quadrants.py); optional
decoder.onnx         how to draw without torch, from the same weights (see decoder.py); optional
encoder.onnx         how to encode without torch, for other programs; optional
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from .errors import BundleError
from .spec import DataSpec

FORMAT = 1
CARD, WEIGHTS, ATLAS = "card.json", "weights.safetensors", "atlas.safetensors"
DECODER, ENCODER = "decoder.onnx", "encoder.onnx"
MASKED = "masked.safetensors"
QUADRANTS = "quadrants.safetensors"
LARGEST_FILE = 512 << 20  # bytes; nothing of ours comes near it
LARGEST_CARD = 1 << 20

C = TypeVar("C")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Metric:
    """One measured number and what it takes to measure it again."""

    name: str
    value: float
    unit: str
    protocol: str
    n: int
    error: float | None = None  # standard error, in the same unit


@dataclass(frozen=True)
class Card:
    """What a bundle says of itself.

    Attributes:
        config: the fields of the family's Config.
        training: the whole TrainConfig that made it, so that it can be trained again.
        provenance: run, seed, versions, date, data set and its licence, credit.
        notes: what a visitor should know: what it shows well, what it is biased about.
        files: SHA-256 of every other file of the bundle, by name.
    """

    name: str
    family: str
    config: dict[str, Any]
    data: DataSpec
    title: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def lacks(self) -> dict[str, str]:
        """What pages need and the model has not, with the reason: its ``encoder``; a latent
        ``vector`` of coordinates each of which means something."""
        begins = "lacks "
        return {
            name.removeprefix(begins): reason
            for name, reason in self.notes.items() if name.startswith(begins)
        }  # fmt: skip


def check_fields(instance: Any) -> None:
    """Raises BundleError when a field is not of its kind, range, or its Literal's choices.

    Called before a model is built, so that a card cannot ask for a terabyte.
    """
    hints = get_type_hints(type(instance))
    for f in dataclasses.fields(instance):
        value, kind = getattr(instance, f.name), hints[f.name]
        if isinstance(kind, UnionType):  # such as float | None
            if value is None:
                continue
            kind = get_args(kind)[0]
        said = f"{type(instance).__name__}.{f.name} is {reprlib.repr(value)}"
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise BundleError(f"{said}; it can be {', '.join(map(str, get_args(kind)))}.")
        plain = get_origin(kind) or kind
        if plain in KINDS and not isinstance(value, plain):
            raise BundleError(f"{said}; it should be {KINDS[plain]}.")
        if kind in (int, float):
            if isinstance(value, bool) or not isinstance(value, int | kind) or value != value:
                raise BundleError(f"{said}; it should be a number.")
            low, high = f.metadata.get("range", (-sys.float_info.max, sys.float_info.max))
            if not low <= value <= high:
                raise BundleError(f"{said}; it can be {low} to {high}.")


KINDS = {str: "a text", bool: "true or false", dict: "a table"}


def filled(kind: type[C], fields: Mapping[str, Any], where: str) -> C:
    """The dataclass ``kind`` with these fields, checked; ``where`` is told if they do not fit."""
    try:
        instance = kind(**fields)
    except TypeError as error:
        raise BundleError(f"{where}: {error}.") from None
    check_fields(instance)
    return instance


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_whole(path: Path, content: bytes) -> None:
    """Writes ``path`` so that a reader sees the old content or the new, never a part."""
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)


def write_card(folder: Path, card: Card) -> Card:
    """The card with its files' hashes, written last and whole: with a card, it is complete."""
    found = [folder / name for name in (ATLAS, DECODER, ENCODER, MASKED, QUADRANTS, WEIGHTS)]
    files = {p.name: sha256(p) for p in found if p.exists()}
    card = dataclasses.replace(card, files=files)
    replace_whole(folder / CARD, (json.dumps(asdict(card), indent=1) + "\n").encode())
    return card


def read_card(folder: Path) -> Card:
    """The card of a bundle's folder, checked; weights are not touched."""
    path = folder / CARD
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise BundleError(f"{folder.name}: its card.json is too large to be one.")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{folder.name} holds no card.json, so it is not a model of this program. "
            "Choose the folder that holds card.json and weights.safetensors."
        ) from None
    except OSError as error:
        raise BundleError(
            f"{folder.name}: card.json cannot be read ({error.strerror}). Copy the bundle again."
        ) from None
    except BundleError:
        raise
    except (ValueError, RecursionError):
        raise BundleError(f"{folder.name}: card.json is damaged. Copy the bundle again.") from None
    if not isinstance(raw, dict):
        raise BundleError(f"{folder.name}: card.json is damaged. Copy the bundle again.")
    if raw.get("format") != FORMAT:
        raise BundleError(
            f"{folder.name} is written in format {raw.get('format')!r}; this version reads format "
            f"{FORMAT}. Update Latent Explorer."
        )
    try:
        return _card(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{folder.name}: its card does not say what it should ({error})."
        ) from None


def _card(raw: dict[str, Any]) -> Card:
    data = DataSpec(**{**raw["data"], "classes": tuple(map(str, raw["data"]["classes"]))})
    sides = (data.channels, data.height, data.width)
    if not all(isinstance(side, int) for side in sides):
        raise ValueError("picture size")
    if data.channels not in (1, 3) or not 1 <= data.height <= 1024 or not 1 <= data.width <= 1024:
        raise ValueError(f"pictures of {sides}")
    card = Card(
        **{**raw, "data": data, "metrics": tuple(Metric(**m) for m in raw.get("metrics", ()))}
    )
    for part in (card, *card.metrics):
        check_fields(part)
    return card


def check_file(path: Path, expected: str) -> None:
    """Raises BundleError where a file is missing, too large, or not what its card says."""
    name = path.parent.name
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise BundleError(
                f"{name}: {path.name} has {size >> 20} MB; at most "
                f"{LARGEST_FILE >> 20} are opened."
            )
        if sha256(path) != expected:
            raise BundleError(
                f"{name}: {path.name} does not match the hash on its card; it is damaged or was "
                "exchanged. Copy the whole bundle again."
            )
    except FileNotFoundError:
        raise BundleError(
            f"{name}: {path.name} is missing. Copy the whole bundle again."
        ) from None


def read_arrays(path: Path, expected: str) -> Arrays:
    """What a safetensors file holds in float32 (or as integers), its hash checked first."""
    check_file(path, expected)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, TypeError) as error:  # TypeError: a kind of number numpy has not
        raise BundleError(
            f"{path.parent.name}: {path.name} cannot be read ({error}). Copy the bundle again."
        ) from None
    floats = {k for k, v in arrays.items() if np.issubdtype(v.dtype, np.floating)}
    return {k: v.astype(np.float32) if k in floats else v for k, v in arrays.items()}


def catalogue(root: Path) -> dict[str, Card | BundleError]:
    """Every bundle under ``root`` by folder name; an unreadable one maps to the reason."""
    found: dict[str, Card | BundleError] = {}
    for path in sorted(root.glob(f"*/{CARD}")):
        try:
            found[path.parent.name] = read_card(path.parent)
        except BundleError as error:
            found[path.parent.name] = error
    return found
