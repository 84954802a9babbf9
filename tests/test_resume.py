"""A trainer that is killed anywhere loses nothing: it ends as one that was never stopped."""

import multiprocessing
import os
import random
import signal
import sys
from pathlib import Path

import pytest
import running
import torch
from running import alike, made, weights

from explorer.runs import Run
from train import checkpoints, loop
from train.adam import Adam

home = running.home  # the fixture
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to be killed quickly")


def child(work):
    """Does ``work`` in a fork of this process; its exit code, negative where it was killed."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def touches(folder, then):
    """Calls ``then(n)`` when this process does something to a file of ``folder`` for the nth
    time."""
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if not event.startswith(("open", "os.", "shutil.")) or not arguments:
            return
        if str(folder) in str(arguments[0]):
            seen += 1
            then(seen)

    sys.addaudithook(hook)  # cannot be taken away again, but a child goes with it


def trained_until(run, touch):
    """What a child does: trains, and is killed at the nth touch of the run's files."""

    def work():
        touches(run.folder, lambda n: die() if n == touch else None)
        loop.train(run, quiet=True)

    return work


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped: its weights, its records, and how often it touched a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.runs.RUNS", tmp_path_factory.mktemp("whole"))
        patch.setattr(loop, "_yield_to_others", lambda config: torch.set_num_threads(1))
        run, counted = made(), multiprocessing.Value("i", 0)

        def work():
            touches(run.folder, lambda n: setattr(counted, "value", n))
            loop.train(run, quiet=True)

        assert child(work) == 0
        yield weights(run), (run.folder / "metrics.jsonl").read_bytes(), counted.value


@FORKS
@pytest.mark.parametrize("seed", range(16))
def test_killed_wherever_it_touches_a_file_it_ends_as_if_nothing_had_been(whole, seed):
    expected, metrics, touched = whole
    # each sixteenth of its life once, somewhere in it
    touch = int((seed + random.Random(seed).random()) * touched / 16) + 1
    run = made()
    assert child(trained_until(run, touch)) == -signal.SIGKILL
    assert run.status()["state"] in ("died", "queued")
    assert loop.train(run, quiet=True) == "done"
    assert alike(weights(run), expected)
    assert (run.folder / "metrics.jsonl").read_bytes() == metrics
    left = {p.name for p in (run.folder / "checkpoints").iterdir()}
    assert left == {"000060"}


@FORKS
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_killed_inside_the_writing_of_weights_it_goes_on_from_the_checkpoint_before(whole, share):
    expected, metrics, _ = whole
    run = made()

    def work():
        save, saved = checkpoints.save_file, []

        def half(tensors, path):
            save(tensors, path)
            saved.append(path)
            if len(saved) == 3:
                raw = Path(path).read_bytes()
                Path(path).write_bytes(raw[: int(share * len(raw))])
                die()

        checkpoints.save_file = half
        loop.train(run, quiet=True)

    assert child(work) == -signal.SIGKILL
    assert run.checkpoint().name == "000020"
    assert loop.train(run, quiet=True) == "done"
    assert alike(weights(run), expected)
    assert (run.folder / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize("step", random.Random(5).sample(range(1, 60), 6))
@pytest.mark.parametrize("how", ["stopped", "paused"])
def test_asked_to_end_at_any_step_it_goes_on_without_a_trace(whole, monkeypatch, step, how):
    expected, metrics, _ = whole
    run = made()
    with monkeypatch.context() as patch:
        running.stops_after(patch, step)
        patch.setattr(Run, "asked_end", lambda self: how)
        assert loop.train(run, quiet=True) == how
    assert run.status()["state"] == how
    assert int(run.checkpoint().name) == run.status()["step"] == step
    assert loop.train(run, quiet=True) == "done"
    assert alike(weights(run), expected)
    assert (run.folder / "metrics.jsonl").read_bytes() == metrics


def test_a_checkpoint_of_other_settings_is_refused_in_words(monkeypatch):
    run = made()
    with monkeypatch.context() as patch:
        running.stops_after(patch, 20)
        loop.train(run, quiet=True)
    run.instruct(run.config() | {"model": {"latent": 5, "hidden": 32}})
    assert loop.train(run, quiet=True) == "failed"
    assert "does not fit its settings" in run.status()["error"]


def test_our_adam_takes_the_steps_of_pytorchs():
    torch.manual_seed(0)
    ours = [torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last), torch.randn(4)]
    ours = [p.requires_grad_() for p in ours]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    one = Adam(ours, lr=0.1)
    other = torch.optim.Adam(theirs, lr=0.1, betas=(0.9, 0.99), fused=True)
    for k in range(7):
        for optimizer, parameters in (one, ours), (other, theirs):
            optimizer.zero_grad()
            used = parameters[: 1 if k == 3 else 2]  # a parameter without a gradient stays
            sum(p.square().sum() * (k + 1) for p in used).backward()
            optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


def test_a_step_does_not_wait_for_torchs_compiler(tmp_path):
    script = (
        "import sys; from train import loop, batches; from train.config import recipe;"
        "from train.trainer import prepare; t = prepare(recipe('tiny', {'clip': '1'}));"
        "loop.update(t, *batches.batch(t.data.train, t.config, 0, t.device));"
        "assert 'torch._dynamo' not in sys.modules"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", script]) == 0
