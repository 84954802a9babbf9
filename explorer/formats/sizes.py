"""Strides and paddings leave no tensor: those that make the sizes fit, the usual ones first."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

# instead of a kernel: a residual block; with a shortcut; with one, and norms before convolutions
BLOCK, PROJECTED, WIDENED = 0, -1, -2
BLOCKS = (BLOCK, PROJECTED, WIDENED)
# kernel -> (stride, padding, extra cost); the cost is how unusual that is, 0 the most common
DOWN = {
    BLOCK: ((1, 1, 0.0),),
    PROJECTED: ((2, 1, 0.0), (1, 1, 0.4)),
    WIDENED: ((1, 1, 0.0), (2, 1, 0.5)),
    1: ((1, 0, 0.0), (2, 0, 1.0)),
    2: ((2, 0, 0.0), (1, 0, 2.0)),
    3: ((2, 1, 0.0), (1, 1, 0.6), (2, 0, 1.4), (1, 0, 1.4)),
    4: ((2, 1, 0.0), (2, 0, 0.8), (1, 0, 1.2), (1, 1, 2.5), (2, 2, 2.5), (4, 0, 3.0)),
    5: ((2, 2, 0.0), (1, 2, 0.6), (2, 0, 1.0), (2, 1, 1.0), (1, 0, 1.4), (3, 1, 3.0)),
    6: ((2, 2, 0.3), (2, 0, 1.0), (1, 0, 2.0)),
    7: ((2, 3, 0.3), (1, 3, 0.6), (1, 0, 1.4), (2, 0, 1.5)),
    8: ((2, 3, 0.6), (4, 2, 0.6), (1, 0, 1.5)),
}
POOLED = {1: (1, 0), 3: (1, 1), 5: (1, 2), 7: (1, 3)}  # then halved by pooling
UP = {  # kernel -> (stride, padding, output padding, cost)
    1: ((1, 0, 0, 0.5),),
    2: ((2, 0, 0, 0.0), (1, 0, 0, 2.0)),
    3: (
        (2, 1, 1, 0.0), (1, 1, 0, 0.6), (2, 1, 0, 0.8), (2, 0, 0, 1.0), (2, 0, 1, 1.2),
        (1, 0, 0, 1.2),
    ),
    4: (
        (2, 1, 0, 0.0), (2, 0, 0, 1.0), (1, 0, 0, 1.0), (2, 1, 1, 1.5), (2, 2, 0, 2.0),
        (1, 1, 0, 2.5), (4, 0, 0, 3.0),
    ),
    5: (
        (2, 2, 1, 0.0), (1, 2, 0, 0.6), (2, 0, 0, 0.8), (2, 1, 1, 0.9), (2, 2, 0, 0.9),
        (2, 1, 0, 1.0), (2, 0, 1, 1.2), (1, 0, 0, 1.2), (1, 1, 0, 1.5),
    ),
    6: ((2, 2, 0, 0.2), (2, 0, 0, 0.6), (1, 0, 0, 1.2)),
    7: ((1, 0, 0, 0.8), (2, 3, 1, 0.5), (1, 3, 0, 0.6), (2, 0, 0, 1.5)),
    8: ((2, 3, 0, 0.5), (4, 2, 0, 0.6), (1, 0, 0, 1.5)),
}  # fmt: skip
USUAL = {
    28: 0.0,
    32: 0.0,
    64: 0.0,
    128: 0.2,
    96: 0.5,
    48: 0.5,
    256: 0.5,
    224: 0.5,
    84: 0.6,
    80: 0.6,
}
SHUFFLED = "shuffled"
Turn = bool | Literal["shuffled"] | None  # whether a convolution is transposed, None: unknown
BEAM = 150
LARGEST = 512


@dataclass(frozen=True)
class Move:
    """What a convolution does to a size.

    Attributes:
        how: "conv" or "convt".
        pool: whether the size is halved after it.
        double: whether the size is doubled before it.
        shuffle: whether four of its channels become one of twice the size (arXiv:1609.05158).
    """

    how: str
    stride: int
    padding: int
    extra: int = 0
    pool: bool = False
    double: bool = False
    shuffle: bool = False


@dataclass(frozen=True)
class Way:
    """Moves for the convolutions of one side, the sizes they lead through, and their cost.

    ``alone`` are the moves of those that are in no residual block.
    """

    moves: tuple[Move, ...]
    sizes: tuple[int, ...]
    cost: float
    alone: tuple[Move, ...] = ()


def usual(size: int) -> float:
    """How unusual a side of a picture is."""
    return USUAL.get(size, 2.0 if size % 8 == 0 else 2.5 if size % 4 == 0 else 4.0)


@functools.lru_cache(256)
def sides(area: int) -> list[tuple[tuple[int, int], float]]:
    """Heights and widths of a map of that many places, and how odd: the square, if it is one."""
    side = math.isqrt(area)
    if side * side == area:
        return [((side, side), 0.0)]
    pairs = [(area // n, n) for n in range(2, side + 1) if area % n == 0 and area <= 3 * n * n]
    upright = [((h, w), 0.5 * h / w) for h, w in pairs]
    return upright + [((w, h), odd + 0.1) for (h, w), odd in upright]


Rooms = tuple[bool | None, ...]


@functools.lru_cache(256)
def downward(kernels: tuple[int, ...], start: int, rooms: Rooms = ()) -> list[Way]:
    """Ways from pictures of side ``start`` through an encoder's convolutions, cheapest first.

    ``rooms`` say of each whether names leave room for pooling after it; None if they do not.
    """
    ways = [Way((), (start,), 0.0)]
    for kernel, room in zip(kernels, rooms or [None] * len(kernels), strict=True):
        moves = _told(_down(kernel), room, True in rooms)
        ways = _best([w for way in ways for w in _further(way, kernel, moves)])
    return ways


def _told(
    moves: list[tuple[Move, float]], room: bool | None, somewhere: bool
) -> list[tuple[Move, float]]:
    """Moves by what names say: no pooling or doubling without room, and likely one with it.

    Where there is room ``somewhere`` in the row, strides are unlikely.
    """
    if somewhere:
        moves = [(m, cost + 0.8 if m.stride > 1 else 0.3 * cost) for m, cost in moves]
    if room is None:
        return moves
    if not room:
        return [(move, cost) for move, cost in moves if not (move.pool or move.double)]
    return [
        (move, 0.2 * cost if move.pool or move.double or move.shuffle else cost + 0.5)
        for move, cost in moves
    ]


@functools.lru_cache(64)
def upward(
    kernels: tuple[int, ...], turned: tuple[Turn, ...], start: int, rooms: Rooms = ()
) -> list[Way]:
    """Ways from a first map of side ``start`` through a decoder's convolutions.

    ``rooms`` say of each whether names leave room for a doubling before it.
    """
    ways = [Way((), (start,), 0.0)]
    for kernel, turns, room in zip(kernels, turned, rooms or [None] * len(kernels), strict=True):
        if turns == SHUFFLED:
            moves = [(Move("conv", 1, kernel // 2, shuffle=True), 0.0)]
        else:
            moves = [] if turns is True else _flat(kernel)
            moves += [] if turns is False else _up(kernel)
        moves = _told(moves, room, True in rooms)
        ways = _best([w for way in ways for w in _further(way, kernel, moves)])
    return ways


def known(kernels: tuple[int, ...], moves: tuple[Move, ...], start: int) -> Way | None:
    """The way that these moves are; None where there are not as many as kernels."""
    if len(moves) != len(kernels):
        return None
    sizes = [start]
    for kernel, move in zip(kernels, moves, strict=True):
        sizes.append(after(sizes[-1], kernel, move))
    return Way(moves, tuple(sizes), 0.0)


def _down(kernel: int) -> list[tuple[Move, float]]:
    moves = [(Move("conv", s, p), c) for s, p, c in DOWN.get(kernel, ((1, 0, 2.0),))]
    if kernel in POOLED:
        moves.append((Move("conv", *POOLED[kernel], pool=True), 0.6 if kernel > 1 else 1.5))
    if kernel in (3, 5):
        moves.append((Move("conv", 1, 0, pool=True), 1.6))
    if kernel == 7:  # as a ResNet begins
        moves.append((Move("conv", 2, 3, pool=True), 0.3))
    if kernel in BLOCKS:
        moves.append((Move("conv", 1, 1, pool=True), 1.0))
    return moves


def _up(kernel: int) -> list[tuple[Move, float]]:
    return [(Move("convt", s, p, e), c) for s, p, e, c in UP.get(kernel, ((1, 0, 0, 2.0),))]


def _flat(kernel: int) -> list[tuple[Move, float]]:
    """A decoder's plain convolutions keep the size, after doubling it or not."""
    if kernel in BLOCKS:
        kept, grown = {BLOCK: (0.0, 0.8), PROJECTED: (0.3, 0.0), WIDENED: (0.0, 0.4)}[kernel]
        return [(Move("conv", 1, 1), kept), (Move("conv", 1, 1, double=True), grown)]
    if kernel % 2 == 0:
        return [(Move("conv", 1, 0), 2.0)]
    keep = kernel // 2
    found = [(Move("conv", 1, keep), 0.1), (Move("conv", 1, keep, double=True), 0.4)]
    return found if kernel == 1 else [*found, (Move("conv", 1, 0), 1.5)]


def _further(way: Way, kernel: int, moves: list[tuple[Move, float]]) -> list[Way]:
    found = []
    for move, cost in moves:
        size = after(way.sizes[-1], kernel, move)
        if 1 <= size <= LARGEST:
            # neighbours mostly do the same: what one does, the next may do for little
            again = move in way.alone
            paid = 0.2 * cost if again else cost
            change = 0.4 if way.alone and way.alone[-1] != move else 0.0
            if change and move in way.alone[-2:-1]:  # turn and turn about
                change = 0.15
            alone = (*way.alone, move)
            if kernel in BLOCKS:  # what neighbours do says nothing of these
                change, paid = 0.0, cost + 0.3 * (1 in (size, way.sizes[-1]))
                alone = way.alone
                if len(alone) == 1 == len(way.moves) and alone[0].stride == 1:
                    paid -= 0.3  # before blocks, a first one keeps the size
            if 1 in (size, way.sizes[-1]) and kernel > 2:  # from or to one place: no padding
                whole = move.stride == 1 and move.padding == 0
                change, paid = (0.0, 0.0) if whole else (change, paid + 0.6)
            total = way.cost + paid + change
            found.append(Way((*way.moves, move), (*way.sizes, size), total, alone))
    return found


def after(size: int, kernel: int, move: Move) -> int:
    """The side after a move."""
    kernel = 3 if kernel in BLOCKS else kernel
    if move.double:
        size *= 2
    if move.how == "convt":
        return (size - 1) * move.stride - 2 * move.padding + kernel + move.extra
    if size + 2 * move.padding < kernel:
        return 0
    size = (size + 2 * move.padding - kernel) // move.stride + 1
    return size // 2 if move.pool else 2 * size if move.shuffle else size


def _best(ways: list[Way]) -> list[Way]:
    """The BEAM cheapest, and of those that end alike with the same last move at most six."""
    kept: dict[tuple[int, Move], int] = {}
    found = []
    for way in sorted(ways, key=lambda w: w.cost):
        end = (way.sizes[-1], way.moves[-1])
        kept[end] = kept.get(end, 0) + 1
        if kept[end] <= 6:
            found.append(way)
    return found[:BEAM]
