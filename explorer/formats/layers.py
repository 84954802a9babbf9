"""From tensors to layers: which tensors belong together, and what kind of layer they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

PREFIX = re.compile(
    r"^(module|model|_orig_mod|vae|cvae|net|network|autoencoder|first_stage_model|ema_model|_forward_module)\."
)
ENCODER = re.compile(r"(^|[._])(enc|q_|inference|recog)|encode", re.I)
DECODER = re.compile(
    r"(^|[._])(dec|gen|p_|deconv|tconv|up_?conv|convt)|decode|latent_to|to_img", re.I
)
TRANSPOSED = re.compile(r"deconv|trans|tconv|conv_?t|ct\d|unconv|up_?conv|(^|\.)de?c?t?\d", re.I)
LABELS = re.compile(r"emb|label|class|cond", re.I)


@dataclass(eq=False)
class Layer:
    """Tensors of one module.

    Attributes:
        kind: "linear", "conv" (which may be transposed: see `turns`), "norm", "prelu", "other".
        norm: the normalisation that follows it.
        turns: whether a convolution is transposed: True, False, or None where shapes cannot tell.
    """

    name: str
    kind: str
    tensors: dict[str, Tensor]
    place: int
    norm: Layer | None = None
    slope: Layer | None = None
    turns: bool | None = False

    @property
    def weight(self) -> Tensor:
        return self.tensors["weight"]

    @property
    def bias(self) -> bool:
        return "bias" in self.tensors

    def ins(self, turned: bool = False) -> int:
        return self.weight.shape[0 if turned else 1]

    def outs(self, turned: bool = False) -> int:
        return self.weight.shape[1 if turned else 0]

    @property
    def kernel(self) -> int:
        return self.weight.shape[-1]


def stripped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same without prefixes that all names share, such as ``module.`` of several cards."""
    while True:
        found = [PREFIX.match(name) for name in tensors]
        first = found[0].group() if found and found[0] else None
        if first is None or any(m is None or m.group() != first for m in found):
            return tensors
        tensors = {name[len(first) :]: value for name, value in tensors.items()}


def layers(tensors: dict[str, Tensor]) -> tuple[list[Layer], list[str]]:
    """Layers in the file's order, norms apart, and the names of tensors that belong to none."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        module, _, last = name.rpartition(".")
        groups.setdefault(module, {})[last] = value
    found, stray = [], []
    for place, (name, group) in enumerate(groups.items()):
        layer = _layer(name, _plain(group), place)
        if layer is None:
            stray += [f"{name}.{last}".strip(".") for last in group]
        else:
            found.append(layer)
    return found, stray


def _plain(group: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weight and spectral normalisation multiplied out (arXiv:1602.07868, arXiv:1802.05957)."""
    if {"weight_g", "weight_v"} <= set(group):
        v, g = group["weight_v"], group["weight_g"]
        norm = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.dim() - 1))
        if g.numel() == v.shape[0]:
            return {**group, "weight": v / norm * g.reshape(norm.shape)}
    if {"weight_orig", "weight_u", "weight_v"} <= set(group):
        w = group["weight_orig"]
        u, v = group["weight_u"], group["weight_v"]
        if u.numel() == w.shape[0] and v.numel() == w[0].numel():
            return {**group, "weight": w / (u @ w.flatten(1) @ v)}
    return group


def _layer(name: str, group: dict[str, Tensor], place: int) -> Layer | None:
    if "running_mean" in group:
        flat = all(v.dim() == 1 for n, v in group.items() if n != "num_batches_tracked")
        return Layer(name, "norm", group, place) if flat else None
    weight, bias = group.get("weight"), group.get("bias")
    if weight is None or not weight.is_floating_point() or weight.numel() == 0:
        return None
    if bias is not None and bias.dim() == 0:
        return None
    if weight.dim() == 2:
        if bias is not None and bias.shape != weight.shape[:1]:
            return None
        if bias is None and LABELS.search(name):
            return Layer(name, "table", group, place)
        return Layer(name, "linear", group, place)
    if weight.dim() == 4 and weight.shape[2] == weight.shape[3]:
        return Layer(name, "conv", group, place, turns=_turns(name, weight, bias))
    if weight.dim() == 1 and bias is not None and bias.shape == weight.shape:
        return Layer(name, "norm", group, place)
    if weight.dim() == 1 and bias is None:
        return Layer(name, "prelu", group, place)
    if weight.dim() == 3 and bias is not None and bias.shape == weight.shape:
        return Layer(name, "norm", group, place)
    return None


def _turns(name: str, weight: Tensor, bias: Tensor | None) -> bool | None:
    first, second = weight.shape[:2]
    if bias is not None and first != second:
        return {first: False, second: True}.get(len(bias))
    return None


def with_norms(found: Sequence[Layer]) -> list[Layer]:
    """The layers that hold weights, each with the norm that follows it."""
    weighted = [layer for layer in found if layer.kind in ("linear", "conv", "table")]
    for norm in (layer for layer in found if layer.kind == "norm"):
        size = norm.tensors["running_mean" if "running_mean" in norm.tensors else "weight"].shape[
            0
        ]
        free = [w for w in weighted if w.norm is None and w.kind != "table" and _gives(w, size)]
        before = [w for w in free if w.place < norm.place]
        after = [w for w in free if w.place > norm.place]
        same = [w for w in free if _same_side(w.name, norm.name)]
        next_door = [w for w in before if w.place == norm.place - 1]
        number = [w for w in same if _number(w.name) == _number(norm.name)]
        in_order = [w for w in before if w in same]
        owner = next(iter(next_door or number or in_order or before or after), None)
        if owner is not None:
            owner.norm = norm
            if owner.turns is None and owner.kind == "conv":
                sides = owner.weight.shape[:2]
                if sides[0] != sides[1]:
                    owner.turns = sides[1] == size
    for slope in (layer for layer in found if layer.kind == "prelu"):
        before = [w for w in weighted if w.place < slope.place and w.slope is None]
        if before:
            before[-1].slope = slope
    return weighted


def _gives(layer: Layer, size: int) -> bool:
    if layer.kind == "linear":
        return layer.outs() == size
    return size in (layer.weight.shape[:2] if layer.turns is None else (layer.outs(layer.turns),))


def _same_side(a: str, b: str) -> bool:
    return side(a) == side(b)


def side(name: str) -> str:
    """ "encoder", "decoder" or "" by the first part of a name that says so."""
    for part in name.split("."):
        enc, dec = ENCODER.search(part), DECODER.search(part)
        if enc and not dec:
            return "encoder"
        if dec and not enc:
            return "decoder"
    return ""


def _number(name: str) -> str:
    digits = re.findall(r"\d+", name)
    return digits[-1] if digits else ""


def gap(a: Layer, b: Layer) -> int | None:
    """How many modules without weights stand between two of one Sequential; None if unknown.

    A norm or slope of ``a`` counts as part of it. ``encoder.0`` and ``encoder.2`` have 1.
    """
    last = max((x for x in (a, a.norm, a.slope) if x is not None), key=lambda x: x.place)
    (pa, _, na), (pb, _, nb) = last.name.rpartition("."), b.name.rpartition(".")
    if pa != pb or not (na.isdigit() and nb.isdigit()):
        return None
    return int(nb) - int(na) - 1


def rooms(row: Sequence[Layer]) -> list[bool | None]:
    """Whether names leave room between each layer and the next for more than an activation.

    Told where it is more than between others of the same row, or none; None where names are not
    numbers, and where all are equally far apart.
    """
    free = [_room(a, b) for a, b in pairwise(row)]
    told = {f for f in free if f is not None}
    if told and min(told) > 0 and len(told) == 1:
        return [None] * len(free)  # perhaps each has its dropout
    least = max(min(told, default=0), 0)
    return [None if f is None else f > least for f in free]


def _room(a: Layer, b: Layer) -> int | None:
    """Modules between two layers beside an activation; None where names do not tell."""
    if min(a.kernel, b.kernel) < 1:  # residual blocks resize within
        return None
    apart = gap(a, b)
    if apart is not None:
        return max(apart - 1, 0)
    # numbered rows within a row: a module between two of them holds no weights
    (pa, _, _), (pb, _, _) = a.name.rpartition("."), b.name.rpartition(".")
    (ga, _, na), (gb, _, nb) = pa.rpartition("."), pb.rpartition(".")
    if ga == gb and pa != pb and na.isdigit() and nb.isdigit() and int(nb) - int(na) > 1:
        return int(nb) - int(na) - 1
    return None


def between_norm(a: Layer) -> int | None:
    """How many modules stand between a layer and its norm; None if unknown."""
    if a.norm is None:
        return None
    (pa, _, na), (pb, _, nb) = a.name.rpartition("."), a.norm.name.rpartition(".")
    return int(nb) - int(na) - 1 if pa == pb and na.isdigit() and nb.isdigit() else None


def told(found: Sequence[Layer]) -> None:
    """Square convolutions are not transposed where their neighbours are called so and they not."""
    decoder = [w for w in found if w.kind == "conv" and side(w.name) != "encoder"]
    if any(TRANSPOSED.search(w.name) for w in decoder):
        for layer in decoder:
            last = layer.name.rsplit(".", 1)[-1]
            if layer.turns is None and re.search(r"conv", last) and not TRANSPOSED.search(last):
                layer.turns = False


def finite(tensors: dict[str, Tensor]) -> str | None:
    """The first tensor that holds NaN or infinity."""
    return next((n for n, v in tensors.items() if not torch.isfinite(v).all()), None)
