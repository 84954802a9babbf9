"""Whatever happens to a trainer, its run folder says so and loses nothing."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import time

import pytest
import running
import torch
from running import ENDLESS, SHORT, made, state, until, weights
from safetensors import SafetensorError

from explorer import cards, processes
from explorer.errors import RunError
from explorer.runs import Run
from train import batches, checkpoints, loop
from train.config import TrainConfig
from train.objectives import elbo
from train.trainer import prepare

home, launched = running.home, running.launched  # the fixtures


# -- when things go wrong


def test_a_diverging_run_says_so_and_keeps_its_last_good_checkpoint(monkeypatch):
    run = made()
    spoilt = loop.update

    def update(trainer, x, y):
        terms = spoilt(trainer, x, y)
        if trainer.step == 34:
            next(trainer.model.parameters()).data.fill_(float("nan"))
        return terms

    monkeypatch.setattr(loop, "update", update)
    assert loop.train(run, quiet=True) == "failed"
    said = run.status()["error"]
    assert "diverged" in said
    assert "learning rate" in said
    assert "step 20 is kept" in said
    assert all(t.isfinite().all() for t in weights(run).values() if t.is_floating_point())


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
        SafetensorError("Error while serializing: I/O error: There is no room (os error 112)"),
    ],
    ids=["python", "unix", "windows"],
)
def test_a_full_disk_is_told_and_the_checkpoint_before_it_kept(monkeypatch, error):
    run = made()
    save_file, saved = checkpoints.save_file, []

    def save(tensors, path):
        path.write_bytes(b"the beginning of it")
        if len(saved) == 2:
            raise error
        saved.append(save_file(tensors, path))

    monkeypatch.setattr(checkpoints, "save_file", save)
    assert loop.train(run, quiet=True) == "failed"
    assert "disk is full" in run.status()["error"]
    assert run.checkpoint().name == "000020"
    # what was half written would take the room that is needed
    assert [p.name for p in (run.folder / "checkpoints").iterdir()] == ["000020"]
    monkeypatch.setattr(checkpoints, "save_file", save_file)
    assert loop.train(run, quiet=True) == "done"


def test_a_disk_too_full_for_last_words_reads_as_died(monkeypatch):
    run = made()
    report = Run.report

    def full(self, state, step, **more):
        if step >= 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        report(self, state, step, **more)

    monkeypatch.setattr(Run, "report", full)
    assert loop.train(run, quiet=True) == "failed"
    assert state(run) == "died"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (dict(dataset="nothing"), "data set"),
        (dict(family="nothing"), "family"),
        (dict(model=dict(latent=10**9)), "latent"),
        (dict(objective="nothing"), "objective"),
        (dict(terms=dict(beta=-1.0)), "beta"),
    ],
)
def test_a_config_that_makes_no_sense_fails_in_words(changes, word):
    run = made(**changes)
    assert loop.train(run, quiet=True) == "failed"
    assert word in run.status()["error"]


def test_an_interrupted_run_is_stopped_not_failed(monkeypatch):
    run = made()

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "stop_requested", interrupt)
    assert loop.train(run, quiet=True) == "stopped"
    assert state(run) == "stopped"


# -- reading while it is written


def test_damaged_lines_stop_neither_a_reader_nor_a_resume():
    run = made()
    lines = [b'{"step": 0, "elbo": -3}\n', b"\0\0\0\n", b"[]\n", b'{"step": 0, "el']
    (run.folder / "metrics.jsonl").write_bytes(b"".join(lines))
    assert run.records() == [{"step": 0, "elbo": -3}]
    loop.train(run, quiet=True)
    assert [r["step"] for r in run.records()][:3] == [0, 1, 10]


def test_a_checkpoint_that_is_being_written_is_not_there_yet():
    run = made()
    for name in ("000900", ".part-x", "1000000"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
        (run.folder / "checkpoints" / name / cards.CARD).touch()
    (run.folder / "checkpoints" / "2000000").mkdir()
    assert run.checkpoint().name == "1000000"


def test_last_words_between_two_looks_are_heard(monkeypatch):
    run = made()
    run.report("running", 5)

    def ends_meanwhile(self):
        self.report("done", 60)
        return False

    monkeypatch.setattr(Run, "alive", ends_meanwhile)
    assert state(run) == "done"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_status_is_told(content):
    run = made()
    (run.folder / "status.json").write_text(content)
    with pytest.raises(RunError, match=r"status\.json"):
        run.status()


def fallen():
    run = made()
    run.report("running", 5, oom_kills=processes.oom_kills())
    return run


def test_why_a_trainer_may_have_died_is_said_with_the_remedy(monkeypatch):
    run = fallen()
    assert state(run) == "died"
    assert "somebody or the system ended it" in run.status()["error"]
    assert "can be resumed" in run.status()["error"]
    with monkeypatch.context() as patch:
        before = processes.oom_kills()
        patch.setattr(processes, "oom_kills", lambda: before + 1)
        assert "out of memory" in run.status()["error"]
    with monkeypatch.context() as patch:
        patch.setattr(processes.psutil, "boot_time", lambda: time.time() + 60)
        assert "restarted" in run.status()["error"]
    with monkeypatch.context() as patch:
        full = processes.shutil.disk_usage(run.folder)._replace(free=1000)
        patch.setattr(processes.shutil, "disk_usage", lambda _: full)
        assert "disk is full" in run.status()["error"]


@pytest.mark.parametrize("jump", [-7200, 7200])
def test_a_clock_that_is_set_neither_kills_a_trainer_nor_spares_it(launched, monkeypatch, jump):
    run = made(epochs=ENDLESS)
    launched(run)
    at = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: at + jump)
        until(lambda: run.records())
        assert state(run) == "running"
        run.delete()
    assert not run.folder.exists()


# -- who sees it, and how it goes


def test_the_list_is_newest_first_and_holds_no_private_run(home):
    first = made()
    hidden = Run.create("mine", SHORT, private=True)
    second = Run.prepare(home / "a-name-of-its-own", SHORT)
    os.utime(first.folder / "config.json", (1e9, 1e9))
    assert Run.listed() == [second, first]
    assert hidden.private
    assert Run.find(hidden.name) == hidden  # its name is its link


def test_a_private_name_cannot_be_guessed():
    names = {Run.create("mine", SHORT, private=True).name for _ in range(20)}
    secrets = {name.partition("-mine-")[2] for name in names}
    assert len(secrets) == 20
    assert all(len(secret) >= 16 for secret in secrets)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "nobody", ".hidden", "x" * 200, "a\0b"])
def test_only_a_runs_own_name_finds_it(name):
    with pytest.raises(RunError, match="no run"):
        Run.find(name)


def test_a_deleted_run_takes_its_pictures_along():
    run = Run.create("mine", SHORT, private=True)
    (run.folder / "data").mkdir()
    (run.folder / "data" / "me.png").write_bytes(b"a picture")
    run.delete()
    assert not run.folder.exists()
    with pytest.raises(RunError, match="deleted"):
        Run.find(run.name)
    with pytest.raises(RunError, match="deleted"):
        run.status()
    with pytest.raises(RunError, match="deleted"):
        loop.train(run)
    assert not run.alive()
    run.stop()
    run.delete()
    assert not run.folder.exists()  # and looking did not bring it back


@pytest.mark.parametrize("moment", ["importing", "training"])
def test_deleting_ends_the_trainer_and_it_brings_nothing_back(launched, moment):
    run = made(epochs=ENDLESS)
    process = launched(run)
    if moment == "training":
        until(lambda: run.records())
    run.delete()
    process.wait(20)
    assert not run.folder.exists()


def test_deleting_ends_no_process_that_was_given_the_number_later():
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        run = made()
        status = dict(state="running", step=1, pid=bystander.pid, at=time.time() - 3600)
        (run.folder / "status.json").write_text(json.dumps(status))
        run.delete()
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


# -- a GPU without room


def cramped(monkeypatch, room):
    """A device that has room for ``room`` pictures at a time; the sizes that are tried."""
    tried, tight = [], elbo.ELBO.phases

    def phases(self, model, data):
        (phase,) = tight(self, model, data)

        def loss(x, y, step):
            tried.append(len(x))
            if len(x) > room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return phase.loss(x, y, step)

        return [dataclasses.replace(phase, loss=loss)]

    monkeypatch.setattr(elbo.ELBO, "phases", phases)
    return tried


def test_halved_for_want_of_memory_a_step_has_the_gradient_of_the_whole(monkeypatch):
    monkeypatch.setattr(elbo, "draw", lambda q: (q.mean, q.log_prob(q.mean)))  # no noise
    settings = TrainConfig.from_dict(SHORT | dict(binarise="none", batch=99), "test")
    whole = prepare(settings)
    x, y = batches.batch(whole.data.train, settings, 0, whole.device)
    told = loop.update(whole, x, y)
    tried = cramped(monkeypatch, 30)
    parts = prepare(settings)
    seen = loop.update(parts, x, y)
    assert tried == [99, 50, 25, 25, 25, 24]
    assert parts.turns == 4
    assert seen.keys() == told.keys()
    for name in seen:
        assert float(seen[name]) == pytest.approx(float(told[name]), rel=1e-5)
    for p, q in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-5)


def test_want_of_memory_is_marked_on_the_curve_and_ends_nothing(monkeypatch):
    tried = cramped(monkeypatch, 60)
    run = made()
    assert loop.train(run, quiet=True) == "done"
    assert tried[:5] == [100, 50, 50, 50, 50]
    events = [r for r in run.records() if "event" in r]
    assert events == [{"step": 1, "event": "out of GPU memory: batches of 100 in 2 parts"}]


def test_a_picture_that_has_no_room_ends_the_run_in_words(monkeypatch):
    cramped(monkeypatch, 0)
    run = made()
    assert loop.train(run, quiet=True) == "failed"
    assert "ran out of memory" in run.status()["error"]
