"""Which of several seeds ships, and what its card says of all of them."""

import dataclasses
import statistics

import pytest
import running
from running import made

from explorer import cards
from explorer.cards import Metric
from explorer.errors import RunError
from explorer.runs import Run
from train import atlas, config, evaluate, loop, seeds, ship

home = running.home  # the fixture
BOUNDS, SORTED = (-100.0, -90.0, -95.0), (0.9, 0.6, 0.75)


def test_the_best_bound_ships_and_not_the_best_by_a_label(monkeypatch):
    runs = [made(seed=seed) for seed in (1, 2, 3)]
    for run in runs:
        loop.train(run, quiet=True)
    rows = iter(zip(BOUNDS, SORTED, strict=True))

    def told(*_):
        bound, share = next(rows)
        return [Metric("elbo", bound, "nats", "p", 9), Metric("hit", share, "of all", "q", 9)]

    monkeypatch.setattr(seeds, "moved", told)
    run, over = seeds.chosen(runs)
    assert run == runs[1]
    hit = next(metric for metric in over if metric.name == "seeds/hit")
    assert hit.value == pytest.approx(statistics.fmean(SORTED))
    assert hit.error == pytest.approx(statistics.stdev(SORTED))
    assert hit.n == 3
    assert "0.9, 0.6, 0.75" in hit.protocol


def test_a_run_without_a_checkpoint_is_told():
    with pytest.raises(RunError, match="no checkpoint"):
        seeds.chosen([made(), made()])


def test_a_recipe_with_seeds_ships_one_and_tells_of_all(tmp_path, monkeypatch):
    recipe = dataclasses.replace(
        config.recipe("tiny"), epochs=1, seeds=2, seed=5, evaluate_every=20, checkpoint_every=20
    )
    monkeypatch.setattr(ship, "recipe", lambda name: dataclasses.replace(recipe, name=name))
    monkeypatch.setattr(ship, "pace", lambda *_: 100.0)
    monkeypatch.setattr(atlas, "umap", lambda z, seed: z[:, :2])
    runs, bundles = tmp_path / "runs", tmp_path / "bundles"
    ship.ship(["one"], runs, bundles, k=5, n=20)
    assert {folder.name for folder in runs.iterdir()} == {"one", "one-seed-6"}
    card = cards.read_card(bundles / "one")
    (told,) = (metric for metric in card.metrics if metric.name == "seeds/elbo")
    both = [seeds.chosen([Run(runs / name)] * 2)[1][0].value for name in ("one", "one-seed-6")]
    assert told.value == pytest.approx(statistics.fmean(both))
    assert card.training["seed"] == (5 if both[0] > both[1] else 6)
    assert ship.made(bundles / "one", ship.recipe("one"))
    assert not ship.made(bundles / "one", dataclasses.replace(ship.recipe("one"), seed=7))

    again = evaluate.evaluate(bundles / "one", k=5, n=20)
    assert told in again.metrics
