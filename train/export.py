"""A model's decoder for ONNX Runtime: a bundle's decoder.onnx, derived from its weights.

It holds the order of operations and no weights of its own: where a number of the network stands in
weights.safetensors as it is, decoder.onnx names the place. So it is a few kilobytes, and there is
one copy of what was learned, in the precision it is kept in.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import external_data_helper
from torch import Tensor, nn

from explorer import bundle, images
from explorer.cards import DECODER, WEIGHTS, Card, write_card
from explorer.decoder import LEVELS, Exported, levels
from explorer.errors import BundleError
from explorer.inference import picture
from explorer.protocol import LatentModel
from explorer.rng import seeded

PROBES = 64  # random latents that both are asked for
TOLERANCE = 1  # of 255: a value that lies between two levels may be rounded either way


class _Pixels(nn.Module):
    """``(n, D) -> (n, H, W, C)`` uint8, as `images.to_pixels` makes them; ``(n,)`` classes too
    where the model is conditional."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = picture(self.model.decode(z, y))
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def export(folder: Path) -> Card:
    """Writes the bundle's decoder.onnx, checks it against PyTorch, and puts its hash on the card.

    Raises BundleError, and leaves the bundle without one, where the two draw different pictures.
    """
    model, card = bundle.load(folder)
    graph = _graph(model)
    _place_weights(graph, folder / WEIGHTS)
    partial = folder / f"{DECODER}.part"
    onnx.save(graph, partial)
    far = distance(model, partial)
    if far > TOLERANCE:
        partial.unlink()
        raise BundleError(
            f"{folder.name}: the exported decoder draws other pictures than PyTorch does, by up "
            f"to {far} of 255, and was not kept. The app draws with PyTorch."
        )
    os.replace(partial, folder / DECODER)
    return write_card(folder, card)


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


def _graph(model: LatentModel) -> onnx.ModelProto:
    """The decoder as ONNX, its parameters named as in the model's state."""
    given = {"z": torch.zeros(2, model.latent_size)}
    if model.conditional:
        given["y"] = torch.zeros(2, dtype=torch.int64)
    n = torch.export.Dim("n")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own code is warned of, not ours
        program = torch.onnx.export(
            _Pixels(model),
            tuple(given.values()),
            dynamo=True,
            dynamic_shapes=tuple({0: n} for _ in given),
            input_names=list(given),
            output_names=["pixels"],
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.value_info):
        part.ClearField("metadata_props")  # where on this machine each line of ours stands
    if names := levels(model):
        graph.metadata_props.add(key=LEVELS, value=",".join(names))
    return graph


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
