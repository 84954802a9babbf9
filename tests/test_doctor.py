"""The doctor: runs that are made to fail are named for what they have, and remedies mend them."""

import dataclasses
import json

import pytest
import running
from running import made

from explorer.curves import Curves
from explorer.models import FAMILIES
from explorer.runs import Run
from train import data, loop
from train.config import TrainConfig
from train.data import DATASETS, Split
from train.doctor import diagnose
from train.fork import fork

home = running.home  # the fixture
LOOKED = dict(
    ema=0.0,
    binarise="none",
    log_every=5,
    evaluate_every=50,
    checkpoint_every=1000,
    lr=3e-3,
    epochs=40,
    model={"latent": 4, "hidden": 128},
)
ILL = {
    # what it has: how it is made to have it
    "Posterior collapse": dict(terms={"beta": 30.0}),
    "Dead units": {},
    "Under-fitting": dict(lr=1e-3, schedule="constant", epochs=15, evaluate_every=25),
    "Too small a latent": dict(model={"latent": 2, "hidden": 128}, epochs=60),
}


@pytest.fixture
def few(monkeypatch):
    """Sixty digits to learn by heart."""
    whole = DATASETS["digits-8x8"]()
    train = Split(whole.train.x[:60], None if whole.train.y is None else whole.train.y[:60])
    found = dataclasses.replace(whole, train=train)
    monkeypatch.setitem(data.DATASETS, "digits-8x8", lambda: found)


def trained(run):
    assert loop.train(run, quiet=True) == "done"
    return run


def findings(run):
    config = TrainConfig.from_dict(run.config(), run.name)
    return {f.name: f for f in diagnose(Curves(run).look(), config, run.status()["of"])}


@pytest.mark.parametrize("name", ILL)
def test_a_run_that_was_made_to_fail_is_told_what_it_has(name):
    run = trained(made(**LOOKED | ILL[name]))
    assert name in findings(run)


def test_what_is_learned_by_heart_is_told(few):
    run = trained(made(**LOOKED | dict(batch=30, epochs=400, schedule="constant")))
    found = findings(run)["Over-fitting"]
    assert "better" in found.evidence
    assert found.config.epochs < 400
    assert found.config.model["hidden"] == 64


def test_a_network_that_is_too_small_is_told():
    run = trained(made(**LOOKED | dict(model={"latent": 4, "hidden": 16}, lr=5e-3, epochs=100)))
    found = findings(run)["Under-fitting"]
    assert found.config.model["hidden"] == 64
    assert "too small" in found.words


@pytest.mark.parametrize("name", ["Posterior collapse", "Under-fitting"])
def test_a_remedy_mends(name):
    run = trained(made(**LOOKED | ILL[name]))
    before = Curves(run).look()
    found = findings(run)[name]
    mended = trained(fork(run, found.config, found.begin))
    after = Curves(mended).look()
    assert after.column("held/elbo")[1][-1] > before.column("held/elbo")[1][-1] + (
        1 if found.begin else 0.3
    )
    if name == "Posterior collapse":
        assert after.column("held/rate")[1][-1] > 1.5
        assert name not in findings(mended)


# -- what is said of curves that are made up


def written(run, looks, own=None, rate=10.0):
    """The run with held-out bounds ``looks`` every 100 steps, and what else is recorded."""
    with open(run.folder / "metrics.jsonl", "w") as file:
        for k, elbo in enumerate(looks):
            step = 100 * (k + 1)
            record = {"step": step, "elbo": own if own is not None else elbo}
            held = {"step": step, "held/elbo": elbo, "held/rate": rate}
            held["held/coordinates"] = [2.0, 0.5, 3.0, 1.0]
            file.writelines(json.dumps(r) + "\n" for r in (record, held))
    run.report("done", 100 * len(looks), of=100 * len(looks))
    return run


LEVEL = [-30.0, -25.0, -24.0, *[-23.5] * 12]


def test_all_is_well_where_it_is(home):
    assert findings(written(made(model={}), LEVEL)) == {}


def test_it_is_silent_while_it_is_early(home):
    assert findings(written(made(terms={"beta": 30.0}), [-30.0] * 3)) == {}


def test_over_fitting_is_not_said_of_noise(home):
    assert findings(written(made(model={}), [*LEVEL, -23.55, -23.5, -23.6], own=-20.0)) == {}
    assert "Over-fitting" in findings(
        written(made(model={}), [*LEVEL, -25.0, -26, -27, -28], own=-15.0)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_of_every_family_a_remedy_is_a_run_that_can_be_made(home, family):
    """Whatever rule finds something, its config is one that the trainer takes."""
    run = written(made(family=family, model={}), [*LEVEL, -25.0, -26, -27, -28], own=-15.0)
    config = TrainConfig.from_dict(run.config(), run.name)
    for found in diagnose(Curves(run).look(), config, 5000):
        kind = FAMILIES[family].Config
        kind(**found.config.model)
        again = TrainConfig.from_dict(found.config.as_dict(), "a remedy")
        assert again != config
        assert Run.find(fork(run, again, begin=True).name).config()["parent"]["changes"]


def test_what_came_before_a_fork_is_not_held_against_it(home):
    run = written(made(model={}), [*LEVEL, -25.0, -26.0, -27.0, -28.0], own=-15.0)
    assert findings(run)
    with open(run.folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 1900, "event": "beta 1 → 2"}) + "\n")
        for step in range(2000, 2800, 100):
            record = {"step": step, "held/elbo": -28.0, "held/rate": 10.0}
            file.write(json.dumps(record | {"held/coordinates": [2.0, 0.5, 3.0, 1.0]}) + "\n")
    assert findings(run) == {}


def test_a_learning_rate_that_is_too_small_to_learn_is_mended_too(home):
    run = written(made(lr=1e-5), [-30.0] * 8, rate=0.0)
    found = findings(run)["Posterior collapse"]
    assert found.config.lr == 1e-3
    assert "learning rate" in found.remedy
