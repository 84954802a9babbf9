"""The contract every family keeps. A new line in FAMILIES is tested by being there.

Every family is built once as its Config comes, but small, and once for each other choice.
"""

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch

from explorer import bundle, ops
from explorer.cards import Card
from explorer.distributions import centre, draw
from explorer.errors import ExplorerError
from explorer.inference import log_likelihood, log_weights, picture, refine
from explorer.inpainting import INPAINTERS
from explorer.models import FAMILIES
from explorer.protocol import DataSpec
from explorer.rng import seeded

DATA = DataSpec("toy", 1, 8, 8, ("a", "b", "c"))
B = 5
close = torch.testing.assert_close


def small(config):
    """The fields of a Config, no size more than twice its least."""
    fields = dataclasses.fields(config)
    least = {f.name: f.metadata["range"][0] for f in fields if type(f.default) is int}
    usual = dataclasses.asdict(config)
    return usual | {name: min(usual[name], 2 * low) for name, low in least.items()}


def variants():
    """A card for every family as it comes, and for every other choice of its menus."""
    for family, kind in FAMILIES.items():
        usual = small(kind.Config())
        yield Card(family, family, usual, DATA)
        for name, hint in get_type_hints(kind.Config).items():
            for choice in get_args(hint) if get_origin(hint) is Literal else ():
                if choice != usual[name]:
                    yield Card(f"{family}-{choice}", family, usual | {name: choice}, DATA)


@pytest.fixture(scope="module", params=variants(), ids=lambda card: card.name)
def card(request):
    return request.param


@pytest.fixture
def model(card):
    """Untrained, in float64."""
    with seeded(0):
        return bundle.build(card).double().eval()


@pytest.fixture
def x():
    """``(B, 1, 8, 8)`` in black and white, which every likelihood can score."""
    with seeded(1):
        return (torch.rand(B, *DATA.shape) > 0.5).double()


@pytest.fixture
def y():
    return torch.arange(B) % 3


def test_every_choice_is_built_once():
    cards = list(variants())
    assert {c.family for c in cards} == set(FAMILIES)
    assert len({c.name for c in cards}) == len(cards)


def test_blocks_are_the_latent(model):
    assert model.latent_size == sum(block.size for block in model.blocks) > 0
    assert len({block.name for block in model.blocks}) == len(model.blocks)
    assert model.data == DATA


def test_three_distributions_of_the_agreed_shapes(model, x, y):
    d = model.latent_size
    p, q = model.prior(y), model.encode(x, y)
    assert (q.batch_shape, q.event_shape) == ((B,), (d,))
    assert p.event_shape == (d,)
    assert p.batch_shape in ((), (B,))
    z, log_q = draw(q, (7,))
    assert (z.shape, log_q.shape) == ((7, B, d), (7, B))
    assert p.log_prob(z).shape == (7, B)
    px = model.decode(z, y)
    assert (px.batch_shape, px.event_shape) == ((7, B), DATA.shape)
    assert px.log_prob(x).shape == (7, B)
    assert centre(q).shape == (B, d)


def test_labels_may_be_unknown(model, x):
    z, _ = draw(model.encode(x), (2,))
    assert model.prior().log_prob(z).shape == (2, B)
    assert model.decode(z).log_prob(x).isfinite().all()


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_latents_of_any_leading_shape_decode_as_they_would_alone(model, y, lead):
    with torch.no_grad(), seeded(2):
        z = torch.randn(*lead, B, model.latent_size, dtype=torch.float64)
        pictures = picture(model.decode(z, y))
        alone = [picture(model.decode(row, y)) for row in z.reshape(-1, B, model.latent_size)]
    assert pictures.shape == (*lead, B, *DATA.shape)
    close(pictures.reshape(-1, B, *DATA.shape), torch.stack(alone))
    assert ((pictures >= 0) & (pictures <= 1)).all()


def test_pictures_do_not_hear_of_their_neighbours(model, x, y):
    with torch.no_grad():
        z = centre(model.encode(x, y))
        one = centre(model.encode(x[2:3], y[2:3]))
    close(one, z[2:3])


def test_a_draw_brings_its_own_density(model, x, y):
    for p in (model.encode(x, y), model.prior(y)):
        z, log_p = draw(p, (3,))
        close(log_p, p.log_prob(z))


def test_draws_can_be_learned_through_to_every_parameter(model, x, y):
    with seeded(3):
        log_weights(model, x, 4, y).mean().neg().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_more_samples_tighten_the_bound(model, x, y):
    many, labels = x.repeat(60, 1, 1, 1), y.repeat(60)
    means, errors = [], []
    for samples in (1, 4, 32):
        with torch.no_grad(), seeded(4):
            each = log_likelihood(model, many, samples, labels).unflatten(0, (60, B)).mean(1)
        means.append(each.mean())
        errors.append(each.std() / 60**0.5)
    with torch.no_grad(), seeded(5):
        elbo = log_weights(model, many, 1, labels).mean()
    assert (means[0] - elbo).abs() < 6 * errors[0]  # one sample of it is the ELBO
    assert means[1] > means[0] - 3 * errors[1]
    assert means[2] > means[1] - 3 * errors[2]
    assert means[2] > means[0]


def test_refining_raises_the_bound_and_touches_nothing_shared(model, x, y):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with seeded(6):
        q = refine(model, x, steps=40, y=y)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    with torch.no_grad(), seeded(7):
        gained = log_weights(model, x, 1000, y, q).mean(0) - log_weights(model, x, 1000, y).mean(0)
    assert gained.mean() > 0.02
    assert (gained > -0.1).all()


def test_it_comes_back_from_disk_as_it_was(model, card, x, y, tmp_path):
    single = model.float()
    bundle.save(tmp_path / "toy", single.state_dict(), card)
    twin, again = bundle.load(tmp_path / "toy")
    assert (again.family, again.config, again.data) == (card.family, card.config, card.data)
    x = x.float()
    with torch.no_grad():
        z = centre(single.encode(x, y))
        assert torch.equal(centre(twin.encode(x, y)), z)
        assert torch.equal(twin.prior(y).log_prob(z), single.prior(y).log_prob(z))
        scores = single.decode(z, y).log_prob(x)
        assert torch.equal(twin.decode(z, y).log_prob(x), scores)
    assert not twin.training
    assert not any(p.requires_grad for p in twin.parameters())


def test_half_precision_on_disk_changes_hardly_anything(model, card, x, y, tmp_path):
    bundle.save(tmp_path / "toy", model.state_dict(), card, half=True)
    twin, _ = bundle.load(tmp_path / "toy")
    with torch.no_grad():
        z = centre(model.encode(x, y))
        close(centre(twin.encode(x.float(), y)).double(), z, atol=0.01, rtol=0.01)
        score = twin.decode(z.float(), y).log_prob(x.float()).double()
        close(score, model.decode(z, y).log_prob(x), atol=0.2, rtol=0.005)


@pytest.mark.filterwarnings("error")
def test_every_move_leads_to_pictures(model, x, y):
    with torch.no_grad():
        z = centre(model.encode(x, y)).numpy()
        t = np.linspace(0, 1, 4)
        u, v = z[1] - z[0], z[2] - z[0]
        ways = [
            ops.lerp(z[0], z[1], t),
            ops.slerp(z[0], z[1], t),
            ops.along(z, t, "round", loop=True),
            ops.plane(z[0], u, v, t)[0],
            ops.corners(z[:4], 4)[0],
            np.tile(ops.analogy(z[0], z[1], z[2]), (4, 1)),
            ops.near(z[0], z[1:], z.mean(0), 0.5),
        ]
        for way in ways:
            pictures = picture(model.decode(torch.from_numpy(way), y[:1].expand(4)))
            assert pictures.shape == (4, *DATA.shape)
            assert ((pictures >= 0) & (pictures <= 1)).all()


@pytest.mark.parametrize("name", INPAINTERS)
def test_every_inpainter_completes_and_keeps_what_is_known(model, card, x, y, name):
    known = torch.zeros(1, 8, 8, dtype=torch.bool)
    known[:, :4] = True
    with seeded(8):
        answers = INPAINTERS[name](model, x[:1], known, 3, y[:1])
        if card.family == "pixel" and name in ("langevin", "optimise"):
            with pytest.raises(ExplorerError, match="does not score pixels one by one"):
                next(answers)
            return
        some = [next(answers) for _ in range(8)]
    for answer in some:
        assert answer.pictures.shape == answer.drawn.shape == (3, *DATA.shape)
        assert answer.latents.shape == (3, model.latent_size)
        assert torch.equal(answer.pictures[..., :4, :], x[:1, :, :4].expand(3, -1, -1, -1))
        assert answer.weights.sum().item() == pytest.approx(1)
    assert all(p.grad is None for p in model.parameters())
