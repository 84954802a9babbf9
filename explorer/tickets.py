"""Who may ask for pictures, and how much: a ticket for each visitor, good for one visit.

A page gives its ticket to the browser, and the browser shows it when it connects. So a page of
another site, or a program that only knows the address, gets no picture, and nobody gets more than
a share of the machine.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_TICKETS = 10_000  # visitors at once; of those who hold no socket the one longest unseen goes
MOST_SOCKETS = 8  # of one visitor: a page holds one, a hand opens several pages
MESSAGES = 250.0  # a second; a hand makes 60 to 120
LETTERS = 4e6  # a second, of questions
BURST = 3.0  # seconds' worth that may come at once


class Bucket:
    """Fills by ``rate`` a second, up to BURST seconds' worth."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._level, self._at = rate * BURST, clock()

    def take(self, amount: float) -> bool:
        """Whether ``amount`` was there; then it is gone."""
        now = self._clock()
        self._level = min(self._rate * BURST, self._level + (now - self._at) * self._rate)
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True


@dataclass
class Visitor:
    """What one ticket has open, and what it may still ask."""

    sockets: int = 0
    gone: bool = False  # the visit is over, whatever is still open
    messages: Bucket = field(default_factory=lambda: Bucket(MESSAGES))
    letters: Bucket = field(default_factory=lambda: Bucket(LETTERS))

    def may_ask(self, length: int) -> bool:
        """Whether one more question of so many letters is within the visitor's share."""
        return not self.gone and self.messages.take(1) and self.letters.take(length)


class Tickets:
    """All that are good. Thread-safe: pages issue them, the event loop looks at them."""

    def __init__(self) -> None:
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self) -> str:
        """A new ticket; nobody can guess it."""
        ticket = secrets.token_urlsafe(18)
        with self._lock:
            self._visitors[ticket] = Visitor()
            if len(self._visitors) > MOST_TICKETS:
                away = (t for t, visitor in self._visitors.items() if not visitor.sockets)
                del self._visitors[next(away)]  # the newest has none yet
        return ticket

    def revoke(self, ticket: str) -> None:
        """The visit is over."""
        with self._lock:
            visitor = self._visitors.pop(ticket, None)
            if visitor is not None:
                visitor.gone = True

    def enter(self, ticket: str) -> Visitor | None:
        """The visitor who shows ``ticket``, with one socket more; None where it is not good."""
        with self._lock:
            visitor = self._visitors.get(ticket)
            if visitor is None or visitor.sockets >= MOST_SOCKETS:
                return None
            self._visitors.move_to_end(ticket)
            visitor.sockets += 1
            return visitor

    def leave(self, visitor: Visitor) -> None:
        """One of the visitor's sockets has gone."""
        with self._lock:
            visitor.sockets -= 1


TICKETS = Tickets()
