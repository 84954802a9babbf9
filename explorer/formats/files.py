"""A file, folder or zip from anywhere: what kind it is, and its tensors within limits.

Everything is checked before it is allocated; nothing is executed and nothing is written.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from ..bundle import DAMAGE as ARCHIVE_DAMAGE
from ..errors import FormatError
from .pickles import SIZES, Piece, Storage, Stream, walk
from .states import find

LARGEST = 1 << 30  # bytes of a file
LARGEST_STREAM = 32 << 20  # bytes of a pickle stream or a header
LARGEST_NOTE = 1 << 20  # bytes of a config
MOST_TENSORS = 20_000
MOST_NUMBERS = 200_000_000  # weights of a model
MOST_MEMBERS = 50_000  # files in a zip
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
DAMAGE = (*ARCHIVE_DAMAGE, RuntimeError, OSError, ValueError, struct.error)
NOTES = ("config.json", "model_config.json", "specs.json", "hparams.yaml")
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".pkl")
RESAVE = (
    "Where it was made, run:  model = torch.load(FILE, weights_only=False)  and then  "
    "torch.save(model.state_dict(), 'weights.pt').  Open weights.pt here."
)
OTHER_KINDS = {  # first bytes -> what to say
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: run git lfs pull",
    b"\x89HDF": "is an HDF5 file, as Keras writes them: export its weights to safetensors",
    b"GGUF": "is a GGUF file, which holds language models",
    b"\x93NUMPY": "is a NumPy array, not a model",
    b"<!DOC": "is a web page: download the raw file itself",
    b"<html": "is a web page: download the raw file itself",
    b"Rar!": "is a RAR archive: unpack it and choose the weights in it",
    b"7z\xbc\xaf": "is a 7z archive: unpack it and choose the weights in it",
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
}


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        tensors: the model's tensors by name, in the file's order, floats as float32.
        container: "zip", "legacy" or "safetensors".
        notes: of the configs that lie beside it, by file name, and "beside" from within.
        whole: the class of a module that was pickled whole, else "".
        marks: globals that the stream names and that were not followed.
        aside: groups of tensors that are not the model's.
        saved_on: devices the tensors were saved from.
    """

    tensors: dict[str, Tensor]
    container: str
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    whole: str = ""
    marks: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    saved_on: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """All notes as one mapping."""
        return {k: v for note in self.notes.values() for k, v in note.items()}


def read(path: Path) -> Contents:
    """The tensors of a file, a folder or a zip. Raises FormatError, with the remedy."""
    try:
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise FormatError(f"There is no file {path.name!r}. Type the whole path of one.")
        with open(path, "rb") as file:
            notes = _notes_beside(path)
            return _add(read_stream(file, path.stat().st_size, path.name), notes)
    except OSError as error:
        raise FormatError(
            f"{path.name} cannot be read ({error.strerror or error}). Check that it is there and "
            "yours to read."
        ) from None


def read_stream(file: IO[bytes], size: int, name: str, nested: bool = False) -> Contents:
    """The same for an open file of ``size`` bytes."""
    if size == 0:
        raise FormatError(f"{name} is empty. Download or copy it again.")
    if size > LARGEST:
        raise FormatError(f"{name} has {size >> 20:,} MB; at most {LARGEST >> 20:,} are opened.")
    head = file.read(64)
    file.seek(0)
    for start, what in OTHER_KINDS.items():
        if head.startswith(start):
            raise FormatError(f"{name} {what}.")
    if head.startswith(b"PK"):
        return _zip(file, name, nested)
    if head.startswith(LEGACY):
        return _legacy(file, size)
    if len(head) > 9 and head[8:9] == b"{":
        return _safetensors(file, size, name)
    if head[:1] == b"\x80":
        raise FormatError(f"{name} is a plain pickle, which could run anything. {RESAVE}")
    raise FormatError(
        f"{name} is no checkpoint of PyTorch and no safetensors file. Choose the .pt, .pth, "
        ".ckpt, .bin or .safetensors file of the model."
    )


# --- folders and zips of files -------------------------------------------------------------


def _notes_beside(path: Path) -> dict[str, dict[str, Any]]:
    beside = (path.parent / name for name in NOTES)
    return {p.name: _note(p.read_bytes()) for p in beside if _is_note(p)}


def _is_note(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_NOTE


def _note(raw: bytes) -> dict[str, Any]:
    """A JSON object, or the ``key: value`` lines of a flat YAML; empty where it is neither."""
    try:
        found = json.loads(raw)
        return found if isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        lines = raw.decode("utf-8", "replace").splitlines()[:500]
        pairs = [line.split(":", 1) for line in lines if ":" in line and line[:1].isalpha()]
        return {k.strip(): _plain(v.strip()) for k, v in pairs}


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _add(found: Contents, notes: dict[str, dict[str, Any]]) -> Contents:
    return Contents(**{**vars(found), "notes": found.notes | notes})


def _best(names: list[str]) -> str | None:
    """The file most likely to be the weights: by kind, then by name, then the shallowest."""
    weights = [n for n in names if PurePosixPath(n).suffix in WEIGHTS]
    apart = ("optimizer", "scheduler", "encoder.pkl", "decoder.pkl", "metric.pkl", "scaler")
    weights = [n for n in weights if not PurePosixPath(n).name.startswith(apart)]
    liked = ("diffusion_pytorch_model", "model", "last", "best", "vae", "pytorch_model")

    def rank(name: str) -> tuple[bool, int, int, str]:
        path = PurePosixPath(name)
        known = [k for k, word in enumerate(liked) if path.name.startswith(word)]
        return path.suffix == ".pkl", min(known, default=9), len(path.parts), name

    return min(weights, key=rank, default=None)


def _folder(folder: Path) -> Contents:
    paths = [p for p in _walk(folder) if p.is_file() and not p.is_symlink()]
    names = [p.relative_to(folder).as_posix() for p in paths]
    best = _best(names)
    if best is None:
        bare = [n for n in names if not PurePosixPath(n).suffix]  # such as 1Konny's "last"
        if not bare:
            raise FormatError(
                f"{folder.name} holds no weights: no file ends in {', '.join(WEIGHTS[:-1])}. "
                "Choose the folder that does."
            )
        best = bare[0]
    path = folder / best
    found = {}
    for place in dict.fromkeys((folder, path.parent, path.parent.parent)):
        if place == folder or folder in place.parents:
            found |= _notes_beside(place / "x")
    with open(path, "rb") as file:
        return _add(read_stream(file, path.stat().st_size, best, nested=True), found)


def _walk(folder: Path, depth: int = 0) -> list[Path]:
    if depth > 4:
        return []
    entries = sorted(folder.iterdir())[:1000]
    below = [p for e in entries if e.is_dir() and not e.is_symlink() for p in _walk(e, depth + 1)]
    return [e for e in entries if not e.is_dir()] + below


def _zip(file: IO[bytes], name: str, nested: bool) -> Contents:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_MEMBERS:
                raise FormatError(f"{name} holds {len(infos):,} files, too many for a model.")
            members = {info.filename: info for info in infos if not info.filename.endswith("/")}
            streams = [n for n in members if PurePosixPath(n).name == "data.pkl"]
            if streams:
                return _torch_zip(archive, members, streams, name)
            if nested:
                raise FormatError(f"{name} is a zip within a zip. Unpack it first.")
            best = _best(list(members))
            if best is None:
                raise FormatError(f"{name} is a zip in which no file looks like weights.")
            notes = {
                PurePosixPath(n).name: _note(_member(archive, info, LARGEST_NOTE))
                for n, info in members.items()
                if PurePosixPath(n).name in NOTES and info.file_size <= LARGEST_NOTE
            }
            raw = _member(archive, members[best], LARGEST)
            return _add(read_stream(io.BytesIO(raw), len(raw), best, nested=True), notes)
    except FormatError:
        raise
    except DAMAGE as error:
        raise FormatError(
            f"{name} is not a zip that can be read ({str(error)[:120]}). Download it again."
        ) from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """A file of a zip, counted as it comes: headers can lie."""
    if info.file_size > limit:
        raise FormatError(
            f"{info.filename[:80]} unpacks to {info.file_size >> 20:,} MB; at most "
            f"{limit >> 20:,} are read."
        )
    parts, size = [], 0
    with archive.open(info) as source:
        while chunk := source.read(1 << 20):
            size += len(chunk)
            if size > limit:
                raise FormatError(f"{info.filename[:80]} unpacks to more than {limit >> 20} MB.")
            parts.append(chunk)
    return b"".join(parts)


# --- the three containers of tensors ---------------------------------------------------------


def _torch_zip(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], streams: list[str], name: str
) -> Contents:
    root = min(streams, key=len).removesuffix("data.pkl")
    if f"{root}constants.pkl" in members or any(n.startswith(f"{root}code/") for n in members):
        raise FormatError(
            f"{name} is a TorchScript program, which could run anything. Where it was made, run:  "
            "model = torch.jit.load(FILE)  and then  torch.save(model.state_dict(), "
            "'weights.pt').  Open weights.pt here."
        )
    if f"{root}byteorder" in members:
        if _member(archive, members[f"{root}byteorder"], 64).strip() == b"big":
            raise FormatError(f"{name} was saved on a big-endian machine. Save it on another.")
    stream = walk(_member(archive, members[f"{root}data.pkl"], LARGEST_STREAM))

    def numbers(storage: Storage) -> bytes:
        info = members.get(f"{root}data/{storage.key}")
        if info is None:
            raise FormatError(f"{name} lacks numbers that it names. Download it again.")
        return _member(archive, info, _expected(storage))

    return _contents(stream, "zip", numbers)


def _legacy(file: IO[bytes], size: int) -> Contents:
    walk(file)  # a magic number
    walk(file)  # a version
    system = walk(file).value
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise FormatError("It was saved on a big-endian machine. Save it on another.")
    stream = walk(file)
    keys = walk(file).value
    if not isinstance(keys, list) or len(keys) > MOST_TENSORS:
        raise FormatError("Its list of storages is damaged. Download the file again.")
    places: dict[str, tuple[int, int]] = {}
    for key in map(str, keys):
        count = int.from_bytes(file.read(8), "little", signed=True)
        length = count * (SIZES[stream.storages[key].dtype] if key in stream.storages else 4)
        if count < 0 or file.tell() + length > size:
            raise FormatError("It ends before its numbers do. Download the file again.")
        places[key] = (file.tell(), length)
        file.seek(length, 1)

    def numbers(storage: Storage) -> bytes:
        if storage.key not in places:
            raise FormatError("It lacks numbers that it names. Download it again.")
        at, length = places[storage.key]
        file.seek(at)
        return file.read(min(length, _expected(storage)))

    return _contents(stream, "legacy", numbers)


def _expected(storage: Storage) -> int:
    if storage.numel > MOST_NUMBERS * 2:
        raise FormatError(
            f"It claims {storage.numel:,} numbers in one piece; at most {MOST_NUMBERS:,} are read."
        )
    return max(storage.numel, 0) * SIZES[storage.dtype]


def _contents(stream: Stream, container: str, numbers: Any) -> Contents:
    state = find(stream.value)
    _within_limits(len(state.pieces), sum(p.numel for p in state.pieces.values()))
    held: dict[str, Tensor] = {}
    tensors = {}
    for name, piece in state.pieces.items():
        key = piece.storage.key
        if key not in held:
            held[key] = _flat_tensor(numbers(piece.storage), piece)
        tensors[name] = _shaped(held[key], piece)
    return Contents(
        tensors,
        container,
        {"beside": state.facts} if state.facts else {},
        state.whole,
        stream.marks,
        state.aside,
        tuple(dict.fromkeys(p.storage.location for p in state.pieces.values())),
    )


def _within_limits(tensors: int, numbers: int) -> None:
    if tensors > MOST_TENSORS:
        raise FormatError(f"It holds {tensors:,} tensors; at most {MOST_TENSORS:,} are read.")
    if numbers > MOST_NUMBERS:
        raise FormatError(f"It holds {numbers:,} numbers; at most {MOST_NUMBERS:,} are read.")


def _flat_tensor(raw: bytes, piece: Piece) -> Tensor:
    dtype = getattr(torch, piece.dtype)
    usable = len(raw) - len(raw) % SIZES[piece.dtype]
    if usable == 0:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(raw[:usable]), dtype=dtype)


def _shaped(flat: Tensor, piece: Piece) -> Tensor:
    """The tensor, in float32 where it has fractions. Raises FormatError where it overreaches."""
    if piece.numel == 0:
        return torch.empty(piece.shape)
    offset = piece.storage.base + piece.offset
    last = offset + sum((n - 1) * s for n, s in zip(piece.shape, piece.stride, strict=True))
    if last >= len(flat) or piece.numel > len(flat):
        raise FormatError("A tensor reaches beyond the numbers of the file. Download it again.")
    return _single(flat.as_strided(piece.shape, piece.stride, offset).clone())


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _safetensors(file: IO[bytes], size: int, name: str) -> Contents:
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, LARGEST_STREAM):
        raise FormatError(f"{name} is cut short, or no safetensors file. Download it again.")
    try:
        header = json.loads(file.read(length))
        shapes = {k: v["shape"] for k, v in header.items() if k != "__metadata__"}
        counts = [math.prod(shape) if shape else 1 for shape in shapes.values()]
        _within_limits(len(counts), sum(counts))
        file.seek(0)
        found = load_safetensors(file.read())
        order = sorted(found, key=lambda k: header[k]["data_offsets"])
    except FormatError:
        raise
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise FormatError(
            f"{name} is a damaged safetensors file ({str(error)[:120]}). Download it again."
        ) from None
    except RecursionError:
        raise FormatError(f"{name} is a damaged safetensors file. Download it again.") from None
    extra = header.get("__metadata__")
    notes = {"beside": extra} if isinstance(extra, dict) else {}
    return Contents({k: _single(found[k]) for k in order}, "safetensors", notes)
