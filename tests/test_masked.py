"""What reads pictures with holes: it learns, ships beside a model, and guesses begin with it."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence

from explorer import bundle, inpainting, masked
from explorer.cards import MASKED, Card, read_card
from explorer.errors import BundleError
from explorer.hole import Completions
from explorer.rng import seeded
from train import masks
from train.config import TrainConfig
from train.data import DATASETS

SETTINGS = dict(latent=6, hidden=64, likelihood="bernoulli")


@pytest.fixture(scope="module")
def digits():
    return DATASETS["digits-8x8"]()


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """A bundle of small digits, trained for a second."""
    torch.manual_seed(0)
    config = TrainConfig(name="toy", model=SETTINGS, binarise="dynamic", seed=1)
    card = Card("toy", "vae", SETTINGS, digits.spec, training=config.as_dict())
    model = bundle.build(card)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(600):
        x = torch.bernoulli(
            digits.train.x[torch.randint(len(digits.train.x), (128,))].float() / 255
        )
        q = model.encode(x)
        bound = model.decode(q.rsample()).log_prob(x) - kl_divergence(q, model.prior())
        optimizer.zero_grad()
        (-bound.mean()).backward()
        optimizer.step()
    place = tmp_path_factory.mktemp("bundle") / "toy"
    bundle.save(place, model.state_dict(), card)
    return place


@pytest.fixture(scope="module")
def reading(folder):
    """The same with a net that reads holes, and what it gained."""
    return masks.fit(folder, steps=400, batch=128)


def test_it_knows_of_a_whole_picture_from_a_part(folder, reading, digits):
    assert reading > 1.0  # nats more than the prior has
    model, _ = bundle.load(folder)
    net = masked.beside(model)
    x = digits.held.x[:200].float() / 255
    with torch.no_grad():
        z = model.encode(x).mean

        def score(rows):
            known = torch.ones(200, 1, 8, 8, dtype=torch.bool)
            known[:, :, rows:] = False
            return net(x, known).log_prob(z).mean()

        seen = [score(rows) for rows in (0, 2, 4, 8)]
        assert seen == sorted(seen)  # the more is seen, the more is known
        # of nothing it knows what the encoder says on average, which is near the prior
        assert (seen[0] - model.prior().log_prob(z).mean()).abs() < 1.0


def test_the_model_itself_is_not_touched(folder, reading):
    card = read_card(folder)
    assert set(card.files) == {"weights.safetensors", MASKED}
    model, _ = bundle.load(folder)
    assert not any("trunk" in name for name in model.state_dict())


def test_guesses_begin_with_it_and_keep_what_is_known(folder, reading, digits, monkeypatch):
    model, _ = bundle.load(folder)
    x = (digits.held.x[:1].float() / 255).round()
    known = torch.ones(1, 8, 8, dtype=torch.bool)
    known[:, 4:] = False
    asked = []
    net = masked.beside(model)
    monkeypatch.setattr(net, "forward", lambda *a, f=net.forward: asked.append(a) or f(*a))
    with seeded(1):
        answers = list(islice(inpainting.langevin(model, x, known, 4), 10))
    assert len(asked) == 1
    for answer in answers:
        assert isinstance(answer, Completions)
        assert torch.equal(answer.pictures[..., :4, :], x[..., :4, :].expand(4, -1, -1, -1))


def test_a_bundle_without_one_has_none(folder, tmp_path):
    model, card = bundle.load(folder)
    bundle.save(tmp_path / "bare", model.state_dict(), card)
    assert masked.beside(bundle.load(tmp_path / "bare")[0]) is None


def test_one_that_does_not_fit_is_told(folder, reading, digits, tmp_path):
    other = dict(SETTINGS, latent=9)
    card = Card("other", "vae", other, digits.spec)
    model = bundle.build(card)
    bundle.save(tmp_path, model.state_dict(), card)
    masked.save(tmp_path, masked.MaskedEncoder(digits.spec, 6), card)
    with pytest.raises(BundleError, match="does not fit"):
        bundle.load(tmp_path)


def test_holes_are_of_many_kinds_and_leave_something():
    torch.manual_seed(0)
    known = masks.holes(400, 32, 32)
    hidden = 1 - known.float().mean((1, 2, 3))
    assert hidden.max() <= masks.LARGEST
    assert hidden.min() < 0.1
    assert np.quantile(hidden, 0.9) > 0.5
    halves = [known[:, 0, :16].flatten(1), known[:, 0, 16:].flatten(1)]
    for one, other in (halves, halves[::-1]):
        assert ((~one).all(1) & other.all(1)).float().mean() < 0.2
    assert len({k.numpy().tobytes() for k in known}) > 350
