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
from explorer.formats import files, reading


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Small good files of every container, and one of a whole module."""
    torch.manual_seed(0)
    sizes = {"fc1": (8, 64), "fc21": (2, 8), "fc22": (2, 8), "fc3": (8, 2), "fc4": (64, 8)}
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


@functools.cache
def programs() -> tuple[dict[str, torch.Tensor], ...]:
    """Tensors of a small linear and a small convolutional VAE."""
    torch.manual_seed(0)
    part = torch.nn.ModuleDict(
        {
            "encoder": torch.nn.Sequential(
                torch.nn.Conv2d(1, 4, 4, 2, 1),
                torch.nn.BatchNorm2d(4),
                torch.nn.ReLU(),
                torch.nn.Conv2d(4, 8, 4, 2, 1),
            ),
            "fc_mu": torch.nn.Linear(128, 3),
            "fc_logvar": torch.nn.Linear(128, 3),
            "fc_dec": torch.nn.Linear(3, 128),
            "decoder": torch.nn.Sequential(
                torch.nn.ConvTranspose2d(8, 4, 4, 2, 1), torch.nn.ConvTranspose2d(4, 1, 4, 2, 1)
            ),
        }
    )
    linear = files.read_stream(io.BytesIO(seeds()[-1]), len(seeds()[-1]), "vae.pt").tensors
    return dict(linear), part.state_dict()


def warped(seed: int) -> bytes:
    """A good file whose tensors are dropped, turned, renamed, cut, swapped or of another type."""
    chance = random.Random(seed)
    tensors = dict(chance.choice(programs()))
    for _ in range(chance.choice((1, 1, 2, 5))):
        name, other = chance.choice(list(tensors)), chance.choice(list(tensors))
        value = tensors[name]
        way = chance.randrange(8)
        if way == 0 and len(tensors) > 1:
            del tensors[name]
        elif way == 1:
            tensors[name] = value.transpose(0, -1) if value.dim() else value
        elif way == 2:
            tensors[f"{chance.choice(('', 'x.', 'conv', '0.', '.'))}{name}"] = tensors.pop(name)
        elif way == 3 and value.dim():
            tensors[name] = value[: chance.randrange(len(value) + 1)]
        elif way == 4:
            tensors[name], tensors[other] = tensors[other], value
        elif way == 5:
            tensors[name] = value.to(chance.choice((torch.int64, torch.half, torch.bool)))
        elif way == 6:
            tensors[name] = value[..., None]
        else:
            tensors[name] = value.double() * chance.choice((float("nan"), 1e300, 0.0))
    return to_safetensors({name: value.clone().contiguous() for name, value in tensors.items()})


def trial(raw: bytes) -> bool:
    """Whether the file was read and recognised; anything but a sentence is raised."""
    try:
        found = files.read_stream(io.BytesIO(raw), len(raw), "vae.pt")
        assert all(isinstance(value, torch.Tensor) for value in found.tensors.values())
        reading.structured(found)
    except FormatError:
        return False
    return True


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2])
    made = (way(seed) for seed in range(first, first + count) for way in (mutated, warped))
    read = sum(trial(raw) for raw in made)
    print(f"{2 * count} files from seed {first}: {read} recognised, the others refused in words")
