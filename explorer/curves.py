"""A run's records by column, read once as they grow, and thinned so that no peak is lost."""

from __future__ import annotations

import bisect
import itertools
import json
import math
import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .runs import Run

KEPT = 16  # runs whose records this process keeps
Floats = NDArray[np.float64]
NONE = array("q"), array("d")  # of a column that was never recorded


class Curves:
    """What a run has recorded so far. Only what was appended since the last look is read.

    Attributes:
        generation: another one when records were taken back, as resuming does.
        events: ``(step, words)`` of what was changed by hand.
        coordinates: ``(step, KL in nats of each coordinate)``.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.generation = run, 0
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.generation += 1
        self._file, self._offset = 0, 0
        self._columns: dict[str, tuple[array[int], array[float]]] = {}
        self.events: list[tuple[int, str]] = []
        self.coordinates: list[tuple[int, list[float]]] = []

    def look(self) -> Curves:
        """This, with all that has been written until now."""
        path = self.run.folder / "metrics.jsonl"
        with self._lock:
            try:
                with open(path, "rb") as file:
                    found = os.fstat(file.fileno())
                    # whoever cuts records back puts another file in their place
                    if found.st_ino != self._file or found.st_size < self._offset:
                        self._forget()
                        self._file = found.st_ino
                    file.seek(self._offset)
                    chunk = file.read()
            except FileNotFoundError:
                if self._offset:
                    self._forget()
                return self
            whole = chunk[: chunk.rfind(b"\n") + 1]
            self._offset += len(whole)
            for record in _records(whole):
                self._add(record)
        return self

    def _add(self, record: dict[str, Any]) -> None:
        step = record.get("step")
        if type(step) is not int:
            return
        for name, value in record.items():
            if name == "event":
                self.events.append((step, str(value)))
            elif name == "held/coordinates":
                self.coordinates.append((step, value))
            elif name != "step" and type(value) in (int, float) and math.isfinite(value):
                steps, values = self._columns.setdefault(name, (array("q"), array("d")))
                steps.append(step)
                values.append(value)

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one column; empty where nothing of it was recorded."""
        steps, values = self._columns.get(name, NONE)
        return steps.tolist(), values.tolist()

    def count(self, name: str) -> int:
        """How many points a column has."""
        return len(self._columns.get(name, NONE)[1])

    def thinned(self, name: str, points: int, since: int = 0) -> tuple[list[int], list[float]]:
        """As ``column`` from its ``since``-th point on, but with ``points`` or so of them."""
        return self._thinned(name, slice(since, None), points)

    def between(
        self, name: str, low: int, high: int, points: int
    ) -> tuple[list[int], list[float]]:
        """As ``thinned``, of the steps from ``low`` to ``high``."""
        steps = self._columns.get(name, NONE)[0]
        part = slice(bisect.bisect_left(steps, low), bisect.bisect_right(steps, high))
        return self._thinned(name, part, points)

    def _thinned(self, name: str, part: slice, points: int) -> tuple[list[int], list[float]]:
        all_steps, all_values = self._columns.get(name, NONE)
        steps, values = all_steps[part], all_values[part]
        if len(values) <= points:
            return steps.tolist(), values.tolist()
        kept = extremes(np.frombuffer(values), points // 2)
        return [steps[k] for k in kept], [values[k] for k in kept]


def extremes(values: Floats, buckets: int) -> list[int]:
    """Places of the least and the greatest value in each of so many equal parts, in order.

    The first and the last are among them: a curve drawn through these covers the same pixels as
    one drawn through all, once it is no more than ``buckets`` pixels wide.
    """
    edges = np.linspace(0, len(values), min(buckets, len(values)) + 1).astype(int)
    found = {0, len(values) - 1}
    for low, high in itertools.pairwise(edges):
        part = values[low:high]
        found |= {low + int(part.argmin()), low + int(part.argmax())}
    return sorted(found)


def _records(whole: bytes) -> Iterable[dict[str, Any]]:
    """The records in some lines; lines that a fallen machine damaged are left out."""
    lines = whole.splitlines()
    try:
        found: Sequence[Any] = json.loads(b"[" + b",".join(lines) + b"]")  # thrice as fast
    except ValueError:
        found = [record for line in lines for record in _readable(line)]
    return (record for record in found if isinstance(record, dict))


def _readable(line: bytes) -> list[Any]:
    try:
        return [json.loads(line)]
    except ValueError:
        return []


_KEPT: OrderedDict[Run, Curves] = OrderedDict()
_LOCK = threading.Lock()


def curves(run: Run) -> Curves:
    """What a run has recorded until now."""
    with _LOCK:
        found = _KEPT.pop(run, None) or Curves(run)
        _KEPT[run] = found
        if len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    return found.look()
