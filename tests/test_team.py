"""Several processes that share every batch: the same steps, one writer, nothing lost."""

import multiprocessing
import os
import signal

import psutil
import pytest
import running
import torch
from running import alike, made, stops_after, weights
from torch import distributed

from explorer import cards
from explorer.errors import DataError
from train import batches, loop, team
from train.config import TrainConfig
from train.objectives import elbo
from train.trainer import prepare

home, launched = running.home, running.launched  # the fixtures
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to be quick")
WHOLE = dict(binarise="none", objective="elbo", batch=101)  # parts of 51 and of 50


def member(rank, size, place, work, told):
    crew = team.Team(rank, size)
    distributed.init_process_group("gloo", f"file://{place}", rank=rank, world_size=size)
    told.put((rank, work(crew)))
    distributed.destroy_process_group()


def each(work, place, size=2):
    """What ``work(team)`` returns in every one of ``size`` processes that are forks of this."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    members = [
        context.Process(target=member, args=(rank, size, place, work, told))
        for rank in range(size)
    ]
    for process in members:
        process.start()
    found = dict(told.get(timeout=60) for _ in members)
    for process in members:
        process.join(20)
    return [found[rank] for rank in range(size)]


def stepped(settings, steps):
    """Work: the weights and the mean terms after some steps, as lists."""

    def work(crew):
        torch.set_num_threads(1)
        trainer = prepare(TrainConfig.from_dict(running.SHORT | settings, "test"), crew)
        for _ in range(steps):
            loop.advance(trainer)
        means = trainer.means.take()
        return [p.tolist() for p in trainer.model.parameters()], means

    return work


@FORKS
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_two_processes_take_the_steps_of_one(monkeypatch, tmp_path, clip):
    # without noise, so that there is one right answer
    monkeypatch.setattr(elbo, "draw", lambda q: (q.mean, q.log_prob(q.mean)))
    work = stepped(WHOLE | dict(clip=clip), 5)
    (first, told), (second, same) = each(work, tmp_path / "place")
    alone, known = work(team.ALONE)
    for ours, other, right in zip(first, second, alone, strict=True):
        assert ours == other
        assert torch.allclose(torch.tensor(ours), torch.tensor(right), atol=1e-5)
    assert told == same
    assert told == pytest.approx(known, rel=1e-4)


@FORKS
def test_each_process_draws_noise_of_its_own(tmp_path):
    def work(crew):
        prepare(TrainConfig.from_dict(running.SHORT, "test"), crew)
        return torch.randn(4).tolist()

    first, second = each(work, tmp_path / "place")
    assert first != second


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(size):
    config = TrainConfig.from_dict(running.SHORT | dict(binarise="none"), "test")
    data = prepare(config).data
    whole, _ = batches.batch(data.train, config, 3, torch.device("cpu"))
    parts = [
        batches.batch(data.train, config, 3, torch.device("cpu"), team.Team(rank, size))[0]
        for rank in range(size)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_more_processes_than_pictures_in_a_batch_are_refused():
    config = TrainConfig.from_dict(running.SHORT | dict(batch=2), "test")
    with pytest.raises(DataError, match="cannot share a batch of 2"):
        prepare(config, team.Team(0, 3))


# -- with processes that were started as a person's are


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A run of two processes that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.runs.RUNS", tmp_path_factory.mktemp("two"))
        patch.setattr(loop, "_yield_to_others", lambda config: torch.set_num_threads(1))
        run = made(processes=2)
        assert loop.train(run, quiet=True) == "done"
        yield run


def held_out(run):
    return [r["held/elbo"] for r in run.records() if "held/elbo" in r]


def test_a_run_of_two_has_the_curve_of_a_run_of_one(two):
    one = made()
    assert loop.train(one, quiet=True) == "done"
    assert [(r["step"], sorted(r)) for r in two.records()] == [
        (r["step"], sorted(r)) for r in one.records()
    ]
    # nats: two seeds of one run lie as far apart
    assert held_out(two) == pytest.approx(held_out(one), abs=0.8)
    assert not alike(weights(two), weights(one))
    assert cards.read_card(two.checkpoint()).provenance["processes"] == "2"
    assert two.status()["pid"] == os.getpid()
    assert two.log() == ""


def test_stopped_and_resumed_with_as_many_it_ends_as_if_nothing_had_been(two, monkeypatch):
    run = made(processes=2)
    with monkeypatch.context() as patch:
        stops_after(patch, 33)
        assert loop.train(run, quiet=True) == "stopped"
    assert int(run.checkpoint().name) == 33
    assert loop.train(run, quiet=True) == "done"
    assert alike(weights(run), weights(two))
    assert (run.folder / "metrics.jsonl").read_bytes() == (
        two.folder / "metrics.jsonl"
    ).read_bytes()


def test_it_goes_on_with_another_number_and_says_so(monkeypatch):
    run = made()
    with monkeypatch.context() as patch:
        stops_after(patch, 33)
        assert loop.train(run, quiet=True) == "stopped"
    run.instruct(run.config() | {"processes": 2})
    assert loop.train(run, quiet=True) == "done"
    assert [r for r in run.records() if "event" in r] == [{"step": 33, "event": "processes 1 → 2"}]
    told = cards.read_card(run.checkpoint()).provenance["processes"]
    assert told == "1, then 2 from step 33"


def test_a_process_that_is_killed_ends_the_run_in_words_and_with_a_checkpoint(monkeypatch):
    run = made(processes=2)
    seen = []

    def kills(trainer):
        if trainer.step == 34:
            (helper,) = trainer.team.helpers
            seen.append(helper)
            helper.send_signal(signal.SIGKILL)
        return advance(trainer)

    advance = loop.advance
    with monkeypatch.context() as patch:
        patch.setattr(loop, "advance", kills)
        assert loop.train(run, quiet=True) == "failed"
    said = run.status()["error"]
    assert "Process 2 of 2 was killed (signal 9)" in said
    assert "step 20 is kept" in said
    assert not psutil.pid_exists(seen[0].pid)
    run.instruct(run.config() | {"processes": 1})
    assert loop.train(run, quiet=True) == "done"


def test_processes_that_a_page_started_end_with_the_first_however_it_ends(launched):
    run = made(processes=2, epochs=running.ENDLESS)
    launched(run)
    running.until(lambda: run.status()["step"] > 20)
    first = psutil.Process(run.status()["pid"])
    (helper,) = (p for p in first.children() if "train" in p.cmdline())
    first.kill()
    running.until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE)
    assert running.state(run) == "died"
    assert run.checkpoint() is not None


def test_more_processes_than_cores_are_not_even_started(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    run = made(processes=5)
    assert loop.train(run, quiet=True) == "failed"
    assert "4 cores" in run.status()["error"]
