"""Steps in a row, with the weights of each under the names that `explorer/steps.py` gives them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .layers import Layer

Step = dict[str, Any]
Weights = dict[str, Tensor]


class Row:
    """A row of steps while it is written."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.weights: Weights = {}

    def add(self, step: Step, tensors: Weights | None = None, below: str = "") -> None:
        place = f"layers.{len(self.steps)}."
        self.steps.append(step)
        self.weights |= {place + below + name: value for name, value in (tensors or {}).items()}

    def act(self, kind: str) -> None:
        if kind != "none":
            self.add({"op": "act", "kind": kind})

    def residual(self, body: Row, skip: Row) -> None:
        """What ``body`` makes of x, added to what ``skip`` makes of it (x itself, if empty)."""
        place = f"layers.{len(self.steps)}."
        self.steps.append({"op": "residual", "body": body.steps, "skip": skip.steps})
        for part, row in (("body", body), ("skip", skip)):
            self.weights |= {f"{place}{part}.{n}": value for n, value in row.weights.items()}

    def beside(self, *rows: Row) -> None:
        """What each row makes of x, appended along the channels."""
        place = f"layers.{len(self.steps)}."
        self.steps.append({"op": "beside", "rows": [row.steps for row in rows]})
        for k, row in enumerate(rows):
            self.weights |= {f"{place}rows.{k}.{n}": value for n, value in row.weights.items()}

    def conv(self, layer: Layer, stride: int = 1, padding: int | None = None) -> None:
        """A convolution that keeps the size where nothing else is said."""
        step = {
            "op": "conv", "ins": layer.ins(), "outs": layer.outs(), "bias": layer.bias,
            "kernel": layer.kernel, "stride": stride,
            "padding": layer.kernel // 2 if padding is None else padding,
        }  # fmt: skip
        self.add(step, own(layer))

    def turned(self, layer: Layer, stride: int, padding: int, extra: int = 0) -> None:
        """A transposed convolution."""
        step = {
            "op": "convt", "ins": layer.ins(True), "outs": layer.outs(True), "bias": layer.bias,
            "kernel": layer.kernel, "stride": stride, "padding": padding, "extra": extra,
        }  # fmt: skip
        self.add(step, own(layer))

    def linear(self, layer: Layer) -> None:
        step = {"op": "linear", "ins": layer.ins(), "outs": layer.outs(), "bias": layer.bias}
        self.add(step, own(layer))

    def quantise(self, codes: Tensor) -> None:
        """The nearest of ``codes: (K, D)``."""
        step = {"op": "quantise", "entries": len(codes), "size": codes.shape[1]}
        self.add(step, {"codes": codes.contiguous()})

    def upsample(self, factor: int = 2) -> None:
        self.add({"op": "upsample", "mode": "nearest", "factor": factor})


def own(layer: Layer) -> Weights:
    """Weight and bias."""
    return {n: layer.tensors[n] for n in ("weight", "bias") if n in layer.tensors}
