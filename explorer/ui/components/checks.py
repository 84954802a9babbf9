"""What a browser sends was perhaps not sent by our own script: nothing is taken unchecked."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbers(value: Any, count: int, largest: float) -> list[float] | None:
    """``count`` finite numbers up to ``largest`` in size; None where it is anything else."""
    if not isinstance(value, list) or len(value) != count:
        return None
    # NaN is not <= anything; True is an int that nobody meant
    if not all(type(v) in (int, float) and abs(v) <= largest for v in value):
        return None
    return [float(v) for v in value]


def flags(text: Any, count: int) -> NDArray[np.bool_] | None:
    """``(count,)`` flags from base64 of packed bits; None where it is anything else."""
    if not isinstance(text, str) or len(text) > 2 * count + 8:
        return None
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except ValueError:
        return None
    if len(packed) != -(-count // 8):
        return None
    return np.unpackbits(packed, count=count).astype(bool)
