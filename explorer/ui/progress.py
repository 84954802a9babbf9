"""A run in words: where it stands, how long it will take, and whether it is getting better."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from explorer.errors import RunError
from explorer.line import ahead
from explorer.runs import STOPPABLE, Run

Colour = Literal["blue", "green", "gray", "red"]


@dataclass(frozen=True)
class State:
    """How a state is shown: a sign for lists, an icon, a colour that only repeats them, a word."""

    sign: str
    icon: str
    colour: Colour
    word: str


STATES = {
    "queued": State("…", ":material/hourglass_top:", "blue", "starting"),
    "running": State("▶", ":material/play_arrow:", "blue", "training"),
    "done": State("✓", ":material/check_circle:", "green", "done"),
    "paused": State("❚❚", ":material/pause_circle:", "gray", "paused"),
    "stopped": State("■", ":material/stop_circle:", "gray", "stopped"),
    "failed": State("✕", ":material/error:", "red", "failed"),
    "died": State("✕", ":material/bolt:", "red", "died"),
    "unreadable": State("?", ":material/help:", "red", "cannot be read"),
}


LOOKS = 4  # at held-out pictures, before anything is said of them

# what stands in large figures: a column, its name in words, which way is better, and what it is
NUMBERS = (
    (
        "held/elbo",
        "Score",
        1,
        "The evidence lower bound (ELBO) on log p(x), on pictures it never trained on, and how it "
        "has moved since the last look.",
    ),
    (
        "held/rate",
        "Information kept",
        0,
        "How much the code tells of a picture it never trained on: KL(q(z | x) ‖ p(z)).",
    ),
)


def visible(names: Sequence[str]) -> list[Run]:
    """The runs a visitor may see, newest first: everybody's, and those of these names."""
    own = []
    for name in names:
        with contextlib.suppress(RunError):  # deleted meanwhile
            own.append(Run.find(name))
    return sorted({*Run.listed(), *own}, key=Run.begun, reverse=True)


def status(run: Run) -> dict[str, Any]:
    """What the run says of itself; ``unreadable``, and why, where it cannot."""
    try:
        return run.status()
    except RunError as error:
        return dict(state="unreadable", step=0, pid=None, error=str(error))


def titled(run: Run) -> str:
    """What a run is called in the list; stays the same for as long as it lives."""
    try:
        config = run.config()
        title = config.get("title") or config.get("name") or run.name
        parent = config.get("parent") or {}
    except RunError:
        title, parent = run.name, {}
    title += f" ({parent['changes']})" if parent.get("changes") else ""
    return f"{title}, {time.strftime('%d %b %H:%M:%S', time.localtime(run.begun()))}"


def stand(run: Run, now: Mapping[str, Any]) -> str:
    """Under its name in the list: a sign and words for how it stands ``now``."""
    ended = now.get("of") and now["state"] not in ("done", *STOPPABLE)
    share = f" at {now['step'] / now['of']:.0%}" if ended else ""
    shown = STATES[now["state"]]
    return f"{shown.sign} {shown.word}{share}" + (", private" if run.private else "")


def duration(seconds: float | None) -> str:
    """A time as people say it; empty where it is not known."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return ""
    if seconds < 1.5:
        return "a second"
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} seconds"


def briefly(seconds: float) -> str:
    """A time in as little room as a button has."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, seconds):.0f} s"


def waits_for(run: Run) -> str:
    """In words: what a run that is queued waits for; empty where it waits for nothing."""
    names = ahead(run)
    if not names:
        return ""
    # a private run's name is its secret
    first = Run(run.folder.with_name(names[0]))
    what = "somebody's private run" if first.private else _plainly(first)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Waits for {what}{more} to end: this machine trains one after the other."


def _plainly(run: Run) -> str:
    try:
        return run.config().get("title") or run.name
    except RunError:
        return "another run"


def line(status: Mapping[str, Any], stopping: bool) -> str:
    """What stands beside the progress bar."""
    step, of = status["step"], status.get("of") or 0
    done = f"Step {step:,} of {of:,}" if of else (f"Step {step:,}" if step else "")
    if status["state"] == "queued":
        return "Starting: the trainer loads its tools, which takes a few seconds."
    if status["state"] != "running":
        return done
    if stopping:
        return f"{done}. Ending at the next step, with a checkpoint."
    left = duration(status.get("seconds_left"))
    pace = status.get("pictures_per_second")
    note = status.get("note", "")
    speed = f"{pace:,.0f} pictures a second" if pace else ""
    parts = [done, f"{left} left" if left else "", speed]
    return ". ".join(part for part in [*parts, note[:1].upper() + note[1:]] if part)


def trend(steps: Sequence[int], values: Sequence[float]) -> str:
    """In words: how the bound on held-out pictures goes, and what that means."""
    if len(values) < LOOKS:
        return "Too early to say whether it learns."
    recent = values[-max(LOOKS, len(values) // 4) :]
    small = 0.02 + 0.002 * abs(values[-1])
    if recent[-1] - recent[0] > small:
        return f"Still improving: up {recent[-1] - recent[0]:.2g} nats of late. Up is better."
    best = max(range(len(values)), key=values.__getitem__)
    if values[best] - values[-1] > 3 * small and best < len(values) - LOOKS:
        return (
            f"On pictures it never saw it is worse than at step {steps[best]:,}: it learns its "
            "own by heart. More pictures or a smaller model would help."
        )
    return "Level: more of the same training changes little."
