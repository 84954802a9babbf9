"""Compare: numbers that are the runs' own, differences picture by picture, the same for all."""

import json
import shutil

import numpy as np
import pytest
import test_pages_teach
import torch
from streamlit.testing.v1 import AppTest
from test_pages_teach import MAIN, button, page, press, said
from test_teaching import png

from explorer.images import to_pixels
from explorer.runs import Run
from explorer.ui import comparing
from train import data
from train.config import TrainConfig
from train.data import DATASETS
from train.evaluate import likelihoods

desk, lab = test_pages_teach.desk, test_pages_teach.lab  # the fixtures
learned, done = test_pages_teach.learned, test_pages_teach.done


@pytest.fixture
def other(done, desk):
    """Another run that ended as ``done`` did, with a beta that was told otherwise."""
    run = Run(desk / "runs" / "other").folder
    shutil.copytree(done.folder, run)
    config = done.config() | {"title": "Another", "terms": {"beta": 4.0}}
    Run(run).instruct(config)
    return Run(run)


def compared(*runs):
    at = page("runs")
    at.session_state["compare/runs"] = [run.name for run in runs]
    at.switch_page("tools/compare.py").run()
    assert not at.exception
    return at


def cells(table):
    return table.value.to_dict("records")


def test_the_table_says_what_the_runs_recorded(done, other):
    with open(other.folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 70, "held/elbo": -99.5, "held/rate": 1.25}) + "\n")
    at = compared(done, other)
    first, second = cells(at.table[0])
    newest = [r for r in done.records() if "held/elbo" in r][-1]
    assert first["Score"] == f"{newest['held/elbo']:.2f}".replace("-", "−")
    assert (second["Score"], second["Information"], second["Step"]) == ("−99.50", "1.25", "70")
    assert second["Best"].startswith(first["Best"].split(" at ")[0])
    assert "beside the first: beta 1 → 4." in said(at)
    assert "512 held-out pictures" in said(at)
    assert "Each column is one latent" in said(at)
    assert "Pictures that none of them trained on" in said(at)


def test_fewer_than_two_runs_are_asked_for(done):
    at = compared(done)
    assert "Choose two runs" in said(at)
    assert not at.table


def test_a_run_beside_itself_is_no_better_and_its_likelihood_is_evaluates(done, other):
    other.instruct(done.config() | {"title": "Another"})
    at = press(compared(done, other), "Measure the difference")
    rows = cells(at.table[1])
    assert [row["More than the first"] for row in rows] == ["–", "0.00 ± 0.00"]
    side = comparing.side(done)
    k, n = comparing.SMALL
    held = data.load("digits-8x8", {}).held
    values = likelihoods(side.opened.model, held, side.config, k, n)
    assert rows[0]["log p(x)"].startswith(f"−{-values.mean():.2f}")
    assert f"K = {k}, the first {len(values)} held-out" in said(at)


@pytest.mark.parametrize(
    "changes",
    [{"binarise": "dynamic"}, {"dataset": "mnist"}, {"family": "cvae"}],
    ids=lambda c: next(iter(c)),
)
def test_nats_of_other_pictures_are_not_compared(done, other, changes):
    other.instruct(other.config() | changes)
    assert not comparing.comparable([done, other])
    assert "do not compare" in comparing.protocol([done, other])


def test_the_same_latents_go_through_models_of_one_size_and_pictures_through_all(done, other):
    sides = [comparing.side(run) for run in (done, other)]
    (first, second), same = comparing.drawn(sides, 3)
    assert same
    np.testing.assert_array_equal(first, second)  # the same weights
    (again, _), _ = comparing.drawn(sides, 4)
    assert (again != first).any()
    title, *rows = comparing.held(sides)
    known = DATASETS["digits-8x8"]().held.x[: comparing.SHOWN]
    np.testing.assert_array_equal(title[1], to_pixels(known.float() / 255))
    assert [name for name, _ in rows] == [side.title for side in sides]


def test_models_of_other_sizes_draw_their_own(done, desk):
    config = TrainConfig.from_dict(done.config() | {"model": {"latent": 3, "hidden": 32}}, "test")
    small = Run.prepare(desk / "runs" / "small", config.as_dict())
    from train import checkpoints
    from train.trainer import prepare

    with torch.random.fork_rng():
        checkpoints.save(small, prepare(config))
    sides = [comparing.side(run) for run in (done, small)]
    drawn, same = comparing.drawn(sides, 0)
    assert not same
    assert [len(pixels) for pixels in drawn] == [comparing.SHOWN] * 2
    assert "latents of its own" in said(compared(done, small))


def test_ones_own_picture_goes_through_all(done, other):
    at = compared(done, other)
    at.file_uploader(key="compare/upload/0").set_value([("mine.png", png(), "image/png")]).run()
    assert not at.exception
    assert "Yours" in [c.value for c in at.caption]


def test_the_runs_page_leads_to_a_comparison_with_what_a_run_was_forked_from(done, other):
    third = Run.create("third", done.config())
    other.instruct(other.config() | {"parent": {"run": done.name, "step": 60, "changes": "x"}})
    at = page("runs")
    at.radio(key="run").set_value(other.name).run()
    press(at, "Compare")
    assert at.session_state["compare/runs"] == [done.name, other.name]
    assert button(at, "Measure the difference") is not None
    assert third.name not in at.session_state["compare/runs"]


def test_a_private_run_is_compared_by_who_has_its_link_alone(done):
    mine = Run.create("mine", done.config(), private=True)
    assert len(page("compare").multiselect(key="compare/runs").options) == 1
    at = AppTest.from_file(str(MAIN), default_timeout=60)
    at.query_params["runs"] = f"{done.name},{mine.name},nobody"
    at = at.run().switch_page("tools/compare.py").run()
    assert not at.exception
    assert at.multiselect(key="compare/runs").value == [done.name, mine.name]
