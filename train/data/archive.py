"""Files that somebody brought, in a folder or a zip: read by name, never unpacked or followed."""

from __future__ import annotations

import abc
import hashlib
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from explorer.errors import DataError

DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError)
LINK = "a link, and links are not followed; put the picture itself here"


class Archive(abc.ABC):
    """Abstract; a Folder or a Zip.

    Attributes:
        names: relative paths with forward slashes, in order of name; hidden files are left out.
        refused: files that are not read, and why.
    """

    def __init__(self, stamps: dict[str, tuple[int, int]], refused: dict[str, str]) -> None:
        """Arguments:
        stamps: two numbers for every file, other ones when the file is changed.
        """
        self.names, self.refused, self._stamps = tuple(sorted(stamps)), refused, stamps

    def key(self, names: Iterable[str]) -> str:
        """Sixteen digits, other ones when any of these files is changed or another is refused."""
        stamps = [(name, *self._stamps[name]) for name in names]
        return hashlib.sha256(repr((stamps, sorted(self.refused))).encode()).hexdigest()[:16]

    @abc.abstractmethod
    def read(self, name: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a file; raises DataError where it cannot be read."""


class Folder(Archive):
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stamps, refused = {}, {}
        for parent, folders, files in os.walk(folder):
            folders[:] = [f for f in folders if not _hidden(f)]
            linked = [f for f in folders if os.path.islink(os.path.join(parent, f))]
            for path in (Path(parent, f) for f in linked + files if not _hidden(f)):
                name, status = path.relative_to(folder).as_posix(), path.lstat()
                if stat.S_ISREG(status.st_mode):
                    stamps[name] = (status.st_size, status.st_mtime_ns)
                else:
                    linked_to = stat.S_ISLNK(status.st_mode)
                    refused[name] = LINK if linked_to else "not a plain file"
        super().__init__(stamps, refused)

    def read(self, name: str, limit: int) -> bytes:
        try:
            with open(self.folder / name, "rb") as file:
                return file.read(limit)
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}.") from error


class Zip(Archive):
    """The files in a zip. Nothing is written, so that no path in it leads anywhere."""

    def __init__(self, path: Path | IO[bytes]) -> None:
        try:
            self.zipped = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
            raise DataError(f"{path.name} is not a zip that can be read ({error}).") from error
        stamps, refused = {}, {}
        for info in self.zipped.infolist():
            path_inside = PurePosixPath(info.filename)
            if info.is_dir() or any(_hidden(part) for part in path_inside.parts):
                continue
            if path_inside.is_absolute() or ".." in path_inside.parts:
                refused[info.filename] = "its path leads out of the zip"
            elif stat.S_ISLNK(info.external_attr >> 16):
                refused[info.filename] = LINK
            else:
                stamps[info.filename] = (info.file_size, info.CRC)
        super().__init__(stamps, refused)

    def read(self, name: str, limit: int) -> bytes:
        # counted as it comes: the sizes in a zip can lie
        try:
            with self.zipped.open(name) as file:
                return file.read(limit)
        except (*DAMAGE, OSError) as error:
            raise DataError(f"{name} is damaged in the zip ({error}).") from error
        except RuntimeError as error:
            raise DataError(f"{name} is locked with a password. Zip it without one.") from error


def opened(path: Path) -> Archive:
    """The folder or zip at ``path``."""
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Zip(path)
    raise DataError(f"There is no folder and no zip at {path}. Check how it is written.")


def _hidden(part: str) -> bool:
    """Whether it is what systems leave in folders: .DS_Store, __MACOSX, Thumbs.db."""
    left_over = ("__MACOSX", "Thumbs.db", "desktop.ini")
    return (part.startswith(".") and part != "..") or part in left_over
