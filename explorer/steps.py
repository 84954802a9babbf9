"""A network as a list of plain values, such as a card can hold: ``{"op": "conv", ...}`` a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = dict[str, Any]
MOST_STEPS = 400
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky 0.2": lambda: nn.LeakyReLU(0.2),
    "leaky 0.01": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "selu": nn.SELU,
    "none": nn.Identity,
}


def label_vector(y: Tensor | None, classes: int, like: Tensor) -> Tensor | None:
    """``(B, K)`` for labels ``(B,)``; ``(1, K)`` with equal shares where they are unknown."""
    if not classes:
        return None
    if y is None:
        return torch.full((1, classes), 1 / classes, dtype=like.dtype, device=like.device)
    return F.one_hot(y.long(), classes).to(like)


class Label(nn.Module):
    """Appends the label, as it is or through a table, as numbers or as planes."""

    def __init__(self, classes: int, size: int, table: bool, planes: bool) -> None:
        super().__init__()
        self.planes = planes
        self.table = nn.Linear(classes, size) if table else None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        said = y if self.table is None else self.table(y)
        said = said.expand(len(x), said.shape[-1])
        if self.planes:
            said = said[..., None, None].expand(*said.shape, *x.shape[-2:])
        return torch.cat([x, said], 1)


class Resize(nn.Module):
    """To another size, bilinearly; or by cutting rows and columns off the end."""

    def __init__(self, size: Sequence[int], cut: bool) -> None:
        super().__init__()
        self.size, self.cut = (int(size[0]), int(size[1])), cut

    def forward(self, x: Tensor) -> Tensor:
        if self.cut:
            return x[..., : self.size[0], : self.size[1]]
        return F.interpolate(x, self.size, mode="bilinear", align_corners=False)


class Steps(nn.Module):
    """The steps of a graph in a row. Raises ValueError or KeyError where one cannot be built."""

    def __init__(self, steps: Sequence[Step], classes: int) -> None:
        super().__init__()
        if len(steps) > MOST_STEPS:
            raise ValueError(f"{len(steps)} steps")
        self.layers = nn.ModuleList(_layer(step, classes) for step in steps)

    def __len__(self) -> int:
        return len(self.layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, y) if isinstance(layer, Label) else layer(x)
        return x


def _layer(step: Step, classes: int) -> nn.Module:
    op, bias = step["op"], bool(step.get("bias", True))
    n = {k: _whole(k, v) for k, v in step.items() if type(v) is int}
    match op:
        case "linear":
            return nn.Linear(n["ins"], n["outs"], bias)
        case "conv":
            return nn.Conv2d(
                n["ins"], n["outs"], n["kernel"], n["stride"], n["padding"], bias=bias
            )
        case "convt":
            return nn.ConvTranspose2d(
                n["ins"], n["outs"], n["kernel"], n["stride"], n["padding"], n["extra"], bias=bias
            )
        case "batchnorm":
            return (nn.BatchNorm2d if step["maps"] else nn.BatchNorm1d)(
                n["size"], affine=step.get("affine", True)
            )
        case "groupnorm":
            return nn.GroupNorm(n["groups"], n["size"])
        case "layernorm":
            return nn.LayerNorm([_whole("shape", s) for s in step["shape"]])
        case "prelu":
            return nn.PReLU(n["size"])
        case "act":
            return ACTIVATIONS[step["kind"]]()
        case "flatten":
            return nn.Flatten()
        case "view":
            return nn.Unflatten(1, tuple(_whole("shape", s) for s in step["shape"]))
        case "pool":
            return nn.MaxPool2d(2) if step["kind"] == "max" else nn.AvgPool2d(2)
        case "average":
            return nn.AdaptiveAvgPool2d(1)
        case "upsample":
            return nn.Upsample(scale_factor=2, mode=_one_of(step["mode"], ("nearest", "bilinear")))
        case "resize":
            return Resize([_whole("size", s) for s in step["size"]], bool(step["cut"]))
        case "label":
            return Label(classes, n["size"], bool(step["table"]), bool(step["planes"]))
    raise KeyError(f"no step is called {op!r}"[:80])


def _whole(name: str, value: Any) -> int:
    most = {"kernel": 32, "stride": 16, "padding": 16, "extra": 4}.get(name, 1 << 20)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}"[:80])
    return value


def _one_of(value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{value!r}"[:80])
    return value
