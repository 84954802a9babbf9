"""One's own pictures: what is taken, what is refused and why, and which are held out."""

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from explorer import images
from explorer.errors import DataError
from train.data import load
from train.data.folder import held_out


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache of the test's own."""
    monkeypatch.setenv("LATENT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def painted(seed, size=12):
    """A picture like no other, ``(size, size, 3)``."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def album(tmp_path):
    """Thirty pictures of 12x12: 00.png ... 29.png, the second half in a folder of their own."""
    folder = tmp_path / "album"
    (folder / "later").mkdir(parents=True)
    for i in range(30):
        place = folder / "later" if i >= 15 else folder
        (place / f"{i:02}.png").write_bytes(png(painted(i)))
    return folder


def read(path, **settings):
    return load("folder", {"path": str(path), "size": 12, **settings})


def everything(data):
    """``(N, C, H, W)``: trained on and held out."""
    return torch.cat([data.train.x, data.held.x])


def pixels(x):
    return {picture.numpy().tobytes() for picture in x}


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, file.relative_to(folder))
    return path


# --- pictures ---------------------------------------------------------------------------------


def test_a_picture_of_the_right_size_comes_through_bit_for_bit(album):
    data = read(album)
    assert data.spec.shape == (3, 12, 12)
    assert pixels(everything(data)) == {painted(i).transpose(2, 0, 1).tobytes() for i in range(30)}
    assert data.licence
    assert data.credit


def test_a_zip_is_as_good_as_its_folder(album, tmp_path):
    one, two = read(album), read(zipped(album, tmp_path / "album.zip"))
    assert torch.equal(one.train.x, two.train.x)
    assert torch.equal(one.held.x, two.held.x)


def test_of_larger_pictures_the_middle_is_taken(tmp_path):
    (tmp_path / "wide").mkdir()
    for i in range(4):
        wide = np.zeros((40, 80, 3), np.uint8)
        wide[:, 20:60] = 40 * i + 10
        (tmp_path / f"wide/{i}.png").write_bytes(png(wide))
    found = sorted(int(p.float().median()) for p in everything(read(tmp_path / "wide")))
    assert found == [10, 50, 90, 130]


def test_grey_is_one_channel(album):
    grey, colour = read(album, grey=True), read(album)
    assert grey.spec.shape == (1, 12, 12)
    assert len(everything(grey)) == len(everything(colour)) == 30


def test_pixels_stay_in_the_file_until_they_are_used(album, cache):
    data = read(album)
    maps = (
        {Path(m.path) for m in psutil.Process().memory_maps()} if sys.platform != "darwin" else ()
    )
    files = set(cache.rglob("train.u8"))
    assert len(files) == 1
    assert sys.platform == "darwin" or files <= maps
    pick = torch.tensor([3, 1, 3])
    assert torch.equal(data.train.x[pick], torch.stack([data.train.x[i] for i in pick]))


def test_pictures_are_decoded_once(album, monkeypatch):
    first = read(album)
    with monkeypatch.context() as patch:
        patch.setattr(images, "read", lambda _: pytest.fail("decoded again"))
        again = read(album)
    assert torch.equal(first.train.x, again.train.x)

    (album / "00.png").write_bytes(png(painted(1000)))
    assert painted(1000).transpose(2, 0, 1).tobytes() in pixels(everything(read(album)))


def test_pictures_brought_into_a_run_are_decoded_inside_it(album, tmp_path, cache):
    run = tmp_path / "run"
    run.mkdir()
    (run / "status.json").touch()
    album.rename(run / "data")
    read(run / "data")
    assert list(run.rglob("train.u8"))
    assert not list(cache.rglob("train.u8"))


def test_a_damaged_cache_says_what_to_delete(album, cache):
    data = read(album)
    del data
    (made,) = cache.rglob("held.u8")
    made.write_bytes(b"short")
    with pytest.raises(DataError, match=r"is damaged\. Delete that folder"):
        read(album)


# --- what is refused --------------------------------------------------------------------------


def test_what_cannot_be_used_is_skipped_counted_and_explained(album):
    whole = png(painted(0))
    for name, raw in {
        "empty.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "notes.txt": b"not a picture",
        "strip.png": png(np.zeros((2, 200, 3), np.uint8)),
        ".DS_Store": b"left by a system",
    }.items():
        (album / name).write_bytes(raw)
    data = read(album)
    assert len(everything(data)) == 30
    reasons = dict(line.split(": ", 1) for line in data.skipped)
    assert sorted(reasons) == ["cut.png", "empty.png", "notes.txt", "strip.png"]
    assert "0 bytes" in reasons["empty.png"]
    assert "damaged" in reasons["cut.png"]
    assert "strip of 200 x 2" in reasons["strip.png"]


def test_links_are_not_followed(album, tmp_path):
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "secret.png").write_bytes(png(painted(99)))
    try:
        os.symlink(secret / "secret.png", album / "link.png")
        os.symlink(secret, album / "linked", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make links")
    data = read(album)
    assert len(everything(data)) == 30
    assert {line.split(": ")[0] for line in data.skipped} == {"link.png", "linked"}


def test_a_zip_leads_nowhere_and_explodes_nowhere(album, tmp_path):
    path = zipped(album, tmp_path / "album.zip")
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out:
        out.writestr("../../escape.png", png(painted(98)))
        out.writestr("/etc/escape.png", png(painted(97)))
        out.writestr(link, "/etc/passwd")
        out.writestr("bomb.png", b"\0" * (images.MAX_BYTES + 10_000_000))
        out.writestr("__MACOSX/._00.png", b"left by a system")
    data = read(path)
    assert len(everything(data)) == 30
    reasons = dict(line.split(": ", 1) for line in data.skipped)
    assert sorted(reasons) == ["../../escape.png", "/etc/escape.png", "bomb.png", "link.png"]
    assert "out of the zip" in reasons["../../escape.png"]
    assert "at most 16 MB" in reasons["bomb.png"]
    assert not list(tmp_path.rglob("escape.png"))


def test_a_damaged_file_in_a_zip_is_skipped(album, tmp_path):
    path = zipped(album, tmp_path / "album.zip")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"\x89PNG") + 60] ^= 255
    path.write_bytes(raw)
    data = read(path)
    assert len(everything(data)) == 29
    assert "damaged in the zip" in data.skipped[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no folder and no zip"),
        ({}, "no pictures in it"),
        ({"a.txt": b"x", "b.png": b""}, "None of the 2 files is a picture"),
        (b"no zip", "not a zip that can be read"),
    ],
)
def test_nothing_to_train_on_is_told(tmp_path, content, says):
    path = tmp_path / "brought"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
        for name, raw in content.items():
            (path / name).write_bytes(raw)
    with pytest.raises(DataError, match=says):
        read(path)


def test_a_size_is_checked_before_a_picture_is_read(album):
    with pytest.raises(DataError, match="8 to 256"):
        read(album, size=4000)


# --- what is held out -------------------------------------------------------------------------


def test_about_a_tenth_is_held_out():
    digests = [f"{value:064x}" for value in np.random.default_rng(0).integers(0, 2**62, 4000) << 1]
    mixed = [digest[::-1] for digest in digests]  # what varies comes first
    assert 0.08 < held_out(mixed).mean() < 0.12


def test_adding_pictures_moves_none(album):
    before = read(album)
    for i in range(100, 130):
        (album / f"a{i}.png").write_bytes(png(painted(i)))
    after = read(album)
    assert pixels(before.train.x) <= pixels(after.train.x)
    assert pixels(before.held.x) <= pixels(after.held.x)
    assert len(everything(after)) == 60


def test_equal_pictures_are_on_one_side(album):
    for i in range(30):
        Image.fromarray(painted(i)).save(album / f"copy{i}.bmp")  # other bytes, the same picture
    data = read(album)
    assert len(everything(data)) == 60
    assert not pixels(data.train.x) & pixels(data.held.x)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_a_handful_one_is_held_out(tmp_path, count):
    for start in range(0, 20, 5):
        folder = tmp_path / f"few{start}"
        folder.mkdir()
        for i in range(count):
            (folder / f"{i}.png").write_bytes(png(painted(start + i)))
        data = read(folder)
        assert len(data.held.x) >= 1
        assert len(everything(data)) == count


# --- what is known of them --------------------------------------------------------------------


def names_by_pixels():
    return {painted(i).transpose(2, 0, 1).tobytes(): i for i in range(30)}


def each(data, values):
    """The number of every picture and its value, from both parts."""
    known = names_by_pixels()
    for split in (data.train, data.held):
        for x, value in zip(split.x, values(split), strict=True):
            yield known[x.numpy().tobytes()], float(value)


def test_labels_are_classes_and_numbers(album):
    rows = [
        f"{i:02}.png,{'cat' if i % 3 else 'a dog'},{i / 2 if i != 7 else ''}" for i in range(30)
    ]
    (album / "labels.csv").write_text("﻿File name,label,age\n" + "\n".join(rows), encoding="utf-8")
    data = read(album)
    assert data.spec.classes == ("a dog", "cat")
    assert list(data.train.attributes) == ["age"]
    assert all(y == (1 if i % 3 else 0) for i, y in each(data, lambda s: s.y))
    for i, age in each(data, lambda s: s.attributes["age"]):
        assert age == i / 2 or (i == 7 and np.isnan(age))


def test_files_may_be_named_with_their_folder(album):
    rows = [f"later\\{i}.png,{i}" for i in range(15, 30)]
    (album / "labels.csv").write_text("file,number\n" + "\n".join(rows))
    for i, number in each(read(album), lambda s: s.attributes["number"]):
        assert number == i or (i < 15 and np.isnan(number))


def test_celebas_own_file_is_understood(album, tmp_path):
    rows = [f"{i:02}.png  {'1' if i % 2 else '-1'} -1" for i in range(30)]
    table = "30\nSmiling Wearing_Hat \n" + "\n".join(rows)
    (album / "list_attr_celeba.txt").write_text(table)
    data = read(zipped(album, tmp_path / "celeba.zip"))
    assert data.train.y is None
    assert all(v == i % 2 for i, v in each(data, lambda s: s.attributes["Smiling"]))
    assert all(v == 0 for _, v in each(data, lambda s: s.attributes["Wearing_Hat"]))


def test_labels_may_be_mended_without_decoding_again(album, monkeypatch):
    read(album)
    (album / "labels.csv").write_text("file,tone\n00.png,1\n")
    monkeypatch.setattr(images, "read", lambda _: pytest.fail("decoded again"))
    assert "tone" in read(album).held.attributes


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,label\n00.png,cat\n", r"no label for .*29 of 30 pictures.* Add a row"),
        ("file,hair\n00.png,red\n", r"row 2.*'red'.* Call a column of words label"),
        ("file,age\n00.png,1,2\n", r"row 2, has 3 columns and should have 2"),
        ("file;age\n00.png;1\n", "does not name its columns"),
        ("file,age\nother.png,1\n", "names none of the files"),
        ("", "does not name its columns"),
        (b"file,age\n\xff\xfe,1\n", "not in UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_told_with_the_row(album, table, says):
    (album / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(DataError, match=says):
        read(album)
