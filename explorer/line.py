"""One training at a time on a machine: who comes waits for those who came before.

A place in the line is a file that its process keeps locked for as long as it lives; the system
drops the lock with the process, so that nobody waits for the dead.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from . import runs
from .runs import Run

PAUSE = 0.2  # seconds between two looks, only while somebody waits


def ahead(run: Run) -> list[str]:
    """The names of the runs that this one waits for, in order; empty where it waits for none."""
    names = [_name(path) for path in _living()]
    return names[: names.index(run.name)] if run.name in names else []


def waiting() -> list[str]:
    """The names of the runs that are trained or wait on this machine, in order."""
    return [_name(path) for path in _living()]


@contextlib.contextmanager
def turn(run: Run, at_once: bool = False) -> Iterator[None]:
    """Waits until those who came before have ended, or this one is asked to; then it is here."""
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):  # two who come together
        for left in home.glob("*-*"):
            if not _held(left):
                left.unlink(missing_ok=True)
        numbers = [int(path.name.partition("-")[0]) for path in home.glob("*-*")]
        place = home / f"{max(numbers, default=0) + 1:06d}-{run.name}"
        lock = FileLock(place)
        lock.acquire()
    try:
        while not at_once and _living()[0] != place and not run.stop_requested():
            time.sleep(PAUSE)
        yield
    finally:
        lock.release()
        place.unlink(missing_ok=True)


def _home() -> Path:
    """Of this machine alone: the folder of runs may be on a disk that several share."""
    return runs.RUNS / ".line" / socket.gethostname()


def _name(place: Path) -> str:
    return place.name.partition("-")[2]


def _living() -> list[Path]:
    """Places whose process lives, first come first."""
    return [path for path in sorted(_home().glob("*-*")) if _held(path)]


def _held(place: Path) -> bool:
    try:
        with FileLock(place, timeout=0):
            return False
    except Timeout:
        return True
