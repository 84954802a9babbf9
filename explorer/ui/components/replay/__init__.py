"""A run's pictures at every snapshot: a scrubber that replays how it learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..mount import show


def replay(key: str, run_id: str, taken: Mapping[str, tuple[str, Sequence[int]]]) -> None:
    """Shows sheets of the run by ``taken``: kind -> (its name in words, the steps of its sheets).

    Who looks at the newest goes on with the newer one; who looks back is left in peace.
    """
    kinds = [dict(kind=k, label=label, steps=list(s)) for k, (label, s) in taken.items() if s]
    show("replay", key, dict(run=run_id, kinds=kinds), room="aspect-ratio: 1.6; max-width: 48rem")
