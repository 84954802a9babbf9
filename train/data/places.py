"""Where data lie: a folder that is given, a cache that is ours, or the net; decoded once, mapped.

``$LATENT_DATA`` names a folder of data sets as files (mnist/, fashion-mnist/, faces/, ...).
``$LATENT_CACHE`` names the folder for what is downloaded and decoded, if not the user's own cache.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from explorer.errors import DataError


def root() -> Path | None:
    """The folder named by ``$LATENT_DATA``, if any."""
    named = os.environ.get("LATENT_DATA")
    return Path(named) if named else None


def cache() -> Path:
    """The folder that downloads and decoded pictures are kept in."""
    import pooch

    named = os.environ.get("LATENT_CACHE")
    return Path(named) if named else Path(pooch.os_cache("latent-explorer"))


def given(name: str) -> Path | None:
    """The file of that name in the data folder or in the cache, if there is one."""
    places = [place / name for place in (root(), cache()) if place is not None]
    return next((place for place in places if place.is_file()), None)


def fetched(name: str, url: str, sha256: str) -> Path:
    """The file ``name``, from the data folder, else the cache, else downloaded into the cache."""
    at_hand = given(name)
    if at_hand is not None:
        return at_hand

    import pooch

    target = cache() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, progressbar=True)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is not
        raise DataError(
            f"{name} is not on this machine and could not be downloaded ({_first_line(error)}). "
            "Connect to the internet and try again, or set LATENT_DATA to a folder that holds it."
        ) from error
    return target


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 160 else line[:160] + "…"


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``make`` if it is not there yet.

    It appears whole, by one rename. A second process waits for the first; a killed one leaves
    nothing that counts.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if folder.is_dir():
                return folder
            partial = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                make(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except PermissionError as error:
        raise DataError(
            f"{folder.parent} cannot be written to. Set LATENT_CACHE to a folder that can."
        ) from error
    return folder


def mapped(path: Path, count: int, shape: tuple[int, ...]) -> Tensor:
    """``(count, *shape)`` uint8, read from the file as it is used: larger than memory is well."""
    if path.stat().st_size != count * prod(shape):
        raise DataError(f"{path.parent} is damaged. Delete that folder; it will be made again.")
    if count == 0:
        return torch.empty(0, *shape, dtype=torch.uint8)  # an empty file cannot be mapped
    pixels = np.memmap(path, np.uint8, "r", shape=(count, *shape))
    with warnings.catch_warnings():
        # Read-only is meant, and torch warns. A private writable mapping would be refused by
        # Linux where the file is larger than memory.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)
