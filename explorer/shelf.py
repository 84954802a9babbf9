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
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import atlas
from .atlas import Atlas
from .cards import ATLAS, CARD, DECODER, WEIGHTS, Card, check_file, read_card
from .decoder import Decoder, Exported, InTorch
from .device import resolve
from .errors import BundleError
from .runs import ROOT, Run
from .spec import DataSpec

if TYPE_CHECKING:
    from .protocol import LatentModel

PRETRAINED = ROOT / "pretrained"
FIRST = "faces"  # the shipped model that a stranger meets
MOST_PLACES = 1000  # that have a key; of visitors' own the one that was opened first goes


@dataclass(frozen=True, eq=False)
class Opened:
    """A model that is open and what is known of it; shared by everybody, so never changed.

    Attributes:
        wanted: the device that was asked for, or "auto".
        stamp: of the card's file when it was read.
    """

    key: str
    folder: Path
    wanted: str
    card: Card
    atlas: Atlas | None
    stamp: tuple[int, int] = (0, 0)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def data(self) -> DataSpec:
        """What its pictures look like."""
        return self.card.data

    @property
    def latent_size(self) -> int:
        """D, the length of its flat latent."""
        return self.model.latent_size if self.atlas is None else self.atlas.latents.shape[1]

    @property
    def classes(self) -> tuple[str, ...]:
        """What it can be told to draw; empty where it draws what ``z`` alone says."""
        return self.data.classes if self.decoder.conditional else ()

    @property
    def device(self) -> str:
        """Where the model lives."""
        return resolve(self.wanted)

    @property
    def model(self) -> LatentModel:
        """In PyTorch; loaded when it is first asked for. Raises BundleError."""
        with self._lock:
            return self._model

    @cached_property
    def _model(self) -> LatentModel:
        from . import bundle

        return bundle.load(self.folder, self.device)[0]

    @property
    def decoder(self) -> Decoder:
        """How its pictures are drawn while somebody waits for them."""
        with self._lock:
            return self._decoder

    @cached_property
    def _decoder(self) -> Decoder:
        if self.wanted in ("auto", "cpu") and _exported(self.folder, self.card):
            return Exported(self.folder / DECODER)
        return InTorch(self._model)

    @property
    def generation(self) -> int:
        """A number that changes with the weights."""
        return int(hashlib.sha256(self.card.files[WEIGHTS].encode()).hexdigest()[:8], 16)


class Shelf:
    """Open models by key. Thread-safe; one load serves all who ask at once."""

    def __init__(self, size: int = 6) -> None:
        self._size = size
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._places: dict[str, tuple[Path, str]] = {}
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def open(self, folder: Path, device: str = "auto") -> Opened:
        """The bundle in ``folder`` on ``device``, under a key of its own. Raises BundleError.

        Of a run's folder it is the newest checkpoint, also once there is a newer one.
        """
        if device != "auto":
            resolve(device)  # a device that is not here is told before anything is loaded
        place = (folder.resolve(), device)
        with self._lock:
            key = next((k for k, known in self._places.items() if known == place), None)
            if key is None:
                shipped = place[0].parent == PRETRAINED.resolve()
                name = place[0].name[:40]
                key = name if shipped else f"{name}~{secrets.token_urlsafe(12)}"
                key += "" if device == "auto" else f"@{device}"
                self._places[key] = place
                if len(self._places) > MOST_PLACES:
                    oldest = next(k for k in self._places if k not in self._open)
                    del self._places[oldest]
                    self._loading.pop(oldest, None)
        return self[key]

    def __getitem__(self, key: str) -> Opened:
        """The model of that key, loaded if it is not or has changed. Raises BundleError."""
        with self._lock:
            folder, device = self._place(key)
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:  # who asks for another model does not wait for this one
            held = _current(key, folder, device, self._open.get(key))
        with self._lock:
            self._open[key] = held
            self._open.move_to_end(key)
            while len(self._open) > self._size:
                self._open.popitem(last=False)
        return held

    def _place(self, key: str) -> tuple[Path, str]:
        if key in self._places:
            return self._places[key]
        if key in {path.parent.name for path in PRETRAINED.glob(f"*/{CARD}")}:
            self._places[key] = (PRETRAINED / key, "auto")
            return self._places[key]
        raise BundleError(f"No model is open under {key[:60]!r}; choose one at the top.")


def _current(key: str, folder: Path, device: str, held: Opened | None) -> Opened:
    """What ``folder`` holds by now: ``held`` again unless it has changed."""
    place = _newest(folder)
    try:
        stamp = _stamp(place)
        if held is not None and held.stamp == stamp:
            return held
        return _opened(key, place, device, stamp)
    except BundleError:
        if _newest(folder) == place:
            raise
    return _current(key, folder, device, held)  # the trainer put a newer one in its place


def _opened(key: str, place: Path, device: str, stamp: tuple[int, int]) -> Opened:
    """The bundle in ``place``, everything in it checked that can be without torch."""
    card = read_card(place)
    check_file(place / WEIGHTS, card.files.get(WEIGHTS, ""))
    if _exported(place, card):
        check_file(place / DECODER, card.files[DECODER])
    known = atlas.load(place, card.files.get(ATLAS))
    _check_labels(card, known)
    opened = Opened(key, place, device, card, known, stamp)
    _ = opened.decoder  # what cannot be drawn with is told now, while another model is in hand
    return opened


def _check_labels(card: Card, known: Atlas | None) -> None:
    classes = card.data.classes
    if known is None or known.labels is None or not classes:
        return
    if known.labels.max() >= len(classes):
        raise BundleError(
            f"{card.name}: its atlas has labels of classes that its card does not name. Build the "
            "atlas again."
        )


def _exported(place: Path, card: Card) -> bool:
    """Whether a decoder came along; a bundle from a zip leaves its own behind."""
    return DECODER in card.files and (place / DECODER).exists()


def _stamp(place: Path) -> tuple[int, int]:
    """Changes whenever a card is replaced; asked at every picture, so no file is read."""
    try:
        found = (place / CARD).stat()
    except FileNotFoundError:
        return 0, 0  # loading says in words what is missing
    return found.st_mtime_ns, found.st_ino


def _newest(folder: Path) -> Path:
    run = Run(folder)
    return (run.checkpoint() or folder) if run.begun() else folder


SHELF = Shelf()
