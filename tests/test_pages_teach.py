"""Train and Runs without a browser: choices reach the run, and what happens reaches the page."""

import shutil
from pathlib import Path

import pytest
import test_app
import torch
from streamlit.testing.v1 import AppTest
from test_teaching import png

from explorer.errors import DataError
from explorer.runs import Run
from explorer.ui import cache, progress
from train import loop
from train.config import TrainConfig

MAIN = Path(__file__).parents[1] / "explorer" / "ui" / "main.py"
desk = test_app.desk  # the fixture
SHORT = dict(
    name="short",
    title="Short digits",
    model=dict(latent=4, hidden=32),
    epochs=4,  # 60 steps
    batch=100,
    log_every=10,
    evaluate_every=20,
    checkpoint_every=20,
    threads=1,
)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The folder of a run that is done."""
    folder = tmp_path_factory.mktemp("learned") / "short"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_yield_to_others", lambda config: torch.set_num_threads(1))
        run = Run.prepare(folder, TrainConfig.from_dict(SHORT, "test").as_dict())
        assert loop.train(run, quiet=True) == "done"
    return folder


@pytest.fixture
def lab(desk, monkeypatch):
    """No model, no run; starting a trainer is only noted, and every machine is equally fast."""
    started = []
    monkeypatch.setattr(Run, "start", lambda self: started.append(self))
    monkeypatch.setattr(cache, "pace", lambda config: 100.0)
    return started


@pytest.fixture
def done(lab, desk, learned):
    """A run that is done, on the list."""
    return Run(Path(shutil.copytree(learned, desk / "runs" / "short")))


def page(name, link=None):
    at = AppTest.from_file(str(MAIN), default_timeout=60)
    if link:
        at.query_params["run"] = link
    at = at.run().switch_page(f"tools/{name}.py").run()
    assert not at.exception
    return at


def button(at, label):
    return next((b for b in at.button if b.label == label), None)


def press(at, label):
    button(at, label).click()
    at.run()
    assert not at.exception
    return at


def said(at):
    parts = (*at.caption, *at.markdown, *at.info, *at.error)
    return " ".join(part.value for part in parts)


# -- Train


def test_train_makes_the_run_that_was_described_and_shows_it(lab):
    at = page("train")
    assert "About **30 seconds**" in said(at)  # 3,000 steps, 100 a second
    lengths = at.segmented_control(key="train/length").options
    assert lengths == ["Quick · 30 s", "Good · 2 min", "Best · 4 min"]
    press(at, "Train")
    (run,) = lab
    assert run == Run.listed()[0]
    config = TrainConfig.from_dict(run.config(), "test")
    assert (config.dataset, config.title) == ("digits-8x8", "Small digits")
    assert run.status()["state"] == "queued"
    assert at.session_state["run"] == run.name


def test_what_is_set_in_the_whole_form_is_what_is_trained(lab):
    at = page("train")
    key = "train/digits-8x8/1500/Quick"
    at.number_input(key=f"{key}/model/vae/latent").set_value(5)
    at.number_input(key=f"{key}/terms/elbo/beta").set_value(2.5)
    at.number_input(key=f"{key}/training/epochs").set_value(7)
    at.selectbox(key=f"{key}/training/schedule").select("constant")
    at.number_input(key=f"{key}/training/processes").set_value(2)
    at.run()
    assert "timed just now, for one process" in said(at)
    press(at, "Train")
    config = TrainConfig.from_dict(lab[0].config(), "test")
    assert config.model["latent"] == 5
    assert config.terms["beta"] == 2.5
    assert (config.epochs, config.schedule, config.processes) == (7, "constant", 2)


def test_a_longer_setting_fills_the_form_anew(lab):
    at = page("train")
    at.segmented_control(key="train/length").set_value("Best").run()
    key = "train/digits-8x8/1500/Best"
    assert at.number_input(key=f"{key}/training/epochs").value == 1500
    at.segmented_control(key="train/length").set_value("Quick").run()
    assert "About **30 seconds**" in said(at)


def test_settings_that_do_not_fit_are_told_where_the_button_would_be(lab, monkeypatch):
    at = page("train")
    assert button(at, "Train") is not None

    def refuse(config):
        raise DataError("Choose learned_gaussian.")

    monkeypatch.setattr(cache, "pace", refuse)
    at.segmented_control(key="train/length").set_value("Good").run()
    assert not at.exception
    assert [e.value for e in at.error] == ["Choose learned_gaussian."]
    assert button(at, "Train") is None
    assert at.number_input(key="train/digits-8x8/1500/Good/training/batch").value == 100


def bring(at, files):
    at.pills(key="train/pictures").set_value("My own").run()
    at.file_uploader(key="train/files").set_value(files).run()
    assert not at.exception
    return at


def test_ones_own_pictures_train_a_private_run_that_keeps_them(lab, desk):
    at = page("train")
    at.pills(key="train/pictures").set_value("My own").run()
    assert button(at, "Train") is None
    assert "Bring some pictures" in said(at)
    bring(at, [(f"{k}.png", png(20 * k), "image/png") for k in range(6)])
    assert "6 pictures" in said(at)
    press(at, "Train")
    (run,) = lab
    assert run.private
    assert Run.listed() == []
    kept = Path(run.config()["data"]["path"])
    assert kept == (run.folder / "data").resolve()
    assert sorted(p.read_bytes() for p in kept.iterdir()) == sorted(png(20 * k) for k in range(6))

    assert "who has this page's address" in said(at)
    other = page("runs")
    assert not other.radio
    assert "No run yet" in said(other)
    friend = page("runs", link=run.name)
    assert friend.radio(key="run").value == run.name
    assert "who has this page's address" in said(friend)


def test_what_is_no_picture_is_named_and_two_are_needed(lab):
    at = bring(page("train"), [("a.png", png(), "image/png"), ("b.png", b"no", "image/png")])
    assert button(at, "Train") is None
    assert any("two or more" in e.value for e in at.error)


def test_uploads_stay_in_the_session(lab, desk):
    at = bring(page("train"), [(f"{k}.png", png(k), "image/png") for k in range(3)])
    assert list(desk.iterdir()) == []
    assert "train/found" in at.session_state
    assert "train/found" not in page("train").session_state


def test_a_folder_is_only_asked_for_on_ones_own_computer(lab, monkeypatch):
    at = page("train")
    at.pills(key="train/pictures").set_value("My own").run()
    assert [t.key for t in at.text_input] == ["train/path"]
    monkeypatch.setenv("LATENT_HOSTS", "lab.example.org")
    at = page("train")
    at.pills(key="train/pictures").set_value("My own").run()
    assert not at.text_input


def test_a_folder_on_this_computer_is_trained_on_where_it_is(lab, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for k in range(4):
        (mine / f"{k}.png").write_bytes(png(40 * k))
    at = page("train")
    at.pills(key="train/pictures").set_value("My own").run()
    at.text_input(key="train/path").set_value(str(mine)).run()
    press(at, "Train")
    assert lab[0].private
    assert lab[0].config()["data"]["path"] == str(mine)
    assert not (lab[0].folder / "data").exists()


# -- Runs


def test_without_a_run_the_page_says_where_to_start_one(lab):
    at = press(page("runs"), "Train a model")
    assert "Choose pictures, press Train" in said(at)


def test_a_run_that_is_done_shows_what_it_learned(done):
    at = page("runs")
    text = said(at)
    assert "Step 60 of 60" in text
    assert "pictures it has never seen" in text
    assert any("Done" in m.value for m in at.markdown)
    assert button(at, "Stop") is None
    assert button(at, "Go on") is None
    held = [r["held/elbo"] for r in done.records() if "held/elbo" in r]
    assert at.metric[0].value == f"{held[-1]:.1f}".replace("-", "−")


def test_what_was_learned_opens_in_play(done):
    at = press(page("runs"), "Open in Play")
    bench = at.session_state["workbench"]
    assert list(bench.own.values()) == ["Short digits (yours)"]
    assert bench.opened.folder == done.checkpoint()
    assert "As learned after 60 of 60 steps." in said(at)


@pytest.mark.parametrize(("label", "how"), [("Stop", "stopped"), ("Pause", "paused")])
def test_a_running_run_can_be_ended_once(done, monkeypatch, label, how):
    done.report("running", 30, of=60, seconds_left=95.0)
    monkeypatch.setattr(Run, "alive", lambda self: True)
    at = page("runs")
    assert "Step 30 of 60. 2 minutes left" in said(at)
    press(at, label)
    assert done.stop_requested()
    assert done.asked_end() == how
    assert "Ending" in said(at)
    assert button(at, "Stop").disabled
    assert button(at, "Pause").disabled


def test_a_run_that_failed_says_why_and_can_go_on(done, lab):
    done.report("failed", 30, of=60, error="The training diverged.")
    (done.folder / "log.txt").write_text("the last words")
    at = page("runs")
    assert [e.value for e in at.error] == ["The training diverged."]
    assert [c.value for c in at.code] == ["the last words"]
    press(at, "Go on")
    assert lab == [done]


def test_a_damaged_run_can_only_be_deleted(done):
    (done.folder / "status.json").write_text("{")
    at = page("runs")
    assert any("status.json" in e.value for e in at.error)
    assert button(at, "Go on") is None
    press(at, "Delete it")
    assert not done.folder.exists()


def test_deleting_leaves_nothing_and_the_page_at_the_beginning(done):
    at = press(page("runs"), "Delete it")
    assert not done.folder.exists()
    assert "No run yet" in said(at)
    assert not at.error


def test_a_run_deleted_elsewhere_is_gone_here_without_a_traceback(done):
    at = page("runs")
    done.delete()
    at.run()
    assert not at.exception
    assert "No run yet" in said(at)


def test_a_link_to_nothing_says_so(lab):
    at = page("runs", link="nobody")
    assert any("no run called" in e.value for e in at.error)


def test_of_several_runs_each_can_be_looked_at(done, desk):
    other = Run.create("other", dict(SHORT, title="Another"))
    at = page("runs")
    assert at.radio(key="run").value == other.name
    at.radio(key="run").set_value("short").run()
    assert "Step 60 of 60" in said(at)


def test_the_list_says_what_the_badge_says_however_late_a_run_ends(done, monkeypatch):
    done.report("running", 30, of=60)
    looked = progress.status

    def ends_between_two_looks(run):
        before = looked(run)
        if before["state"] == "running":
            done.report("stopped", 30, of=60)
        return before

    monkeypatch.setattr(progress, "status", ends_between_two_looks)
    with done.hold():
        at = page("runs")
    assert "Stopped" in said(at)
    assert "stopped at 50%" in at.radio(key="run").captions[0]
