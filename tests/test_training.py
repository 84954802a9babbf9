"""The loop and the batches, against what is known of them."""

import itertools
import json

import pytest
import torch
from safetensors import safe_open
from torch.distributions import Bernoulli
from torch.utils._python_dispatch import TorchDispatchMode

from explorer import bundle, cards
from explorer.errors import ExplorerError
from explorer.runs import Run
from train import batches, evaluate, loop, promote
from train.config import TrainConfig, recipe, recipes
from train.data import DATASETS, Dataset, Split
from train.log import SHOWN, portrait
from train.objectives import OBJECTIVES
from train.trainer import prepare

SHORT = dict(
    name="short",
    dataset="digits-8x8",
    model=dict(latent=4, hidden=32),
    binarise="dynamic",
    epochs=2,  # 30 steps
    batch=100,
    log_every=10,
    evaluate_every=10,
    checkpoint_every=30,
    threads=1,
    seed=1,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Runs live in a folder of their own; training here leaves this process as it was."""
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path)
    monkeypatch.setattr(loop, "_yield_to_others", lambda config: torch.set_num_threads(1))
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def config(**changes):
    return TrainConfig.from_dict(SHORT | changes, "test")


def trained(**changes):
    run = Run.create("short", config(**changes).as_dict())
    assert loop.train(run, quiet=True) == "done"
    return run


def weights(run):
    return (run.checkpoint() / cards.WEIGHTS).read_bytes()


# -- the loop


def test_one_seed_ends_with_one_model_and_another_with_another():
    first, again, other = trained(), trained(), trained(seed=2)
    assert weights(first) == weights(again)
    assert first.records() == again.records()
    assert weights(first) != weights(other)


def test_a_model_learns_more_than_the_mean_picture():
    run = trained(epochs=30, lr=2e-3, model=dict(latent=8, hidden=128))
    held = [r["held/elbo"] for r in run.records() if "held/elbo" in r]
    assert held[-1] > held[0]

    data = DATASETS["digits-8x8"]()
    mean = (data.train.x.float() / 255).mean(0).clamp(0.001, 0.999)
    x, _ = evaluate.seen(data.held, config(), slice(0, evaluate.LOOK), torch.device("cpu"))
    known = Bernoulli(mean).log_prob(x).flatten(1).sum(1).mean().item()
    assert held[-1] > known + 2


def test_a_record_is_the_mean_since_the_last_one():
    each = [r for r in trained(log_every=1).records() if "elbo" in r]
    tens = [r for r in trained(log_every=10).records() if "elbo" in r]
    assert [r["step"] for r in each] == list(range(1, 31))
    assert [r["step"] for r in tens] == [1, 10, 20, 30]
    for name in ("elbo", "rate", "distortion"):
        mean = sum(r[name] for r in each[10:20]) / 10
        assert tens[2][name] == pytest.approx(mean, rel=1e-5)


def test_every_record_is_strict_json():
    lines = (trained().folder / "metrics.jsonl").read_text().splitlines()
    for line in lines:
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize(("name", "end"), [("cosine", 0.01), ("constant", 1.0)])
def test_the_learning_rate_goes_from_what_was_asked_to_its_end(name, end):
    trainer = prepare(config(schedule=name, lr=0.01))
    rates = []
    for step in range(trainer.total + 1):
        trainer.step = step
        rates.append(loop._schedule(trainer))
        assert {o.lr for o in trainer.optimizers} == {rates[-1]}
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.01 * end)
    assert all(b <= a for a, b in itertools.pairwise(rates))


def test_the_average_follows_by_the_decay_that_was_asked_once_it_is_old():
    trainer = prepare(config(ema=0.75))
    first = next(trainer.average.parameters()).clone()
    weight = next(trainer.model.parameters())
    weight.data += 1

    trainer.step = 10**6
    loop.follow(trainer)
    assert torch.allclose(
        next(trainer.average.parameters()) - first, torch.tensor(0.25), atol=1e-6
    )
    trainer.step = 0  # a young one follows fast
    loop.follow(trainer)
    assert torch.allclose(
        next(trainer.average.parameters()) - first, torch.tensor(1 - 0.1 * 0.75), atol=1e-6
    )


def test_without_an_average_the_model_is_what_is_kept():
    trainer = prepare(config(ema=0.0))
    assert trainer.average is trainer.model


def test_clipping_bounds_the_step():
    trainer = prepare(config(clip=1e-3))
    x, y = batches.batch(trainer.data.train, trainer.config, 0, trainer.device)
    loop.update(trainer, x, y)
    norms = [p.grad.norm() for p in trainer.phases[0].module.parameters()]
    assert torch.stack(norms).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_a_held_rate_is_reached():
    run = trained(
        epochs=60, terms=dict(beta=1.0, hold_rate=6.0), model=dict(latent=4, hidden=64), lr=5e-3
    )
    rate = [r["rate"] for r in run.records() if "rate" in r]
    assert rate[-1] == pytest.approx(6.0, abs=1.0)


# -- batches


@pytest.mark.parametrize("pictures", [100, 103, 128])
def test_every_pass_sees_every_picture_once_in_an_order_of_its_own(pictures):
    settings = config(batch=10)
    each = batches.per_epoch(pictures, 10)
    assert each == pictures // 10
    passes = [
        torch.cat([batches.indices(pictures, settings, e * each + k) for k in range(each)])
        for e in range(3)
    ]
    for order in passes:
        assert len(order) == 10 * each
        assert len(order.unique()) == 10 * each
        assert 0 <= order.min()
        assert order.max() < pictures
    assert not torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[1], passes[2])


def test_the_order_depends_on_seed_and_step_alone():
    first = batches.indices(1000, config(), 7)
    torch.manual_seed(5)
    assert torch.equal(batches.indices(1000, config(), 7), first)
    assert not torch.equal(batches.indices(1000, config(seed=2), 7), first)


def test_a_set_smaller_than_a_batch_is_one_batch():
    assert batches.per_epoch(30, 100) == 1
    assert sorted(batches.indices(30, config(), 5).tolist()) == list(range(30))


def test_dynamic_binarisation_draws_black_and_white_with_the_greys_chances():
    split, settings = DATASETS["digits-8x8"]().train, config(batch=1500)
    torch.manual_seed(0)
    draws = [batches.batch(split, settings, 0, torch.device("cpu"))[0] for _ in range(40)]
    assert set(draws[0].unique().tolist()) == {0.0, 1.0}
    grey = split.x[batches.indices(1500, settings, 0)].float() / 255
    drawn = torch.stack(draws).mean(0)
    assert (drawn - grey).mean().abs() < 0.002
    assert (drawn - grey).abs().max() < 0.5


class Waits(TorchDispatchMode):
    """Raises where a GPU's step would wait for the processor, or the processor for the GPU."""

    NEVER = ("_local_scalar_dense", "lift_fresh", "is_nonzero", "nonzero", "masked_select")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function._opname not in self.NEVER, function
        return function(*args, **(kwargs or {}))


OTHERS = {
    "vade": dict(family="vade", terms=dict(pretrain=10)),
    "vaegan": dict(binarise="none", terms=dict(hold_rate=5.0, width=8, after=1)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_step_waits_for_a_value(monkeypatch, name):
    same = dict(objective=name, clip=1.0, ema=0.9, augment="flip")
    trainer = prepare(config(**same, **OTHERS.get(name, {})))

    def told(self, *_):
        raise AssertionError("a value was read")

    with Waits():
        with pytest.raises(AssertionError):  # it would be seen
            float(torch.zeros(3).sum())
        with pytest.raises(AssertionError):
            torch.zeros(3).new_tensor(1.0)
        with monkeypatch.context() as patch:
            for reads in ("cpu", "numpy", "tolist"):
                patch.setattr(torch.Tensor, reads, told)
            for _ in range(4):
                loop.advance(trainer)
    assert trainer.step == 4


def test_pictures_that_lie_on_a_device_do_not_leave_it():
    far = torch.device("meta")  # from which nothing can be brought back
    split = Split(torch.zeros(50, 1, 8, 8, dtype=torch.uint8, device=far))
    x, _ = batches.batch(split, config(batch=10, augment="photo"), 0, far)
    assert x.device.type == "meta"
    assert x.shape == (10, 1, 8, 8)


@pytest.mark.parametrize("photo", [False, True])
@pytest.mark.parametrize("shape", [(64, 1, 8, 8), (64, 3, 16, 20)])
def test_augmented_pictures_keep_their_shape_and_range(photo, shape):
    torch.manual_seed(0)
    x = torch.rand(shape)
    seen = batches.augmented(x, photo=photo)
    assert seen.shape == x.shape
    assert 0 <= seen.min()
    assert seen.max() <= 1
    assert not torch.equal(seen, x)


def test_mirroring_shows_each_picture_or_its_mirror_image():
    torch.manual_seed(0)
    x = torch.rand(400, 1, 8, 8)
    seen = batches.augmented(x, photo=False)
    same = (seen == x).flatten(1).all(1)
    mirrored = (seen == x.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 140 < mirrored.sum() < 260


def test_a_posterior_that_does_not_factorise_has_a_bound_and_no_shares(linear):
    held = Split(torch.randint(0, 256, (20, 1, 3, 3), dtype=torch.uint8))
    model = linear().float()
    seen = evaluate.quick(model, held, config())
    assert seen["held/elbo"] == pytest.approx(-seen["held/distortion"] - seen["held/rate"])
    assert "held/coordinates" not in seen


def test_the_information_is_told_in_its_three_parts():
    held = DATASETS["digits-8x8"]().held
    torch.manual_seed(0)
    card = cards.Card("toy", "vae", dict(latent=4, hidden=16), DATASETS["digits-8x8"]().spec)
    seen = evaluate.quick(bundle.build(card), held, config())
    parts = sum(seen[name] for name in evaluate.PARTS)
    # the rate is exact, over more pictures; the parts are of one draw each
    assert parts == pytest.approx(seen["held/rate"], abs=0.3)


def test_the_held_out_view_is_the_same_every_time():
    held = DATASETS["digits-8x8"]().held
    first, _ = evaluate.seen(held, config(), slice(0, 50), torch.device("cpu"))
    torch.manual_seed(123)
    again, _ = evaluate.seen(held, config(), slice(0, 50), torch.device("cpu"))
    assert torch.equal(first, again)
    assert set(first.unique().tolist()) == {0.0, 1.0}


# -- recipes and what is promoted


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_reads_and_goes_there_and_back(name):
    settings = recipe(name)
    assert TrainConfig.from_dict(json.loads(json.dumps(settings.as_dict())), name) == settings
    assert settings.dataset in DATASETS
    assert settings.objective in OBJECTIVES


def stored(folder):
    with safe_open(folder / cards.WEIGHTS, "pt") as file:
        return {file.get_tensor(key).dtype for key in file.keys()}


@pytest.mark.parametrize(
    ("half", "tolerance", "kept"),
    [
        (True, 0.05, torch.float16),
        (True, -1.0, torch.float32),  # nothing is good enough
        (False, 0.05, torch.float32),
    ],
)
def test_half_precision_is_kept_where_the_bound_minds_less_than_the_tolerance(
    monkeypatch, home, half, tolerance, kept
):
    run = trained(half=half)
    monkeypatch.setattr(promote, "TOLERANCE", tolerance)
    monkeypatch.setattr(promote, "SHARE", 0.0)
    card = promote.promote(run, home / "shipped")
    assert stored(home / "shipped") == {kept}
    assert card.name == "shipped"
    assert card.provenance["recipe"] == "short"
    if half:
        assert ("half" == card.provenance["precision"]) == (kept == torch.float16)

    model, _ = bundle.load(home / "shipped")
    before, _ = bundle.load(run.checkpoint())
    moved = promote._bounds(model, config()) - promote._bounds(before, config())
    assert abs(moved.mean().item()) <= 0.05


# -- what it looks like


@pytest.mark.parametrize("held", [1, 3, 300])
def test_a_portrait_has_four_full_rows_and_moves_only_with_the_model(held):
    trainer = prepare(config())
    data = trainer.data
    part = Split(data.held.x[:held], data.held.y[:held])
    few = Dataset(data.spec, data.train, part, licence="", credit="")
    first = portrait(trainer.model, few)
    assert first.shape == (4 * SHOWN, 1, 8, 8)
    expected = few.held.x[torch.arange(SHOWN) % held].float() / 255
    assert torch.equal(first[2 * SHOWN : 3 * SHOWN], expected)
    torch.manual_seed(9)
    assert torch.equal(portrait(trainer.model, few), first)
    next(trainer.model.parameters()).data += 0.1
    assert not torch.equal(portrait(trainer.model, few), first)


@pytest.mark.parametrize("wrong", [dict(terms={"bta": 4}), dict(terms={"beta": "4"})])
def test_terms_that_the_objective_does_not_take_are_told(wrong):
    with pytest.raises(ExplorerError, match=r"bta|beta"):
        prepare(config(**wrong))


@pytest.mark.parametrize("wrong", [dict(name=5), dict(terms=4), dict(half="yes"), dict(model=[])])
def test_settings_of_another_kind_are_told(wrong):
    with pytest.raises(ExplorerError, match=next(iter(wrong))):
        TrainConfig.from_dict(wrong, "recipe")
