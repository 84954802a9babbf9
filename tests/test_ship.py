"""All shipped models from nothing, by one command that can be stopped anywhere."""

import dataclasses
import shutil

import pytest

from explorer import cards
from explorer.errors import RunError
from explorer.runs import Run
from train import atlas, config, ship

SHORT = dataclasses.replace(
    config.recipe("tiny"), epochs=4, evaluate_every=20, checkpoint_every=20, log_every=10
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ship, "recipe", lambda name: dataclasses.replace(SHORT, name=name))
    monkeypatch.setattr(ship, "pace", lambda *_: 100.0)
    monkeypatch.setattr(atlas, "umap", lambda z, seed: z[:, :2])


def test_what_is_made_stays_and_what_is_not_is_made(tmp_path, capsys):
    places = tmp_path / "runs", tmp_path / "bundles"
    ship.ship(["one", "two"], *places, k=5, n=20)
    told = capsys.readouterr().out
    assert told.index("one") < told.index("hours in all") < told.index("one: made")
    card = cards.read_card(places[1] / "two")
    assert {cards.ATLAS, cards.DECODER, cards.ENCODER, cards.WEIGHTS} == set(card.files)
    assert card.metrics

    before = (places[1] / "one" / cards.CARD).stat().st_mtime_ns
    shutil.rmtree(places[1] / "two")
    ship.ship(["one", "two"], *places, k=5, n=20)
    assert "1 of 2 are made already" in capsys.readouterr().out
    assert (places[1] / "one" / cards.CARD).stat().st_mtime_ns == before
    assert cards.read_card(places[1] / "two").files[cards.WEIGHTS] == card.files[cards.WEIGHTS]


def test_a_recipe_that_has_changed_is_made_anew_and_its_words_alone_are_not(tmp_path):
    ship.ship(["one"], tmp_path / "runs", tmp_path / "bundles", k=5, n=20)
    usual = ship.recipe("one")
    assert ship.made(tmp_path / "bundles" / "one", dataclasses.replace(usual, title="Other words"))
    assert not ship.made(tmp_path / "bundles" / "one", dataclasses.replace(usual, lr=0.5))
    assert not ship.made(tmp_path / "bundles" / "none", usual)


def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch):
    places = tmp_path / "runs", tmp_path / "bundles"
    asked = iter([False] * 25 + [True] + [False] * 1000)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: next(asked))
        with pytest.raises(RunError, match="Start this again"):
            ship.ship(["one"], *places, k=5, n=20)
    run = Run(places[0] / "one")
    assert int(run.checkpoint().name) == 25
    assert ship.training(ship.recipe("one"), run.folder) == pytest.approx((60 - 25) / 100)
    ship.ship(["one"], *places, k=5, n=20)
    assert run.status()["state"] == "done"
    assert ship.made(places[1] / "one", ship.recipe("one"))
