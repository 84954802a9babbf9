"""Small checkpoints with something broken in them: `make fuzz` tries as many as one likes."""

from __future__ import annotations

import functools
import io
import random
import sys
import zipfile

import torch
from safetensors.torch import save as to_safetensors

from explorer.errors import FormatError
from explorer.formats import files


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Small good files of every container, and one of a whole module."""
    torch.manual_seed(0)
    sizes = {"fc1": (8, 16), "fc21": (2, 8), "fc22": (2, 8), "fc3": (8, 2), "fc4": (16, 8)}
    state = {f"{n}.weight": torch.randn(s) for n, s in sizes.items()}
    state |= {f"{n}.bias": torch.randn(s[0]) for n, s in sizes.items()}
    made = []
    for value in (state, {"state_dict": state, "epoch": 3}, torch.nn.Linear(4, 2)):
        for zipped in (True, False):
            out = io.BytesIO()
            torch.save(value, out, _use_new_zipfile_serialization=zipped)
            made.append(out.getvalue())
    return (*made, to_safetensors(state))


def mutated(seed: int) -> bytes:
    """A seed file with bytes changed, cut, doubled or inserted; within a zip, of its stream."""
    chance = random.Random(seed)
    raw = chance.choice(seeds())
    if raw.startswith(b"PK") and chance.random() < 0.7:
        return _inside(raw, chance)
    return _broken(raw, chance)


def _inside(raw: bytes, chance: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith("data.pkl"):
                content = _broken(content, chance)
            new.writestr(info.filename, content)
    return out.getvalue()


def _broken(raw: bytes, chance: random.Random) -> bytes:
    content = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(max(len(content), 1))
        way = chance.randrange(5)
        if way == 0:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del content[at : at + chance.randrange(1, 64)]
        elif way == 2:
            content[at:at] = content[at : at + chance.randrange(1, 64)]
        elif way == 3:
            content[at:at] = chance.randbytes(chance.randrange(1, 9))
        else:
            content[at : at + 4] = chance.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\xff" * 4))
    return bytes(content)


def trial(raw: bytes) -> bool:
    """Whether the file was read; anything but a sentence is raised."""
    try:
        found = files.read_stream(io.BytesIO(raw), len(raw), "vae.pt")
        assert all(isinstance(value, torch.Tensor) for value in found.tensors.values())
    except FormatError:
        return False
    return True


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2])
    read = sum(trial(mutated(seed)) for seed in range(first, first + count))
    print(f"{count} files from seed {first}: {read} read, {count - read} refused in words")
