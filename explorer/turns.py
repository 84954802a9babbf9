"""Whose turn it is to compute: those somebody waits for first, each kind in the order it came."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class Turns:
    """Lets ``at_once`` pieces of work run in threads; the others wait for their turn."""

    def __init__(self, at_once: int = max(2, min(8, os.cpu_count() or 2))) -> None:
        self._threads = anyio.CapacityLimiter(at_once)
        self._free = at_once
        self._urgent: deque[anyio.Event] = deque()
        self._patient: deque[anyio.Event] = deque()

    async def do(self, work: Callable[[], T], urgent: bool) -> T:
        """What ``work()`` returns, once it has had its turn."""
        await self._wait(self._urgent if urgent else self._patient)
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._free += 1
            self._next()

    async def _wait(self, queue: deque[anyio.Event]) -> None:
        mine = anyio.Event()
        queue.append(mine)
        self._next()
        try:
            await mine.wait()
        except BaseException:  # left while waiting
            with contextlib.suppress(ValueError):
                queue.remove(mine)
            if mine.is_set():
                self._free += 1
                self._next()
            raise

    def _next(self) -> None:
        while self._free and (queue := self._urgent or self._patient):
            self._free -= 1
            queue.popleft().set()
