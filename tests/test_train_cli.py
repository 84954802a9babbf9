"""The command line trains, resumes and explains itself; a mistake is one sentence."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer import bundle, cards
from explorer.runs import Run
from train import loop
from train.__main__ import main, overrides, parser
from train.config import recipes

ROOT = Path(__file__).parents[1]
VERBS = ("recipes", "data", "start", "resume", "promote", "atlas", "eyes", "sheet", "evaluate")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """A cache of the test's own, and a process that keeps its priority and its Ctrl-C."""
    monkeypatch.setenv("LATENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loop, "_yield_to_others", lambda _: None)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("verb", [(), *((v,) for v in VERBS)], ids=str)
def test_every_command_helps(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*verb, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(word in told for word in (verb or VERBS))
    assert "None" not in told


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from train.__main__ import parser; parser().format_help(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("start nosuch", "no recipe 'nosuch'"),
        ("start tiny --epochs", "--epochs has no value"),
        ("start tiny nonsense", "'nonsense' belongs to nothing"),
        ("start tiny --epochs none", "epochs is 'none'; it should be a number"),
        ("start tiny --epochs -3", "epochs is -3; it can be 1 to"),
        ("start tiny --nosuch 1", "unknown setting 'nosuch'"),
        ("start tiny --dataset cats", "no data set 'cats'"),
        ("start tiny --data.size 64", "digits-8x8: got an unexpected keyword argument 'size'"),
        ("start tiny --seed 1 --dataset folder", "missing a required argument: 'path'"),
        ("data nosuch", "no data set 'nosuch'"),
        ("data mnist somewhere", "mnist: got an unexpected keyword argument 'path'"),
        ("data folder nowhere", "no folder and no zip at nowhere"),
        ("data faces nowhere", "no folder and no zip at nowhere"),
        ("data mnist --fast yes", "--fast is not known"),
        ("resume nowhere", "config.json is missing"),
        ("promote nowhere pretrained/x", "config.json is missing"),
        ("atlas nowhere", "holds no card.json"),
        ("evaluate nowhere", "holds no card.json"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 1
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert not list(tmp_path.glob("**/status.json"))


def test_settings_are_read_in_both_spellings():
    assert overrides(["--model.latent", "8", "--lr=1e-4", "--terms.beta", "-1"]) == {
        "model.latent": "8",
        "lr": "1e-4",
        "terms.beta": "-1",
    }


def test_settings_may_stand_anywhere_after_the_recipe():
    words = "start tiny --epochs 2 --run there --model.latent=4 --seed 3 --terms.beta -1"
    known, others = parser().parse_known_args(words.split())
    assert (known.recipe, known.run, known.seed) == ("tiny", Path("there"), 3)
    assert overrides(others) == {"epochs": "2", "model.latent": "4", "terms.beta": "-1"}


def test_every_recipe_is_listed_with_its_size(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(recipes())
    assert all(line.endswith("MB") and 0 < float(line.split()[-2]) <= 16 for line in lines)


def test_a_run_is_started_with_its_settings_and_resumed(tmp_path, capsys):
    folder = tmp_path / "run"
    words = ["start", "tiny", "--run", str(folder), "--seed", "7", "--epochs", "2"]
    assert main([*words, "--model.hidden=16"]) == 0
    run = Run(folder)
    assert capsys.readouterr().out.strip() == str(folder)
    assert run.status()["state"] == "done"
    config = json.loads((folder / "config.json").read_text())
    assert (config["seed"], config["epochs"], config["model"]["hidden"]) == (7, 2, 16)
    assert bundle.load(run.checkpoint())[1].name == "tiny"

    assert main(words) == 1
    assert "already holds a run" in capsys.readouterr().err
    run.stop()  # what was asked of a run that has ended does not stop the next one
    assert main(["resume", str(folder)]) == 0
    assert not run.stop_requested()


def test_ones_own_pictures_are_told_and_trained_on(tmp_path, capsys):
    folder, rng = tmp_path / "album", np.random.default_rng(0)
    folder.mkdir()
    for i in range(40):
        pixels = rng.integers(0, 256, (10, 10), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"")
    assert main(["data", "folder", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "3x64x64" in told
    assert "skipped: 1 files" in told
    assert "broken.png: This file is empty" in told

    words = f"start tiny --run {tmp_path / 'run'} --dataset folder --epochs 1 --batch 10"
    sizes = "--data.size 10 --data.grey true --model.hidden 16"
    assert main([*words.split(), *sizes.split(), "--data.path", str(folder)]) == 0
    card = bundle.load(Run(tmp_path / "run").checkpoint())[1]
    assert card.data.shape == (1, 10, 10)


def test_two_models_are_compared_picture_by_picture(tmp_path, capsys):
    for name, seed in (("one", 1), ("two", 2)):
        run = str(tmp_path / f"run-{name}")
        assert main(["start", "tiny", "--run", run, "--seed", str(seed), "--epochs", "2"]) == 0
        assert main(["promote", run, str(tmp_path / name)]) == 0
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    both = []
    for first, second in ((one, two), (two, one), (one, one)):
        assert main(["compare", first, second, "--k", "20", "--n", "150"]) == 0
        both.append(cards.read_card(Path(first)).metrics[-1])
    assert [m.name for m in both] == ["gain/two", "gain/one", "gain/one"]
    assert both[0].value == pytest.approx(-both[1].value)
    assert both[0].error > 0
    assert (both[2].value, both[2].error, both[2].n) == (0, 0, 150)

    card = cards.read_card(tmp_path / "two")
    other = dataclasses.replace(card, training={**card.training, "binarise": "none"})
    cards.write_card(tmp_path / "two", other)
    assert main(["compare", one, two]) == 1
    assert "different pictures" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a test cannot press Ctrl-C on Windows")
def test_ctrl_c_stops_with_a_checkpoint(tmp_path):
    words = ["start", "tiny", "--run", str(tmp_path), "--epochs", "100000", "--log_every", "1"]
    child = subprocess.Popen(
        [sys.executable, "-m", "train", *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "metrics.jsonl").exists():
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "Stopping at the next step" in told
    assert Run(tmp_path).status()["state"] == "stopped"
    assert Run(tmp_path).checkpoint() is not None
