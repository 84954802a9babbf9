"""A tour through the frame: every page with no model, a good one, and a damaged one."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from toys import some_atlas

from explorer import atlas, bundle, cards, shelf
from explorer.cards import CARD, WEIGHTS, Card
from explorer.protocol import DataSpec
from explorer.ui import cache
from explorer.ui.menu import PAGES

MAIN = Path(__file__).parents[1] / "explorer" / "ui" / "main.py"
SPECS = {
    "grey": DataSpec("toy-digits", 1, 8, 8, ("0", "1", "2")),
    "colour": DataSpec("toy-faces", 3, 16, 16),
}


def toy(folder, spec, latent=4, family="vae"):
    """A bundle with an atlas, untrained."""
    torch.manual_seed(0)
    likelihood = "bernoulli" if spec.channels == 1 else "learned_gaussian"
    sizes = latent if isinstance(latent, dict) else {"latent": latent}
    config = {**sizes, "hidden": 16, "likelihood": likelihood}
    card = Card(folder.name, family, config, spec, title=folder.name.title())
    model = bundle.build(card)
    bundle.save(folder, model.state_dict(), card)
    latent = model.latent_size
    z = some_atlas(60, latent).latents
    unit = np.eye(latent, dtype=np.float32)
    if spec.classes:
        told = dict(labels=np.arange(60) % len(spec.classes))
    else:
        told = dict(
            attributes={"smile": z[:, 0], "yaw": z[:, 1]},
            directions={
                "smile": atlas.Direction(unit[0], unit[0], 0.0, 0.97),
                "yaw": atlas.Direction(unit[1], unit[1], 0.0, 0.95),
            },
        )
    maps = {"pca": z[:, :2], "umap": z[:, -2:]}
    if family == "vade":
        far = np.linspace(-30, 30, 10, dtype=np.float32)[:, None] * np.ones(latent, np.float32)
        parts = np.tile(np.eye(latent, dtype=np.float32), (10, 1, 1))
        told["clusters"] = atlas.Mixture(np.full(10, 0.1, np.float32), far, parts)
    atlas.save(folder, some_atlas(60, latent, maps=maps, **told))
    cards.write_card(folder, card)


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
