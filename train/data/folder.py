"""One's own pictures, in a folder or a zip, with what a table beside them says of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from tqdm import tqdm

from explorer import images
from explorer.errors import DataError, ImageError
from explorer.protocol import DataSpec

from .archive import Archive, opened
from .dataset import Dataset, Split
from .labels import TABLES, said
from .places import cache, mapped, once

SHARE = 0.1  # held out
SIZES = (8, 256)
CHUNK = 4096  # pictures copied at once


def folder(path: str, size: int = 64, grey: bool = False) -> Dataset:
    """The pictures in a folder or zip, centres cut out, ``size`` pixels square.

    labels.csv may say more: its first column names files, one called ``label`` is their class,
    and every other is a number. CelebA's own list_attr_celeba.txt is understood too. A tenth is
    held out by what is in the pictures: equal ones stay together, and more may be added.
    """
    spec = folder_spec(path, size, grey)
    source = Path(str(path)).expanduser()
    archive = opened(source)
    key = f"{archive.key(_pictures(archive))}-{size}{'-grey' if grey else ''}"
    home = once(_home(source) / f"folder-{key}", lambda into: _decode(archive, spec, into))

    index = json.loads((home / "index.json").read_text(encoding="utf-8"))
    told = said(archive, index["train"] + index["held"])
    train, held = (
        Split(
            mapped(home / f"{part}.u8", len(index[part]), spec.shape),
            told.classes_of(index[part]),
            told.attributes_of(index[part]),
        )
        for part in ("train", "held")
    )
    return Dataset(
        replace(spec, classes=told.classes),
        train,
        held,
        licence="as the pictures themselves; share the model only if you may share them",
        credit=f"pictures brought in {source.name}",
        skipped=tuple(index["skipped"]),
    )


def folder_spec(path: str, size: int = 64, grey: bool = False) -> DataSpec:
    """What the pictures will look like; checked before any is read."""
    if not isinstance(size, int) or not SIZES[0] <= size <= SIZES[1]:
        raise DataError(f"Pictures can be {SIZES[0]} to {SIZES[1]} pixels large, not {size}.")
    return DataSpec("folder", 1 if grey else 3, size, size)


def _home(source: Path) -> Path:
    """Where decoded pictures go. Those of a run stay in it, and are deleted with it."""
    above = (p for p in source.resolve().parents if (p / "status.json").is_file())
    run = next(above, None)
    return run / "decoded" if run else cache() / "decoded"


# --- pictures to pixels, once -----------------------------------------------------------------


def _decode(archive: Archive, spec: DataSpec, into: Path) -> None:
    """Writes ``train.u8``, ``held.u8`` and ``index.json``; holds a few pictures at a time."""
    skipped = [f"{name}: {reason}" for name, reason in archive.refused.items()]
    names, digests, together = [], [], into / "all.u8"
    with open(together, "wb") as out:
        for name in tqdm(_pictures(archive), "pictures", unit="", disable=None):
            try:
                pixels = _pixels(archive, name, spec)
            except (DataError, ImageError) as error:
                skipped.append(f"{name}: {error}")
                continue
            out.write(pixels)
            names.append(name)
            digests.append(hashlib.sha256(pixels).hexdigest())
    if not names:
        raise DataError(_nothing(skipped))

    held = held_out(digests)
    index: dict[str, list[str]] = {"skipped": skipped}
    for part, chosen in {"train": np.flatnonzero(~held), "held": np.flatnonzero(held)}.items():
        _copy(together, into / f"{part}.u8", len(names), spec, chosen)
        index[part] = [names[i] for i in chosen]
    together.unlink()
    (into / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _pictures(archive: Archive) -> list[str]:
    return [name for name in archive.names if PurePosixPath(name).name not in TABLES]


def _pixels(archive: Archive, name: str, spec: DataSpec) -> bytes:
    """The picture's uint8 pixels, channels first."""
    image = images.read(archive.read(name, images.MAX_BYTES + 1))
    pixels = images.to_pixels(images.prepare(image, spec, invert=False))[0]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()


def _nothing(skipped: list[str]) -> str:
    if not skipped:
        return "There are no pictures in it. Put PNG or JPEG files there, or choose another place."
    return f"None of the {len(skipped):,} files is a picture that can be used. {skipped[0]}"


def held_out(digests: list[str]) -> np.ndarray:
    """``(N,)`` bool: which pictures are held out, by what is in them and nothing else.

    Of a handful of pictures none may fall below SHARE; then the lowest is held out.
    """
    limit = f"{int(SHARE * 2**32):08x}"
    held = np.array([digest[:8] < limit for digest in digests])
    return held if held.any() else np.array([digest == min(digests) for digest in digests])


def _copy(source: Path, target: Path, count: int, spec: DataSpec, chosen: np.ndarray) -> None:
    pixels = mapped(source, count, spec.shape)
    with open(target, "wb") as out:
        for start in range(0, len(chosen), CHUNK):
            out.write(pixels[torch.from_numpy(chosen[start : start + CHUNK])].numpy().tobytes())
