"""12,000 frontal adults of FairFace, eyes aligned, with measured attributes.

K. Karkkainen, J. Joo: FairFace, arXiv:1908.04913, CC BY 4.0. The pictures were selected, aligned,
shrunk and recompressed; the measured columns were added. ``fairface-crops.csv.gz`` says where the
eyes are in FairFace's own pictures (landmarks by MediaPipe Face Mesh), so that anybody can build
the set from the public archive: ``python -m train data faces PATH``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from explorer.align import aligned
from explorer.attributes import ATTRIBUTES, Attribute
from explorer.errors import DataError
from explorer.protocol import DataSpec

from .archive import Archive, opened
from .dataset import Dataset, Split
from .places import cache, given, mapped, once

PICTURES = "faces/fairface-adults-12k-128x128.zip"
TABLE = "faces/fairface-adults-12k.csv"
CROPS = Path(__file__).with_name("fairface-crops.csv.gz")
SIZES = (64, 128)
PARTS = {"train": "train", "val": "held"}  # FairFace's own split
LARGEST = 1 << 20  # bytes of one picture

# tables that may lie beside FairFace's pictures: its own labels, and ours with the measures
TABLES = ("fairface_label_train.csv", "fairface_label_val.csv", "fairface-adults-12k.csv")
COLUMNS = (*(a.column for a in ATTRIBUTES), "p_dark_glasses")  # what is kept of a table
AGES = {"20-29": 25, "30-39": 35, "40-49": 45, "50-59": 55, "60-69": 65, "more than 70": 75}
GENDERS = {"Female": 0.0, "Male": 1.0}


def faces(size: int = 64) -> Dataset:
    """12,000 faces of ``size`` pixels square, FairFace's own split, with their attributes."""
    spec, pictures = faces_spec(size), given(PICTURES)
    if pictures is None:
        raise DataError(
            "The faces are not on this machine. Set LATENT_DATA to a folder that holds "
            f"{PICTURES}, or download FairFace (padding 0.25) from github.com/joojs/fairface and "
            "run: python -m train data faces PATH"
        )

    archive = opened(pictures)
    folder = cache() / "decoded" / f"faces-{size}-{archive.key(archive.names)}"
    once(folder, lambda into: _decode(archive, size, into))
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    rows = _rows(pictures.with_name(Path(TABLE).name))
    train, held = (
        Split(mapped(folder / f"{p}.u8", len(names[p]), spec.shape), None, known(names[p], rows))
        for p in PARTS.values()
    )
    return Dataset(
        spec,
        train,
        held,
        licence="CC BY 4.0",
        credit="K. Karkkainen, J. Joo: FairFace, arXiv:1908.04913 (selected, aligned, shrunk, "
        "recompressed; measured columns added)",
    )


def faces_spec(size: int = 64) -> DataSpec:
    """What the faces look like; checked before any is read."""
    if size not in SIZES:
        raise DataError(f"The faces come in {SIZES[0]} or {SIZES[1]} pixels, not in {size!r}.")
    return DataSpec("faces", 3, size, size)


def _decode(archive: Archive, size: int, into: Path) -> None:
    """Writes ``train.u8``, ``held.u8`` and the names in them, in FairFace's order."""
    names = {part: ordered(archive, prefix) for prefix, part in PARTS.items()}
    for part, chosen in names.items():
        with open(into / f"{part}.u8", "wb") as out:
            for name in tqdm(chosen, f"faces, {part}", unit=" pictures", disable=None):
                image = picture(archive, name)
                if image.size != (size, size):
                    image = image.resize((size, size), Image.Resampling.LANCZOS)
                out.write(np.asarray(image).transpose(2, 0, 1).tobytes())
    (into / "names.json").write_text(json.dumps(names), encoding="utf-8")


def ordered(archive: Archive, prefix: str) -> list[str]:
    """The pictures of one part, by number."""
    chosen = [name for name in archive.names if name.startswith(f"{prefix}/")]
    return sorted(chosen, key=_number)


def _number(name: str) -> int:
    return int(Path(name).stem)


def picture(archive: Archive, name: str) -> Image.Image:
    """A colour picture of the archive."""
    raw = archive.read(name, LARGEST)
    try:
        return Image.open(io.BytesIO(raw), formats=("JPEG",)).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise DataError(f"{name} cannot be read ({error}). Copy the archive again.") from error


def _rows(path: Path) -> dict[str, dict[str, str]]:
    """The table's rows by file; none where there is no table."""
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def known(names: list[str], rows: dict[str, dict[str, str]]) -> dict[str, Tensor]:
    """``(N,)`` float32 for every attribute whose column the table has; NaN where unknown."""
    columns = next(iter(rows.values()), {}).keys()
    return {
        a.name: torch.tensor([_value(rows.get(name, {}), a) for name in names])
        for a in ATTRIBUTES
        if a.column in columns
    }


def _value(row: dict[str, str], attribute: Attribute) -> float:
    text = row.get(attribute.column) or "nan"
    if attribute.name == "age":
        return AGES.get(text, float("nan"))
    if attribute.name == "gender":
        return GENDERS.get(text, float("nan"))
    if attribute.name == "eyes_open" and float(row.get("p_dark_glasses") or 0) >= 0.5:
        return float("nan")  # the landmarks are guessed behind dark glasses
    return float(text)


# --- building the set from FairFace's public archive ------------------------------------------


def crops() -> dict[str, tuple[complex, complex]]:
    """The centres of both eyes in FairFace's 224x224 pictures by file, as x + iy, pixel edges at
    whole numbers; the eye on the picture's left comes first."""
    with gzip.open(CROPS, "rt", newline="", encoding="utf-8") as file:
        return {
            row["file"]: (
                complex(float(row["left_x"]), float(row["left_y"])),
                complex(float(row["right_x"]), float(row["right_y"])),
            )
            for row in csv.DictReader(file)
        }


def build(source: Path, eyes: dict[str, tuple[complex, complex]] | None = None) -> Path:
    """The zip of aligned faces in the cache, made from FairFace's archive or its folder.

    Attributes come along where one of TABLES lies in the folder or beside the zip.
    """
    eyes = eyes or crops()
    archive = opened(source)
    where = {name: f"{_above(archive, eyes)}{name}" for name in eyes}
    if missing := [name for name in where.values() if name not in set(archive.names)]:
        raise DataError(
            f"{source} lacks {len(missing):,} of the {len(eyes):,} pictures, {missing[0]} among "
            "them. Give FairFace's archive with padding 0.25, train and val together."
        )

    target = cache() / PICTURES
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as zipped:
        for name, inside in tqdm(where.items(), "aligning", unit=" pictures", disable=None):
            zipped.writestr(name, _aligned(archive, inside, *eyes[name]))
    _write_table(list(eyes), source, target.with_name(Path(TABLE).name))
    partial.replace(target)  # last: a zip that is there has its table
    return target


def _above(archive: Archive, eyes: dict[str, tuple[complex, complex]]) -> str:
    """The folder inside the archive that train/ and val/ lie in, with its slash."""
    first = next(iter(eyes))
    found = (n.removesuffix(first) for n in archive.names if f"/{n}".endswith(f"/{first}"))
    return next(found, "")


def _aligned(archive: Archive, name: str, left: complex, right: complex) -> bytes:
    image = picture(archive, name)
    if image.size != (224, 224):
        raise DataError(
            f"{name} has {image.width} x {image.height} pixels and should have 224 x 224. Give "
            "FairFace's archive with padding 0.25."
        )
    out = io.BytesIO()
    aligned(image, left, right).save(out, "JPEG", quality=90, subsampling="4:2:0")
    return out.getvalue()


def _write_table(names: list[str], source: Path, target: Path) -> None:
    """What the tables beside the pictures say of ``names``; race is left out on purpose."""
    folder = source if source.is_dir() else source.parent
    rows: dict[str, dict[str, str]] = {name: {"file": name} for name in names}
    for row in _told(folder):
        if row["file"] in rows:
            rows[row["file"]] |= {k: v for k, v in row.items() if k in COLUMNS}
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    with open(target, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows.values())


def _told(folder: Path) -> Iterator[dict[str, str]]:
    for name in TABLES:
        yield from _rows(folder / name).values()
