"""A tour through the frame: every page with no model, a good one, and a damaged one."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from explorer import atlas, bundle, shelf
from explorer.bundle import CARD, WEIGHTS, Card
from explorer.protocol import DataSpec
from explorer.ui import cache
from explorer.ui.menu import PAGES

MAIN = Path(__file__).parents[1] / "explorer" / "ui" / "main.py"
SPECS = {
    "grey": DataSpec("toy-digits", 1, 8, 8, ("0", "1", "2")),
    "colour": DataSpec("toy-faces", 3, 16, 16),
}


def toy(folder, spec, latent=4):
    """A bundle with an atlas, untrained."""
    torch.manual_seed(0)
    likelihood = "bernoulli" if spec.channels == 1 else "learned_gaussian"
    config = {"latent": latent, "hidden": 16, "likelihood": likelihood}
    card = Card(folder.name, "vae", config, spec, title=folder.name.title())
    model = bundle.build(card)
    bundle.save(folder, model.state_dict(), card)
    z = torch.randn(60, latent)
    names = spec.classes or ("",)
    known = atlas.Atlas(
        latents=z,
        kl=torch.rand(60),
        error=torch.rand(60) / 10,
        axes=torch.eye(latent),
        weights=torch.ones(2) / 2,
        loc=torch.zeros(2, latent),
        scale=torch.ones(2, latent),
        labels=torch.arange(60) % len(names) if spec.classes else None,
        maps={"pca": z[:, :2].clone(), "umap": z[:, 2:4].clone()},
        attributes={} if spec.classes else {"smile": torch.randn(60), "yaw": torch.randn(60)},
        directions={}
        if spec.classes
        else {
            "smile": atlas.Direction(torch.eye(latent)[0], torch.eye(latent)[0], 0.0, 0.97),
            "yaw": atlas.Direction(torch.eye(latent)[1], torch.eye(latent)[1], 0.0, 0.95),
        },
    )
    atlas.save(folder, known)
    bundle.write_card(folder, card)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty pretrained folder that the app takes for its own, and a shelf of its own."""
    monkeypatch.setattr(shelf, "PRETRAINED", tmp_path)
    monkeypatch.setattr(shelf.SHELF, "_open", OrderedDict())
    monkeypatch.setattr(shelf.SHELF, "_places", {})
    monkeypatch.setattr(cache, "PRETRAINED", tmp_path)
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path / "runs")
    return tmp_path


def tour(page):
    """The app on that page, run once."""
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    return at.switch_page(f"tools/{page.name}.py").run()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_without_a_model_every_page_speaks(desk, page):
    at = tour(page)
    assert not at.exception
    words = [*at.error, *at.info, *at.markdown, *at.caption]
    assert any(len(w.value) > 10 for w in words)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_with_a_model_no_page_breaks(desk, page, kind):
    toy(desk / "toy", SPECS[kind])
    at = tour(page)
    assert not at.exception
    assert not at.error


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_damaged_model_is_told_on_every_page(desk, page):
    toy(desk / "toy", SPECS["grey"])
    (desk / "toy" / WEIGHTS).write_bytes(b"not tensors")
    at = tour(page)
    assert not at.exception
    assert any("hash" in e.value for e in at.error)


def test_choosing_a_damaged_model_leaves_the_good_one_open(desk):
    toy(desk / "a-good", SPECS["grey"])
    toy(desk / "b-bad", SPECS["grey"])
    (desk / "b-bad" / CARD).write_text("{")
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    at.selectbox(key="model").select("b-bad").run()
    assert not at.exception
    assert any("damaged" in e.value for e in at.error)
    assert at.session_state["workbench"].key == "a-good"


def test_two_visitors_have_two_tables(desk):
    toy(desk / "toy", SPECS["grey"])
    first = AppTest.from_file(str(MAIN), default_timeout=60).run()
    second = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert first.session_state["workbench"] is not second.session_state["workbench"]
