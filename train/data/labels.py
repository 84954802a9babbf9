"""What a table beside pictures says of them: labels.csv, or CelebA's attribute file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from explorer.errors import DataError

from .archive import Archive

# in order of preference; CelebA's are the authors' own and Kaggle's
TABLES = ("labels.csv", "list_attr_celeba.txt", "list_attr_celeba.csv")
LARGEST = 1 << 28  # bytes
CLASS = "label"  # the column that is a class; every other is a number
HOW = f"Its first line should be like file,{CLASS} or file,smile,age."


@dataclass(frozen=True)
class Said:
    """Classes and numbers by file.

    Attributes:
        classes: in alphabetical order; none where there is no column of them.
    """

    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    rows: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """How the table names this file, if it does: with its folder or without."""
        return name if name in self.rows else PurePosixPath(name).name

    def classes_of(self, names: list[str]) -> Tensor | None:
        """``(N,)`` int64 class numbers; None where there are no classes."""
        if not self.classes:
            return None
        number = {label: i for i, label in enumerate(self.classes)}
        rows = (self.rows[self.key(name)] for name in names)
        return torch.tensor([number[row[0]] for row in rows], dtype=torch.int64)

    def attributes_of(self, names: list[str]) -> dict[str, Tensor]:
        """``(N,)`` float32 by attribute; NaN where unknown. -1 and 1 mean no and yes: 0 and 1."""
        if not self.attributes:
            return {}
        unknown = ("", np.full(len(self.attributes), math.nan, np.float32))
        rows = (self.rows.get(self.key(name), unknown) for name in names)
        values = torch.from_numpy(np.array([row[1] for row in rows], np.float32))
        values = values.reshape(len(names), len(self.attributes))
        everything = np.stack([row[1] for row in self.rows.values()])
        signs = torch.from_numpy((np.isin(everything, (-1, 1)) | np.isnan(everything)).all(0))
        values = torch.where(signs, (values + 1) / 2, values)
        return dict(zip(self.attributes, values.T.contiguous(), strict=True))


def said(archive: Archive, pictures: list[str]) -> Said:
    """What the archive's first table says of its pictures; nothing where there is none.

    Raises DataError where the table cannot be read, or leaves a picture without its class.
    """
    found = [n for n in archive.names if PurePosixPath(n).name in TABLES]
    if not found:
        return Said()
    table = min(found, key=lambda n: (TABLES.index(PurePosixPath(n).name), n.count("/"), n))
    told = _parsed(table, archive.read(table, LARGEST))
    _check(table, told, pictures)
    return told


def _parsed(table: str, raw: bytes) -> Said:
    lines = _lines(table, raw)
    columns = [column.strip() for column in next(lines, [])]
    if len(columns) < 2 or len(set(columns)) < len(columns):
        raise DataError(f"{table} does not name its columns, or two are called alike. {HOW}")
    attributes = tuple(c for c in columns[1:] if c != CLASS)

    rows, above = {}, PurePosixPath(table).parent
    for number, line in enumerate(lines, start=2):
        if len(line) != len(columns):
            counts = f"{len(line)} columns and should have {len(columns)}"
            raise DataError(f"{table}, row {number}, has {counts}. {HOW}")
        cells = dict(zip(columns, (cell.strip() for cell in line), strict=True))
        name = PurePosixPath(cells[columns[0]].replace("\\", "/"))
        row = (cells.get(CLASS, ""), _numbers(cells, attributes, f"{table}, row {number}"))
        rows[name.as_posix()] = rows[(above / name).as_posix()] = row
    classes = sorted({label for label, _ in rows.values() if label})
    return Said(tuple(classes), attributes, rows)


def _check(table: str, told: Said, pictures: list[str]) -> None:
    unnamed = [name for name in pictures if told.key(name) not in told.rows]
    if len(unnamed) == len(pictures):
        raise DataError(f"{table} names none of the files. Check how its first column is written.")
    if told.classes and (
        bare := [n for n in pictures if not told.rows.get(told.key(n), ("",))[0]]
    ):
        raise DataError(
            f"{table} has no {CLASS} for {bare[0]} ({len(bare):,} of {len(pictures):,} pictures). "
            "Add a row, or take the picture away."
        )


def _lines(table: str, raw: bytes) -> Iterator[list[str]]:
    """The cells of every row, those that name the columns first."""
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is not in UTF-8. Save it as UTF-8.") from error
    if table.endswith(".csv"):
        yield from (row for row in csv.reader(lines) if row)
        return
    # CelebA's own: a count, the names of the columns, then rows, all apart by spaces
    yield ["file", *(lines[1].split() if len(lines) > 1 else ())]
    yield from (line.split() for line in lines[2:] if line.strip())


def _numbers(cells: dict[str, str], attributes: tuple[str, ...], where: str) -> np.ndarray:
    """``(k,)`` float32; NaN where a cell is empty."""
    try:
        return np.array([float(cells[a] or "nan") for a in attributes], np.float32)
    except ValueError as error:
        raise DataError(
            f"{where}: {error}. Call a column of words {CLASS}; every other holds numbers."
        ) from error
