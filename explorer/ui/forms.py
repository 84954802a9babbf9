"""A form for any frozen dataclass; its metadata gives range, help, step and format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import streamlit as st

from explorer.ui.state import remembered

C = TypeVar("C")
COLUMNS = 3


def form(start: C, key: str, only: Sequence[str] | None = None) -> C:
    """``start`` with its fields as a visitor set them, one widget each.

    Fields that are no number, choice or switch, or not among ``only``, stay as they are. Under
    another ``key`` the form begins anew, from its own ``start``.
    """
    hints = get_type_hints(type(start))
    shown = [
        f
        for f in dataclasses.fields(start)  # type: ignore[arg-type]
        if _is_askable(hints[f.name]) and (only is None or f.name in only)
    ]
    changed: dict[str, Any] = {}
    for row in range(0, len(shown), COLUMNS):
        for column, f in zip(st.columns(COLUMNS), shown[row : row + COLUMNS], strict=False):
            with column:
                value = getattr(start, f.name)
                changed[f.name] = _field(f, hints[f.name], value, f"{key}/{f.name}")
    return dataclasses.replace(start, **changed)  # type: ignore[type-var]


def _is_askable(kind: Any) -> bool:
    return kind in (bool, int, float) or get_origin(kind) is Literal


def _field(f: dataclasses.Field[Any], kind: Any, value: Any, key: str) -> Any:
    """The widget of one field, showing ``value`` until it is changed; what it holds."""
    label, note = f.name.replace("_", " "), f.metadata.get("help")
    common: dict[str, Any] = remembered(key=key, help=note)
    if get_origin(kind) is Literal:
        options = get_args(kind)
        return st.selectbox(label, options, options.index(value), **common)
    if kind is bool:
        return st.toggle(label, value, **common)
    low, high = f.metadata.get("range", (None, None))
    if kind is int:
        step = f.metadata.get("step", 1)
        given = st.number_input(label, low, high, value, step, f.metadata.get("format"), **common)
    else:
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        step = float(f.metadata.get("step", _step(value)))
        shown = f.metadata.get("format", "%g")
        given = st.number_input(label, low, high, float(value), step, shown, **common)
    return value if given is None else kind(given)


def _step(value: float) -> float:
    """A tenth of the value's own power of ten: what a click on + should add."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 0.1
