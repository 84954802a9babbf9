"""The adversarial objective: who learns from the critic, how much, and what is shipped of it."""

import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from explorer import bundle, cards
from explorer.cards import Card
from explorer.errors import RunError
from explorer.nets import _Double, conv_decoder
from explorer.protocol import DataSpec
from tests.running import alike, home, made, stops_after, weights  # noqa: F401
from train import grow, loop
from train.config import TrainConfig, recipe
from train.data import Split, spec
from train.objectives import ELBO, VAEGAN
from train.objectives.critic import Critic
from train.objectives.vaegan import KEEN, LARGEST, LAZY, _doubt, _likeness
from train.trainer import prepare

SHAPE = (3, 16, 16)
DATA = Split(torch.zeros(32, *SHAPE, dtype=torch.uint8))
PAST = 1000  # a step at which the critic is there
CONV = dict(latent=4, net="conv", width=8, likelihood="learned_gaussian")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return bundle.build(Card("toy", "vae", CONV, DataSpec("toy", *SHAPE))).double()


@pytest.fixture
def x():
    return torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def critic():
    torch.manual_seed(2)
    return Critic(SHAPE, 8).double()


def learned(objective, model, x, step=PAST, knows=1.0):
    """The terms of the model's phase beside a critic that knows so much, the gradients it leaves,
    and both phases."""
    torch.manual_seed(4)
    phases = objective.phases(model, DATA)
    for phase in phases[1:]:
        phase.module.knows.fill_(knows)
    torch.manual_seed(3)
    terms = phases[0].loss(x, None, step)
    model.zero_grad()
    terms["loss"].backward()
    return terms, {n: p.grad.clone() for n, p in model.named_parameters()}, phases


# -- who learns from whom


def test_the_adversary_teaches_the_decoder_and_never_the_encoder(model, x):
    with_it, without = (learned(VAEGAN(adversary=a), model, x)[1] for a in (0.5, 0.0))
    same = {n: torch.allclose(with_it[n], without[n], rtol=1e-9) for n in with_it}
    assert all(same[n] for n in same if not n.startswith("decoder"))
    assert not any(same[n] for n in same if n.startswith("decoder") and n.endswith("weight"))


def test_the_likeness_teaches_both(model, x):
    with_it, without = (learned(VAEGAN(similarity=s, adversary=0), model, x)[1] for s in (1, 0))
    for part in ("encoder", "decoder"):
        names = [n for n in with_it if n.startswith(part) and n.endswith("weight")]
        assert not any(torch.allclose(with_it[n], without[n], rtol=1e-6) for n in names)


def test_without_critic_and_likeness_it_is_the_bound_with_a_held_rate(model, x):
    settings = dict(hold_rate=7.0, beta=3.0)
    bare = learned(VAEGAN(similarity=0, adversary=0, **settings), model, x)
    plain = learned(ELBO(**settings), model, x)
    before = learned(VAEGAN(after=PAST + 1, **settings), model, x)
    for terms, gradients, _ in (bare, before):
        for name in ("distortion", "rate", "elbo", "beta"):
            assert terms[name].item() == pytest.approx(plain[0][name].item())
        assert all(torch.allclose(g, plain[1][n]) for n, g in gradients.items())


def test_the_models_phase_leaves_no_gradient_in_the_critic_nor_the_critics_in_the_model(model, x):
    _, _, (first, second) = learned(VAEGAN(), model, x)
    assert all(p.grad is None for p in second.module.parameters())
    before = {n: p.grad.clone() for n, p in model.named_parameters()}
    second.loss(x, None, PAST)["loss"].backward()
    assert all(torch.equal(p.grad, before[n]) for n, p in model.named_parameters())
    assert {id(p) for p in first.module.parameters()}.isdisjoint(
        id(p) for p in second.module.parameters()
    )


# -- how much


@pytest.mark.parametrize("loud", [1.0, 1e3])
def test_the_adversarys_gradient_is_as_long_as_it_is_told_however_loud_the_critic(critic, x, loud):
    with torch.no_grad():
        critic.verdict.weight *= loud
    pictures = x.clone().requires_grad_()
    _doubt(critic, pictures, torch.tensor(5.0)).backward()
    assert pictures.grad.norm().item() == pytest.approx(5.0)


def test_a_critic_that_hardly_speaks_is_not_made_to_shout(critic, x):
    with torch.no_grad():
        critic.verdict.weight *= 1e-9
    pictures = x.clone().requires_grad_()
    _doubt(critic, pictures, torch.tensor(5.0)).backward()
    (slope,) = torch.autograd.grad(critic(pictures).mean(), pictures)
    assert torch.allclose(pictures.grad, -LARGEST * slope)


def test_a_critic_without_an_opinion_moves_nothing(critic, x):
    with torch.no_grad():
        critic.verdict.weight.zero_()
    pictures = x.clone().requires_grad_()
    _doubt(critic, pictures, torch.tensor(5.0)).backward()
    assert pictures.grad.isfinite().all()
    assert pictures.grad.norm() == 0


def test_the_likeness_is_that_of_a_gaussian_in_every_level_with_its_best_sigma(critic, x):
    again = (x + 0.1 * torch.randn_like(x)).requires_grad_()
    unlike, pull = _likeness(critic, x, again, 1.0)
    errors = [
        (a - b).square().mean().item()
        for a, b in zip(critic.features(x), critic.features(again), strict=True)
    ]
    n = math.prod(SHAPE)
    assert unlike.item() == pytest.approx(n / 2 * np.log(errors).mean())

    # its gradient, by the definition of one, along a direction
    (slope,) = torch.autograd.grad(unlike, again)
    step = 1e-5 * torch.randn_like(x)
    high, low = (_likeness(critic, x, again.detach() + s * step, 1.0)[0] for s in (1, -1))
    assert (slope * 2 * step).sum().item() == pytest.approx((high - low).item(), rel=1e-4)
    pixels = n * (again.detach() - x) / (again.detach() - x).square().sum()
    assert pull.item() == pytest.approx((pixels + slope).norm().item())


def test_the_critic_has_as_much_say_as_it_knows(model, x):
    assert "adversary" not in learned(VAEGAN(after=10), model, x, step=9)[0]
    said = {
        knows: learned(VAEGAN(), model, x, knows=knows)[0]["adversary"].item()
        for knows in (-0.1, 0.0, 0.5, 1.0, 1.5)
    }
    assert said[1.0] != 0
    assert said[0.5] == pytest.approx(said[1.0] / 2)
    assert said[1.5] == pytest.approx(said[1.0])
    assert said[-0.1] == said[0.0] == 0


def test_what_the_critic_knows_is_half_of_what_it_tells_apart(model, x):
    _, _, (_, second) = learned(VAEGAN(), model, x, knows=0.0)
    told = [second.loss(x, None, PAST) for _ in range(400)]
    apart = torch.stack([t["real"] - t["made"] for t in told]).detach() / 2
    knows = torch.stack([t["knows"] for t in told])
    assert knows[0].item() == pytest.approx(KEEN * apart[0].item())
    assert knows[-1].item() == pytest.approx(apart.mean().item(), rel=0.01)
    assert torch.equal(second.module.state_dict()["knows"], second.module.knows)  # it is kept


# -- the critic


def test_the_penalty_is_the_squared_gradient_on_real_pictures_now_and_then(model, x):
    _, _, (_, second) = learned(VAEGAN(r1=3.0), model, x, step=0)
    seen = {step: second.loss(x, None, step) for step in (0, 1, LAZY)}
    assert "r1" in seen[0]
    assert "r1" not in seen[1]
    assert "r1" in seen[LAZY]
    real = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(second.module(real).sum(), real)
    known = slope.square().sum().item() / (16 * len(x))  # a part
    assert seen[0]["r1"].item() == pytest.approx(known)
    extra = seen[0]["loss"] - seen[1]["loss"]
    assert extra.item() == pytest.approx(LAZY * 3.0 / 2 * known)


def test_a_critic_learns_to_tell_light_from_dark(critic):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
    light, dark = (torch.rand(16, *SHAPE).double() / 2 + low for low in (0.5, 0.0))
    for _ in range(40):
        loss = (1 - critic(light)).relu().mean() + (1 + critic(dark)).relu().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (critic(light) > 0).all()
    assert (critic(dark) < 0).all()


def test_every_verdict_is_on_a_part_of_the_picture(critic, x):
    x = x.clone().requires_grad_()
    said = critic(x)
    assert said.shape == (8, 16)
    (slope,) = torch.autograd.grad(said[:, 0].sum(), x)
    assert (slope[..., 0, 0] != 0).all()
    assert (slope[..., -1, :] == 0).all()
    assert (slope[..., :, -1] == 0).all()


def test_pictures_that_cannot_be_halved_are_told():
    with pytest.raises(RunError, match="7 x 7"):
        Critic((1, 7, 7), 8)


# -- the decoder


def test_a_smooth_decoder_draws_no_checkerboard_where_its_features_are_even():
    torch.manual_seed(0)
    for smooth in (False, True):
        layers = list(conv_decoder(4, (3, 32, 32), 8, (), smooth))
        double = max(i for i, layer in enumerate(layers) if isinstance(layer, _Double))
        even = torch.randn(1, layers[double].net[0].in_channels, 1, 1).expand(-1, -1, 8, 8)
        inside = nn.Sequential(*layers[double:])(even)[..., 8:-8, 8:-8]
        assert (inside.std((2, 3)).max().item() < 1e-5) == smooth


# -- in the loop


def small(**terms):
    return dict(objective="vaegan", binarise="none", terms=dict(hold_rate=5.0, width=8, **terms))


def test_the_critic_never_leaves_training(home):  # noqa: F811
    run = made(**small(after=20))
    assert loop.train(run, quiet=True) == "done"
    kept = weights(run)
    assert any(name.startswith("critic/weights/") for name in kept)
    assert any(name.startswith("critic/adam/") for name in kept)
    shown = run.checkpoint() / cards.WEIGHTS
    with safe_open(shown, "pt") as file:
        names = set(file.keys())
    assert names == set(bundle.load(run.checkpoint())[0].state_dict())
    assert not any("critic" in name or "beta" in name for name in names)


@pytest.mark.parametrize("steps", [15, 33], ids=["before the critic", "with it"])
def test_a_run_that_is_stopped_goes_on_with_the_same_bits(home, monkeypatch, steps):  # noqa: F811
    whole = made(**small(after=20))
    loop.train(whole, quiet=True)
    broken = made(**small(after=20))
    with monkeypatch.context() as patch:
        stops_after(patch, steps)
        assert loop.train(broken, quiet=True) == "stopped"
    assert loop.train(broken, quiet=True) == "done"
    assert alike(weights(whole), weights(broken))


def test_terms_that_come_later_are_means_of_the_steps_that_had_them(home):  # noqa: F811
    run = made(**small(after=25), log_every=10)
    loop.train(run, quiet=True)
    records = [r for r in run.records() if "loss" in r]
    assert [r["step"] for r in records if "critic/loss" in r] == [30, 40, 50, 60]
    assert all(0 < r["critic/loss"] < 10 for r in records if "critic/loss" in r)
    assert "critic/r1" in records[3]  # step 25


def test_the_first_steps_leave_the_critic_as_it_was(home):  # noqa: F811
    trainer = prepare(TrainConfig.from_dict({**made(**small(after=3)).config()}, "test"))
    before = [p.clone() for p in trainer.phases[1].module.parameters()]
    x = torch.rand(16, 1, 8, 8)
    for trainer.step in range(4):
        seen = loop.update(trainer, x, None)
        now = list(trainer.phases[1].module.parameters())
        same = all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
        assert same == (trainer.step < 3)
        assert ("critic/loss" in seen) == (trainer.step == 3)


# -- growing


def test_a_grown_model_begins_with_all_that_fits_of_the_smaller_one():
    big = recipe("faces")
    torch.manual_seed(0)
    model = bundle.build(Card("big", "vae", big.model, spec(big.dataset, big.data)))
    grow.grow(model, big.grown_from)
    smaller = grow._made_by(big.grown_from)
    assert torch.equal(model.encoder[-1].weight, smaller.encoder[-1].weight)
    assert torch.equal(model.likelihood.log_scale, smaller.likelihood.log_scale)

    with torch.no_grad():  # all that the decoders do down to 16x16
        z = torch.randn(2, smaller.latent_size)
        assert torch.equal(model.decoder.net[:6](z), smaller.decoder.net[:6](z))


@pytest.mark.parametrize(
    ("settings", "said"), [(CONV | dict(latent=5), "No layer"), (dict(hidden=16), "No layer")]
)
def test_what_cannot_grow_is_told(settings, said):
    model = bundle.build(Card("toy", "vae", settings, DataSpec("toy", 3, 20, 20)))
    with pytest.raises(RunError, match=said):
        grow.grow(model, "faces-small")


def test_growing_from_nothing_that_ships_is_told():
    model = bundle.build(Card("toy", "vae", CONV, DataSpec("toy", 3, 16, 16)))
    with pytest.raises(RunError, match="tiny"):
        grow.grow(model, "tiny")
