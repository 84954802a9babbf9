"""Flows against the change of variables, written out."""

import pytest
import torch
from torch.autograd.functional import jacobian

from explorer import bundle
from explorer.cards import Card
from explorer.distributions import centre, draw
from explorer.models.flow import Planar
from explorer.protocol import DataSpec
from explorer.rng import seeded

SPEC = DataSpec("toy", 1, 8, 8)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def planar(seed, scale, batch=5, d=3):
    with seeded(seed):
        return Planar(scale * torch.randn(batch, d), torch.randn(batch, d), torch.randn(batch))


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_a_planar_steps_determinant_is_its_jacobians(scale):
    step, x = planar(0, scale), torch.randn(5, 3)
    whole = jacobian(step, x)  # (5, 3, 5, 3)
    each = torch.stack([whole[i, :, i] for i in range(5)])
    torch.testing.assert_close(step.log_abs_det_jacobian(x, step(x)), each.slogdet().logabsdet)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_a_planar_step_never_folds_and_can_be_undone(scale):
    step, z = planar(1, scale, batch=2000), 3 * torch.randn(2000, 3)
    assert ((step.w * step.u).sum(-1) >= -1 - 1e-9).all()
    torch.testing.assert_close(step(step.inv(z)), z)


@pytest.mark.parametrize(("flow", "steps"), [("planar", 1), ("planar", 4), ("iaf", 1), ("iaf", 3)])
def test_a_bent_posteriors_density_is_a_density(flow, steps):
    """It adds up to one over the plane, and a draw's density is the density where it fell."""
    torch.manual_seed(0)
    config = dict(latent=2, hidden=16, flow=flow, steps=steps)
    model = bundle.build(Card("toy", "flow", config, SPEC)).double()
    with torch.no_grad():
        for p in model.bends.parameters():
            p.mul_(2)
        q = model.encode(torch.rand(1, *SPEC.shape).round())
        line = torch.linspace(-9, 9, 601)
        plane = torch.cartesian_prod(line, line)[:, None]
        total = q.log_prob(plane).exp().sum() * (line[1] - line[0]) ** 2
        assert total.item() == pytest.approx(1, abs=0.01)
        z, log_q = draw(q, (100,))
        torch.testing.assert_close(log_q, q.log_prob(z))


@pytest.mark.parametrize("flow", ["planar", "iaf"])
def test_a_flow_leans_as_no_diagonal_gaussian_can(flow):
    """Fitted to a Gaussian of correlation 0.95, it comes nearer than the best diagonal one."""
    target = torch.distributions.MultivariateNormal(
        torch.zeros(2), torch.tensor([[1.0, 0.95], [0.95, 1.0]])
    )
    torch.manual_seed(0)
    config = dict(latent=2, hidden=16, flow=flow, steps=6)
    model = bundle.build(Card("toy", "flow", config, SPEC)).double()
    x = torch.rand(1, *SPEC.shape).round()
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(400):
        z, log_q = draw(model.encode(x), (128,))
        adam.zero_grad()
        (log_q - target.log_prob(z)).mean().backward()
        adam.step()
    with torch.no_grad():
        z, log_q = draw(model.encode(x), (20_000,))
    best_diagonal = -0.5 * torch.log(torch.tensor(1 - 0.95**2))  # its KL, in closed form
    assert (log_q - target.log_prob(z)).mean() < 0.5 * best_diagonal


def test_without_steps_it_is_the_diagonal_twin():
    torch.manual_seed(0)
    twin = bundle.build(Card("toy", "flow", dict(latent=3, hidden=16, flow="none"), SPEC)).double()
    q = twin.encode(torch.rand(2, *SPEC.shape))
    torch.testing.assert_close(centre(q), q.mean)
    assert {n.split(".")[0] for n, _ in twin.named_parameters()} == {"encoder", "head", "decoder"}
