"""A model for ONNX Runtime: a bundle's decoder.onnx and encoder.onnx, derived from its weights.

They hold the order of operations and no weights of their own: where a number of the network stands
in weights.safetensors as it is, they name the place. So they are a few kilobytes, and there is one
copy of what was learned, in the precision it is kept in.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import external_data_helper
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from explorer import bundle, images
from explorer.cards import DECODER, ENCODER, WEIGHTS, Card, write_card
from explorer.decoder import LEVELS, Exported, levels
from explorer.distributions import centre
from explorer.errors import BundleError
from explorer.inference import picture
from explorer.protocol import LatentModel
from explorer.rng import seeded

PROBES = 64  # random latents or pictures that both are asked for
TOLERANCE = 1  # of 255: a value that lies between two levels may be rounded either way
CLOSE = 1e-4  # of the largest number that an encoder says


class _Pixels(nn.Module):
    """``(n, D) -> (n, H, W, C)`` uint8, as `images.to_pixels` makes them; ``(n,)`` classes too
    where the model is conditional."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = picture(self.model.decode(z, y))
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


class _Code(nn.Module):
    """``(n, C, H, W)`` in [0, 1] to ``(n, D)``, the centre of q(z|x), and of a Gaussian its
    scales ``(n, D)`` too."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        return _code(self.model, x, y)


def _code(model: LatentModel, x: Tensor, y: Tensor | None) -> tuple[Tensor, ...]:
    q = model.encode(x, y)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return centre(q), q.base_dist.scale
    return (centre(q),)


def export(folder: Path) -> Card:
    """Writes decoder.onnx and encoder.onnx, checks both against PyTorch, and puts their hashes on
    the card.

    Raises BundleError, and leaves the bundle without a decoder, where the two draw different
    pictures. An encoder that ONNX cannot say is told, and left out: the app does without.
    """
    model, card = bundle.load(folder)
    partial = _written(folder, DECODER, _decoder(model))
    far = distance(model, partial)
    if far > TOLERANCE:
        partial.unlink()
        raise BundleError(
            f"{folder.name}: the exported decoder draws other pictures than PyTorch does, by up "
            f"to {far} of 255, and was not kept. The app draws with PyTorch."
        )
    os.replace(partial, folder / DECODER)
    partial = folder / f"{ENCODER}.part"
    try:
        _written(folder, ENCODER, _encoder(model))
        error = apart(model, partial)
    except Exception as trouble:  # exporter and runtime have kinds of their own without a base
        error = f"{type(trouble).__name__}"
    if isinstance(error, str) or error > CLOSE:
        partial.unlink(missing_ok=True)
        (folder / ENCODER).unlink(missing_ok=True)
        print(f"{folder.name}: its encoder cannot be put into ONNX ({error}), and is left out.")
    else:
        os.replace(partial, folder / ENCODER)
    return write_card(folder, card)


@torch.no_grad()
def apart(model: LatentModel, exported: Path) -> float:
    """The largest difference between ``exported`` and PyTorch on PROBES random pictures, as a
    share of the largest number that PyTorch says."""
    with seeded(0):
        x = torch.rand(PROBES, *model.data.shape)
        y = torch.randint(0, max(1, len(model.data.classes)), (PROBES,))
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    given = {"x": x.numpy()} | ({"y": y.numpy()} if model.conditional else {})
    ours = _code(model, x, y if model.conditional else None)
    theirs: Any = session.run(None, given)
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a.numpy() - b).max() / a.abs().max()) for a, b in pairs)


@torch.no_grad()
def distance(model: LatentModel, exported: Path) -> int:
    """The largest difference, of 255, between ``exported`` and PyTorch at PROBES latents."""
    with seeded(0):
        z = model.prior().sample(torch.Size([PROBES])).reshape(PROBES, -1)
    decoder, far = Exported(exported), 0
    for y in (None, *range(len(model.data.classes))) if model.conditional else (None,):
        label = None if y is None else torch.full((PROBES,), y)
        ours = images.to_pixels(picture(model.decode(z, label)))
        theirs = decoder(z.numpy(), y)
        far = max(far, int(np.abs(ours.astype(int) - theirs.astype(int)).max()))
    return far


def _decoder(model: LatentModel) -> onnx.ModelProto:
    """The decoder as ONNX, its parameters named as in the model's state."""
    graph = _graph(model, _Pixels(model), "z", torch.zeros(2, model.latent_size), ["pixels"])
    if names := levels(model):
        graph.metadata_props.add(key=LEVELS, value=",".join(names))
    return graph


@torch.no_grad()
def _encoder(model: LatentModel) -> onnx.ModelProto:
    """The encoder as ONNX: of ``x``, and of ``y`` where it matters, ``z`` and mostly ``scale``."""
    x = torch.zeros(2, *model.data.shape)
    y = torch.zeros(2, dtype=torch.int64) if model.conditional else None
    names = ["z", "scale"][: len(_code(model, x, y))]
    return _graph(model, _Code(model), "x", x, names)


def _graph(
    model: LatentModel, net: nn.Module, name: str, first: Tensor, outputs: list[str]
) -> onnx.ModelProto:
    """``net`` of what is called ``name``, and of classes ``y`` where the model is told them."""
    given = {name: first}
    if model.conditional:
        given["y"] = torch.zeros(2, dtype=torch.int64)
    n = torch.export.Dim("n")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own code is warned of, not ours
        program = torch.onnx.export(
            net,
            tuple(given.values()),
            dynamo=True,
            dynamic_shapes=tuple({0: n} for _ in given),
            input_names=list(given),
            output_names=outputs,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.value_info):
        part.ClearField("metadata_props")  # where on this machine each line of ours stands
    return graph


def _written(folder: Path, name: str, graph: onnx.ModelProto) -> Path:
    """The graph in a file that is not in use yet, its weights those of the bundle."""
    _place_weights(graph, folder / WEIGHTS)
    partial = folder / f"{name}.part"
    onnx.save(graph, partial)
    return partial


def _place_weights(graph: onnx.ModelProto, weights: Path) -> None:
    """Lets every initializer that stands in ``weights`` be read from there."""
    places = _places(weights)
    for tensor in graph.graph.initializer:
        found = places.get(tensor.name.removeprefix("model."))
        if found is None:
            continue
        kind, offset, length = found
        if kind == "F16":  # widened once, when the session is made
            wide, tensor.name = tensor.name, f"{tensor.name}/half"
            tensor.data_type = onnx.TensorProto.FLOAT16
            cast = onnx.helper.make_node("Cast", [tensor.name], [wide], to=onnx.TensorProto.FLOAT)
            graph.graph.node.insert(0, cast)
        external_data_helper.set_external_data(tensor, WEIGHTS, offset, length)
        tensor.ClearField("raw_data")


def _places(weights: Path) -> dict[str, tuple[str, int, int]]:
    """Kind, offset and length in bytes of every tensor in a safetensors file."""
    with open(weights, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {
        name: (entry["dtype"], 8 + size + begin, end - begin)
        for name, entry in header.items()
        if name != "__metadata__"
        for begin, end in [entry["data_offsets"]]
    }
