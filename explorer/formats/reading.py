"""One file from beginning to end: read, recognised, calibrated, told in words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import FormatError
from . import known
from .calibrate import Candidate, Probes, calibrated
from .chains import decoders, readings
from .files import RESAVE, Contents, read
from .layers import finite, layers, stripped
from .plans import Choices, Plan, plans
from .probes import shipped

MOST_PLANS = 24
SURE, FAIR = 0.3, 0.08  # margins to the runner-up
CLOSE = 0.35  # pictures redrawn this well, as a share of their variance, are the model's kind
RANGES = {(0.0, 1.0): "[0,1]", (-1.0, 1.0): "[-1,1]"}
ADVICE = (
    "Readable are linear and convolutional encoders and decoders in a row. For another "
    "architecture, copy its weights into a model of this program at the terminal."
)


@dataclass(frozen=True, eq=False)
class Found:
    """What a file is.

    Attributes:
        best: the reading that holds best; ``second`` the best of those that differ from it.
        margin: by how much, as a share of the second's score.
    """

    contents: Contents
    format: str
    best: Candidate
    second: Candidate | None
    margin: float
    ignored: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        return self.best.plan

    @property
    def family(self) -> str:
        """ "VAE", or what it is instead."""
        r = self.plan.reading
        if r.encoder is None:
            return "decoder alone"
        if r.choice:
            return "VAE with a discrete code"
        if r.second is None and not r.doubled:
            return "autoencoder"
        return "conditional VAE" if self.plan.classes else "VAE"


def inspect(path: Path, own: Tensor | None = None) -> Found:
    """What a file, folder or zip is; ``own: (n, C, H, W)`` in [0, 1] are pictures of its kind."""
    return recognise(read(path), own)


def recognise(contents: Contents, own: Tensor | None = None) -> Found:
    """What the contents of a file are. Raises FormatError with the reason and the way out."""
    fitting, start, format, stray = structured(contents)
    given: Probes = shipped() if own is None else {"your pictures": own}
    ranked = calibrated(fitting[:MOST_PLANS], given, start)
    if not ranked:
        raise FormatError(f"{_kind(contents)}It was recognised, but could not be run. {ADVICE}")
    best = ranked[0]
    second = next((c for c in ranked if differs(best, c)), None)
    margin = 1.0 if second is None else 1 - best.score / max(second.score, 1e-9)
    left = best.plan.reading.left
    ignored = (*contents.aside, *stray, *(layer.name for layer in left))
    return Found(contents, format, best, second, margin, ignored)


def structured(contents: Contents) -> tuple[list[Plan], Choices, str, list[str]]:
    """Plans whose sizes fit, the likeliest first; where to start; the format; stray tensors.

    Raises FormatError where the tensors are of no model that can be wandered through.
    """
    tensors = stripped(contents.tensors)
    limit = known.limited(tensors)
    if limit is not None:
        raise Limited(limit, tensors)
    bad = finite(tensors)
    if bad is not None:
        raise FormatError(
            f"{bad} holds NaN or infinity: this training diverged. Take an earlier checkpoint."
        )
    format = known.recognised(tensors)
    weighted, stray = layers(tensors)
    found = readings(weighted) or decoders(weighted)
    if not found:
        raise FormatError(_unknown(contents, tensors))
    wanted = _told(contents.facts)
    if format is not None and format.size:
        wanted = format.size, format.size
    up = format.up if format is not None else ()
    fitting = [p for r in found for p in plans(r, wanted, up)]
    fitting = fitting or [p for r in found for p in plans(r)]
    if not fitting:
        raise FormatError(
            f"{_kind(contents)}Its layers follow one another, but no strides and paddings lead "
            f"from a picture to its latent and back. {ADVICE}"
        )
    fitting.sort(key=lambda p: p.cost)
    start = format.start if format is not None else known.USUAL
    return fitting, start, format.name if format is not None else "general", stray


class Limited(FormatError):
    """Recognised, and of a kind that has no latent vector to wander through."""

    def __init__(self, limit: known.Limit, tensors: dict[str, Tensor]) -> None:
        numbers = sum(t.numel() for t in tensors.values())
        super().__init__(f"This is a {limit.family} of {numbers:,} numbers. {limit.reason}")
        self.family = limit.family


def _kind(contents: Contents) -> str:
    return f"It is a whole module ({contents.whole}). {RESAVE} " if contents.whole else ""


def _unknown(contents: Contents, tensors: dict[str, Tensor]) -> str:
    first = next(iter(tensors))
    numbers = sum(t.numel() for t in tensors.values())
    return (
        f"{_kind(contents)}No pictures go in and come out of its {len(tensors)} tensors "
        f"({numbers:,} numbers, the first called {first[:60]}) by any reading: no encoder with a "
        f"mean, or a decoder, of pictures was found. {ADVICE}"
    )


def _told(facts: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width where a config beside the file says them."""
    for key in ("img_size", "image_size", "input_dim", "input_size", "input_height", "img_shape"):
        value = facts.get(key)
        if isinstance(value, int) and 4 <= value <= 512 and not isinstance(value, bool):
            return value, value
        if isinstance(value, list) and 2 <= len(value) <= 3:
            if all(type(n) is int and 4 <= n <= 512 for n in value[-2:]):
                return value[-2], value[-1]
    return None


def differs(a: Candidate, b: Candidate) -> bool:
    """Whether two readings say something else of the file than how its hidden layers bend."""
    told = ("layout", "swapped", "output", "into", "out_of")
    same = all(getattr(a.choices, k) == getattr(b.choices, k) for k in told)
    return not same or a.plan.shape != b.plan.shape


# --- in words ------------------------------------------------------------------------------------


def sure(found: Found) -> str:
    """How sure the reading is: "sure", "fairly sure" or "a guess"."""
    if found.best.plan.reading.encoder is None:
        return "a guess"
    if found.margin > SURE:
        return "sure"
    return "fairly sure" if found.margin > FAIR else "a guess"


def facts(found: Found) -> dict[str, Any]:
    """The trust card as plain values, for JSON and for a bundle's card."""
    plan, choices, reading = found.plan, found.best.choices, found.plan.reading
    mean, second = reading.mean, reading.second
    if choices.swapped:
        mean, second = second, mean
    return {
        "opened": True,
        "reason": "",
        "format": found.format,
        "container": found.contents.container,
        "family": found.family,
        "conditional": plan.classes > 0,
        "classes": plan.classes,
        "channels": plan.shape[0],
        "height": plan.shape[1],
        "width": plan.shape[2],
        "latent": plan.latent,
        "head": "none" if reading.encoder is None else choices.layout,
        "mean": mean.name if mean else None,
        "second": second.name if second else None,
        "second_means": choices.spread if reading.doubled or second else None,
        "hidden_activation": choices.hidden,
        "output_activation": choices.output,
        "output_range": _range(choices.out_of),
        "input_range": _range(choices.into),
        "confidence": round(max(min(found.margin, 1.0), 0.0), 3),
        "sure": sure(found),
        "round_trip_error": round(found.best.back, 4),
        "redrawn_error": round(found.best.seen, 4) if found.best.seen < 9 else None,
        "redrawn": found.best.like or None,
        "parameters": sum(t.numel() for t in found.contents.tensors.values()),
        "ignored": list(found.ignored),
        "whole_module": found.contents.whole or None,
        "not_followed": list(found.contents.marks),
        "saved_on": list(found.contents.saved_on),
    }


def _range(pair: tuple[float, float]) -> str:
    return RANGES.get(pair, f"[{pair[0]:.3g},{pair[1]:.3g}]")


def words(found: Found) -> dict[str, str]:
    """The trust card: what it was recognised as, how it was read, how sure that is and why."""
    said, best = facts(found), found.best
    c, h, w = found.plan.shape
    kind = "colour" if c == 3 else "grey"
    name = "" if found.format == "general" else f" as {found.format} writes it"
    labels = f", told one of {found.plan.classes} classes" if found.plan.classes else ""
    heads = {
        "separate": f"the mean is {said['mean']}, the other head {said['second']}",
        "chunked": f"the first half of {said['mean']} is the mean",
        "chunked, second first": f"the second half of {said['mean']} is the mean",
        "interleaved": f"every other number of {said['mean']} is the mean",
        "mean only": f"{said['mean']} is the code, with no spread of its own",
        "none": "there is no encoder, so it cannot look at pictures",
    }[said["head"]]
    why = f"encode(decode(z)) misses z by {best.back:.2f} (0 is perfect, 1 tells nothing)"
    if best.like and best.seen < CLOSE:
        why += f"; it redraws {best.like} with {100 * best.seen:.0f} % of their variance missed"
    if found.second is not None:
        why += f"; the next best reading is {100 * found.margin:.0f} % worse"
    told = {
        "Recognised as": f"a {said['family']}{name}: {kind} pictures of {h} x {w}, "
        f"{said['latent']} coordinates{labels}",
        "How it was read": f"{heads}; pixels go in as {said['input_range']} and come out through "
        f"{said['output_activation']} as {said['output_range']}; {said['hidden_activation']} "
        "between layers",
        "How sure": f"{sure(found)}: {why}",
        "Not told by weights": "whether the second head is a log variance or a log sigma; it does "
        "not matter for pictures",
        "Safety": "nothing of the file was executed; its tensors were read as numbers",
    }
    if found.ignored:
        told["Left alone"] = ", ".join(found.ignored[:12])
    if found.contents.whole:
        told["Note"] = f"a whole module ({found.contents.whole}) whose tensors could be listed"
    return told


def taking(found: Found, candidate: Candidate) -> Found:
    """The same file under another of its readings."""
    other = found.best if candidate is found.second else found.second
    return dataclasses.replace(found, best=candidate, second=other)
