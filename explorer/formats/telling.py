"""The trust card: what was recognised, how it was read, how sure that is; words and values."""

from __future__ import annotations

from typing import Any

from .plans import Choices, Exact, Plan
from .reading import Found

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
