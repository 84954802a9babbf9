"""Short runs for tests, in this process and in processes of their own."""

import itertools
import time

import pytest
import torch
from safetensors.torch import load_file

from explorer.runs import Run
from train import checkpoints, loop
from train.config import TrainConfig

SHORT = dict(
    name="short",
    dataset="digits-8x8",
    model=dict(latent=4, hidden=32),
    binarise="dynamic",
    epochs=4,  # 60 steps
    batch=100,
    ema=0.9,
    log_every=10,
    evaluate_every=20,
    checkpoint_every=20,
    threads=1,
    seed=1,
)
ENDLESS = 100_000  # epochs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Runs live in a folder of their own; training here leaves this process as it was."""
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path)
    monkeypatch.setenv("LATENT_RUNS", str(tmp_path))  # for trainers that are started
    monkeypatch.setattr(loop, "_yield_to_others", lambda config: torch.set_num_threads(1))
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.fixture
def launched():
    """Starts runs in processes of their own, and sees that none outlives its test."""
    processes = []

    def start(run):
        processes.append(run.start())
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(20)


def made(**changes):
    return Run.create("short", TrainConfig.from_dict(SHORT | changes, "test").as_dict())


def until(condition, seconds=120):
    """Waits for what somebody who watches would wait for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(run):
    return run.status()["state"]


def weights(run):
    """Everything that a run goes on from, by name."""
    return load_file(run.checkpoint() / checkpoints.RESUME)


def alike(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def stops_after(monkeypatch, steps):
    asked = itertools.count()
    monkeypatch.setattr(Run, "stop_requested", lambda self: next(asked) == steps)
