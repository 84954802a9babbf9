"""A run's life: it starts, stops, falls, and goes on as if nothing had been."""

import os

import psutil
import pytest
import running
import torch
from running import ENDLESS, alike, made, state, stops_after, until, weights

from explorer import bundle
from explorer.errors import BundleError, RunError
from explorer.shelf import Shelf
from train import checkpoints, loop

home, launched = running.home, running.launched  # the fixtures


# -- a run's life


def test_a_run_is_done_and_says_what_happened():
    run = made()
    assert state(run) == "queued"
    assert loop.train(run, quiet=True) == "done"
    status = run.status()
    assert (status["state"], status["step"], status["of"]) == ("done", 60, 60)
    records = run.records()
    assert [r["step"] for r in records if "elbo" in r] == [1, 10, 20, 30, 40, 50, 60]
    assert [r["step"] for r in records if "held/elbo" in r] == [10, 20, 40, 60]
    assert run.sheets() == [10, 20, 40, 60]
    model, card = bundle.load(run.checkpoint())
    assert model.latent_size == 4
    assert card.training == run.config()


def test_a_run_lives_in_one_process_of_its_own_until_it_is_stopped(launched):
    run = made(epochs=ENDLESS)
    process = launched(run)
    assert process.pid != os.getpid()
    with pytest.raises(RunError, match="trained already"):
        run.start()  # while the first still imports torch
    until(lambda: run.records() or process.poll() is not None)
    assert state(run) == "running"
    with pytest.raises(RunError, match="trained already"):
        loop.train(run)
    with pytest.raises(RunError, match="trained already"):
        run.start()
    assert process.poll() is None  # and the first did not notice

    run.stop()
    assert process.wait(60) == 0
    assert state(run) == "stopped"
    assert int(run.checkpoint().name) == run.status()["step"]


def test_a_killed_trainer_reads_as_died_and_goes_on_as_if_nothing_had_been(launched, monkeypatch):
    run = made(epochs=ENDLESS)
    process = launched(run)
    until(lambda: run.checkpoint() is not None)
    psutil.Process(process.pid).kill()
    process.wait(20)
    assert state(run) == "died"
    assert "resumed" in run.status()["error"]
    with open(run.folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 10, "elb')  # killed while it wrote

    end = int(run.checkpoint().name) + 7
    never_killed = made(epochs=ENDLESS)
    for each, steps in (run, 7), (never_killed, end):
        with monkeypatch.context() as patch:
            stops_after(patch, steps)
            assert loop.train(each, quiet=True) == "stopped"
    assert alike(weights(run), weights(never_killed))


def test_a_trainer_killed_while_it_imports_torch_reads_as_died_at_once(launched):
    run = made()
    process = launched(run)
    psutil.Process(process.pid).kill()
    until(lambda: state(run) == "died", seconds=5)


# -- going on exactly

EXACTLY = {
    "average and binarisation": {},
    "no average": dict(ema=0.0),
    "a multiplier and mirrored pictures": dict(
        terms=dict(hold_rate=5.0), augment="photo", binarise="none"
    ),
}


@pytest.mark.parametrize("changes", EXACTLY.values(), ids=EXACTLY)
def test_a_resumed_run_ends_with_the_bits_of_one_never_stopped(monkeypatch, changes):
    whole = made(**changes)
    loop.train(whole, quiet=True)

    halves = made(**changes)
    with monkeypatch.context() as patch:
        stops_after(patch, 33)
        assert loop.train(halves, quiet=True) == "stopped"
    assert halves.status()["step"] == 33
    assert not alike(weights(halves), weights(whole))
    torch.manual_seed(99)  # whatever this process drew meanwhile
    assert loop.train(halves, quiet=True) == "done"
    assert alike(weights(halves), weights(whole))


def test_a_run_that_fell_goes_on_from_its_checkpoint_and_forgets_what_came_after(monkeypatch):
    whole = made()
    loop.train(whole, quiet=True)

    fallen = made()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", _saves_until(25))
        with pytest.raises(RuntimeError, match="power"):
            loop.train(fallen, quiet=True)
    assert state(fallen) == "failed"
    assert fallen.checkpoint().name == "000020"
    assert fallen.records()[-1]["step"] == 40
    assert fallen.sheets()[-1] == 40

    with monkeypatch.context() as patch:
        stops_after(patch, 0)
        loop.train(fallen, quiet=True)
    assert fallen.records()[-1]["step"] == 20
    assert fallen.sheets()[-1] == 20
    assert loop.train(fallen, quiet=True) == "done"
    assert fallen.records() == whole.records()
    assert alike(weights(fallen), weights(whole))


def _saves_until(last, save=checkpoints.save):
    def saves(run, trainer):
        if trainer.step > last:
            raise RuntimeError("the power went")
        save(run, trainer)

    return saves


# -- looking at the model while it trains


def test_an_open_model_follows_its_run_and_goes_with_it(monkeypatch):
    run = made()
    with monkeypatch.context() as patch:
        stops_after(patch, 25)
        loop.train(run, quiet=True)
    shelf = Shelf()
    first = shelf.open(run.folder, "cpu")
    assert shelf[first.key] is first
    loop.train(run, quiet=True)
    newer = shelf[first.key]
    assert newer.folder == run.checkpoint()
    assert newer.generation != first.generation
    run.delete()
    with pytest.raises(BundleError):
        shelf[first.key]


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_from_its_successor(monkeypatch):
    run = made()
    loop.train(run, quiet=True)
    load, replaced = bundle.load, []

    def load_late(folder, device):
        if not replaced:
            replaced.append(folder.rename(folder.with_name("000061")))
        return load(folder, device)

    monkeypatch.setattr(bundle, "load", load_late)
    assert Shelf().open(run.folder, "cpu").folder.name == "000061"
