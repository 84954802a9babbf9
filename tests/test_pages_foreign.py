"""The page that opens somebody else's checkpoint, without a browser."""

import io

import numpy as np
import pytest
import test_app
import test_formats_blocks
import torch
from test_app import SPECS, toy
from test_pages_wander import bench, page

from explorer import images
from explorer.ui.menu import PAGES

desk = test_app.desk  # the fixture


def classic():
    """The bytes of a small `pytorch/examples` VAE, the weights by chance."""
    torch.manual_seed(0)
    sizes = {"fc1": (32, 784), "fc21": (4, 32), "fc22": (4, 32), "fc3": (32, 4), "fc4": (784, 32)}
    state = {f"{n}.weight": torch.randn(s) / s[1] ** 0.5 for n, s in sizes.items()}
    state |= {f"{n}.bias": torch.zeros(s[0]) for n, s in sizes.items()}
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def told(at):
    """All that the page says, as plain text."""
    return " ".join(m.value for m in (*at.markdown, *at.caption)).replace("\\", "")


def drop(at, raw, name="vae.pth"):
    at.file_uploader(key="model/file").set_value((name, raw, "application/octet-stream"))
    at.run(timeout=120)
    assert not at.exception


@pytest.mark.parametrize("which", ["best", "second"])
def test_a_dropped_checkpoint_is_told_shown_and_opened_under_either_reading(desk, which):
    toy(desk / "shipped", SPECS["grey"])
    at = page("model")
    drop(at, classic())
    said = told(at)
    assert "as pytorch/examples writes it" in said
    assert "nothing of the file was executed" in said
    at.button(key=f"model/take/{which}").click().run(timeout=120)
    assert not at.exception
    assert not at.error
    opened = bench(at).opened
    assert opened.card.family == "foreign"
    assert opened.latent_size == 4
    assert bench(at).own == {opened.key: "vae (yours)"}
    for name in ("play", "manifold", "map", "morph", "attributes", "inpaint"):
        at.switch_page(f"tools/{name}.py").run(timeout=120)
        assert not at.exception, name


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [(b"", "empty"), (b"version https://git-lfs", "LFS"), (b"x" * 99, "no checkpoint")],
)
def test_what_cannot_be_read_is_told_and_leaves_what_was_open(desk, raw, sentence):
    toy(desk / "shipped", SPECS["grey"])
    at = page("model")
    drop(at, raw)
    assert any(sentence in e.value for e in at.error)
    assert bench(at).key == "shipped"


def test_a_path_is_read_on_ones_own_computer(desk, tmp_path):
    toy(desk / "shipped", SPECS["grey"])
    (tmp_path / "vae").write_bytes(classic())
    at = page("model")
    at.text_input(key="model/path").set_value(str(tmp_path / "vae")).run(timeout=120)
    assert not at.exception
    assert "4 coordinates" in told(at)


def test_pictures_of_its_kind_are_measured_by_and_what_is_none_is_told(desk):
    toy(desk / "shipped", SPECS["grey"])
    at = page("model")
    drop(at, classic())
    assert "it redraws your pictures" not in told(at)
    found = at.session_state["model/found"][1]
    pixels = found.best.model().decode(torch.zeros(1, 4)).mean[0, 0].numpy()
    grain = np.random.default_rng(0).uniform(-0.2, 0.2, (6, 28, 28))
    files = [images.png(images.to_pixels((pixels + g)[None, None])[0]) for g in grain]
    likes = [(f"{k}.png", raw, "image/png") for k, raw in enumerate(files)]
    at.file_uploader(key="model/likes").set_value(likes).run(timeout=120)
    assert not at.exception
    assert at.session_state["model/found"][1].best.like == "your pictures"
    at.file_uploader(key="model/likes").set_value([("a.png", b"none", "image/png")])
    at.run(timeout=120)
    assert at.error


def quantised():
    """The bytes of a small VQ-VAE, the weights by chance."""
    torch.manual_seed(0)
    net = test_formats_blocks.zalando()[0]
    out = io.BytesIO()
    torch.save(net.state_dict(), out)
    return out.getvalue()


def alone():
    """The bytes of a decoder without its encoder."""
    torch.manual_seed(0)
    row = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.ReLU(), torch.nn.Linear(32, 784))
    out = io.BytesIO()
    torch.save(row.state_dict(), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("made", "reason", "closed"),
    [
        (quantised, "code book", ("play", "manifold", "map", "morph", "attributes", "inpaint")),
        (alone, "decoder alone", ("morph", "attributes", "inpaint", "gaps")),
    ],
    ids=["code book", "decoder alone"],
)
def test_pages_that_a_model_has_nothing_for_say_why(desk, made, reason, closed):
    toy(desk / "shipped", SPECS["grey"])
    at = page("model")
    drop(at, made())
    at.button(key="model/take/best").click().run(timeout=120)
    assert not at.exception
    assert not at.error
    assert bench(at).opened.card.family == "foreign"
    for one in PAGES:
        at.switch_page(f"tools/{one.name}.py").run(timeout=120)
        assert not at.exception, one.name
        said = " ".join(info.value for info in at.info)
        assert (reason in said) == (one.name in closed or one.name == "gaps"), one.name
