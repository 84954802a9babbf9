"""The exported decoder draws what PyTorch draws, from the same weights, without torch."""

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from explorer import bundle, cards, decoder, shelf
from explorer.cards import CARD, DECODER, ENCODER, WEIGHTS, Card
from explorer.distributions import centre
from explorer.errors import BundleError
from explorer.protocol import DataSpec
from explorer.runs import ROOT
from train import export

CLASSES = ("a", "b", "c")
KINDS = {
    "grey": ("vae", DataSpec("toy", 1, 8, 8), dict(latent=4, hidden=16), True),
    "colour": ("vae", DataSpec("toy", 3, 16, 8), dict(latent=5, net="conv", width=8), False),
    "by class": ("cvae", DataSpec("toy", 1, 8, 8, CLASSES), dict(latent=4, hidden=16), True),
    "levels": ("ladder", DataSpec("toy", 1, 8, 8), dict(top=3, bottom=4, hidden=16), True),
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    """A bundle of an untrained model whose latents matter, with its decoder."""
    family, data, config, half = KINDS[request.param]
    likelihood = "bernoulli" if data.channels == 1 else "laplace"
    card = Card("toy", family, {**config, "likelihood": likelihood}, data)
    torch.manual_seed(0)
    state = {name: 2 * value for name, value in bundle.build(card).state_dict().items()}
    place = tmp_path_factory.mktemp(request.param) / "toy"
    bundle.save(place, state, card, half)
    export.export(place)
    return place


def test_it_draws_as_pytorch_does_for_any_number_of_latents(folder):
    model, card = bundle.load(folder)
    exported, ours = decoder.Exported(folder / DECODER), decoder.InTorch(model)
    for n in (1, 2, decoder.CHUNK + 3):
        z = np.random.default_rng(n).standard_normal((n, model.latent_size), np.float32)
        one, other = exported(z), ours(z)
        assert one.shape == other.shape == (n, *card.data.shape[1:], card.data.channels)
        assert one.dtype == other.dtype == np.uint8
        assert one.std() > 10
        assert np.abs(one.astype(int) - other).max() <= export.TOLERANCE


def test_a_class_is_heard_by_both_where_the_model_hears_it(folder):
    model, card = bundle.load(folder)
    z = np.zeros((2, model.latent_size), np.float32)
    for draw in (decoder.Exported(folder / DECODER), decoder.InTorch(model)):
        assert draw.conditional == (card.family == "cvae")
        drawn = [draw(z, y) for y in (None, *range(len(card.data.classes)))]
        assert all((a != b).any() for a, b in itertools.combinations(drawn, 2))


def test_the_encoder_sees_what_pytorch_sees_in_any_number_of_pictures(folder):
    model, card = bundle.load(folder)
    session = onnxruntime.InferenceSession(folder / ENCODER)
    names = [output.name for output in session.get_outputs()]
    assert names == (["z"] if card.family == "ladder" else ["z", "scale"])
    for n in (1, 5):
        x = torch.rand(n, *card.data.shape, generator=torch.Generator().manual_seed(n))
        y = torch.arange(n) % 3 if model.conditional else None
        given = {"x": x.numpy()} | ({} if y is None else {"y": y.numpy()})
        with torch.no_grad():
            q = model.encode(x, y)
        found: Any = session.run(None, given)
        z, *scale = found
        assert z.std() > 0.1
        np.testing.assert_allclose(z, centre(q), rtol=1e-3, atol=1e-4)
        for each in scale:
            np.testing.assert_allclose(each, q.stddev, rtol=1e-3, atol=1e-4)


def test_an_encoder_that_says_other_things_is_told_and_left_out(folder, monkeypatch, capsys):
    monkeypatch.setattr(export, "apart", lambda model, path: 0.5)
    card = export.export(folder)
    assert ENCODER not in card.files
    assert not (folder / ENCODER).exists()
    assert "left out" in capsys.readouterr().out
    monkeypatch.undo()
    assert ENCODER in export.export(folder).files


def test_both_know_the_levels(folder):
    model, card = bundle.load(folder)
    names = ("whole", "detail") if card.family == "ladder" else ()
    assert decoder.Exported(folder / DECODER).levels == decoder.InTorch(model).levels == names


def test_it_holds_no_weights_and_no_paths_of_this_machine(folder):
    raw = (folder / DECODER).read_bytes()
    assert len(raw) < 0.5 * (folder / WEIGHTS).stat().st_size or len(raw) < 20_000
    assert str(ROOT).encode() not in raw
    assert sys.prefix.encode() not in raw


def test_the_card_knows_it_and_a_changed_one_is_not_opened(folder, tmp_path, monkeypatch):
    assert cards.read_card(folder).files[DECODER] == cards.sha256(folder / DECODER)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (CARD, WEIGHTS, DECODER):
        (copy / name).write_bytes((folder / name).read_bytes())
    (copy / DECODER).write_bytes((copy / DECODER).read_bytes() + b"\0")
    with pytest.raises(BundleError, match="hash"):
        shelf.SHELF.open(copy)
    (copy / DECODER).unlink()  # as a zip leaves it behind
    assert isinstance(shelf.SHELF.open(copy).decoder, decoder.InTorch)


def test_a_file_that_is_no_decoder_is_told_with_the_remedy(tmp_path):
    (tmp_path / DECODER).write_bytes(b"not an ONNX file")
    with pytest.raises(BundleError, match="python -m train export"):
        decoder.Exported(tmp_path / DECODER)


def test_one_that_draws_something_else_is_not_kept(folder, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (CARD, WEIGHTS):
        (copy / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(export, "distance", lambda model, path: 2)
    with pytest.raises(BundleError, match="other pictures"):
        export.export(copy)
    assert {p.name for p in copy.iterdir()} == {CARD, WEIGHTS}


def test_a_shipped_model_is_opened_and_drawn_without_torch():
    script = (
        "import sys, numpy as np; from explorer.shelf import PRETRAINED, SHELF;"
        "o = SHELF.open(PRETRAINED / 'digits');"
        "assert o.decoder(o.atlas.draws(0, 3)).shape == (3, 28, 28, 1);"
        "assert o.atlas.typicality(o.atlas.latents[:2]).shape == (2,);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
