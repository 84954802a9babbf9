"""Layers of our own, against PyTorch's."""

import pytest
import torch
from torch.nn import functional as F

from explorer import nets


def slopes(forward, x, w, b, g):
    """The output of an affine map, and what three leaves get for ``g`` at its output."""
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    out = forward(*leaves)
    out.backward(g.expand_as(out))
    return [out.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.skipif(
    not nets.ONEDNN, reason="this processor's products are all computed by one library"
)
@pytest.mark.parametrize(
    ("rows", "ins", "outs"), [(128, 784, 400), (1, 3, 5), (33, 20, 1), (7, 1, 64)]
)
@pytest.mark.parametrize("one", [True, False], ids=["a gradient for all", "one for each"])
def test_onednns_affine_map_and_its_gradients_are_pytorchs(rows, ins, outs, one):
    torch.manual_seed(0)
    x, w, b = torch.randn(rows, ins), torch.randn(outs, ins), torch.randn(outs)
    g = torch.randn(rows, 1) if one else torch.randn(rows, outs)
    exact = slopes(F.linear, *(t.double() for t in (x, w, b, g)))
    for ours, known in zip(slopes(nets._Affine.apply, x, w, b, g), exact, strict=True):
        assert torch.allclose(ours.double(), known, rtol=1e-5, atol=1e-4)


def test_a_linear_layer_is_pytorchs_wherever_it_is_not_trained_in_single_precision(monkeypatch):
    layer, asked = nets.Linear(6, 4), []
    monkeypatch.setattr(nets, "ONEDNN", True)
    monkeypatch.setattr(nets._Affine, "apply", lambda *a: asked.append(a))
    x = torch.randn(5, 6)
    layer(x)
    assert len(asked) == 1
    with torch.no_grad():
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
    layer(torch.randn(2, 5, 6))
    layer.double()(x.double())
    layer.float().requires_grad_(False)(x)
    assert len(asked) == 1
