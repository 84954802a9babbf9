"""How fast the training loop is: `make bench-train` prints the tables of README.md beside this.

The same network sees the same pictures in our loop and in the two loops most people have, restated
here; in turns, so that a slow moment of the machine is everybody's. One thread of the processor.
"""

from __future__ import annotations

import argparse
import io
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as Items
from torch.utils.flop_counter import FlopCounterMode

from explorer import nets
from explorer.distributions import diag_normal
from explorer.likelihoods import LIKELIHOODS
from explorer.models import FAMILIES
from explorer.nets import dense_decoder, gaussian, mlp
from explorer.protocol import Block, DataSpec, LatentModel
from train import loop
from train.config import TrainConfig
from train.data import Dataset, Split, load
from train.trainer import assemble

ROUNDS = 7
Steps = Iterator[None]  # one training step at each turn


# -- what is trained


@dataclass(frozen=True)
class Config:
    latent: int = field(default=20, metadata=dict(range=(2, 256)))
    hidden: int = field(default=400, metadata=dict(range=(16, 2048)))


class OneLayer(LatentModel):
    """784-400-20-400-784, the network of PyTorch's own example, as a family."""

    Config = Config

    def __init__(self, data: DataSpec, config: Config) -> None:
        super().__init__()
        self.data, self.blocks = data, (Block("z", (config.latent,)),)
        self.likelihood = LIKELIHOODS["bernoulli"]()
        pixels = data.channels * data.height * data.width
        self.encoder = nn.Sequential(nn.Flatten(), mlp(pixels, config.hidden, 2 * config.latent))
        self.decoder = dense_decoder(config.latent, config.hidden, data.shape)
        del self.decoder.net[0][2:4]  # the second of its two hidden layers
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(config.latent), persistent=False)

    def prior(self, y: Tensor | None = None) -> Distribution:
        return diag_normal(self.origin, torch.ones_like(self.origin))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return diag_normal(*gaussian(self.encoder(x)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.likelihood(self.decoder(z))


@dataclass(frozen=True)
class Task:
    """What all loops train, and for how many steps in each turn."""

    title: str
    config: TrainConfig
    pictures: Callable[[], Dataset]
    files: bool  # whether a picture is a JPEG until it is asked for, as in a folder of them
    steps: int


def waves() -> Dataset:
    """2,048 pictures of 64x64x3: waves, as what is seen does not change how long it takes."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64] / 64
    pace, phase = chance.uniform(2, 20, (2, 2048, 3, 1, 1)), chance.uniform(0, 6, (2048, 3, 1, 1))
    x = 127.5 + 127.5 * np.sin(pace[0] * rows + pace[1] * columns + phase)
    split = Split(torch.from_numpy(x.astype(np.uint8)))
    spec = DataSpec(name="waves", channels=3, height=64, width=64)
    return Dataset(spec, split, split, "", "")


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def _config(**more: Any) -> TrainConfig:
    same = dict(name="bench", epochs=100_000, schedule="constant", device="cpu", threads=1)
    return TrainConfig.from_dict({**same, **more}, "bench")


TASKS = {
    "digits": Task(
        "MNIST, 784-400-20-400-784, batch 128",
        _config(family="one-layer", batch=128),
        lambda: load("mnist", {}),
        files=False,
        steps=100,
    ),
    "waves": Task(
        "64x64x3, the network of `faces-small`, batch 64",
        _config(
            family="vae",
            model=dict(latent=96, net="conv", width=32, likelihood="gaussian"),
            batch=64,
        ),
        waves,
        files=True,
        steps=4,
    ),
}


# -- the loops


def ours(task: Task) -> Steps:
    """The loop of this repository, with the reading of its means at every 50th step."""
    trainer = assemble(task.config, task.pictures())
    while True:
        loop.advance(trainer)
        if trainer.step % trainer.config.log_every == 0:
            trainer.means.take()
        yield


class Sampler(nn.Module):
    """The network as most people write it: a squashed picture, the mean and the log variance."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        return self.decoder(z).sigmoid(), mu, log_var


def begun(task: Task) -> tuple[Sampler, Tensor, torch.optim.Adam]:
    """The same weights as ours, in the usual memory format; pictures; PyTorch's Adam as it is."""
    data = task.pictures()
    model: Any = assemble(task.config, data).model
    sampler = Sampler(model.encoder, model.decoder)
    sampler.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    for layer in sampler.modules():
        if isinstance(layer, nets.Linear):
            layer.__class__ = nn.Linear
    return sampler, data.train.x, torch.optim.Adam(sampler.parameters(), lr=task.config.lr)


def loss_of(x: Tensor, drawn: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """``(B,)``: cross-entropy of grey pictures, squared error of coloured ones at sigma 0.1."""
    if x.shape[1] == 1:
        distortion = F.binary_cross_entropy(drawn, x, reduction="none")
    else:
        distortion = F.mse_loss(drawn, x, reduction="none") / (2 * 0.1**2)
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(-1)
    return distortion.flatten(1).sum(-1) + kl


class OneByOne(Items):
    """Pictures that are opened, and made tensors of, each time they are asked for."""

    def __init__(self, x: Tensor, files: bool) -> None:
        self.x = x[:, 0] if x.shape[1] == 1 else x.movedim(1, -1)
        self.files = [_jpeg(Image.fromarray(p.numpy())) for p in self.x] if files else []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> tuple[Tensor, int]:
        if self.files:
            image = Image.open(io.BytesIO(self.files[k]))
        else:
            image = Image.fromarray(self.x[k].numpy())
        # what ToTensor does
        pixels = torch.from_numpy(np.array(image, np.uint8, copy=True))
        pixels = pixels.view(image.size[1], image.size[0], len(image.getbands()))
        return pixels.permute(2, 0, 1).contiguous().float().div(255), 0


def classic(task: Task) -> Steps:
    """PyTorch's own example of a VAE: a transform per picture, a sum of losses, ``.item()``."""
    model, x, optimizer = begun(task)
    loader = DataLoader(OneByOne(x, task.files), batch_size=task.config.batch, shuffle=True)
    while True:
        total = 0.0
        for pictures, _ in loader:
            optimizer.zero_grad()
            loss = loss_of(pictures, *model(pictures)).sum()
            loss.backward()
            total += loss.item()
            optimizer.step()
            yield


def generic(task: Task) -> Steps:
    """What libraries of VAEs do: floats in memory, a DataLoader, a look for NaN at every step."""
    model, x, optimizer = begun(task)
    data = TensorDataset(x.float() / 255, torch.ones(len(x)))
    loader = DataLoader(data, batch_size=task.config.batch, shuffle=True, drop_last=True)
    while True:
        total = 0.0
        for pictures, _ in loader:
            loss = loss_of(pictures, *model(pictures)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            if total != total:
                raise ArithmeticError("NaN")
            yield


# -- what the arithmetic alone would take


def products(task: Task) -> Steps:
    """The matrix products and convolutions of forward and backward, and nothing else."""
    trainer = assemble(task.config, task.pictures())
    layers = [m for m in trainer.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    seen: list[tuple[nn.Linear | nn.Conv2d, Tensor, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda m, x, y: seen.append((m, x[0].detach(), y.detach())))
        for layer in layers
    ]
    loop.advance(trainer)
    for hook in hooks:
        hook.remove()
    while True:
        for k, (layer, x, y) in enumerate(seen):
            _product(layer, x, y, inner=k > 0)
        yield


@torch.no_grad()
def _product(layer: nn.Linear | nn.Conv2d, x: Tensor, y: Tensor, inner: bool) -> None:
    if isinstance(layer, nn.Linear):
        best = nets.product if nets.ONEDNN else F.linear
        best(x, layer.weight, layer.bias)
        best(y.T, x.T)
        if inner:
            best(y, layer.weight.T)
    else:
        layer(x)
        torch.ops.aten.convolution_backward(
            y, x, layer.weight, None, layer.stride, layer.padding, layer.dilation,
            False, [0, 0], layer.groups, [inner, True, False],
        )  # fmt: skip


def operations(task: Task) -> float:
    """Floating-point operations of one training step on one picture."""
    model, x, _ = begun(task)
    few = x[: task.config.batch].float() / 255
    with FlopCounterMode(display=False) as counter:
        loss_of(few, *model(few)).sum().backward()
    return counter.get_total_flops() / len(few)


def ceiling(seconds: float = 0.5) -> float:
    """Operations a second of the product of two 1024 x 1024 matrices."""
    a, b = torch.randn(2, 1024, 1024)
    best = nets.product if nets.ONEDNN else F.linear
    best(a, b)
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        best(a, b)
        count += 1
    return 2 * 1024**3 * count / (time.process_time() - began)


# -- measured


LOOPS: dict[str, tuple[str, Callable[[Task], Steps]]] = {
    "classic": ("a transform per picture, as the classic example", classic),
    "generic": ("floats in a TensorDataset, as generic trainers", generic),
    "ours": ("ours", ours),
    "products": ("the products alone", products),
}


def pace(turns: Steps, task: Task) -> float:
    """Pictures a second of processor time over one turn."""
    began = time.process_time()
    for _ in range(task.steps):
        next(turns)
    return task.steps * task.config.batch / (time.process_time() - began)


def measured(task: Task) -> dict[str, list[float]]:
    """Pictures a second of every loop in every round."""
    running = {name: begin(task) for name, (_, begin) in LOOPS.items()}
    for turns in running.values():
        for _ in range(max(2, task.steps // 5)):
            next(turns)
    rounds = [{n: pace(turns, task) for n, turns in running.items()} for _ in range(ROUNDS)]
    return {name: [each[name] for each in rounds] for name in running}


def peak(task: str, name: str) -> int:
    """MB at the peak of a process with that loop alone, torch and pictures included."""
    command = [sys.executable, "-m", "tests.benchmarks.train", "--peak", task, name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak(task: Task, name: str) -> int:
    turns = LOOPS[name][1](task)
    for _ in range(3):
        next(turns)
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s*(\d+)", told)[0]) // 1024


def report(name: str, task: Task) -> None:
    """Prints the table of one task."""
    top, each, paces = ceiling(), operations(task), measured(task)
    print(f"\n### {task.title}: {each / 1e6:.1f} MFLOP a picture, medians of {ROUNDS} rounds\n")
    print("| loop | images/s | of the classic | of the products | of the ceiling | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for which, (title, _) in LOOPS.items():
        ratio, share = (
            statistics.median(a / b for a, b in zip(paces[which], paces[other], strict=True))
            for other in ("classic", "products")
        )
        speed = statistics.median(paces[which])
        cells = f"{speed:,.0f} | {ratio:.2f} | {share:.0%} | {speed * each / top:.0%}"
        mb = "" if which == "products" else peak(name, which)
        print(f"| {title} | {cells} | {mb} |", flush=True)
    print(f"\nCeiling: {top / 1e9:.0f} GFLOP/s, the product of two 1024 x 1024 matrices.")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("tasks", nargs="*", metavar="TASK", default=list(TASKS))
    asked.add_argument("--peak", nargs=2, metavar=("TASK", "LOOP"), help="memory of one loop")
    args = asked.parse_args()
    torch.set_num_threads(1)
    FAMILIES["one-layer"] = OneLayer
    if args.peak:
        print(own_peak(TASKS[args.peak[0]], args.peak[1]))
        return
    for name in args.tasks:
        report(name, TASKS[name])


if __name__ == "__main__":
    main()
