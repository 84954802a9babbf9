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
from .plans import Choices, Exact, Plan
from .probes import shipped
from .sizing import plans

MOST_PLANS = 24
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
    others = {3: "one-dimensional convolutions, as sounds and texts need them", 5: "volumes"}
    for value in tensors.values():
        if value.dim() in others and value.shape[-1] > 1:
            raised = f"Its layers are for {others[value.dim()]}, and not for pictures."
            return f"{_kind(contents)}{raised} Choose a VAE of pictures."
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


def taking(found: Found, candidate: Candidate) -> Found:
    """The same file under another of its readings."""
    other = found.best if candidate is found.second else found.second
    return replace(found, best=candidate, second=other)
