"""Residual blocks: convolutions whose sum with what goes past them is what follows.

A block is read as one layer of a row. That it is one is told by a shortcut beside it, by its
name, by an activation at its beginning or by a narrow middle; where none of these tells, both
readings are kept and measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import Layer, with_norms
from .sizes import BLOCK, PROJECTED, WIDENED

SKIP = re.compile(
    r"shortcut|downsample|skip|identity|(^|[._])(up)?res(idual)?(_?conv|_?path)?$|upsample|proj"
    r"|(^|[._])res(idual)?(_?conv|_?path)?\.\d+$|match|bypass|conv1x1|1x1",
    re.I,
)
NAMED = re.compile(
    r"(^|[._])(res(idual|_?net|_?block|_?unit|_?layer|_?stack|\d|\.|$|_)|rb\d)", re.I
)
GROWN = re.compile(r"\.(conv|1)$")  # a convolution within one that resizes first
MOST_PARTS = 4


@dataclass(eq=False)
class Block(Layer):
    """A residual block.

    Attributes:
        parts: its convolutions in a row, each with its norm.
        skip: the convolution beside them; None where x itself goes past.
        opens: whether it begins with an activation (arXiv:1603.05027), else one ends it.
        told: whether names or norms tell so, else it is likely and measured.
        before: whether norms stand before their convolutions.
        likeness: what its parts are called.
        grown: which of the parts resizes first, as its name says; -1 where none does.
    """

    parts: tuple[Layer, ...] = ()
    skip: Layer | None = None
    opens: bool = False
    told: bool = True
    before: bool = False
    grown: int = -1
    likeness: frozenset[str] = frozenset()

    def ins(self, turned: bool = False) -> int:
        return self.parts[0].ins()

    def outs(self, turned: bool = False) -> int:
        return self.parts[-1].outs()

    @property
    def kernel(self) -> int:
        if self.skip is None:
            return BLOCK
        return WIDENED if self.before else PROJECTED

    @property
    def wide(self) -> int:
        """Which of the parts has the stride, if the block has one: the first that sees around."""
        return next((k for k, part in enumerate(self.parts) if part.kernel > 1), 0)


def collapsed(found: Sequence[Layer], doubtful: bool) -> list[Layer]:
    """The layers of a file with those of each block as one; ``doubtful`` ones too, if so asked.

    What is called like the parts of a block that is one for sure is one as well.
    """
    likes: set[frozenset[str]] = set()
    while True:
        row, seen = _collapsed(found, doubtful, likes), len(likes)
        likes |= {block.likeness for block in row if isinstance(block, Block) and not doubtful}
        if len(likes) == seen:
            return row


def _collapsed(found: Sequence[Layer], doubtful: bool, likes: set[frozenset[str]]) -> list[Layer]:
    row = list(found)
    deep = {p for layer in row if layer.kind == "conv" for p in _above(layer.name)}
    for prefix in sorted(deep, key=lambda p: -p.count(".")):
        inside = [layer for layer in row if layer.name.startswith(f"{prefix}.")]
        block = _block(prefix, inside, doubtful, likes)
        if block is not None:
            block.name = _home(prefix, inside, row)
            at = row.index(inside[0])
            row = [layer for layer in row if layer not in inside]
            row.insert(at, block)
    return row


def _home(prefix: str, inside: Sequence[Layer], row: Sequence[Layer]) -> str:
    """The highest numbered name that has the same layers below it, else ``prefix``."""
    for above in _above(f"{prefix}."):
        if _numbered(above) and len(inside) == sum(m.name.startswith(f"{above}.") for m in row):
            return above
    return prefix


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _block(
    prefix: str, inside: Sequence[Layer], doubtful: bool, likes: set[frozenset[str]]
) -> Block | None:
    """The block that the layers below a name are; None where they are none."""
    if any(isinstance(m, Block) or m.kind not in ("conv", "norm") for m in inside):
        return None
    cut = len(prefix) + 1
    convs = [m for m in inside if m.kind == "conv"]
    skips = [c for c in convs if SKIP.search(c.name[cut:])]
    body = [c for c in convs if c not in skips]
    if not skips and len(body) > 2 and _beside(body):
        skips, body = body[-1:], body[:-1]
    skip = skips[0] if skips else None
    if len(skips) > 1 or not 2 - len(skips) <= len(body) <= MOST_PARTS:
        return None
    if any(a.outs() != b.ins() for a, b in pairwise(body)):
        return None
    ends = body[0].ins(), body[-1].outs()
    if ends != ((skip.ins(), skip.outs()) if skip is not None else (ends[0], ends[0])):
        return None
    if body[0].ins() <= 3 or any(c.kernel % 2 == 0 or c.turns is True for c in convs):
        return None
    first = min(inside, key=lambda m: m.place)
    opens = first.name[cut:].rsplit(".", 1)[-1] not in ("0", "") and _numbered(first.name)
    together = len({c.name.rpartition(".")[0] for c in body}) == 1
    opens = opens and together and first in body
    told = skip is not None or opens or body[0].ins() != body[0].outs()
    told = told or bool(NAMED.search(prefix.split(".", 1)[-1] if "." in prefix else prefix))
    likeness = frozenset(m.name[cut:].split(".")[0] for m in inside if m not in skips)
    told = told or likeness in likes
    if not told and not doubtful:
        return None
    if not told and (prefix.count(".") == 0 or all(_numbered(c.name) for c in body)):
        return None
    return _made(prefix, inside, body, skip, opens, likeness)


def _beside(body: Sequence[Layer]) -> bool:
    """Whether the last of some convolutions stands beside the others."""
    last, end = body[-1], body[-2].outs()
    return last.kernel == 1 and last.ins() == body[0].ins() != end and last.outs() == end


def _numbered(name: str) -> bool:
    return name.rsplit(".", 1)[-1].isdigit()


def _made(
    prefix: str,
    inside: Sequence[Layer],
    body: list[Layer],
    skip: Layer | None,
    opens: bool,
    likeness: frozenset[str],
) -> Block:
    norms = [m for m in inside if m.kind == "norm"]
    if skip is not None:
        cut = len(prefix) + 1
        beside = skip.name[cut:].split(".")[0]
        own = [n for n in norms if n.name[cut:].split(".")[0] == beside]
        norms = [n for n in norms if n not in own]
        with_norms([skip, *own[:1]])
    early = bool(norms) and norms[0].place < body[0].place and _size(norms[0]) == body[0].ins()
    if early:
        for norm, conv in zip(norms, body, strict=False):
            conv.norm = norm if _size(norm) == conv.ins() else None
    else:
        with_norms(sorted([*body, *norms], key=lambda m: m.place))
    cut = len(prefix) + 1
    nested = [k for k, c in enumerate(body) if GROWN.search(c.name[cut:]) and "." in c.name[cut:]]
    siblings = {c.name.rpartition(".")[0] for c in body}
    grown = nested[-1] if len(nested) == 1 and len(siblings) > 1 else -1
    # what ends in a convolution of one place begins with an activation, where nothing else tells
    told = opens or bool(norms) or all(_numbered(c.name) for c in body)
    guess = not told and body[-1].kernel == 1 < body[0].kernel
    return Block(
        prefix, "conv", body[0].tensors, inside[0].place, parts=tuple(body), skip=skip,
        opens=opens or early or guess, told=told, before=early, grown=grown,
        likeness=likeness,
    )  # fmt: skip


def _size(norm: Layer) -> int:
    return len(norm.tensors["running_mean" if "running_mean" in norm.tensors else "weight"])
