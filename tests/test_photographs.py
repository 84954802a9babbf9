"""Faces in larger pictures: found, their eyes placed, and cut out as the model's own data are."""

import os

import numpy as np
import pytest
from PIL import Image

from explorer import align, images
from explorer.align import LEFT, RIGHT, framed
from explorer.atlas import load as load_atlas
from explorer.cards import ATLAS, read_card
from explorer.decoder import Exported
from explorer.faces import Eyes, found
from explorer.spec import DataSpec
from explorer.ui.framing import Own, _middle, prepared
from tests.conftest import ROOT
from train.data import DATASETS

FACES = DataSpec("faces", 3, 64, 64)
LEAVES = DataSpec("leaves", 3, 48, 32)


def put(face, into, scale, degrees, middle):
    """``into`` with the aligned ``face: (128, 128, 3)`` in it, and the places of its eyes."""
    turn = scale * np.exp(1j * np.radians(degrees))
    rows, columns = np.mgrid[: into.shape[0], : into.shape[1]] + 0.5
    at = (columns + 1j * rows - middle) / turn + 64 + 64j
    inside = (at.real >= 0) & (at.real < 128) & (at.imag >= 0) & (at.imag < 128)
    drawn = align.lanczos(face, at.real.clip(0, 128) - 0.5, at.imag.clip(0, 128) - 0.5)
    out = np.where(inside[..., None], drawn.round().clip(0, 255), into).astype(np.uint8)
    return out, Eyes(*(middle + turn * (eye - 64 - 64j) for eye in (LEFT, RIGHT)))


def ground(seed, height=360, width=480):
    """Soft blots of colour, as a background out of focus has them."""
    blots = np.random.default_rng(seed).integers(60, 200, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC))


def off(eyes, truth):
    """The mean error of both eyes, in distances between them."""
    return (abs(eyes.left - truth.left) + abs(eyes.right - truth.right)) / 2 / truth.apart


@pytest.fixture(scope="module")
def people():
    """Held-out photographs, aligned."""
    if not os.environ.get("LATENT_DATA"):
        pytest.skip("needs real faces: LATENT_DATA names no folder that holds faces/")
    return DATASETS["faces"](size=128).held.x[::60].numpy().transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def nobody():
    """A face that the shipped model draws, ``(128, 128, 3)``."""
    folder = ROOT / "pretrained" / "faces-small"
    known = load_atlas(folder, read_card(folder).files[ATLAS])
    drawn = Exported(folder / "decoder.onnx")(known.mean[None])[0]
    return np.asarray(Image.fromarray(drawn).resize((128, 128), Image.Resampling.BICUBIC))


def test_eyes_are_found_to_three_hundredths_of_their_distance(people):
    chance, errors = np.random.default_rng(0), []
    for k, face in enumerate(people):
        scale, degrees = chance.uniform(0.7, 2.0), chance.uniform(-15, 15)
        middle = complex(chance.uniform(200, 280), chance.uniform(150, 210))
        scene, truth = put(face, ground(k), scale, degrees, middle)
        errors += [off(eyes, truth) for eyes in found(Image.fromarray(scene))[:1]]
    assert len(errors) >= 0.85 * len(people)
    assert np.median(errors) <= 0.03


@pytest.mark.parametrize("degrees", [-30, 0, 30])
@pytest.mark.parametrize("scale", [0.8, 3.0])
def test_a_face_is_found_however_large_and_turned(nobody, scale, degrees):
    side = round(260 * max(1, scale))
    scene, truth = put(nobody, ground(1, side, side), scale, degrees, side / 2 * (1 + 1j))
    for kind in ("RGB", "L"):
        assert off(found(Image.fromarray(scene).convert(kind))[0], truth) < 0.08


def test_of_two_faces_the_larger_comes_first(nobody):
    scene, near = put(nobody, ground(2), 1.6, 0, 150 + 180j)
    scene, far = put(nobody, scene, 0.8, 0, 380 + 180j)
    eyes = found(Image.fromarray(scene))
    assert len(eyes) == 2
    assert off(eyes[0], near) < 0.08
    assert off(eyes[1], far) < 0.08


def test_where_there_is_no_face_none_is_found():
    assert found(Image.fromarray(ground(3))) == []
    assert found(Image.new("RGB", (5, 3))) == []
    assert found(Image.new("L", (2000, 40), 255)) == []


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_a_face_is_cut_out_as_it_went_in(nobody, scale):
    size = round(200 * max(1, scale))
    scene, eyes = put(nobody, ground(4, size, size), scale, 12, size / 2 * (1 + 1j))
    again = np.asarray(framed(Image.fromarray(scene), (eyes.left, eyes.right), FACES), float)
    wanted = np.asarray(Image.fromarray(nobody).resize((64, 64), Image.Resampling.LANCZOS), float)
    inside = np.s_[3:-3, 3:-3]
    assert np.abs(again - wanted)[inside].mean() < (6 if scale < 1 else 2)


@pytest.mark.parametrize("data", [FACES, LEAVES, DataSpec("moths", 1, 32, 32)], ids=str)
@pytest.mark.parametrize("size", [(300, 200), (90, 400)])
def test_the_middle_is_what_is_taken_without_a_frame(data, size):
    image = Image.fromarray(ground(5, size[1], size[0]))
    by_itself = images.prepare(image, data)
    by_points = images.prepare(image, data, points=_middle(image, data))
    assert by_points.shape == by_itself.shape == (1, *data.shape)
    assert np.abs(by_points - by_itself).mean() < 0.01


def test_a_photograph_is_prepared_by_its_eyes_and_others_as_they_are(nobody):
    scene, eyes = put(nobody, ground(6), 1.2, 10, 330 + 150j)
    own = Own("me.png", Image.fromarray(scene))
    exact = images.prepare(own.image, FACES, points=(eyes.left, eyes.right))
    assert np.abs(prepared(own, FACES) - exact).mean() < 0.05
    assert np.abs(images.prepare(own.image, FACES) - exact).mean() > 0.1
    assert (prepared(own, LEAVES) == images.prepare(own.image, LEAVES)).all()
    own.points["leaves"] = (100 + 100j, 200 + 120j)
    assert not (prepared(own, LEAVES) == images.prepare(own.image, LEAVES)).all()
