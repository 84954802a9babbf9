"""What survives a rerun and a page change: one dataclass, one key. Widgets keep their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import ops
from explorer.errors import BundleError
from explorer.ops import Array
from explorer.shelf import SHELF, Opened
from explorer.ui.components import Rested


@dataclass(frozen=True, eq=False)
class Left:
    """What a visitor who turns to another model finds again on coming back to this one."""

    z: Array | None
    y: int | None
    groups: dict[str, NDArray[np.bool_]]


@dataclass
class Workbench:
    """One visitor's table: the model in hand, the picture on it, and what was brought along.

    Attributes:
        key: the open model's key on the shelf; None until one opens.
        z: ``(D,)``, the latent of the current picture of that model; None before there is one.
        anchor: ``(D,)``, where a stage begins; a hand moves it on from there.
        start: what Play's dials begin at there, nothing for nought; ``turned``, where they rest.
        revision: rises with every change of ``anchor``, so that the stage follows.
        seed: of all draws that a link should repeat.
        y: the class that is drawn, of a model that is told one; None of the others.
        own: keys of models that this visitor opened, with their titles.
        runs: names of private runs that this visitor started or has the link of.
        groups: sets of known latents that the visitor lassoed, by name; bool over the atlas.
        wanted: a model that the picker should show at the next run.
        left: what was in hand of other models, by their keys.
    """

    key: str | None = None
    z: Array | None = None
    anchor: Array | None = None
    start: tuple[float, ...] = ()
    turned: tuple[float, ...] = ()
    revision: int = 0
    seed: int = 0
    y: int | None = None
    own: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    groups: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    wanted: str | None = None
    left: dict[str, Left] = field(default_factory=dict)

    @property
    def opened(self) -> Opened:
        """The model in hand. Raises BundleError where there is none."""
        if self.key is None:
            raise BundleError(
                "No model is open. Choose one at the top, or train one on the Train page."
            )
        return SHELF[self.key]

    def take(self, key: str) -> Opened:
        """Opens ``key``; what was open stays open where that fails."""
        opened = SHELF[key]
        if key != self.key:
            if self.key is not None:
                self.left[self.key] = Left(self.z, self.y, self.groups)
            found = self.left.pop(key, Left(None, 0 if opened.classes else None, {}))
            self.key, self.y, self.groups = key, found.y, found.groups
            self.clear()
            if found.z is not None and len(found.z) == opened.latent_size:
                self.move(found.z)
        return opened

    def move(self, z: Array) -> None:
        """Puts the picture of ``z: (D,)`` on the stage."""
        self.z = self.anchor = np.asarray(z, np.float32).reshape(-1)
        self.start = self.turned = ()
        self.revision += 1

    def rest(self, found: Rested) -> None:
        """Keeps where a hand left the picture, which is there already."""
        if found.z is not None:
            self.z, self.turned = found.z, tuple(found.values.tolist())

    def begin(self, stage: str, first: Array, dials: Sequence[Array] = ()) -> Array:
        """``(D,)``, where that stage begins: with what is in hand, else with ``first``. Where its
        ``dials``, K of ``(D,)``, were turned before one left the page, they are turned again."""
        turned = self.turned
        if self.z is None or self.anchor is None:
            self.move(first)
        elif stage not in st.session_state:  # one comes from another page
            self.move(self.z)
            self.turned = turned
            if len(turned) == len(dials) > 0:
                by = np.array(turned, np.float32)
                self.anchor, self.start = ops.moved(self.z, np.stack(dials), -by), turned
        assert self.anchor is not None
        return self.anchor

    def clear(self) -> None:
        """Takes the picture off the stage, which begins anew."""
        self.z = self.anchor = None
        self.revision += 1

    def adopt(self, opened: Opened) -> None:
        """Takes a model that this visitor brought into the picker, and chooses it."""
        title = opened.card.title or opened.card.name
        others = {name for key, name in self.own.items() if key != opened.key}
        self.own[opened.key] = unlike(f"{title} (yours)", others)
        self.wanted = opened.key


def unlike(title: str, others: Collection[str]) -> str:
    """``title``, numbered if ``others`` have it: a picker tells entries apart by their words."""
    numbered = (f"{title} {k}" for k in range(2, len(others) + 3))
    return next(t for t in (title, *numbered) if t not in others)


def workbench() -> Workbench:
    """This visitor's."""
    return st.session_state.setdefault("workbench", Workbench())


def remembered(**more: Any) -> dict[str, Any]:
    """What makes a widget's value survive leaving its page."""
    return dict(persist_state="session", **more)
