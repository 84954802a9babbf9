"""A bundle opens whole or not at all, and what keeps it shut is told with its remedy."""

import dataclasses
import io
import json
import shutil
import stat
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import some_atlas

from explorer import atlas, bundle, cards
from explorer.cards import ATLAS, CARD, WEIGHTS, Card, Metric
from explorer.errors import BundleError
from explorer.protocol import DataSpec
from explorer.shelf import Shelf

SPEC = DataSpec("toy", 1, 8, 8, ("a", "b"))
CONFIG = {"latent": 3, "hidden": 16}


@pytest.fixture
def folder(tmp_path):
    """A sound bundle."""
    torch.manual_seed(0)
    card = Card(
        "toy", "vae", CONFIG, SPEC, metrics=(Metric("elbo", -9.5, "nats", "test", 10, 0.1),)
    )
    bundle.save(tmp_path / "toy", bundle.build(card).state_dict(), card)
    return tmp_path / "toy"


def test_new_weights_let_go_of_what_was_made_from_the_old(folder):
    card = cards.read_card(folder)
    made = (cards.ATLAS, cards.DECODER, cards.MASKED, cards.QUADRANTS)
    for name in made:
        (folder / name).write_bytes(b"of the old ones")
    written = bundle.save(folder, bundle.load(folder)[0].state_dict(), card)
    assert set(written.files) == {WEIGHTS}
    assert not any((folder / name).exists() for name in made)


def test_labels_that_the_card_has_no_name_for_are_told(folder):
    known = some_atlas(9, 3)
    labels = np.full(len(known.latents), len(SPEC.classes))
    atlas.save(folder, dataclasses.replace(known, labels=labels))
    cards.write_card(folder, cards.read_card(folder))
    with pytest.raises(BundleError, match="does not name"):
        Shelf().open(folder)


def test_a_shelf_forgets_where_models_lay_that_are_not_open(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("explorer.shelf.MOST_PLACES", 3)
    places = [shutil.copytree(folder, tmp_path / f"copy-{k}") for k in range(5)]
    shelf = Shelf(size=2)
    keys = [shelf.open(place).key for place in places]
    assert [shelf[key].key for key in keys[-3:]] == keys[-3:]
    with pytest.raises(BundleError, match="No model is open"):
        shelf[keys[0]]


def change_card(folder, **fields):
    raw = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(raw | fields))


def change_weights(folder, change):
    """New weights under an honest hash."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    cards.write_card(folder, cards.read_card(folder))


def cut(folder):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def lie_about_size(folder):
    (folder / WEIGHTS).write_bytes((10**12).to_bytes(8, "little") + b"{}")
    cards.write_card(folder, cards.read_card(folder))


DAMAGES = {
    "no card": (lambda f: (f / CARD).unlink(), "no card.json"),
    "card is not JSON": (lambda f: (f / CARD).write_text('{"name": '), "damaged"),
    "card is a list": (lambda f: (f / CARD).write_text("[1]"), "damaged"),
    "card without data": (lambda f: change_card(f, data={}), "does not say"),
    "card of absurd size": (lambda f: (f / CARD).write_text(" " * (2 << 20)), "too large"),
    "a future format": (lambda f: change_card(f, format=99), "Update"),
    "an unknown family": (lambda f: change_card(f, family="gan"), "knows vae"),
    "a config of other fields": (lambda f: change_card(f, config={"depth": 3}), "does not fit"),
    "a config of a terabyte": (
        lambda f: change_card(f, config={"latent": 3, "hidden": 10**9}),
        "can be 16 to 2048",
    ),
    "a config of words": (lambda f: change_card(f, config={"latent": "3"}), "a number"),
    "a choice that is none": (lambda f: change_card(f, config={"net": "rnn"}), "mlp, conv"),
    "pictures of a terabyte": (
        lambda f: change_card(
            f, data=dict(name="x", channels=3, height=10**6, width=4, classes=[])
        ),
        "does not say",
    ),
    "a config of 400 digits": (
        lambda f: change_card(f, config={"latent": 3, "hidden": 10**400}),
        "can be 16 to 2048",
    ),
    "a config that is no table": (lambda f: change_card(f, config=[1]), "a table"),
    "a title that is no text": (lambda f: change_card(f, title=[1]), "text"),
    "a number too long to be read": (
        lambda f: (f / CARD).write_text(f'{{"format": {"1" * 5000}}}'),
        "damaged",
    ),
    "a metric of words": (
        lambda f: change_card(
            f, metrics=[dict(name="elbo", value="x", unit="nats", protocol="", n=1)]
        ),
        "a number",
    ),
    "an error of words": (
        lambda f: change_card(
            f, metrics=[dict(name="elbo", value=1, unit="nats", protocol="", n=1, error="x")]
        ),
        "a number",
    ),
    "a folder for a card": (
        lambda f: ((f / CARD).unlink(), (f / CARD).mkdir()),
        "cannot be read",
    ),
    "a model of 50 GB": (
        lambda f: change_card(
            f,
            data=dict(name="x", channels=3, height=1024, width=1024, classes=[]),
            config={"hidden": 2048},
        ),
        "too many",
    ),
    "convolutions over odd pictures": (
        lambda f: change_card(
            f,
            data=dict(name="x", channels=1, height=5, width=5, classes=[]),
            config={"net": "conv"},
        ),
        "mlp",
    ),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "missing"),
    "truncated weights": (cut, "hash"),
    "exchanged weights": (lambda f: (f / WEIGHTS).write_bytes(b"x" * 99), "hash"),
    "weights whose header lies": (lie_about_size, "cannot be read"),
    "NaN in the weights": (
        lambda f: change_weights(f, lambda t: t["encoder.1.0.bias"].fill_(float("nan"))),
        "NaN",
    ),
    "a tensor too few": (
        lambda f: change_weights(f, lambda t: t.pop("encoder.1.0.bias")),
        "not fit",
    ),
    "a tensor of another shape": (
        lambda f: change_weights(f, lambda t: t.update({"encoder.1.0.bias": torch.zeros(2)})),
        "not fit",
    ),
}


def test_what_is_saved_is_what_is_loaded(folder):
    model, card = bundle.load(folder)
    torch.manual_seed(0)
    twin = bundle.build(card)
    for name, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name])
    assert card.metrics[0].value == -9.5
    assert card.data == SPEC
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_in_a_sentence(folder, name):
    damage, word = DAMAGES[name]
    damage(folder)
    with pytest.raises(BundleError, match=word) as told:
        bundle.load(folder)
    assert len(str(told.value)) < 400
    assert str(told.value).endswith((".", ")"))


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_open_stays_open(folder, tmp_path, name):
    shelf = Shelf()
    held = shelf.open(folder)
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    DAMAGES[name][0](broken)
    with pytest.raises(BundleError):
        shelf.open(broken)
    assert shelf[held.key] is held


def test_half_precision_is_stored_and_full_is_opened(folder):
    model, card = bundle.load(folder)
    half = folder.with_name("half")
    bundle.save(half, model.state_dict(), card, half=True)
    assert (half / WEIGHTS).stat().st_size < 0.6 * (folder / WEIGHTS).stat().st_size
    for name, value in bundle.load(half)[0].state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, model.state_dict()[name], atol=1e-3, rtol=1e-3)


def test_a_catalogue_lists_what_it_cannot_open_with_the_reason(folder):
    change_card(folder, format=99)
    found = cards.catalogue(folder.parent)
    assert isinstance(found["toy"], BundleError)


def zipped(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries:
            file.writestr(name, content)
    buffer.seek(0)
    return buffer


def test_a_zip_of_a_bundle_opens(folder, tmp_path):
    entries = [(f"some/where/{p.name}", p.read_bytes()) for p in folder.iterdir()]
    unpacked = bundle.unpack(zipped(*entries), tmp_path)
    assert bundle.load(unpacked)[1].name == "toy"


def test_nothing_escapes_from_a_zip(folder, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    link = zipfile.ZipInfo(f"m/{ATLAS}")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    evil = zipped(
        (f"m/{CARD}", (folder / CARD).read_bytes()),
        (f"m/../{WEIGHTS}", b"x"),
        ("../../escaped.txt", b"x"),
        ("/tmp/escaped-absolute.txt", b"x"),
        ("m/run.py", b"x"),
        (link, "/etc/passwd"),
    )
    unpacked = bundle.unpack(evil, inside)
    assert {p.name for p in unpacked.iterdir()} <= {CARD, ATLAS}
    assert not any(p.is_symlink() for p in unpacked.iterdir())
    assert {p.name for p in tmp_path.iterdir()} == {"toy", "inside"}


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "not a zip"), (b"PK\x03\x04 no", "not a zip"), (b"\x00" * 5000, "not a zip")],
)
def test_what_is_no_zip_is_told(tmp_path, content, word):
    with pytest.raises(BundleError, match=word):
        bundle.unpack(io.BytesIO(content), tmp_path)


def test_a_zip_that_is_damaged_inside_is_told(folder, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(CARD, (folder / CARD).read_bytes())
    raw = bytearray(buffer.getvalue())
    for k in range(45, 70):
        raw[k] ^= 0xFF
    with pytest.raises(BundleError, match="not a zip that can be read"):
        bundle.unpack(io.BytesIO(bytes(raw)), tmp_path)


def test_a_zip_without_a_card_or_with_two_is_told(folder, tmp_path):
    card = (folder / CARD).read_bytes()
    for entries in ([("a.txt", b"x")], [(f"a/{CARD}", card), (f"b/{CARD}", card)]):
        with pytest.raises(BundleError, match=r"card\.json"):
            bundle.unpack(zipped(*entries), tmp_path)


def test_a_zip_bomb_stops_at_the_limit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST_FILE", 1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(CARD, (folder / CARD).read_bytes())
        file.writestr(WEIGHTS, b"\0" * (64 << 20))
    with pytest.raises(BundleError, match="more than"):
        bundle.unpack(buffer, tmp_path)


def test_an_atlas_that_does_not_fit_is_told(folder):
    known = some_atlas(20, 3)
    for wrong in (
        dict(kl=np.ones(19)),
        dict(axes=np.eye(2)),
        dict(mixture=atlas.Mixture(np.ones(1), np.zeros((2, 3)), np.zeros((1, 3, 3)))),
    ):
        atlas.save(folder, dataclasses.replace(known, **wrong))
        card = cards.write_card(folder, cards.read_card(folder))
        with pytest.raises(BundleError, match="atlas"):
            atlas.load(folder, card.files[ATLAS])


def test_a_model_from_elsewhere_has_a_key_that_cannot_be_guessed(folder):
    first, second = Shelf().open(folder), Shelf().open(folder)
    assert first.key != second.key
    assert len(first.key) > len("toy") + 12
