"""A fork goes on from a checkpoint with something changed, and says what."""

import shutil

import pytest
import running
import torch
from running import alike, made, weights

from explorer.errors import RunError
from explorer.runs import Run
from train import loop
from train.__main__ import main
from train.config import TrainConfig, changed
from train.fork import differences, fork

home = running.home  # the fixture


@pytest.fixture
def parent(monkeypatch):
    """A run that was stopped at step 33 of 60."""
    run = made()
    with monkeypatch.context() as patch:
        running.stops_after(patch, 33)
        loop.train(run, quiet=True)
    return run


def config(run, **overrides):
    return TrainConfig.from_dict(changed(run.config(), overrides), run.name)


def test_a_fork_goes_on_where_its_parent_was_and_says_what_was_changed(parent):
    before = (parent.folder / "metrics.jsonl").read_bytes()
    made = fork(parent, config(parent, **{"terms.beta": "0.5", "lr": "0.01"}))
    assert loop.train(made, quiet=True) == "done"
    records = made.records()
    events = [r for r in records if "event" in r]
    assert [r["step"] for r in events] == [33]
    assert all(word in events[0]["event"] for word in ("beta 1 → 0.5", "lr 0.001 → 0.01"))
    assert {r["beta"] for r in records if "beta" in r and r["step"] <= 30} == {1.0}
    assert records[-2]["step"] == 60
    assert [r["beta"] for r in records if "beta" in r][-1] == 0.5
    assert made.config()["parent"]["step"] == 33
    assert (parent.folder / "metrics.jsonl").read_bytes() == before
    assert parent.status()["state"] == "stopped"


def test_a_fork_that_changes_nothing_that_counts_ends_as_its_parent_would(parent):
    made = fork(parent, config(parent, title='"Another"'))
    loop.train(made, quiet=True)
    loop.train(parent, quiet=True)
    assert alike(weights(made), weights(parent))


@pytest.mark.parametrize(
    "overrides", [{"model.latent": "5"}, {"batch": "50"}, {"seed": "3"}], ids=str
)
def test_where_the_weights_would_not_fit_it_begins_anew(parent, overrides):
    made = fork(parent, config(parent, **overrides))
    assert made.checkpoint() is None
    assert made.config()["parent"]["step"] == 0
    assert loop.train(made, quiet=True) == "done"
    assert made.records()[0]["step"] == 0
    assert "event" in made.records()[0]


def test_a_rate_that_is_held_from_now_on_begins_its_multiplier(parent):
    made = fork(parent, config(parent, **{"terms.hold_rate": "5.0"}))
    assert loop.train(made, quiet=True) == "done"
    torch.manual_seed(1)
    assert [r["beta"] for r in made.records() if "beta" in r][-1] != 1.0


def test_nothing_to_change_and_nothing_left_to_train_are_told(parent):
    with pytest.raises(RunError, match="Nothing was changed"):
        fork(parent, config(parent))
    loop.train(parent, quiet=True)
    with pytest.raises(RunError, match="more epochs"):
        fork(parent, config(parent, lr="0.01"))
    longer = fork(parent, config(parent, lr="0.01", epochs="6"))
    assert loop.train(longer, quiet=True) == "done"
    assert longer.status()["step"] == 90


def test_a_private_runs_fork_is_private_keeps_its_pictures_and_tells_no_secret(home):
    run = Run.create("mine", TrainConfig(name="mine", epochs=4).as_dict(), private=True)
    (run.folder / "data").mkdir()
    (run.folder / "data" / "me.png").write_bytes(b"a picture")
    told = {"path": str((run.folder / "data").resolve())}
    run.instruct(TrainConfig(name="mine", dataset="folder", data=told).as_dict())
    made = fork(run, config(run, lr="0.01"))
    assert made.private
    assert run.name not in (made.folder / "config.json").read_text()
    shutil.rmtree(run.folder)
    kept = made.folder.resolve() / "data"
    assert made.config()["data"]["path"] == str(kept)
    assert (kept / "me.png").read_bytes() == b"a picture"


def test_differences_are_said_by_name():
    one = {"lr": 0.001, "terms": {}, "model": {"latent": 4}, "ema": 0.9}
    other = {"lr": 1e-4, "terms": {"free_bits": 0.5}, "model": {"latent": 4}, "ema": 0.9}
    assert differences(one, other) == ["lr 0.001 → 0.0001", "free bits nothing → 0.5"]


def test_a_fork_is_made_at_the_terminal(parent, capsys):
    assert main(["fork", str(parent.folder), "--terms.beta", "2", "--now"]) == 0
    made = Run(parent.folder.with_name(capsys.readouterr().out.strip().split("/")[-1]))
    assert made.status()["state"] == "done"
    assert made.config()["terms"]["beta"] == 2
    assert main(["fork", str(parent.folder)]) == 1
    assert "Nothing was changed" in capsys.readouterr().err
