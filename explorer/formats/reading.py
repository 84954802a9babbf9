"""One file from beginning to end: read, recognised, calibrated, told in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import FormatError
from . import known
from .blocks import Block, collapsed
from .calibrate import Candidate, Probes, calibrated
from .chains import Reading, decoders, quantised, readings
from .files import RESAVE, Contents, read
from .known.format import Format
from .known.limits import Limit, limited
from .known.vq import books
from .layers import finite, layers, stripped, told, with_norms
from .plans import Choices, Exact, Plan, plans
from .probes import shipped

MOST_PLANS = 24
SURE, FAIR = 0.3, 0.08  # margins to the runner-up
CLOSE = 0.35  # pictures redrawn this well, as a share of their variance, are the model's kind
RANGES = {(0.0, 1.0): "[0,1]", (-1.0, 1.0): "[-1,1]"}
SPATIAL = (
    "Its latent is a small map for each picture, nearly a compressed copy of it: mixing two is "
    "close to a cross-fade, and dials or a grid over two of its thousands of numbers would show "
    "nothing. It redraws pictures, and can be compared."
)
VQ_REASON = (
    "Its code is a grid of entries from a code book, with no Gaussian posterior, so there is "
    "nothing between two codes to drag through. It redraws pictures, and can be compared."
)
SPREAD = (
    "whether the second head is a log variance or a log sigma; it does not matter for pictures"
)
ALONE = "It is a decoder alone: it draws, and cannot look at a picture."
ADVICE = (
    "Readable are linear and convolutional encoders and decoders in a row, with or without "
    "residual blocks. For another architecture, write an adapter and name it at the terminal: "
    "python -m explorer adopt PATH FOLDER --adapter FILE.py (explorer/formats/README.md has an "
    "example)."
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
    def plan(self) -> Plan | Exact:
        return self.best.plan

    @property
    def family(self) -> str:
        """ "VAE", or what it is instead."""
        return self.plan.family


def inspect(path: Path, own: Tensor | None = None, format: Format | None = None) -> Found:
    """What a file, folder or zip is.

    ``own: (n, C, H, W)`` in [0, 1] are pictures of its kind, ``format`` what it is known to be.
    """
    return recognise(read(path), own, format)


def recognise(
    contents: Contents, own: Tensor | None = None, format: Format | None = None
) -> Found:
    """What the contents of a file are. Raises FormatError with the reason and the way out."""
    fitting, start, name, stray = structured(contents, format)
    given: Probes = shipped() if own is None else {"your pictures": own}
    ranked = calibrated(fitting[:MOST_PLANS], given, start)
    if not ranked:
        raise FormatError(f"{_kind(contents)}It was recognised, but could not be run. {ADVICE}")
    best = ranked[0]
    second = next((c for c in ranked if differs(best, c)), None)
    margin = 1.0 if second is None else 1 - best.score / max(second.score, 1e-9)
    left = () if isinstance(best.plan, Exact) else best.plan.reading.left
    ignored = (*contents.aside, *stray, *(layer.name for layer in left))
    return Found(contents, name, best, second, margin, ignored)


def structured(
    contents: Contents, format: Format | None = None
) -> tuple[list[Plan | Exact], Choices, str, list[str]]:
    """Plans whose sizes fit, the likeliest first; where to start; the format; stray tensors.

    Raises FormatError where the tensors are of no model that can be opened.
    """
    tensors = stripped(contents.tensors)
    bad = finite(tensors)
    if bad is not None:
        raise FormatError(
            f"{bad} holds NaN or infinity: this training diverged. Take an earlier checkpoint."
        )
    format = format or known.recognised(tensors)
    if format is not None and format.build is not None:
        built = format.build(tensors, contents.facts)
        return list(built), format.start, format.name, []
    codes = [value for _, value in books(tensors)]
    found, stray = _readings(tensors, codes[0] if len(codes) == 1 else None)
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
    if format is not None:
        return list(fitting), format.start, format.name, stray
    # before maps that are normalised there is mostly no activation
    maps = [w for w in fitting[0].reading.decoder.layers if w.kind == "conv"]
    start = replace(known.USUAL, bridge=not any(w.norm is not None for w in maps))
    return list(fitting), start, "general", stray


def _readings(tensors: dict[str, Tensor], codes: Tensor | None) -> tuple[list[Reading], list[str]]:
    """Readings of the layers, and stray tensors. Raises Limited for what is not followed.

    Convolutions that may be a residual block or a row are read both ways.
    """
    found: list[Reading] = []
    refusal, seen, stray = None, 0, []
    for doubtful in (False, True):
        row, stray = layers(tensors)
        row = collapsed(row, doubtful)
        blocks = [layer.name for layer in row if isinstance(layer, Block)]
        if doubtful and len(blocks) == seen:
            break
        seen = len(blocks)
        rest = [n for n in tensors if not any(n.startswith(f"{b}.") for b in blocks)]
        limit = limited([] if codes is not None else list(tensors), rest)
        refusal = refusal or limit
        if limit is None:
            weighted = with_norms(row)
            told(weighted)
            if codes is not None:
                found += quantised(weighted, codes, _place(tensors, codes))
            else:
                found += readings(weighted) or decoders(weighted)
    if not found and refusal is not None:
        raise Limited(refusal, tensors)
    return found, stray


def _place(tensors: dict[str, Tensor], codes: Tensor) -> int:
    """Where a code book stands among the modules of a file."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in tensors))
    book = next(n for n, v in tensors.items() if v.data_ptr() == codes.data_ptr())
    return modules.index(book.rpartition(".")[0])


class Limited(FormatError):
    """Recognised, and of a kind that has no latent vector to wander through."""

    def __init__(self, limit: Limit, tensors: dict[str, Tensor]) -> None:
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
    if found.family == "decoder alone":
        return "a guess"
    if found.margin > SURE:
        return "sure"
    return "fairly sure" if found.margin > FAIR else "a guess"


def facts(found: Found) -> dict[str, Any]:
    """The trust card as plain values, for JSON and for a bundle's card."""
    plan, choices = found.plan, found.best.choices
    mean, second = _heads(plan, choices)
    lacking = lacks(found)
    return {
        "opened": "vector" not in lacking,
        "reason": lacking.get("vector", lacking.get("encoder", "")),
        "redraws": "encoder" not in lacking,
        "format": found.format,
        "container": found.contents.container,
        "family": found.family,
        "conditional": plan.classes > 0,
        "classes": plan.classes,
        "channels": plan.shape[0],
        "height": plan.shape[1],
        "width": plan.shape[2],
        "latent": plan.latent,
        "map": list(_map(plan)) if plan.spatial else None,
        "codes": None if plan.codes is None else len(plan.codes),
        "head": "none" if "encoder" in lacking else choices.layout,
        "mean": mean or None,
        "second": second or None,
        "second_means": choices.spread if second or "chunked" in choices.layout else None,
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


def _heads(plan: Plan | Exact, choices: Choices) -> tuple[str, str]:
    """The names of the layers that give the mean and the spread."""
    if isinstance(plan, Exact):
        return "the encoder's last layer", ""
    names = [h.name if h is not None else "" for h in (plan.reading.mean, plan.reading.second)]
    return (names[1], names[0]) if choices.swapped else (names[0], names[1])


def _map(plan: Plan | Exact) -> tuple[int, int, int]:
    """``(C, H, W)`` of a latent that is a map."""
    if isinstance(plan, Exact):
        assert plan.map is not None
        return plan.map
    return plan.reading.latent, *plan.seam


def lacks(found: Found) -> dict[str, str]:
    """What the pages need and the model has not, each with the reason: see `cards.LACKS`."""
    plan = found.plan
    if plan.codes is not None:
        return {"vector": VQ_REASON}
    if plan.spatial:
        return {"vector": SPATIAL}
    return {"encoder": ALONE} if plan.family == "decoder alone" else {}


def _range(pair: tuple[float, float]) -> str:
    return RANGES.get(pair, f"[{pair[0]:.3g},{pair[1]:.3g}]")


def words(found: Found) -> dict[str, str]:
    """The trust card: what it was recognised as, how it was read, how sure that is and why."""
    said = facts(found)
    c, h, w = found.plan.shape
    kind = "colour" if c == 3 else "grey"
    plain = found.format in ("general", found.family)
    name = "" if plain else f" as {found.format} writes it"
    labels = f", told one of {found.plan.classes} classes" if found.plan.classes else ""
    heads = {
        "separate": f"the mean is {said['mean']}, the other head {said['second']}",
        "chunked": f"the first half of {said['mean']} is the mean",
        "chunked, second first": f"the second half of {said['mean']} is the mean",
        "interleaved": f"every other number of {said['mean']} is the mean",
        "mean only": f"{said['mean']} is the code, with no spread of its own",
        "none": "there is no encoder, so it cannot look at pictures",
    }[said["head"]]
    size = f"{said['latent']} coordinates"
    if found.plan.spatial:
        size = f"a latent map of {' x '.join(map(str, _map(found.plan)))}"
        size += f" of {said['codes']} codes" if said["codes"] else ""
    exact = isinstance(found.plan, Exact)
    between = "" if exact else f"; {said['hidden_activation']} between layers"
    told = {
        "Recognised as": f"a {said['family']}{name}: {kind} pictures of {h} x {w}, {size}{labels}",
        "How it was read": f"{heads}; pixels go in as {said['input_range']} and come out through "
        f"{said['output_activation']} as {said['output_range']}{between}",
        "How sure": f"{sure(found)}: {_why(found)}",
        "Not told by weights": SPREAD if said["second_means"] else "",
        "What it cannot": " ".join(lacks(found).values()),
        "Safety": "nothing of the file was executed; its tensors were read as numbers",
    }
    if found.ignored:
        told["Left alone"] = ", ".join(found.ignored[:12])
    if found.contents.whole:
        told["Note"] = f"a whole module ({found.contents.whole}) whose tensors could be listed"
    return {title: text for title, text in told.items() if text}


def _why(found: Found) -> str:
    """What the reading was measured by."""
    best, parts = found.best, []
    if not found.plan.spatial:
        parts.append(
            f"encode(decode(z)) misses z by {best.back:.2f} (0 is perfect, 1 tells nothing)"
        )
    if best.like and (best.seen < CLOSE or found.plan.spatial):
        parts.append(
            f"it redraws {best.like} with {100 * best.seen:.0f} % of their variance missed"
        )
    if found.second is not None:
        parts.append(f"the next best reading is {100 * found.margin:.0f} % worse")
    return "; ".join(parts) or "its names are those of one program"


def taking(found: Found, candidate: Candidate) -> Found:
    """The same file under another of its readings."""
    other = found.best if candidate is found.second else found.second
    return replace(found, best=candidate, second=other)
