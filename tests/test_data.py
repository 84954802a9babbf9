"""Data sets are what they are said to be, wherever they come from; held out stays held out."""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.errors import DataError
from train.data import (
    DATASETS,
    SPECS,
    Split,
    digits,
    load,
    places,
    portraits,
    spec,
)
from train.data.sprites import FINE, RADII, STEP, drawn

ROOT = Path(__file__).parents[1]
GIVEN = Path(os.environ.get("LATENT_DATA", "nowhere"))
needs = {
    name: pytest.mark.skipif(not (GIVEN / name).is_dir(), reason=f"needs $LATENT_DATA/{name}")
    for name in ("mnist", "fashion-mnist", "faces", "frey-face", "olivetti")
}


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without data: an empty cache, nothing given."""
    monkeypatch.delenv("LATENT_DATA", raising=False)
    monkeypatch.setenv("LATENT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- every data set ---------------------------------------------------------------------------

AT_HAND = [
    "digits-8x8",
    "sprites",
    pytest.param("mnist-fixed", marks=needs["mnist"]),
    *(pytest.param(name, marks=mark) for name, mark in needs.items()),
]


@pytest.mark.parametrize("name", AT_HAND)
def test_a_data_set_is_as_its_spec_says_and_tells_where_it_is_from(name):
    data = load(name, {})
    assert data.spec == spec(name, {})
    assert data.spec.name == name
    assert data.licence
    assert data.credit
    assert not data.skipped
    for split in (data.train, data.held):
        assert split.x.dtype == torch.uint8
        assert split.x.shape[1:] == data.spec.shape
        assert split.y is None or (len(split.y) == len(split.x) and split.y.dtype == torch.int64)
        assert all(v.shape == (len(split.x),) for v in split.attributes.values())
        assert split.x[:200].min() < 60
        assert split.x[:200].max() > 190


@pytest.mark.parametrize("name", AT_HAND)
def test_no_picture_is_in_both_parts(name):
    data = load(name, {})
    parts = [{p.numpy().tobytes() for p in split.x} for split in (data.train, data.held)]
    # the publishers' own few: two garments are in both parts of Fashion-MNIST
    assert len(parts[0] & parts[1]) <= {"fashion-mnist": 10}.get(name, 0)


def test_every_data_set_has_a_spec():
    assert list(DATASETS) == list(SPECS)


def test_a_wrong_name_or_setting_is_told_with_what_there_is():
    with pytest.raises(DataError, match=r"no data set 'cats'.*digits-8x8, mnist"):
        load("cats", {})
    with pytest.raises(DataError, match=r"'colour'.*takes size"):
        load("faces", {"colour": 1})
    with pytest.raises(DataError, match="64 or 128"):
        load("faces", {"size": 65})


def test_the_mean_picture_of_many_is_theirs():
    x = torch.randint(0, 256, (9000, 3, 4, 5), dtype=torch.uint8)
    assert torch.allclose(Split(x).mean_picture(), x.double().mean(0).float() / 255, atol=1e-6)


# --- digits and garments ----------------------------------------------------------------------


def test_the_small_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    known, data = load_digits(), load("digits-8x8", {})
    ours = torch.cat([data.train.x, data.held.x]).flatten(1).float() * (16 / 255)
    labels = torch.cat([data.train.y, data.held.y])

    def rows(x, y):
        return sorted(map(tuple, np.column_stack([x, y]).astype(int).tolist()))

    assert rows(ours.round(), labels) == rows(known.data, known.target)


def test_the_small_digits_are_read_without_importing_scikit_learn():
    code = (
        "import sys; from train.data import load; load('digits-8x8', {}); "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('sklearn', 'scipy')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@needs["mnist"]
def test_fixed_digits_are_white_as_often_as_the_grey_ones_are_grey_and_always_the_same():
    grey, fixed, again = (load(name, {}) for name in ("mnist", "mnist-fixed", "mnist-fixed"))
    for part in ("train", "held"):
        before, x = getattr(grey, part).x, getattr(fixed, part).x
        assert set(x.unique().tolist()) == {0, 255}
        assert torch.equal(x, getattr(again, part).x)
        assert torch.equal(getattr(fixed, part).y, getattr(grey, part).y)
        for level in (0, 64, 128, 200, 255):
            there = before == level
            share, n = (x[there] == 255).float().mean().item(), int(there.sum())
            chance = level / 255
            assert abs(share - chance) <= 5 * (chance * (1 - chance) / n) ** 0.5


@needs["mnist"]
def test_mnist_has_the_known_number_of_each_digit():
    data = load("mnist", {})
    known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.train.y.bincount().tolist() == known
    assert data.held.y.bincount().tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    assert data.train.x.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)


@needs["fashion-mnist"]
def test_fashion_mnist_has_the_same_number_of_every_garment():
    data = load("fashion-mnist", {})
    assert data.train.y.bincount().tolist() == [6000] * 10
    assert data.held.y.bincount().tolist() == [1000] * 10
    assert data.train.x.float().mean().item() / 255 == pytest.approx(0.2860, abs=5e-5)


@needs["mnist"]
@needs["fashion-mnist"]
def test_the_hashes_that_downloads_are_held_to_are_those_of_the_public_files():
    for folder, hashes in {"mnist": digits.MNIST, "fashion-mnist": digits.FASHION}.items():
        for name, known in hashes.items():
            assert hashlib.sha256((GIVEN / folder / name).read_bytes()).hexdigest() == known


def idx(values):
    header = b"\0\0\x08" + bytes([values.ndim]) + np.array(values.shape, ">i4").tobytes()
    return gzip.compress(header + values.astype(np.uint8).tobytes())


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def publisher(bare, tmp_path, monkeypatch):
    """Serves four small files on this machine in place of MNIST's publisher."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    folder, rng, hashes = tmp_path / "served", np.random.default_rng(0), {}
    folder.mkdir()
    for name in digits.MNIST:
        shape = (7, 28, 28) if "images" in name else (7,)
        (folder / name).write_bytes(idx(rng.integers(0, 10, shape)))
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(Quiet, "asked", [])
    monkeypatch.setattr(digits, "MNIST_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(digits, "MNIST", hashes)
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_not_at_hand_is_downloaded_once(publisher):
    first, again = load("mnist", {}), load("mnist", {})
    assert len(Quiet.asked) == 4
    assert len(first.train.x) == len(first.held.y) == 7
    assert torch.equal(first.train.x, again.train.x)


def test_what_was_tampered_with_is_not_taken(publisher, bare):
    name = "train-images-idx3-ubyte.gz"
    (publisher / name).write_bytes(idx(np.zeros((7, 28, 28))))
    with pytest.raises(DataError, match=r"could not be downloaded \(.*hash"):
        load("mnist", {})
    assert not (bare / "mnist" / name).exists()


def test_without_a_net_the_remedy_is_told(bare, monkeypatch):
    monkeypatch.setattr(digits, "MNIST_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"Connect to the internet .* LATENT_DATA"):
        load("mnist", {})


@pytest.mark.parametrize("damage", [lambda b: b[:500], lambda b: b"", lambda b: gzip.compress(b)])
def test_a_damaged_file_is_named(bare, monkeypatch, tmp_path, damage):
    monkeypatch.setenv("LATENT_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    whole = idx(np.random.default_rng(0).integers(0, 255, (7, 28, 28)))
    for name in digits.MNIST:
        (tmp_path / "mnist" / name).write_bytes(damage(whole))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz .*replace"):
        load("mnist", {})


# --- portraits --------------------------------------------------------------------------------


@needs["olivetti"]
def test_nobody_is_in_both_parts():
    data = load("olivetti", {})
    assert not set(data.train.y.tolist()) & set(data.held.y.tolist())
    assert data.held.y.bincount().max() == 10


def test_whole_groups_are_held_out_and_always_the_same():
    group = torch.arange(400) // 10
    held = portraits.held_out(group)
    assert held.sum() == 40
    assert all(held[group == g].unique().numel() == 1 for g in range(40))
    assert torch.equal(held, portraits.held_out(group))


@pytest.mark.parametrize("name", ["frey-face", "olivetti", "faces"])
def test_what_may_not_be_fetched_says_where_to_put_it(bare, name):
    with pytest.raises(DataError, match="Set LATENT_DATA to a folder that holds"):
        load(name, {})


# --- made once --------------------------------------------------------------------------------


def test_a_folder_that_many_want_is_made_once(tmp_path):
    made = []

    def make(into):
        made.append(into)
        time.sleep(0.05)
        (into / "pixels").write_text("all")

    seen = []

    def want():
        seen.append((places.once(tmp_path / "set", make) / "pixels").read_text())

    threads = [threading.Thread(target=want) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(made) == 1
    assert seen == ["all"] * 4


def test_what_a_killed_maker_left_does_not_count(tmp_path):
    def fail(into):
        (into / "pixels").write_text("half")
        raise DataError("no")

    with pytest.raises(DataError):
        places.once(tmp_path / "set", fail)
    (tmp_path / "set.part").mkdir()  # and a maker that could not even tidy up
    (tmp_path / "set.part" / "old").touch()
    made = places.once(tmp_path / "set", lambda into: (into / "pixels").touch())
    assert [p.name for p in made.iterdir()] == ["pixels"]


# --- sprites -------------------------------------------------------------------------------------


def test_every_combination_of_factors_is_drawn_once():
    data = load("sprites", {})
    splits = data.train, data.held
    rows = torch.cat([torch.stack([s.y.float(), *s.attributes.values()], 1) for s in splits])
    assert len(rows) == len(rows.unique(dim=0)) == 3 * 4 * 12 * 12 * 12
    assert [len(column.unique()) for column in rows.T] == [3, 4, 12, 12, 12]


def test_a_sprite_is_where_and_as_large_as_its_factors_say():
    x, y, factors = drawn()
    ink = x[:, 0].float() / 255
    at = torch.arange(32.0)
    mass = ink.sum((1, 2))
    assert mass.min() > 10
    assert ink[:, 0].max() == ink[:, -1].max() == ink[:, :, 0].max() == ink[:, :, -1].max() == 0
    even = y < 2  # a heart's middle is not its centre of mass
    for name, axis in (("across", 1), ("down", 2)):
        centre = (ink.sum(axis) * at).sum(1) / mass
        place = 15.5 + (factors[name] - 5.5) * STEP / FINE
        assert (centre - place)[even].abs().max() < 0.05
    for shape, area in ((0, 1.4**2), (1, torch.pi * 0.55)):
        radius = torch.as_tensor(RADII)[factors["size"].long()]
        assert torch.allclose(mass[y == shape], (area * radius**2)[y == shape].float(), rtol=0.05)
