"""The models this process holds open, shared by pages and the decode route; the oldest goes.

A model is found by a key. Those under ``pretrained/`` have their folder's name, which anybody may
ask for. Those opened from elsewhere have a key that cannot be guessed, so that a visitor's own
model stays the visitor's.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from . import atlas, bundle
from .atlas import Atlas
from .bundle import Card
from .device import resolve
from .errors import BundleError
from .protocol import LatentModel
from .runs import ROOT, Run

PRETRAINED = ROOT / "pretrained"


@dataclass(frozen=True)
class Opened:
    """A model in memory and what is known of it; shared by everybody, so never changed."""

    key: str
    folder: Path
    device: str
    model: LatentModel
    card: Card
    atlas: Atlas | None
    stamp: tuple[int, int] = (0, 0)  # of the card's file when it was read

    @property
    def generation(self) -> int:
        """A number that changes with the weights."""
        return int(hashlib.sha256(self.card.files[bundle.WEIGHTS].encode()).hexdigest()[:8], 16)


class Shelf:
    """Open models by key. Thread-safe; one load serves all who ask at once."""

    def __init__(self, size: int = 6) -> None:
        self._size = size
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._places: dict[str, tuple[Path, str]] = {}
        self._lock = threading.RLock()

    def open(self, folder: Path, device: str = "auto") -> Opened:
        """The bundle in ``folder`` on ``device``, under a key of its own. Raises BundleError.

        Of a run's folder it is the newest checkpoint, also once there is a newer one.
        """
        place = (folder.resolve(), resolve(device))
        with self._lock:
            key = next((k for k, known in self._places.items() if known == place), None)
            if key is None:
                shipped = place[0].parent == PRETRAINED.resolve()
                name = place[0].name[:40]
                key = name if shipped else f"{name}~{secrets.token_urlsafe(12)}"
                key += "" if place[1] == resolve() else f"@{place[1]}"
                self._places[key] = place
            return self[key]

    def __getitem__(self, key: str) -> Opened:
        """The model of that key, loaded if it is not or has changed. Raises BundleError."""
        with self._lock:
            folder, device = self._place(key)
            held = self._open.get(key)
            held = self._open[key] = _current(key, folder, device, held)
            self._open.move_to_end(key)
            while len(self._open) > self._size:
                self._open.popitem(last=False)
            return held

    def _place(self, key: str) -> tuple[Path, str]:
        if key in self._places:
            return self._places[key]
        if key in {path.parent.name for path in PRETRAINED.glob(f"*/{bundle.CARD}")}:
            self._places[key] = (PRETRAINED / key, resolve())
            return self._places[key]
        raise BundleError(f"No model is open under {key[:60]!r}; choose one in the sidebar.")


def _current(key: str, folder: Path, device: str, held: Opened | None) -> Opened:
    """What ``folder`` holds by now: ``held`` again unless it has changed."""
    place = _newest(folder)
    try:
        stamp = _stamp(place)
        if held is not None and held.stamp == stamp:
            return held
        model, card = bundle.load(place, device)
        known = atlas.load(place, card.files.get(bundle.ATLAS))
        return Opened(key, place, device, model, card, known, stamp)
    except BundleError:
        if _newest(folder) == place:
            raise
    return _current(key, folder, device, held)  # the trainer put a newer one in its place


def _stamp(place: Path) -> tuple[int, int]:
    """Changes whenever a card is replaced; asked at every picture, so no file is read."""
    try:
        found = (place / bundle.CARD).stat()
    except FileNotFoundError:
        return 0, 0  # loading says in words what is missing
    return found.st_mtime_ns, found.st_ino


def _newest(folder: Path) -> Path:
    run = Run(folder)
    return (run.checkpoint() or folder) if run.begun() else folder


SHELF = Shelf()
