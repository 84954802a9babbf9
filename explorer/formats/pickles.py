"""A pickle stream read as data: opcodes are walked, nothing is called and nothing is imported.

`pickletools` splits the stream; the machine below has a stack and a memo and knows how tensors,
ordered dicts and plain values are written. Every other global becomes an inert `Made`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from ..errors import FormatError

MOST_STEPS = 3_000_000  # opcodes; a checkpoint of 1,000 tensors has about 50,000
DEEPEST = 64  # containers within containers that are followed

DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip
SIZES = dict(float64=8, float32=4, float16=2, bfloat16=2, int64=8, int32=4, int16=2, int8=1)
SIZES |= dict(uint8=1, bool=1)


@dataclass(frozen=True)
class Named:
    """A global that the stream names: ``module.name``, and no more than that."""

    name: str


@dataclass(eq=False)
class Made:
    """What the stream would have had ``kind`` make: never called, only remembered."""

    kind: str
    args: Any = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Storage:
    """A run of numbers beside the stream; ``base`` of them lie before the first."""

    dtype: str
    key: str
    numel: int
    location: str
    base: int = 0


@dataclass(frozen=True)
class Piece:
    """A tensor as the stream describes it, before any of its numbers are read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        n = 1
        for side in self.shape:
            n *= side
        return n


@dataclass
class Stream:
    """What one pickle stream says.

    Attributes:
        value: plain containers, numbers, texts, `Piece` and `Made`.
        marks: the globals that were not followed, in order.
        storages: every run of numbers that was named, also those of optimisers.
    """

    value: Any
    marks: tuple[str, ...]
    storages: dict[str, Storage]


def walk(source: IO[bytes] | bytes) -> Stream:
    """The value of the next pickle stream in ``source``. Raises FormatError."""
    machine = _Machine()
    try:
        for step, (opcode, arg, _) in enumerate(pickletools.genops(source)):
            if step > MOST_STEPS:
                raise FormatError(
                    f"Its pickle stream has more than {MOST_STEPS:,} steps. No checkpoint of "
                    "a readable model does; save the state dict alone."
                )
            machine.step(opcode.name, arg)
        marks = tuple(dict.fromkeys(machine.marks))
        return Stream(machine.stack[-1], marks, machine.storages)
    except FormatError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, EOFError) as error:
        raise FormatError(
            f"Its pickle stream is damaged ({str(error)[:120]}). Download or copy the file again."
        ) from None


_MARK = object()
_PUSH = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
    .split()
)  # fmt: skip
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}  # fmt: skip


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.marks: list[str] = []
        self.storages: dict[str, Storage] = {}

    def step(self, name: str, arg: Any) -> None:
        if name in _PUSH:
            self.stack.append(arg)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in ("PROTO", "FRAME", "STOP"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[arg] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[arg])
        else:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise FormatError(
                    f"Its pickle stream uses {name}, which no checkpoint does. Ask its owner for "
                    "the state dict alone: torch.save(model.state_dict(), 'weights.pt')."
                )
            method(arg)

    def _marked(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _list(self, _: Any) -> None:
        self.stack.append(self._marked())

    def _dict(self, _: Any) -> None:
        flat = self._marked()
        self.stack.append(dict(zip(flat[::2], flat[1::2], strict=True)))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(self._marked()))

    def _tuple1(self, _: Any) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def _tuple2(self, _: Any) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def _tuple3(self, _: Any) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def _append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._marked())

    def _extend(self, more: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(more)
        elif not isinstance(self.stack[-1], Made):
            raise ValueError("it appends to what is no list")

    def _additems(self, _: Any) -> None:
        more = self._marked()
        if isinstance(self.stack[-1], set):
            self.stack[-1].update(more)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._mapping()[key] = value

    def _setitems(self, _: Any) -> None:
        flat = self._marked()
        self._mapping().update(zip(flat[::2], flat[1::2], strict=True))

    def _mapping(self) -> dict[Any, Any]:
        target = self.stack[-1]
        found = target.items if isinstance(target, Made) else target
        if not isinstance(found, dict):
            raise ValueError("it sets items of what is no dict")
        return found

    def _global(self, arg: str) -> None:
        self.stack.append(Named(".".join(arg.split(" ", 1))))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Named(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._call(function, args))

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self._reduce(None)

    def _inst(self, arg: str) -> None:
        self.stack.append(self._call(Named(".".join(arg.split(" ", 1))), tuple(self._marked())))

    def _obj(self, _: Any) -> None:
        function, *args = self._marked()
        self.stack.append(self._call(function, tuple(args)))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state

    def _binpersid(self, _: Any) -> None:
        kind, *said = self.stack.pop()
        if kind == "module":
            self.stack.append(said[0])
            return
        if kind != "storage":
            raise ValueError(f"a persistent id of kind {kind!r}"[:80])
        named, key, location, numel, *view = said
        name = named.name.rsplit(".", 1)[-1].lstrip("_") if isinstance(named, Named) else ""
        if name not in DTYPES:
            raise FormatError(
                f"It holds numbers of the kind {name or named!r}"[:120] + ", which cannot be "
                "read. Save the weights in float32 or float16."
            )
        base = int(view[0][1]) if view and view[0] is not None else 0
        storage = Storage(DTYPES[name], str(key), int(numel), str(location), base)
        self.storages[storage.key] = storage
        self.stack.append(storage)

    def _call(self, function: Any, args: Any) -> Any:
        """What the call would give where it is one of the few that are known, else a `Made`."""
        name = function.name if isinstance(function, Named) else type(function).__name__
        short = name.rsplit(".", 1)[-1]
        if name.startswith("torch.") and short in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _piece(args, None)
        if name == "torch._utils._rebuild_tensor_v3":
            return _piece(args, args[6].name.removeprefix("torch."))
        if name in ("torch._utils._rebuild_parameter", _WITH_STATE):
            return args[0]
        if name == "torch._tensor._rebuild_from_type_v2":
            return self._call(args[0], args[2])
        if name == "collections.OrderedDict":
            return dict(args[0]) if args else {}
        if name == "collections.defaultdict":
            return {}
        if name == "torch.Size":
            return tuple(args[0])
        if name in _PLAIN:
            return _PLAIN[name](*args)
        self.marks.append(name)
        return Made(name, args)


_WITH_STATE = "torch._utils._rebuild_parameter_with_state"
_PLAIN: dict[str, Callable[..., Any]] = {
    "torch.device": lambda *said: ":".join(map(str, said)),
    "builtins.set": lambda *given: set(*given), "__builtin__.set": lambda *given: set(*given),
    "builtins.list": lambda *given: list(*given), "builtins.dict": lambda *given: dict(*given),
}  # fmt: skip


def _piece(args: Any, dtype: str | None) -> Piece:
    storage, offset, shape, stride = args[:4]
    sides = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or not all(type(n) is int and n >= 0 for n in sides):
        raise ValueError("a tensor without a storage or with sides that are no numbers")
    if len(shape) != len(stride) or len(shape) > 8 or (dtype and dtype not in SIZES):
        raise ValueError("a tensor whose shape and stride do not fit")
    return Piece(storage, offset, tuple(shape), tuple(stride), dtype or storage.dtype)
