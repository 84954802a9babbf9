"""What the Train and Runs pages stand on: ready settings, a visitor's pictures, a run in words."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from explorer.errors import DataError, ExplorerError
from explorer.protocol import DataSpec
from explorer.runs import Run
from explorer.ui import collection, progress, sources
from explorer.ui.sources import PRESETS, QUICK, SOURCES
from train import data, pace
from train.trainer import assemble

OWN = sources.own(40, {"path": "", "size": 32, "grey": False})


# -- ready settings


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("source", [*SOURCES, OWN], ids=lambda s: s.title)
def test_every_ready_setting_makes_a_trainer_for_its_pictures(source, name):
    config = sources.preset(source, name)
    assert config.dataset == source.dataset
    spec = data.spec(config.dataset, config.data)
    trainer = assemble(config, pace._noise(spec, min(config.batch, 4)))
    assert trainer.model.data == spec
    total = sources.steps(config, source)
    assert 1 <= config.log_every <= config.evaluate_every <= config.checkpoint_every
    assert config.evaluate_every <= total


@pytest.mark.parametrize("source", [*SOURCES, OWN], ids=lambda s: s.title)
def test_a_longer_setting_takes_more_steps_of_a_model_no_smaller(source):
    quick, good, best = (sources.preset(source, name) for name in PRESETS)
    fitted = sources.within(quick, source, pace=20.0, seconds=sources.MINUTE)
    steps = [sources.steps(c, source) for c in (fitted, good, best)]
    assert steps == sorted(steps)
    latent = [c.model["latent"] for c in (quick, good, best)]
    assert latent == sorted(latent)


def test_the_quick_setting_fits_its_minute():
    source = SOURCES[0]
    config = sources.preset(source, QUICK)
    fitted = sources.within(config, source, pace=10.0, seconds=60)
    assert 600 - 15 < sources.steps(fitted, source) <= 600
    fast = sources.within(config, source, pace=1e6, seconds=60)
    assert fast.epochs == config.epochs
    slow = sources.within(config, source, pace=1e-6, seconds=60)
    assert slow.epochs == 1


@pytest.mark.parametrize("pictures", [2, 3, 70, 5000])
def test_any_number_of_ones_own_pictures_has_settings(pictures):
    source = sources.own(pictures, {"path": "", "size": 32, "grey": True})
    for name in PRESETS:
        config = sources.preset(source, name)
        assert 1 <= config.batch <= max(1, source.pictures)
        assert sources.steps(config, source) <= 40_000


def test_the_pace_is_of_steps_that_were_taken_and_leaves_no_trace():
    import torch

    config = sources.preset(SOURCES[0], QUICK)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    assert pace.pace(config, DataSpec("toy", 1, 8, 8), seconds=0.05) > 1
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_pace_of_settings_that_do_not_fit_is_refused_in_words():
    config = sources.preset(SOURCES[0], QUICK)
    with pytest.raises(ExplorerError, match="colour"):
        pace.pace(config, DataSpec("toy", 3, 8, 8), seconds=0.05)


# -- a visitor's own pictures


class Sent:
    """A file as Streamlit hands it over."""

    def __init__(self, name, content):
        self.name, self.content, self.size = name, content, len(content)

    def getvalue(self):
        return self.content


def png(shade=100, size=(40, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 50, 200)).save(file, "PNG")
    return file.getvalue()


class SentZip(io.BytesIO):
    name = "mine.zip"


def zipped(files):
    made = SentZip()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made


SPEC = data.spec("folder", {"path": "", "size": 32, "grey": False})


def test_pictures_are_shown_as_the_model_will_see_them_and_the_rest_is_named():
    files = [Sent("a.png", png(10)), Sent("b.png", png(250)), Sent("c.png", b"no picture")]
    found = collection.look(collection.uploaded(files), SPEC)
    assert (found.count, found.doubtful) == (2, 0)
    assert found.shown.shape == (2, 32, 32, 3)
    assert found.shown[:, 16, 16, 0].tolist() == [10, 250]
    assert len(found.skipped) == 1
    assert "c.png" in found.skipped[0]


def test_a_zip_is_read_like_its_pictures_and_its_table_is_none_of_them():
    files = {"x/a.png": png(10), "x/b.png": png(20), "x/labels.csv": b"file,label\na.png,1\n"}
    found = collection.look(collection.uploaded([zipped(files)]), SPEC)
    assert found.count == 2
    assert not found.skipped


def test_of_many_pictures_the_first_are_looked_at(monkeypatch):
    monkeypatch.setattr(collection, "LOOKED_AT", 3)
    monkeypatch.setattr(collection, "SHOWN", 2)
    files = [Sent(f"{k}.png", png(k)) for k in range(5)]
    found = collection.look(collection.uploaded(files), SPEC)
    assert (found.count, len(found.shown), found.doubtful) == (5, 2, 2)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([Sent("a.png", png())], "two or more"),
        ([Sent("a.png", b""), Sent("b.png", b"x")], "no usable picture"),
        ([zipped({}), Sent("a.png", png())], "either one zip"),
        ([Sent("a.zip", b"no zip")], "not a zip"),
    ],
    ids=["one", "none", "both", "damaged"],
)
def test_what_cannot_be_trained_on_is_refused_in_words(files, why):
    if files[0].name == "a.zip":
        files = [SentZip(files[0].content)]
    with pytest.raises(DataError, match=why):
        collection.look(collection.uploaded(files), SPEC)


NAMES = ["../../../evil.png", "a/b.png", "C:\\x.png", ".hidden.png", "ä ö.png", "x" * 300, "con"]


def test_no_name_leads_out_of_the_runs_folder(tmp_path):
    files = [Sent(name, png(k)) for k, name in enumerate(NAMES)]
    kept = collection.keep(files, tmp_path / "data")
    inside = sorted(p for p in (tmp_path / "data").iterdir() if p.is_file())
    assert kept == tmp_path / "data"
    assert len(inside) == len(NAMES)
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    assert {p.read_bytes() for p in inside} == {f.content for f in files}


@pytest.mark.parametrize("how", ["files", "zip"])
def test_what_is_kept_is_what_a_trainer_reads_and_goes_with_the_run(tmp_path, monkeypatch, how):
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path)
    run = Run.create("mine", {}, private=True)
    pictures = {f"{k}.png": png(10 * k) for k in range(12)}
    files = [Sent(*item) for item in pictures.items()] if how == "files" else [zipped(pictures)]
    kept = collection.keep(files, run.folder / "data")
    loaded = data.load("folder", {"path": str(kept), "size": 16, "grey": False})
    seen = np.concatenate([part.x[:, 0, 8, 8].numpy() for part in (loaded.train, loaded.held)])
    assert sorted(seen.tolist()) == [10 * k for k in range(12)]
    assert len(loaded.held.x) >= 1
    run.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_typed_path_may_have_the_quotes_that_a_file_manager_gives(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert collection.typed(f' "{tmp_path}" ').names == ("a.png",)
    with pytest.raises(DataError, match="no folder"):
        collection.typed(str(tmp_path / "nothing"))


# -- a run in words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "a second"),
        (12, "12 seconds"),
        (89, "89 seconds"),
        (91, "2 minutes"),
        (3000, "50 minutes"),
        (9000, "2 hours"),
        (200_000, "2 days"),
        (None, ""),
        (float("inf"), ""),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds, words):
    assert progress.duration(seconds) == words


def looks(values):
    return [10 * k for k in range(len(values))], values


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([], "Too early"),
        ([-90, -80], "Too early"),
        ([-90 + k for k in range(20)], "improving"),
        ([-20.0] * 20, "Level"),
        ([-90 + 5 * k for k in range(10)] + [-45 - k for k in range(10)], "by heart"),
        ([-90, -89, -500, -400, -300, -200], "improving"),
    ],
)
def test_the_curve_is_judged_in_words(values, word):
    assert word in progress.trend(*looks(values))


def test_learning_by_heart_names_the_best_step():
    values = [-90, -60, -50, -40, -45, -50, -55, -60, -65, -70]
    assert "step 30" in progress.trend(*looks(values))


@pytest.mark.parametrize(
    ("status", "stopping", "said"),
    [
        (dict(state="queued", step=0), False, "Starting"),
        (dict(state="running", step=0, of=0, note="reading the data"), False, "Reading the data"),
        (dict(state="running", step=50, of=1000, seconds_left=130.0), False, "2 minutes left"),
        (dict(state="running", step=1050, of=2000, seconds_left=9), False, "1,050 of 2,000"),
        (dict(state="running", step=50, of=1000, seconds_left=9), True, "Ending"),
        (dict(state="stopped", step=50, of=1000, seconds_left=9), True, "Step 50 of 1,000"),
        (dict(state="failed", step=0), False, ""),
    ],
)
def test_where_a_run_stands_is_a_sentence(status, stopping, said):
    assert said in progress.line(status, stopping)
    if said == "":
        assert progress.line(status, stopping) == ""


def test_every_state_has_a_sign_and_a_word_of_its_own():
    states = progress.STATES.values()
    assert len({s.word for s in states}) == len(states)
    assert all(s.sign and s.icon for s in states)


def test_runs_are_listed_with_the_private_ones_that_one_knows(tmp_path, monkeypatch):
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path)
    public = Run.create("open", {"title": "Open"})
    mine, theirs = (Run.create("mine", {}, private=True) for _ in range(2))
    assert set(progress.visible([])) == {public}
    assert set(progress.visible([mine.name, "gone", public.name])) == {public, mine}
    assert theirs not in progress.visible([mine.name])
    assert progress.titled(public).startswith("Open, ")
    assert "private" in progress.stand(mine, progress.status(mine))
    (public.folder / "status.json").write_text("{")
    assert "cannot be read" in progress.stand(public, progress.status(public))
