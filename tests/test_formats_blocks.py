"""Residual blocks, code books, maps as latents: the arithmetic of programs as people write."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    GroupNorm,
    LeakyReLU,
    Linear,
    ModuleList,
    ReLU,
    Sequential,
)
from torch.nn import functional as F

from explorer.formats import reading
from explorer.formats.calibrate import built
from explorer.formats.files import Contents


class Half(nn.Module):
    """A module with parts by name and a function of them."""

    def __init__(self, run=None, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def codes(net, z, weight):
    """The nearest rows of ``weight`` at every place."""
    flat = z.movedim(1, -1)
    return weight[torch.cdist(flat.flatten(0, 2), weight).argmin(1)].view_as(flat).movedim(-1, 1)


# --- code books ---------------------------------------------------------------------------------


def zalando():
    """In-place ReLU: what goes past a block is bent as well."""

    def block(n, inner):
        row = Sequential(
            ReLU(True), Conv2d(n, inner, 3, 1, 1, bias=False),
            ReLU(True), Conv2d(inner, n, 1, bias=False),
        )  # fmt: skip
        return Half(lambda m, x: x + m._block(x), _block=row)

    def stack(n):
        def run(m, x):
            for layer in m._layers:
                x = layer(x)
            return x.relu()

        return Half(run, _layers=ModuleList(block(n, 8) for _ in range(2)))

    net = nn.Module()
    net._encoder = Half(
        lambda m, x: m._residual_stack(m._conv_3(m._conv_2(m._conv_1(x).relu()).relu())),
        _conv_1=Conv2d(3, 8, 4, 2, 1), _conv_2=Conv2d(8, 16, 4, 2, 1),
        _conv_3=Conv2d(16, 16, 3, 1, 1), _residual_stack=stack(16),
    )  # fmt: skip
    net._pre_vq_conv = Conv2d(16, 4, 1)
    net._vq_vae = Half(_embedding=nn.Embedding(20, 4))
    net._decoder = Half(
        lambda m, x: m._conv_trans_2(m._conv_trans_1(m._residual_stack(m._conv_1(x))).relu()),
        _conv_1=Conv2d(4, 16, 3, 1, 1), _residual_stack=stack(16),
        _conv_trans_1=ConvTranspose2d(16, 8, 4, 2, 1),
        _conv_trans_2=ConvTranspose2d(8, 3, 4, 2, 1),
    )  # fmt: skip
    draw = lambda z: net._decoder(codes(net, z, net._vq_vae._embedding.weight)) + 0.5  # noqa: E731
    return net, lambda x: net._pre_vq_conv(net._encoder(x - 0.5)), draw, (3, 32, 32)


def laskin():
    """A transposed convolution that keeps the size; one block under two names."""

    def stack(n):
        row = Sequential(
            ReLU(True), Conv2d(n, 8, 3, 1, 1, bias=False),
            ReLU(True), Conv2d(8, n, 1, bias=False),
        )  # fmt: skip
        block = Half(lambda m, x: x + m.res_block(x), res_block=row)

        def run(m, x):
            for layer in m.stack:
                x = layer(x)
            return x.relu()

        return Half(run, stack=ModuleList([block] * 2))

    net = nn.Module()
    net.encoder = Half(lambda m, x: m.conv_stack(x), conv_stack=Sequential(
        Conv2d(3, 8, 4, 2, 1), ReLU(), Conv2d(8, 16, 4, 2, 1), ReLU(), Conv2d(16, 16, 3, 1, 1),
        stack(16),
    ))  # fmt: skip
    net.pre_quantization_conv = Conv2d(16, 4, 1)
    net.vector_quantization = Half(embedding=nn.Embedding(20, 4))
    net.decoder = Half(lambda m, x: m.inverse_conv_stack(x), inverse_conv_stack=Sequential(
        ConvTranspose2d(4, 16, 3, 1, 1), stack(16), ConvTranspose2d(16, 8, 4, 2, 1), ReLU(),
        ConvTranspose2d(8, 3, 4, 2, 1),
    ))  # fmt: skip
    book = net.vector_quantization.embedding.weight
    look = lambda x: net.pre_quantization_conv(net.encoder(x - 0.5))  # noqa: E731
    return net, look, lambda z: net.decoder(codes(net, z, book)) + 0.5, (3, 32, 32)


def antixk():
    """LeakyReLU also after what is quantised; tanh comes out."""

    def block(n):
        row = Sequential(
            Conv2d(n, n, 3, 1, 1, bias=False), ReLU(True), Conv2d(n, n, 1, bias=False)
        )
        return Half(lambda m, x: x + m.resblock(x), resblock=row)

    def conv(a, b, *how):
        return Sequential(Conv2d(a, b, *how), LeakyReLU())

    net = nn.Module()
    net.encoder = Sequential(
        conv(3, 8, 4, 2, 1), conv(8, 16, 4, 2, 1), conv(16, 16, 3, 1, 1), block(16), block(16),
        LeakyReLU(), conv(16, 4, 1),
    )  # fmt: skip
    net.vq_layer = Half(embedding=nn.Embedding(20, 4))
    net.decoder = Sequential(
        conv(4, 16, 3, 1, 1), block(16), block(16), LeakyReLU(),
        Sequential(ConvTranspose2d(16, 8, 4, 2, 1), LeakyReLU()),
        Sequential(ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh()),
    )  # fmt: skip
    book = net.vq_layer.embedding.weight
    draw = lambda z: (net.decoder(codes(net, z, book)) + 1) / 2  # noqa: E731
    return net, lambda x: net.encoder(2 * x - 1), draw, (3, 64, 64)


def lucidrains():
    """A book of (1, K, D) in a row with pooling and doubling."""
    net = nn.Module()
    book = Half(_codebook=Half())
    book._codebook.register_buffer("embed", torch.randn(1, 20, 32))
    net.layers = ModuleList([
        Conv2d(1, 16, 3, 1, 1), nn.MaxPool2d(2), ReLU(), Conv2d(16, 32, 3, 1, 1),
        nn.MaxPool2d(2), book, nn.Upsample(scale_factor=2), Conv2d(32, 16, 3, 1, 1), ReLU(),
        nn.Upsample(scale_factor=2), Conv2d(16, 1, 3, 1, 1),
    ])  # fmt: skip

    def look(x):
        x = x - 0.5
        for k in range(5):
            x = net.layers[k](x)
        return x

    def draw(z):
        z = codes(net, z, book._codebook.embed[0])
        for k in range(6, 11):
            z = net.layers[k](z)
        return z + 0.5

    return net, look, draw, (1, 28, 28)


def rosinality():
    """Two maps of codes, the lower one told what the upper one draws."""

    def block(n):
        row = Sequential(ReLU(), Conv2d(n, 4, 3, padding=1), ReLU(), Conv2d(4, n, 1))
        return Half(lambda m, x: x + m.conv(x), conv=row)

    def half(*row):
        return Half(lambda m, x: m.blocks(x), blocks=Sequential(*row))

    n, d = 8, 6
    net = nn.Module()
    net.enc_b = half(
        Conv2d(3, n // 2, 4, 2, 1), ReLU(), Conv2d(n // 2, n, 4, 2, 1), ReLU(),
        Conv2d(n, n, 3, padding=1), block(n), block(n), ReLU(),
    )  # fmt: skip
    net.enc_t = half(
        Conv2d(n, n // 2, 4, 2, 1), ReLU(), Conv2d(n // 2, n, 3, padding=1), block(n), block(n),
        ReLU(),
    )  # fmt: skip
    net.quantize_conv_t = Conv2d(n, d, 1)
    net.quantize_t, net.quantize_b = Half(), Half()
    for book in (net.quantize_t, net.quantize_b):
        book.register_buffer("embed", torch.randn(d, 20))
        book.register_buffer("cluster_size", torch.zeros(20))
        book.register_buffer("embed_avg", torch.randn(d, 20))
    net.dec_t = half(
        Conv2d(d, n, 3, padding=1), block(n), block(n), ReLU(), ConvTranspose2d(n, d, 4, 2, 1)
    )
    net.quantize_conv_b = Conv2d(d + n, d, 1)
    net.upsample_t = ConvTranspose2d(d, d, 4, 2, 1)
    net.dec = half(
        Conv2d(2 * d, n, 3, padding=1), block(n), block(n), ReLU(),
        ConvTranspose2d(n, n // 2, 4, 2, 1), ReLU(), ConvTranspose2d(n // 2, 3, 4, 2, 1),
    )  # fmt: skip

    def look(x):
        seen = net.enc_b(2 * x - 1)
        top = net.quantize_conv_t(net.enc_t(seen))
        drawn = net.dec_t(codes(net, top, net.quantize_t.embed.T))
        bottom = net.quantize_conv_b(torch.cat([drawn, seen], 1))
        return torch.cat([top.flatten(1), bottom.flatten(1)], 1)

    def draw(z):
        top, bottom = (
            z[:, : d * 64].unflatten(1, (d, 8, 8)),
            z[:, d * 64 :].unflatten(1, (d, 16, 16)),
        )
        top = codes(net, top, net.quantize_t.embed.T)
        both = [net.upsample_t(top), codes(net, bottom, net.quantize_b.embed.T)]
        return (net.dec(torch.cat(both, 1)) + 1) / 2

    return net, look, draw, (3, 64, 64)


# --- residual blocks in a VAE ------------------------------------------------------------------


def normed(a, b, stride=1):
    """torchvision's BasicBlock."""
    skip = Sequential(Conv2d(a, b, 1, stride, bias=False), BatchNorm2d(b))

    def run(m, x):
        h = m.bn2(m.conv2(m.bn1(m.conv1(x)).relu()))
        return (h + (m.downsample(x) if hasattr(m, "downsample") else x)).relu()

    return Half(
        run, conv1=Conv2d(a, b, 3, stride, 1, bias=False), bn1=BatchNorm2d(b),
        conv2=Conv2d(b, b, 3, 1, 1, bias=False), bn2=BatchNorm2d(b),
        **({"downsample": skip} if stride > 1 or a != b else {}),
    )  # fmt: skip


def torchvision():
    """An encoder of torchvision's ResNet, its last maps averaged; a plain decoder."""
    net = nn.Module()
    net.encoder = Sequential(
        Conv2d(3, 8, 7, 2, 3, bias=False), BatchNorm2d(8), ReLU(), nn.MaxPool2d(3, 2, 1),
        Sequential(normed(8, 8), normed(8, 8)), Sequential(normed(8, 16, 2), normed(16, 16)),
        Sequential(normed(16, 32, 2), normed(32, 32)), nn.AdaptiveAvgPool2d(1),
    )  # fmt: skip
    net.fc_mu, net.fc_logvar = Linear(32, 10), Linear(32, 10)
    net.decoder_input = Linear(10, 32 * 16)
    up = [ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise((32, 16, 8, 8, 3))]
    net.decoder = Sequential(*[m for conv in up for m in (conv, ReLU())][:-1])
    draw = lambda z: net.decoder(net.decoder_input(z).view(-1, 32, 4, 4)).sigmoid()  # noqa: E731
    return net, lambda x: net.fc_mu(net.encoder(x).flatten(1)), draw, (3, 64, 64)


def resized(a, b, kernel=3):
    """A convolution of maps that were doubled by repeating."""
    return Half(lambda m, x: m.conv(F.interpolate(x, scale_factor=2)), conv=Conv2d(
        a, b, kernel, 1, kernel // 2
    ))  # fmt: skip


def julianstastny():
    """ResNets on both sides; a first map that is repeated four times; resizing within blocks."""

    def block(a, b):
        def run(m, x):
            h = m.bn1(m.conv1(m.bn2(m.conv2(x)).relu()))
            return (h + m.shortcut(x)).relu()

        grown = a != b
        return Half(
            run, conv2=Conv2d(a, a, 3, 1, 1, bias=False), bn2=BatchNorm2d(a),
            conv1=resized(a, b) if grown else Conv2d(a, b, 3, 1, 1, bias=False),
            bn1=BatchNorm2d(b),
            shortcut=Sequential(resized(a, b), BatchNorm2d(b)) if grown else Sequential(),
        )  # fmt: skip

    def down(m, x):
        x = m.bn1(m.conv1(x)).relu()
        for k in (1, 2, 3, 4):
            x = getattr(m, f"layer{k}")(x)
        return m.linear(x.mean((2, 3)))

    def up(m, z):
        x = F.interpolate(m.linear(z)[..., None, None], scale_factor=4)
        for k in (4, 3, 2, 1):
            x = getattr(m, f"layer{k}")(x)
        return m.conv1(x).sigmoid()

    net, sides = nn.Module(), (8, 16, 32, 64)
    layers = {"layer1": Sequential(normed(8, 8), normed(8, 8))}
    for k, (a, b) in enumerate(pairwise(sides), 2):
        layers[f"layer{k}"] = Sequential(normed(a, b, 2), normed(b, b))
    net.encoder = Half(
        down, conv1=Conv2d(3, 8, 3, 2, 1, bias=False), bn1=BatchNorm2d(8), **layers,
        linear=Linear(64, 20),
    )  # fmt: skip
    layers = {
        f"layer{k}": Sequential(block(b, b), block(b, a))
        for k, a, b in ((4, 32, 64), (3, 16, 32), (2, 8, 16), (1, 8, 8))
    }
    net.decoder = Half(up, linear=Linear(10, 64), **layers, conv1=resized(8, 3))
    return net, lambda x: net.encoder(x)[:, :10], net.decoder, (3, 64, 64)


def preactivated():
    """Norms and SiLU before convolutions, a shortcut where channels change."""

    def block(a, b):
        def run(m, x):
            h = m.conv2(F.silu(m.norm2(m.conv1(F.silu(m.norm1(x))))))
            return h + (m.skip(x) if a != b else x)

        return Half(
            run, norm1=GroupNorm(8, a), conv1=Conv2d(a, b, 3, 1, 1), norm2=GroupNorm(8, b),
            conv2=Conv2d(b, b, 3, 1, 1), **({"skip": Conv2d(a, b, 1)} if a != b else {}),
        )  # fmt: skip

    net = nn.Module()
    net.encoder = Sequential(
        Conv2d(1, 16, 3, 1, 1), block(16, 16), Conv2d(16, 16, 3, 2, 1), block(16, 24),
        Conv2d(24, 24, 3, 2, 1), block(24, 24), nn.Flatten(),
    )  # fmt: skip
    net.to_mu, net.to_logvar = Linear(24 * 49, 6), Linear(24 * 49, 6)
    net.from_z = Linear(6, 24 * 49)
    net.decoder = Sequential(
        block(24, 24), ConvTranspose2d(24, 16, 4, 2, 1), block(16, 16),
        ConvTranspose2d(16, 1, 4, 2, 1),
    )  # fmt: skip
    draw = lambda z: net.decoder(net.from_z(z).view(-1, 24, 7, 7)).sigmoid()  # noqa: E731
    return net, lambda x: net.to_mu(net.encoder(x)), draw, (1, 28, 28)


def plain():
    """conv1, conv2 and what goes past them, without norms: nothing but names hints at a sum."""

    def block(n):
        return Half(
            lambda m, x: (x + m.conv2(m.conv1(x).relu())).relu(),
            conv1=Conv2d(n, n, 3, 1, 1), conv2=Conv2d(n, n, 3, 1, 1),
        )  # fmt: skip

    net = nn.Module()
    net.encoder = Sequential(
        Conv2d(3, 16, 4, 2, 1), ReLU(), block(16), Conv2d(16, 32, 4, 2, 1), ReLU(), block(32)
    )
    net.fc_mu, net.fc_var, net.fc = Linear(2048, 12), Linear(2048, 12), Linear(12, 2048)
    net.decoder = Sequential(
        block(32), ConvTranspose2d(32, 16, 4, 2, 1), ReLU(), block(16),
        ConvTranspose2d(16, 3, 4, 2, 1),
    )  # fmt: skip
    draw = lambda z: net.decoder(net.fc(z).view(-1, 32, 8, 8).relu()).sigmoid()  # noqa: E731
    return net, lambda x: net.fc_mu(net.encoder(x).flatten(1)), draw, (3, 32, 32)


# what only measurements can tell of those that are no known format
CHOSEN = {
    "torchvision": {"bridge": False},
    "julianstastny": {"layout": "chunked", "bridge": False},
    "preactivated": {"hidden": "silu", "bridge": False, "top": False},
}
PROGRAMS = {
    f.__name__: f
    for f in (
        zalando, laskin, antixk, lucidrains, rosinality, torchvision, julianstastny,
        preactivated, plain,
    )
}  # fmt: skip


def settled(net):
    """In eval mode, with BatchNorm statistics that are not those of its first moment."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


@torch.no_grad()
def agrees(plan, choices, look, draw):
    """Whether a plan looks and draws as the program does."""
    try:
        model = built(plan, choices)
        x = torch.rand(2, *plan.shape)
        theirs = look(x)
        mean = model.heads(model.features(x))[0]
        if mean.shape != theirs.flatten(1).shape:
            return False
        z = torch.randn(theirs.shape)
        drawn = model.decode(z.flatten(1)).mean
        return torch.allclose(mean, theirs.flatten(1), atol=1e-4) and torch.allclose(
            drawn, draw(z).clamp(0, 1), atol=1e-4
        )
    except RuntimeError:
        return False


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_comes_back_with_its_own_arithmetic(program):
    torch.manual_seed(0)
    net, look, draw, shape = PROGRAMS[program]()
    settled(net)
    plans, start, _, _ = reading.structured(Contents(net.state_dict(), "zip"))
    plans = [p for p in plans[: reading.MOST_PLANS] if p.shape == shape]
    start = replace(start, **CHOSEN.get(program, {}))
    if plans[0].spatial:
        start = replace(start, layout="mean only")
    assert any(agrees(plan, start, look, draw) for plan in plans)
