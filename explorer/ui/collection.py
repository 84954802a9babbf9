"""A visitor's own pictures to train on: kept in the session, and in the run that they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from explorer import images
from explorer.errors import DataError, ImageError
from explorer.protocol import DataSpec
from train.data.archive import Archive, Zip, opened
from train.data.labels import TABLES

LOOKED_AT = 300  # pictures; more are taken on trust until the training reads them
SHOWN = 48


class Uploads(Archive):
    """Single pictures that were uploaded, as an archive."""

    def __init__(self, files: Sequence[UploadedFile]) -> None:
        self.files: Mapping[str, UploadedFile] = {
            f"{k:04d}-{_safe(f.name)}": f for k, f in enumerate(files)
        }
        super().__init__({name: (file.size, 0) for name, file in self.files.items()}, {})

    def read(self, name: str, limit: int) -> bytes:
        return self.files[name].getvalue()[:limit]


@dataclass(frozen=True, eq=False)
class Collection:
    """Pictures as a model will see them.

    Attributes:
        count: how many there seem to be.
        shown: ``(n, H, W, C)`` uint8, the first of them.
        skipped: one line for each that cannot be used: its name and the reason.
        doubtful: how many have not been looked at.
    """

    count: int
    shown: NDArray[np.uint8]
    skipped: tuple[str, ...]
    doubtful: int


def uploaded(files: Sequence[UploadedFile]) -> Archive:
    """The archive that was uploaded: one zip, or some pictures."""
    zips = [f for f in files if PurePosixPath(f.name).suffix.lower() == ".zip"]
    if not zips:
        return Uploads(files)
    if len(files) > 1:
        raise DataError("Give either one zip or some pictures, not both together.")
    return Zip(zips[0])


def typed(path: str) -> Archive:
    """The folder or zip on this computer whose path was typed."""
    return opened(Path(path.strip().strip("\"'")).expanduser())


def look(archive: Archive, spec: DataSpec) -> Collection:
    """What is in an archive, its first LOOKED_AT pictures read. Raises DataError where none is."""
    names = [name for name in archive.names if PurePosixPath(name).name not in TABLES]
    shown, skipped, good = [], [f"{n}: {why}" for n, why in archive.refused.items()], 0
    for name in names[:LOOKED_AT]:
        try:
            image = images.read(archive.read(name, images.MAX_BYTES + 1))
        except (DataError, ImageError) as error:
            skipped.append(f"{name}: {error}")
            continue
        good += 1
        if len(shown) < SHOWN:
            shown.append(images.to_pixels(images.prepare(image, spec, invert=False))[0])
    doubtful = max(0, len(names) - LOOKED_AT)
    if good < 2:
        why = f" {skipped[0]}" if skipped else ""
        raise DataError(f"That is {good or 'no'} usable picture; training needs two or more.{why}")
    return Collection(good + doubtful, np.stack(shown), tuple(skipped), doubtful)


def keep(files: Sequence[UploadedFile], folder: Path) -> Path:
    """Writes uploads into a run's ``data`` folder; what the data set is to read."""
    folder.mkdir()
    archive = uploaded(files)
    if isinstance(archive, Uploads):
        for name, file in archive.files.items():
            (folder / name).write_bytes(file.getvalue())
        return folder
    (folder / "pictures.zip").write_bytes(files[0].getvalue())
    return folder / "pictures.zip"


def _safe(name: str) -> str:
    """A file's name without anything that could lead out of a folder or trouble a file system."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept[-60:].lstrip(".") or "picture"
