"""The benchmark of training compares like with like: every loop in it trains the same thing."""

import dataclasses
import itertools
import math

import pytest
import torch

from explorer.models import FAMILIES
from explorer.rng import seeded
from tests.benchmarks import train as bench
from train import batches
from train.data import load
from train.trainer import assemble


@pytest.fixture(params=["digits", "waves"])
def task(request, monkeypatch):
    """A task of the benchmark with few pictures, small nets, and none that must be fetched."""
    monkeypatch.setitem(FAMILIES, "one-layer", bench.OneLayer)
    found = bench.TASKS[request.param]
    if request.param == "digits":
        return dataclasses.replace(found, pictures=lambda: load("digits-8x8", {}))
    model = {**found.config.model, "width": 8}
    config = dataclasses.replace(found.config, model=model, batch=16)
    return dataclasses.replace(found, config=config, files=False)


class LogVariance(torch.nn.Module):
    """Our encoder, which tells a log scale, as people tell it."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        mu, log_scale = self.encoder(x).chunk(2, -1)
        return torch.cat([mu, 2 * log_scale], -1)


def test_the_usual_loss_of_the_same_network_is_ours(task):
    data = task.pictures()
    trainer = assemble(task.config, data)
    x, y = batches.batch(data.train, task.config, 0, trainer.device)
    usual = bench.Sampler(LogVariance(trainer.model.encoder), trainer.model.decoder)
    with seeded(3), torch.no_grad():
        ours = float(trainer.phases[0].loss(x, y, 0)["loss"])
    with seeded(3), torch.no_grad():
        theirs = float(bench.loss_of(x, *usual(x)).mean())
    if x.shape[1] == 3:  # a squared error leaves out what a density is divided by
        theirs += x[0].numel() * math.log(0.1 * math.sqrt(2 * math.pi))
    assert theirs == pytest.approx(ours, rel=1e-5)


def test_every_loop_begins_with_the_same_weights_and_learns(task, monkeypatch):
    seen, loss_of = [], bench.loss_of

    def told(*arguments):
        losses = loss_of(*arguments)
        seen.append(float(losses.detach().mean()))
        return losses

    monkeypatch.setattr(bench, "loss_of", told)
    for begin in (bench.classic, bench.generic):
        seen.clear()
        list(itertools.islice(begin(task), 10))
        assert seen[-1] < seen[0] - 3
    a, b = (bench.begun(task)[0].state_dict() for _ in range(2))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_pictures_that_come_one_by_one_are_those_that_come_at_once(task):
    x = task.pictures().train.x[:5]
    items = bench.OneByOne(x, files=False)
    assert torch.equal(torch.stack([items[k][0] for k in range(5)]), x.float() / 255)
    as_files = bench.OneByOne(x, files=True)
    assert (as_files[0][0] - x[0].float() / 255).abs().mean() < 0.1


@pytest.mark.parametrize("task", ["digits"], indirect=True)
def test_operations_are_those_of_the_products(task):
    data = task.pictures()
    matrices = [p for p in assemble(task.config, data).model.parameters() if p.ndim == 2]
    # forwards, to the weights, and to the inputs of all layers but the first
    expected = 6 * sum(p.numel() for p in matrices) - 2 * matrices[0].numel()
    assert bench.operations(task) == expected
