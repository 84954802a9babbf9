"""The faces: where they are from, where their eyes are, and what is known of them."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.align import LEFT, RIGHT, aligned, lanczos
from explorer.attributes import ATTRIBUTES, described
from explorer.errors import DataError
from train.data.faces import PICTURES, TABLE, build, crops, faces

GIVEN = Path(os.environ.get("LATENT_DATA", "nowhere")) / PICTURES
needs_faces = pytest.mark.skipif(not GIVEN.is_file(), reason="needs $LATENT_DATA/faces")


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without data: an empty cache, nothing given."""
    monkeypatch.delenv("LATENT_DATA", raising=False)
    monkeypatch.setenv("LATENT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@needs_faces
def test_faces_keep_fairfaces_own_split():
    data = faces(64)
    assert (len(data.train.x), len(data.held.x)) == (10_671, 1_329)
    with zipfile.ZipFile(GIVEN) as zipped:
        names = zipped.namelist()
        for split, chosen in (
            (data.train, [n for n in names if n.startswith("train/")]),
            (data.held, [n for n in names if n.startswith("val/")]),
        ):
            for i in (0, 700, -1):
                image = Image.open(io.BytesIO(zipped.read(chosen[i]))).convert("RGB")
                small = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS))
                assert np.array_equal(split.x[i].numpy(), small.transpose(2, 0, 1))


@needs_faces
def test_attributes_point_where_their_names_say():
    data = faces(64)
    known = data.train.attributes
    assert list(known) == [a.name for a in ATTRIBUTES]

    def agree(a, b):
        both = a.isfinite() & b.isfinite()
        return torch.corrcoef(torch.stack([a[both], b[both]]))[0, 1]

    # measured here once more, roughly, from the pixels of the middle of the face
    luma = data.train.x[:, :, 16:56, 14:50].float().mean(1)
    light = (luma[..., 18:].mean((1, 2)) - luma[..., :18].mean((1, 2))) / luma.mean((1, 2))
    mouth = data.train.x[:, :, 44:48, 26:38].float().mean((1, 2, 3)) - luma.mean((1, 2))
    assert agree(luma.mean((1, 2)), known["brightness"]) > 0.9
    assert agree(light, known["light_right"]) > 0.9
    assert agree(mouth, known["smile"]) > 0.3  # teeth
    # and from what is told of the set
    assert agree(known["smile"], known["mouth_open"]) == pytest.approx(0.63, abs=0.02)
    assert agree(known["gender"], known["beard"]) > 0.4
    assert data.held.attributes["gender"].sum() == 632  # men
    assert (data.held.attributes["age"] == 25).sum() == 525
    glasses = [s.attributes["eyeglasses"] for s in (data.train, data.held)]
    assert (torch.cat(glasses) > 0.5).sum() == 2_560
    # the landmarks of eyes behind dark glasses are a guess
    assert 0.03 < known["eyes_open"].isnan().float().mean() < 0.05


@needs_faces
def test_the_crop_table_is_of_the_same_pictures():
    with zipfile.ZipFile(GIVEN) as zipped:
        assert list(crops()) == zipped.namelist()


def test_attributes_have_their_own_names_and_know_what_they_are_apart_from():
    names = [a.name for a in ATTRIBUTES]
    assert len(set(names)) == len(names)
    assert names[0] == "smile"
    assert names[-2:] == ["age", "gender"]
    assert all(set(a.apart_from) <= set(names) - {a.name} for a in ATTRIBUTES)
    assert not any("race" in (a.name, a.column) for a in ATTRIBUTES)


def test_attributes_that_somebody_brought_come_after_ours():
    brought = {"Bangs": np.array([0.0, 1.0, np.nan]), "hue": np.array([3.0, 9.0, 4.0])}
    found = described({**brought, "smile": np.zeros(3)})
    assert [a.name for a in found] == ["smile", "Bangs", "hue"]
    assert found[1].bounds is not None  # yes or no
    assert found[2].bounds is None  # measured


# --- building the faces -----------------------------------------------------------------------


def scene(x, y):
    """``(..., 3)``: something smooth to look at, by coordinates in the aligned face."""
    channels = [
        np.sin(x / a + p) * np.cos(y / b - p) for a, b, p in ((9, 7, 0), (8, 11, 1), (13, 6, 2))
    ]
    return 128 + 100 * np.stack(channels, -1)


def taken(left, right):
    """A 224x224 photograph of the scene with the eyes at ``left`` and ``right``."""
    middle = np.arange(224) + 0.5
    at = LEFT + (middle[None, :] + 1j * middle[:, None] - left) * (RIGHT - LEFT) / (right - left)
    return Image.fromarray(scene(at.real, at.imag).round().astype(np.uint8))


@pytest.mark.parametrize("name", ["train/5.jpg", "train/7.jpg", "train/10.jpg"])
def test_a_face_is_turned_scaled_and_shifted_into_its_place(name):
    eyes = crops()[name]
    middle = np.arange(128) + 0.5
    wanted = scene(middle[None, :], middle[:, None])
    # the middle of the picture, where nothing is mirrored in
    found = np.asarray(aligned(taken(*eyes), *eyes), float)
    assert np.abs(found - wanted)[24:104, 24:104].max() < 3
    assert np.abs(found - wanted)[24:104, 24:104].mean() < 0.7


def test_eyes_land_on_the_pixels_that_were_promised():
    left, right = 61.3 + 90.2j, 139.8 + 71.6j
    middle = np.arange(224) + 0.5
    at = middle[None, :] + 1j * middle[:, None]
    spots = sum(np.exp(-(np.abs(at - eye) ** 2) / 18) for eye in (left, right))
    photo = Image.fromarray((np.stack([spots] * 3, -1) * 255).astype(np.uint8))
    face = np.asarray(aligned(photo, left, right), float)[..., 0]

    index = np.arange(128)
    for half, x in ((slice(0, 64), 40.3), (slice(64, 128), 87.1)):
        weights = face[:, half]
        assert (weights.sum(0) * index[half]).sum() / weights.sum() == pytest.approx(x, abs=0.1)
        assert (weights.sum(1) * index).sum() / weights.sum() == pytest.approx(37.9, abs=0.1)


def test_beyond_the_border_the_picture_is_mirrored_without_its_edge():
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    rows, columns = np.mgrid[0:20, 0:9].astype(float)
    assert np.allclose(lanczos(pixels, -columns, rows), pixels[:, :9], atol=1e-2)
    assert np.allclose(lanczos(pixels, 19 + columns, rows), pixels[:, 19:10:-1], atol=1e-2)


@pytest.fixture
def published(tmp_path):
    """A small public archive as a folder, and where the eyes in it are."""
    known = crops()
    held = [name for name in known if name.startswith("val/")]
    eyes = {name: known[name] for name in ("train/5.jpg", "train/7.jpg", *held[:2])}
    folder = tmp_path / "fairface"
    for name, pair in eyes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        taken(*pair).save(folder / name, quality=95, subsampling=0)
    (folder / "train/1000000.jpg").write_bytes(b"another picture, which nobody asked for")
    (folder / "fairface_label_train.csv").write_text(
        "file,age,gender,race,service_test\ntrain/5.jpg,40-49,Male,Indian,True\n"
    )
    return folder, eyes


def test_the_faces_are_built_from_the_public_archive(published, bare):
    folder, eyes = published
    build(folder, eyes)
    data = faces(128)
    assert (len(data.train.x), len(data.held.x)) == (2, 2)
    for x, name in zip(data.train.x, eyes, strict=False):
        wanted = np.asarray(aligned(taken(*eyes[name]), *eyes[name]), float).transpose(2, 0, 1)
        assert np.abs(x.numpy() - wanted).mean() < 4  # JPEG's loss
    assert data.train.attributes["age"][0] == 45
    assert data.train.attributes["gender"].isnan().tolist() == [False, True]
    assert "race" not in (bare / TABLE).read_text()


def test_a_zip_with_a_folder_of_its_own_is_built_alike(published, bare, tmp_path):
    folder, eyes = published
    first = build(folder, eyes).read_bytes()
    with zipfile.ZipFile(tmp_path / "published.zip", "w") as zipped:
        for name in eyes:
            zipped.write(folder / name, f"margin025/{name}")
    again = zipfile.ZipFile(build(tmp_path / "published.zip", eyes))
    before = zipfile.ZipFile(io.BytesIO(first))
    assert [again.read(n) for n in eyes] == [before.read(n) for n in eyes]


def test_a_wrong_archive_is_refused_in_words(published, bare, tmp_path):
    folder, eyes = published
    with pytest.raises(DataError, match=r"lacks 11,9\d\d of the 12,000 pictures"):
        build(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="lacks 4 of the 4"):
        build(tmp_path / "empty", eyes)
    Image.new("RGB", (448, 448)).save(folder / "train/7.jpg")
    with pytest.raises(DataError, match=r"448 x 448 .* padding 0\.25"):
        build(folder, eyes)
    assert not (bare / PICTURES).exists()
