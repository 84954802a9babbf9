"""From what a file says to the one flat dict of tensors that is its model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError
from .pickles import DEEPEST, Made, Piece

# under which name people put the model's state dict, the best guess first
WRAPPERS = (
    "state_dict", "model_state_dict", "net_state_dict", "vae_state_dict", "model_states",
    "model_state", "model", "net", "vae", "network", "weights", "params", "module", "autoencoder",
    "generator", "ema", "ema_model", "state", "module_state_dict",
)  # fmt: skip
ASIDE = re.compile(r"optim|sched|scaler|discriminator|(^|_)disc|critic|_loss|^loss|history|rng")


@dataclass(frozen=True)
class State:
    """Tensors by name, still unread, with what stood beside them.

    Attributes:
        whole: the class of a module that was pickled whole, else "".
        under: the names that led to the tensors.
        aside: groups of tensors that were left alone.
        facts: plain numbers and texts that stood beside the tensors (epochs, latent sizes).
    """

    pieces: dict[str, Piece]
    whole: str = ""
    under: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None


def find(value: Any) -> State:
    """The tensors of the model in what a stream said. Raises FormatError where there are none."""
    whole = _module(value)
    under: list[str] = []
    aside: list[str] = []
    facts: dict[str, Any] = {}
    node = as_mapping(value)
    while len(under) < DEEPEST and not whole:
        facts |= _facts(node)
        groups = {str(k): v for k, v in node.items() if _count(v)}
        if any(isinstance(v, Piece) for v in groups.values()):
            break
        named = {k: v for k, v in groups.items() if not ASIDE.search(k.lower())}
        aside += [k for k in groups if k not in named]
        chosen = next((w for w in WRAPPERS for k in named if k.lower() == w), None)
        if chosen is None and len(named) == 1:
            chosen = next(iter(named))
        if chosen is None:
            break
        key = next(k for k in named if k.lower() == chosen.lower())
        aside += [k for k in named if k != key]
        under.append(key)
        whole = _module(named[key])
        node = as_mapping(named[key])
    pieces = dict(_flat(node))
    away = {n: n.split(".")[0] for n in pieces if ASIDE.search(n.split(".")[0].lower())}
    if len(away) < len(pieces):
        aside += dict.fromkeys(away.values())
        pieces = {name: piece for name, piece in pieces.items() if name not in away}
    if not pieces:
        raise FormatError(
            "It holds no tensors of a model. Ask its owner for the state dict: "
            "torch.save(model.state_dict(), 'weights.pt')."
        )
    return State(pieces, whole, tuple(under), tuple(aside), facts)


def as_mapping(value: Any) -> dict[Any, Any]:
    """The items of a container, of a module its parameters, buffers and modules."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, Made):
        state = value.state
        if isinstance(state, tuple) and len(state) == 2:
            state = state[1] if state[0] is None else state[0]
        inner = dict(value.items)
        if isinstance(state, dict):
            parts = [state.get(k) for k in ("_parameters", "_buffers", "_modules")]
            if any(isinstance(part, dict) for part in parts):
                for part in parts:
                    inner |= part if isinstance(part, dict) else {}
            else:
                inner |= state
        return inner
    return {}


def _module(value: Any) -> str:
    """The class of a module that was pickled whole, else ""."""
    is_one = isinstance(value, Made) and isinstance(value.state, dict)
    return value.kind if is_one and "_modules" in value.state else ""


def _count(value: Any) -> int:
    return 1 if isinstance(value, Piece) else sum(1 for _ in _flat(as_mapping(value)))


def _flat(node: dict[Any, Any]) -> Iterator[tuple[str, Piece]]:
    """``name, piece`` of every tensor below ``node``; each container is entered once."""
    seen: set[int] = set()

    def below(node: dict[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Piece]]:
        for key, value in node.items():
            name = prefix + re.sub(r"_?(model_)?state_dict$", "", str(key))[:200]
            if isinstance(value, Piece):
                yield name, value
            elif isinstance(value, dict | list | tuple | Made) and depth < DEEPEST:
                if id(value) not in seen:
                    seen.add(id(value))
                    yield from below(as_mapping(value), f"{name}.", depth + 1)

    return below(node, "", 0)


def _facts(node: dict[Any, Any]) -> dict[str, Any]:
    """Numbers and texts of a mapping and of those right below it."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, bool | int | float | str) and len(str(value)) < 200:
            found[str(key)[:80]] = value
        elif isinstance(value, list | tuple) and 0 < len(value) <= 4:
            if all(type(n) is int for n in value):
                found[str(key)[:80]] = list(value)
        elif isinstance(value, dict | Made) and re.search(r"hyper|conf|args|param", str(key)):
            inner = as_mapping(value)
            found |= {str(k)[:80]: v for k, v in inner.items() if isinstance(v, int | float | str)}
    return found
