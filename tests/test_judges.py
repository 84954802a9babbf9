"""The networks that judge faces, and what they are asked; at a tiny size, on made-up faces."""

import itertools

import numpy as np
import pytest
import torch

from explorer import bundle
from explorer.attributes import ATTRIBUTES
from explorer.cards import Card
from explorer.protocol import DataSpec
from tests.toys import some_atlas
from train import appearance, flips, judges
from train.atlas import centres
from train.data import Dataset, Split
from train.directions import directions
from train.disguise import _shifted, _with_a_hole, augmented
from train.judges import Judging, blurred, in_chunks, judge, resized

SPEC = DataSpec("faces", 3, 32, 32)


def alike(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def made_up(n, seed):
    """Discs on grey: how bright they are is smile, where they lie is turn, the rest is chance."""
    chance = torch.Generator().manual_seed(seed)
    smile, yaw = torch.rand(2, n, generator=chance) * 2 - 1
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    away = (rows - 16) ** 2 + (columns - 16 - 6 * yaw[:, None, None]) ** 2
    noise = 0.02 * torch.randn(n, 32, 32, generator=chance)
    x = 0.5 + 0.3 * smile[:, None, None] * (away < 60) + noise
    values = {a.name: torch.rand(n, generator=chance) for a in ATTRIBUTES}
    values |= dict(smile=smile, yaw=yaw, gender=values["gender"].round())
    pixels = (x.clamp(0, 1) * 255).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    return Split(pixels.contiguous(), None, values)


@pytest.fixture(scope="module")
def data():
    return Dataset(SPEC, made_up(1024, 0), made_up(300, 1), licence="", credit="")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Judges of little pictures, made in seconds, in a cache of their own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LATENT_CACHE", str(tmp_path_factory.mktemp("cache")))
    made = {
        "features": Judging(epochs=6, width=8, seed=1, size=32),
        "witness": Judging(epochs=12, width=16, seed=2, every=2, size=32),
        "likeness": Judging(epochs=4, width=8, seed=3, size=32, out=16),
    }
    patch.setattr(judges, "JUDGES", made)
    patch.setattr(appearance, "SIZE", 32)
    yield made
    patch.undo()


def test_a_judge_reads_what_it_was_taught_off_pictures_it_never_saw(small, data):
    for name in ("features", "witness"):
        read = in_chunks(judge(name, data.train), data.held.x.float() / 255)
        for told in ("smile", "yaw"):
            found = read[:, judges.READ.index(told)]
            both = torch.stack([found, data.held.attributes[told]])
            assert torch.corrcoef(both)[0, 1] > 0.8


def test_a_judge_notices_blur(small, data):
    look, x = judge("features", data.train), data.held.x.float() / 255
    assert in_chunks(look, blurred(x))[:, -1].mean() > in_chunks(look, x)[:, -1].mean() + 0.3


def test_the_likeness_of_one_picture_outlasts_a_disguise(small, data):
    look, x = judge("likeness", data.train), data.held.x[:64].float() / 255
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(in_chunks(look, x))
    disguised = torch.nn.functional.normalize(in_chunks(look, (1.1 * x).clamp(0, 1)))
    near = disguised @ z.T
    assert near.diagonal().mean() > near.mean() + 0.15


def test_a_judge_is_made_once_and_the_same_on_every_machine(small, data, monkeypatch, tmp_path):
    first = judge("features", data.train)
    monkeypatch.setattr(judges, "_train", lambda *_: pytest.fail("it was made already"))
    again = judge("features", data.train)
    assert alike(first, again)
    monkeypatch.undo()
    monkeypatch.setattr(judges, "JUDGES", small)
    monkeypatch.setenv("LATENT_CACHE", str(tmp_path))
    elsewhere = judge("features", data.train)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), elsewhere.parameters(), strict=True)
    )


@pytest.mark.parametrize("size", [16, 32, 64])
def test_pictures_are_brought_to_one_size(size):
    x = torch.rand(2, 3, 32, 32)
    seen = resized(x, size)
    assert seen.shape == (2, 3, size, size)
    assert torch.allclose(seen.mean((2, 3)), x.mean((2, 3)), atol=0.03)
    assert 0 <= seen.min() <= seen.max() <= 1


@pytest.mark.parametrize("shape", [(6, 3, 16, 16), (6, 1, 28, 20)])
def test_augmenting_keeps_shape_and_lets_every_gradient_through(shape):
    torch.manual_seed(0)
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    seen = augmented(x)
    assert seen.shape == x.shape
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(
        lambda x: (torch.manual_seed(1), augmented(x))[1][:, :, ::5, ::5], x, fast_mode=True
    )


def test_what_is_shifted_is_the_picture_itself():
    torch.manual_seed(0)
    x = torch.rand(40, 1, 16, 16) + 1
    ways = list(itertools.product(range(-2, 3), repeat=2))
    found = set()
    for before, after in zip(x[:, 0], _shifted(x)[:, 0], strict=True):
        for dy, dx in ways:
            moved = torch.zeros(20, 20)
            moved[2:18, 2:18] = before
            if torch.equal(moved[2 + dy : 18 + dy, 2 + dx : 18 + dx], after):
                found.add((dy, dx))
                break
        else:
            pytest.fail("not a shift")
    assert len(found) > 10


def test_a_hole_takes_at_most_a_quarter():
    torch.manual_seed(0)
    share = (_with_a_hole(torch.ones(200, 1, 16, 16)) == 0.5).float().mean((1, 2, 3))
    assert share.max() == 0.25
    assert share.min() < 0.15


# -- what they are asked


@pytest.fixture(scope="module")
def model(data):
    torch.manual_seed(0)
    settings = dict(latent=6, net="conv", width=8, likelihood="learned_gaussian")
    model = bundle.build(Card("toy", "vae", settings, SPEC))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        x = data.train.x[torch.randint(1024, (64,))].float() / 255
        q = model.encode(x)
        loss = (
            -model.decode(q.rsample()).log_prob(x).mean()
            + torch.distributions.kl_divergence(q, model.prior()).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def known(model, data):
    z, held = centres(model, data.train).numpy(), centres(model, data.held).numpy()
    there, truth = (
        {n: v.numpy() for n, v in s.attributes.items()} for s in (data.train, data.held)
    )
    return some_atlas(
        len(held), 6, latents=held, attributes=truth, directions=directions(z, there, held, truth)
    )


def test_the_table_says_who_was_compared_with_whom(small, data, model, known):
    found = {m.name: m for m in appearance.appearance(model, known, data, data)}
    for where in ("training", "prior", "mixture"):
        for what in ("frechet", "kernel", "precision", "recall", "sharpness"):
            metric = found[f"{what}/{where}"]
            assert np.isfinite(metric.value)
            assert metric.n == 300
            assert metric.protocol
    # no model is nearer to what is held out than other pictures of the same kind are
    assert found["frechet/training"].value < found["frechet/prior"].value
    told = found["kernel/training"]
    assert told.error is not None
    assert told.value < 3 * told.error
    assert found["sharpness/training"].value == pytest.approx(1, abs=0.1)
    assert 0 < found["ssim"].value < 1


def test_a_direction_that_works_flips_what_it_says_and_chance_does_not(small, data, model, known):
    found = {m.name: m for m in flips.flips(model, known, data)}
    assert found["flip/smile/2"].value > 0.8
    assert found["flip/smile/1"].value > found["flip/smile/0.5"].value
    assert found["flip_random/smile/2"].value < 0.4
    assert found["likeness_random/smile/2"].value == pytest.approx(1, abs=0.05)
    assert found["flip/smile/0"].value < found["flip/smile/1"].value
    assert found["likeness/smile/0.5"].value > found["likeness/smile/2"].value
    assert all(m.error is not None and m.n > 0 for m in found.values())
    assert found["witness/smile"].value > 0.9
    assert found["witness_redrawn/smile"].value > 0.8


def test_the_share_that_is_flipped_is_what_one_counts(small, data, model, known):
    """By brute force: every face that lacks it, redrawn one by one."""
    found = {m.name: m for m in flips.flips(model, known, data)}
    witness, column = judge("witness", data.train), judges.READ.index("smile")
    smile = data.held.attributes["smile"]
    lacks = (smile <= smile.quantile(0.3)).nonzero().flatten()
    bar = flips._thresholds(witness, data.train, known)["smile"]
    changed = 0
    for k in lacks:
        z = torch.from_numpy(known.latents[k] + known.directions["smile"].move)
        with torch.no_grad():
            changed += float(witness(model.decode(z[None]).mean)[0, column]) > bar
    assert found["flip/smile/1"].n == len(lacks)
    assert found["flip/smile/1"].value == pytest.approx(changed / len(lacks), abs=0.011)


def test_side_effects_are_least_off_the_diagonal(small, data, model, known):
    names, table = flips.side_effects(model, known, data)
    row = table[names.index("smile")]
    assert row[names.index("smile")] > 3 * abs(row[names.index("yaw")])
