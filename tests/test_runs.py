"""Whatever happens to a trainer, its run folder says so and loses nothing."""

import errno
import itertools
import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from explorer import bundle
from explorer.errors import BundleError, RunError
from explorer.runs import Run
from explorer.shelf import Shelf
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


# -- a run's life


def test_a_run_is_done_and_says_what_happened():
    run = made()
    assert state(run) == "queued"
    assert loop.train(run, quiet=True) == "done"
    status = run.status()
    assert (status["state"], status["step"], status["of"]) == ("done", 60, 60)
    records, _ = run.metrics()
    assert [r["step"] for r in records if "elbo" in r] == [1, 10, 20, 30, 40, 50, 60]
    assert [r["step"] for r in records if "held/elbo" in r] == [10, 20, 40, 60]
    assert [p.stem for p in run.samples()] == ["000010", "000020", "000040", "000060"]
    model, card = bundle.load(run.checkpoint())
    assert model.latent_size == 4
    assert card.training == run.config()


def test_a_run_lives_in_one_process_of_its_own_until_it_is_stopped(launched):
    run = made(epochs=ENDLESS)
    process = launched(run)
    assert process.pid != os.getpid()
    with pytest.raises(RunError, match="trained already"):
        run.start()  # while the first still imports torch
    until(lambda: run.metrics()[0] or process.poll() is not None)
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
    assert fallen.metrics()[0][-1]["step"] == 40
    assert fallen.samples()[-1].stem == "000040"

    with monkeypatch.context() as patch:
        stops_after(patch, 0)
        loop.train(fallen, quiet=True)
    assert fallen.metrics()[0][-1]["step"] == 20
    assert fallen.samples()[-1].stem == "000020"
    assert loop.train(fallen, quiet=True) == "done"
    assert fallen.metrics()[0] == whole.metrics()[0]
    assert alike(weights(fallen), weights(whole))


def _saves_until(last, save=checkpoints.save):
    def saves(run, trainer):
        if trainer.step > last:
            raise RuntimeError("the power went")
        save(run, trainer)

    return saves


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


def test_half_a_line_waits_until_it_is_whole():
    run = made()
    metrics = run.folder / "metrics.jsonl"
    metrics.write_bytes(b'{"step": 1, "elbo": -3}\n{"step": 2, "el')
    records, offset = run.metrics()
    assert [r["step"] for r in records] == [1]
    assert run.metrics(offset) == ([], offset)
    with open(metrics, "ab") as file:
        file.write(b'bo": -2}\n')
    records, offset = run.metrics(offset)
    assert records == [{"step": 2, "elbo": -2}]
    assert offset == metrics.stat().st_size


def test_damaged_lines_stop_neither_a_reader_nor_a_resume():
    run = made()
    lines = [b'{"step": 0, "elbo": -3}\n', b"\0\0\0\n", b"[]\n", b'{"step": 0, "el']
    (run.folder / "metrics.jsonl").write_bytes(b"".join(lines))
    assert run.metrics()[0] == [{"step": 0, "elbo": -3}]
    loop.train(run, quiet=True)
    assert [r["step"] for r in run.metrics()[0]][:3] == [0, 1, 10]


def test_a_checkpoint_that_is_being_written_is_not_there_yet():
    run = made()
    for name in ("000900", ".part-x", "1000000"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
        (run.folder / "checkpoints" / name / bundle.CARD).touch()
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
        until(lambda: run.metrics()[0])
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
