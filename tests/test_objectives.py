"""What is maximised, against what the distributions say."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from explorer import bundle
from explorer.cards import Card
from explorer.distributions import centre, diag_normal, draw, responsibilities
from explorer.errors import RunError
from explorer.protocol import DataSpec
from train.data import Split
from train.objectives import ELBO, IWAE, OBJECTIVES, BetaTC, Clusters, Lagging, lagging, tc

DATA = Split(torch.zeros(32, 1, 8, 8, dtype=torch.uint8))


@pytest.fixture
def model():
    torch.manual_seed(0)
    spec = DataSpec("toy", 1, 8, 8)
    return bundle.build(Card("toy", "vae", dict(latent=5, hidden=32), spec)).double()


@pytest.fixture
def x():
    return torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round().double()


def terms(objective, model, x, step=0):
    (phase,) = objective.phases(model, DATA)
    torch.manual_seed(3)
    return phase.loss(x, None, step)


def test_with_beta_one_the_loss_is_minus_the_bound(model, x):
    seen = terms(ELBO(), model, x)
    assert seen["loss"].item() == pytest.approx(-seen["elbo"].item())
    assert seen["elbo"].item() == pytest.approx(-(seen["distortion"] + seen["rate"]).item())


def test_the_terms_are_what_the_distributions_say(model, x):
    seen = terms(ELBO(), model, x)
    torch.manual_seed(3)
    q = model.encode(x)
    z, _ = draw(q)
    assert seen["rate"].item() == pytest.approx(kl_divergence(q, model.prior()).mean().item())
    assert seen["distortion"].item() == pytest.approx(-model.decode(z).log_prob(x).mean().item())


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_weighs_the_rate_alone(model, x, beta):
    seen = terms(ELBO(beta=beta), model, x)
    assert seen["loss"].item() == pytest.approx((seen["distortion"] + beta * seen["rate"]).item())


def test_warming_up_lets_beta_rise_in_equal_steps_and_stay():
    beta = [
        terms_of(ELBO(beta=2.0, warmup=4), step)["beta"].item() for step in (0, 1, 2, 3, 4, 99)
    ]
    assert beta == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


def terms_of(objective, step):
    torch.manual_seed(0)
    model = bundle.build(Card("toy", "vae", dict(latent=5, hidden=32), DataSpec("toy", 1, 8, 8)))
    return terms(objective, model, torch.zeros(4, 1, 8, 8), step)


def test_free_bits_cost_their_number_where_the_rate_is_below_and_nothing_more_above(model, x):
    each = kl_divergence(model.encode(x).base_dist, model.prior().base_dist).mean(0)
    low, high = each.min().item() / 2, each.max().item() * 2
    plain = terms(ELBO(), model, x)
    seen = terms(ELBO(free_bits=low), model, x)
    assert seen["loss"].item() == pytest.approx(plain["loss"].item())
    seen = terms(ELBO(free_bits=high), model, x)
    assert seen["loss"].item() == pytest.approx((plain["distortion"] + 5 * high).item())
    assert seen["elbo"].item() == pytest.approx(plain["elbo"].item())  # the bound is the bound

    first = next(model.encoder.parameters())
    price = seen["loss"] - seen["distortion"]
    assert torch.autograd.grad(price, first, allow_unused=True)[0].abs().sum() == 0


@pytest.mark.parametrize(("factor", "rises"), [(0.5, True), (2.0, False)])
def test_a_held_rate_gets_dearer_while_it_is_too_high_and_cheaper_while_too_low(
    model, x, factor, rises
):
    rate = terms(ELBO(), model, x)["rate"].item()
    (phase,) = ELBO(beta=3.0, hold_rate=factor * rate).phases(model, DATA)
    optimizer = torch.optim.SGD(phase.module.parameters(), lr=1e-3)
    torch.manual_seed(3)
    before = phase.loss(x, None, 0)
    assert before["beta"].item() == pytest.approx(3.0)
    before["loss"].backward()
    optimizer.step()
    after = phase.loss(x, None, 1)["beta"].item()
    assert (after > 3.0) == rises


def test_a_held_rate_presses_on_the_model_as_beta_would(model, x):
    first = next(model.encoder.parameters())
    held = terms(ELBO(beta=3.0, hold_rate=7.0), model, x)["loss"]
    plain = terms(ELBO(beta=3.0), model, x)["loss"]
    assert torch.allclose(*(torch.autograd.grad(loss, first)[0] for loss in (held, plain)))


LAST = 10**6  # a step at which every objective has come to what it is for
FAMILY = {"vade": "vade"}  # where an objective is for one family only


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objectives_loss_has_a_gradient_for_all_that_it_trains(name, x):
    spec = DataSpec("toy", 1, 8, 8)
    card = Card("toy", FAMILY.get(name, "vae"), dict(latent=5, hidden=32), spec)
    for phase in OBJECTIVES[name]().phases(bundle.build(card).double(), DATA):
        phase.loss(x, None, LAST)["loss"].backward()
        assert all(p.grad is not None for p in phase.module.parameters())


@pytest.mark.parametrize(
    "both", [dict(beta=0.0), dict(warmup=100), dict(free_bits=0.5)], ids=lambda b: next(iter(b))
)
def test_settings_that_a_held_rate_would_ignore_are_refused(model, both):
    with pytest.raises(RunError, match="held rate"):
        ELBO(hold_rate=5.0, **both).phases(model, DATA)


# -- the importance-weighted bound


def by_hand(model, x, q, z, log_q):
    """``(k, B)`` log weights of the same samples."""
    return model.decode(z).log_prob(x) + model.prior().log_prob(z) - log_q


@pytest.mark.parametrize("samples", [1, 7])
def test_the_bound_of_k_samples_is_the_log_of_their_mean_weight(model, x, samples):
    seen = terms(IWAE(samples), model, x)
    torch.manual_seed(3)
    q = model.encode(x)
    weight = by_hand(model, x, q, *draw(q, (samples,))).exp()
    assert seen["bound"].item() == pytest.approx(weight.mean(0).log().mean().item())
    assert seen["loss"].item() == pytest.approx(-seen["bound"].item())


def test_until_then_it_is_trained_with_one_sample(model, x):
    late, one = IWAE(7, after=5), IWAE(1)
    assert terms(late, model, x, 4)["bound"] == terms(one, model, x)["bound"]
    assert terms(late, model, x, 5)["bound"] == terms(IWAE(7), model, x)["bound"]


def test_while_it_warms_up_the_kl_weighs_less_and_the_bound_is_the_bound(model, x):
    seen = terms(IWAE(7, after=8, warmup=4), model, x, 1)
    assert seen["beta"].item() == 0.5
    expected = seen["distortion"] + 0.5 * seen["rate"]
    assert seen["loss"].item() == pytest.approx(expected.item())
    assert seen["bound"].item() == pytest.approx(-(seen["distortion"] + seen["rate"]).item())
    with pytest.raises(RunError, match="at most after"):
        IWAE(7, after=3, warmup=4).phases(model, DATA)


def test_the_doubly_reparameterised_gradient_is_what_its_paper_writes(model, x):
    """The sum over samples, written out: squared weights for q, plain weights for p."""
    k = 5
    terms(IWAE(k), model, x)["loss"].backward()
    torch.manual_seed(3)
    q = model.encode(x)
    z, _ = draw(q, (k,))
    still = type(q)(type(q.base_dist)(q.mean.detach(), q.stddev.detach()), 1)
    log_w = by_hand(model, x, q, z, still.log_prob(z))
    share = log_w.detach().softmax(0)
    slope = torch.autograd.grad(log_w.sum(), z, retain_graph=True)[0]
    encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
    of_q = torch.autograd.grad(z, encoder, share[..., None] ** 2 * slope, retain_graph=True)
    of_p = torch.autograd.grad((share * log_w).sum(), decoder)
    for p, there in zip(encoder + decoder, of_q + of_p, strict=True):
        torch.testing.assert_close(p.grad, -there / len(x))


def test_both_gradients_point_the_same_way_on_average_and_one_wavers_less(model, x):
    first = model.encoder[1][0].bias
    found = {}
    for kind in ("plain", "dreg"):
        (phase,) = IWAE(8, gradient=kind).phases(model, DATA)
        torch.manual_seed(0)
        each = [torch.autograd.grad(phase.loss(x, None, 0)["loss"], first)[0] for _ in range(400)]
        found[kind] = torch.stack(each)
    error = sum(g.var(0) / len(g) for g in found.values()).sqrt()
    apart = found["plain"].mean(0) - found["dreg"].mean(0)
    alive = error > 0
    assert (apart / error)[alive].square().mean() < 2  # 1 in expectation
    assert found["dreg"].var(0).sum() < found["plain"].var(0).sum()


# -- a mixture prior's beginning


def test_a_mixture_prior_begins_where_the_codes_crowd():
    """Two kinds of pictures: after the autoencoder each has a part of the prior to itself."""
    torch.manual_seed(0)
    spec = DataSpec("toy", 1, 8, 8)
    model = bundle.build(Card("toy", "vade", dict(latent=2, hidden=16, clusters=2), spec))
    kinds = torch.arange(64) % 2
    pictures = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    pictures[kinds == 0, :, :4] = 255
    pictures[kinds == 1, :, 4:] = 255
    (phase,) = Clusters(pretrain=3, restarts=1).phases(model, Split(pictures))
    before = model.loc.clone()
    x = pictures.float() / 255
    seen = phase.loss(x, None, 2)
    assert seen["loss"] == seen["distortion"]  # as yet an autoencoder
    assert torch.equal(model.loc, before)
    seen = phase.loss(x, None, 3)
    assert {"rate", "elbo"} <= set(seen)
    found = responsibilities(model.prior(), centre(model.encode(x)))
    assert (found.max(-1).values > 0.9).all()
    part = found.argmax(-1)
    assert len(part[kinds == 0].unique()) == len(part[kinds == 1].unique()) == 1
    assert part[0] != part[1]


def test_an_autoencoder_that_is_shown_a_part_is_judged_by_the_whole():
    torch.manual_seed(0)
    spec = DataSpec("toy", 1, 8, 8)
    model = bundle.build(Card("toy", "vade", dict(latent=2, hidden=16, clusters=2), spec))
    shown: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, x: shown.append(x[0]))
    (phase,) = Clusters(pretrain=3, corrupt=0.25).phases(model, DATA)
    x = torch.ones(64, 1, 8, 8)
    seen = phase.loss(x, None, 0)
    assert shown[0].mean().item() == pytest.approx(0.75, abs=0.03)
    again = model.decode(centre(model.encode(shown[0])))
    assert seen["loss"].item() == pytest.approx(-again.log_prob(x).mean().item(), rel=1e-5)


def test_the_mixtures_objective_refuses_a_family_without_one(model):
    with pytest.raises(RunError, match="family vade"):
        Clusters().phases(model, DATA)


# -- the KL taken apart


def test_the_three_parts_add_up_to_the_rate(model, x):
    q, p = model.encode(x), model.prior()
    z, log_q = draw(q)
    for pictures in (len(x), 1000):
        parts = tc.shares(q, p, z, pictures)
        torch.testing.assert_close(sum(parts), (log_q - p.log_prob(z)).mean())
    seen = terms(BetaTC(beta=1.0), model, x)
    assert seen["loss"].item() == pytest.approx(-seen["elbo"].item())


def test_the_parts_are_sums_over_pairs_of_pictures(model, x):
    """Written out for sixteen pictures: q(z_i | x_j) pair by pair, coordinate by coordinate."""
    q, p, n = model.encode(x), model.prior(), 50
    z, _ = draw(q)
    b, d = z.shape
    mean, spread = q.mean, q.stddev

    def density(i, j, k):
        return Normal(mean[j, k], spread[j, k]).log_prob(z[i, k]).exp().item()

    mutual = correlation = own = 0.0
    for i in range(b):
        table = [[density(i, j, k) for k in range(d)] for j in range(b)]
        given = math.log(math.prod(table[i]))
        together = math.log(sum(math.prod(row) for row in table) / (b * n))
        apart = sum(math.log(sum(row[k] for row in table) / (b * n)) for k in range(d))
        mutual += (given - together) / b
        correlation += (together - apart) / b
        own += (apart - p.log_prob(z[i]).item()) / b
    for found, known in zip(tc.shares(q, p, z, n), (mutual, correlation, own), strict=True):
        assert found.item() == pytest.approx(known)


def test_the_weights_are_of_their_parts_and_rise(model, x):
    seen = terms(BetaTC(beta=4.0, information=0.5, coordinates=2.0, warmup=4), model, x, step=1)
    price = (
        0.5 * seen["mutual_information"]
        + 4.0 * seen["total_correlation"]
        + 2.0 * seen["coordinates_kl"]
    )
    assert (seen["loss"] - seen["distortion"]).item() == pytest.approx(0.5 * price.item())


def test_the_total_correlation_is_known_for_a_gaussian_that_leans():
    """Two coordinates of correlation r have -log(1 - r²) / 2 nats of it in common."""
    torch.manual_seed(0)
    n, r, blur = 2000, 0.9, 0.15
    codes = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, r], [r, 1.0]])).sample((n,))
    q = diag_normal(codes, torch.full_like(codes, blur))
    z, _ = draw(q)
    seen = r / (1 + blur**2)  # what the blur leaves of it
    known = -0.5 * math.log(1 - seen**2)
    p = diag_normal(torch.zeros(2), torch.ones(2))
    # all pictures in one batch: the weighted estimate is off by log n a factor, and no further
    _, correlation, _ = tc.shares(q, p, z, n)
    assert correlation.item() - math.log(n) == pytest.approx(known, abs=0.1)


@pytest.mark.parametrize("pictures", [16, 50])
def test_strata_weigh_ones_own_posterior_as_one_picture_of_all(model, x, pictures):
    """Written out: own 1/N, the rest of the weight shared by the others; and they add up."""
    q, p = model.encode(x), model.prior()
    z, log_q = draw(q)
    each = q.base_dist.log_prob(z[:, None]).exp()
    b = len(z)
    assert b == 16
    weight = z.new_full((b, b), (1 - 1 / pictures) / (b - 1)).fill_diagonal_(1 / pictures)
    together = (weight * each.prod(-1)).sum(1).log()
    apart = (weight[..., None] * each).sum(1).log().sum(-1)
    known = (log_q - together, together - apart, apart - p.log_prob(z))
    found = tc.shares(q, p, z, pictures, stratified=True)
    for part, values in zip(found, known, strict=True):
        torch.testing.assert_close(part, values.mean())
    torch.testing.assert_close(sum(found), (log_q - p.log_prob(z)).mean())


def test_strata_know_how_much_is_shared_without_the_training_estimates_offset():
    """As above, from 256 of 2,000 pictures: -log(1 - r²) / 2 nats, and no log n to take away."""
    torch.manual_seed(0)
    n, r, blur = 2000, 0.9, 0.3
    codes = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, r], [r, 1.0]])).sample((256,))
    q = diag_normal(codes, torch.full_like(codes, blur))
    p = diag_normal(torch.zeros(2), torch.ones(2))
    found = [tc.shares(q, p, draw(q)[0], n, stratified=True)[1].item() for _ in range(20)]
    known = -0.5 * math.log(1 - (r / (1 + blur**2)) ** 2)
    assert sum(found) / 20 == pytest.approx(known, abs=0.12)


# -- an encoder that is not to lag


def test_between_whole_steps_the_encoder_alone_is_moved(model, x):
    whole, *ahead = Lagging(inner=3).phases(model, DATA)
    assert len(ahead) == 3
    assert {id(p) for p in whole.module.parameters()} == {id(p) for p in model.parameters()}
    encoder = {id(p) for p in model.encoder.parameters()}
    assert all({id(p) for p in phase.module.parameters()} == encoder for phase in ahead)


@pytest.mark.parametrize("family", ["ladder", "flow", "pixel", "vade", "cvae"])
def test_what_the_posterior_depends_on_is_found_in_every_family(family):
    spec = DataSpec("toy", 1, 8, 8, ("a", "b"))
    torch.manual_seed(0)
    twin = bundle.build(Card("toy", family, dict(hidden=16), spec))
    found = {id(p) for p in lagging.recognition(twin, DATA)}
    names = {n.split(".")[0] for n, p in twin.named_parameters() if id(p) in found}
    assert "decoder" not in names
    assert "encoder" in names or {"up", "seen", "top"} <= names
