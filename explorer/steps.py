"""A network as a list of plain values, such as a card can hold: ``{"op": "conv", ...}`` a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = dict[str, Any]
MOST_STEPS = 400  # of one row
DEEPEST = 8  # rows within rows
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


class Residual(nn.Module):
    """What a row makes of x, added to x, or to what another row makes of it (arXiv:1512.03385)."""

    def __init__(self, body: Steps, skip: Steps) -> None:
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


class Beside(nn.Module):
    """What each of several rows makes of x, appended along the channels."""

    def __init__(self, rows: Sequence[Steps]) -> None:
        super().__init__()
        self.rows = nn.ModuleList(rows)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([row(x) for row in self.rows], 1)


class Take(nn.Module):
    """``(B, *shape)`` of the numbers of ``(B, N)`` from a place on."""

    def __init__(self, at: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.at, self.shape = at, tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.at : self.at + math.prod(self.shape)].unflatten(1, self.shape)


class Attention(nn.Module):
    """Every place of ``(B, C, H, W)`` looks at all others, with one head (arXiv:1706.03762)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(size, size), nn.Linear(size, size)
        self.v, self.out = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2).mT
        seen = F.scaled_dot_product_attention(self.q(flat), self.k(flat), self.v(flat))
        return self.out(seen).mT.unflatten(2, x.shape[2:])


class Quantise(nn.Module):
    """The nearest of K codes of width D, at every place (arXiv:1711.00937)."""

    def __init__(self, entries: int, size: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.zeros(entries, size))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.movedim(1, -1).reshape(-1, self.codes.shape[1])
        nearest = torch.cat([torch.cdist(f, self.codes).argmin(1) for f in flat.split(4096)])
        shape = (len(x), *x.shape[2:], x.shape[1])
        return self.codes[nearest].reshape(shape).movedim(-1, 1)


class Steps(nn.Module):
    """The steps of a graph in a row. Raises ValueError or KeyError where one cannot be built."""

    def __init__(self, steps: Sequence[Step], classes: int, depth: int = 0) -> None:
        super().__init__()
        if len(steps) > MOST_STEPS or depth > DEEPEST:
            raise ValueError(f"{len(steps)} steps, {depth} deep")
        self.layers = nn.ModuleList(_layer(step, classes, depth) for step in steps)

    def __len__(self) -> int:
        return len(self.layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, y) if isinstance(layer, Label) else layer(x)
        return x


def _layer(step: Step, classes: int, depth: int) -> nn.Module:
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
            return nn.GroupNorm(n["groups"], n["size"], _small(step.get("eps", 1e-5)))
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
            return POOLS[step["kind"]]()
        case "average":
            return nn.AdaptiveAvgPool2d(1)
        case "upsample":
            mode = _one_of(step["mode"], ("nearest", "bilinear"))
            return nn.Upsample(scale_factor=n.get("factor", 2), mode=mode)
        case "shuffle":
            return nn.PixelShuffle(n["factor"])
        case "pad":
            return nn.ZeroPad2d(tuple(_whole("padding", side) for side in step["sides"]))  # type: ignore[arg-type]
        case "resize":
            return Resize([_whole("size", s) for s in step["size"]], bool(step["cut"]))
        case "label":
            return Label(classes, n["size"], bool(step["table"]), bool(step["planes"]))
        case "residual":
            return Residual(*(Steps(step[k], classes, depth + 1) for k in ("body", "skip")))
        case "beside":
            return Beside([Steps(row, classes, depth + 1) for row in step["rows"]])
        case "take":
            return Take(n["at"], [_whole("shape", s) for s in step["shape"]])
        case "attention":
            return Attention(n["size"])
        case "quantise":
            return Quantise(n["entries"], n["size"])
    raise KeyError(f"no step is called {op!r}"[:80])


POOLS: dict[str, Callable[[], nn.Module]] = {
    "max": lambda: nn.MaxPool2d(2),
    "mean": lambda: nn.AvgPool2d(2),
    "max of 3": lambda: nn.MaxPool2d(3, 2, 1),
}


def _whole(name: str, value: Any) -> int:
    most = {"kernel": 32, "stride": 16, "padding": 16, "extra": 4, "factor": 16}.get(name, 1 << 20)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}"[:80])
    return value


def _small(value: Any) -> float:
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(f"eps is {value!r}"[:80])
    return value


def _one_of(value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{value!r}"[:80])
    return value
