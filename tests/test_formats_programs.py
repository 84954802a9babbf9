"""Programs as people write them: what their tensors alone say of pictures and latent."""

import io
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    PReLU,
    ReLU,
    Sequential,
    Unflatten,
)

from explorer.errors import FormatError
from explorer.formats import files, reading
from explorer.formats.calibrate import built


def model(**parts):
    made = nn.Module()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def dense(*widths, norm=None):
    """Linear layers with what may stand between them."""
    row = []
    for a, b in pairwise(widths):
        row += [Linear(a, b), *([norm(b)] if norm else []), ReLU()]
    return row


def down(*channels, kernel=4, stride=2, padding=1, norm=None):
    row = []
    for a, b in pairwise(channels):
        row += [Conv2d(a, b, kernel, stride, padding), *([norm(b)] if norm else []), ReLU()]
    return row


def up(*channels, kernel=4, padding=1, extra=0):
    row = []
    for a, b in pairwise(channels):
        row += [ConvTranspose2d(a, b, kernel, 2, padding, extra), ReLU()]
    return row[:-1]


def heads(width, latent, names=("fc_mu", "fc_logvar")):
    return {name: Linear(width, latent) for name in names}


# what is made, its pictures' shape, its latent's length
WRITTEN = {
    "an mlp in two sequentials": lambda: (
        model(
            encoder=Sequential(*dense(784, 512, 256)),
            **heads(256, 16),
            decoder=Sequential(*dense(16, 256, 512), Linear(512, 784)),
        ),
        (1, 28, 28),
        16,
    ),
    "an mlp of single layers": lambda: (
        model(
            enc1=Linear(784, 400),
            enc2=Linear(400, 64),
            **heads(64, 8, ("z_mean", "z_log_var")),
            dec1=Linear(8, 64),
            dec2=Linear(64, 400),
            dec3=Linear(400, 784),
        ),
        (1, 28, 28),
        8,
    ),
    "both heads in one": lambda: (
        model(
            encoder=Sequential(Linear(784, 512), ReLU(), Linear(512, 40)),
            decoder=Sequential(Linear(20, 512), ReLU(), Linear(512, 784)),
        ),
        (1, 28, 28),
        20,
    ),
    "colour pixels and batch norms": lambda: (
        model(
            encoder=Sequential(*dense(3072, 512, 128, norm=BatchNorm1d)),
            **heads(128, 32, ("mu", "var")),
            decoder=Sequential(*dense(32, 128, 512, norm=BatchNorm1d), Linear(512, 3072)),
        ),
        (3, 32, 32),
        32,
    ),
    "layer norms": lambda: (
        model(
            encoder=Sequential(*dense(784, 256, 128, norm=LayerNorm)),
            **heads(128, 10, ("to_mu", "to_logvar")),
            decoder=Sequential(*dense(10, 128, 256, norm=LayerNorm), Linear(256, 784)),
        ),
        (1, 28, 28),
        10,
    ),
    "an oblong mlp": lambda: (
        model(
            encoder=Sequential(*dense(560, 200)),
            **heads(200, 2, ("mu", "logvar")),
            decoder=Sequential(*dense(2, 200), Linear(200, 560)),
        ),
        (1, 28, 20),
        2,
    ),
    "a class beside the pixels": lambda: (
        model(
            fc1=Linear(794, 400),
            **heads(400, 20, ("fc21", "fc22")),
            fc3=Linear(30, 400),
            fc4=Linear(400, 784),
        ),
        (1, 28, 28),
        20,
    ),
    "a class in a table": lambda: (
        model(
            label_emb=nn.Embedding(10, 10),
            encoder=Sequential(*dense(794, 256)),
            **heads(256, 16, ("mu", "logvar")),
            decoder=Sequential(*dense(26, 256), Linear(256, 784)),
        ),
        (1, 28, 28),
        16,
    ),
    "four halvings of faces": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 128, 256)),
            **heads(4096, 64, ("fc1", "fc2")),
            fc3=Linear(64, 4096),
            decoder=Sequential(*up(256, 128, 64, 32, 3)),
        ),
        (3, 64, 64),
        64,
    ),
    "upright pictures": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 64)),
            **heads(64 * 8 * 6, 32, ("mu", "logvar")),
            fc=Linear(32, 64 * 8 * 6),
            decoder=Sequential(*up(64, 64, 32, 3)),
        ),
        (3, 64, 48),
        32,
    ),
    "lying pictures": lambda: (
        model(
            encoder=Sequential(*down(1, 32, 64)),
            **heads(64 * 12 * 16, 12),
            decoder_input=Linear(12, 64 * 12 * 16),
            decoder=Sequential(*up(64, 32, 1)),
        ),
        (1, 48, 64),
        12,
    ),
    "kernels of three": lambda: (
        model(
            encoder=Sequential(*down(1, 32, 64, kernel=3)),
            **heads(64 * 49, 2),
            decoder_input=Linear(2, 64 * 49),
            decoder=Sequential(*up(64, 32, 1, kernel=3, extra=1)),
        ),
        (1, 28, 28),
        2,
    ),
    "kernels of five and slopes": lambda: (
        model(
            enc=Sequential(
                Conv2d(3, 16, 5, 2, 2), PReLU(), Conv2d(16, 32, 5, 2, 2), PReLU(), Flatten(),
                Linear(32 * 256, 256), PReLU(),
            ),
            **heads(256, 48, ("mean", "log_std")),
            dec=Sequential(
                Linear(48, 256), PReLU(), Linear(256, 32 * 256), PReLU(),
                Unflatten(1, (32, 16, 16)), *up(32, 16, 3, kernel=5, padding=2, extra=1),
            ),
        ),
        (3, 64, 64),
        48,
    ),
    "doubled, then convolved": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 128, kernel=3, norm=BatchNorm2d)),
            **heads(128 * 64, 100),
            dec_fc=Linear(100, 128 * 64),
            decoder=Sequential(
                nn.Upsample(scale_factor=2), Conv2d(128, 64, 3, 1, 1), ReLU(),
                nn.Upsample(scale_factor=2), Conv2d(64, 32, 3, 1, 1), ReLU(),
                nn.Upsample(scale_factor=2), Conv2d(32, 3, 3, 1, 1),
            ),
        ),
        (3, 64, 64),
        100,
    ),
    "group norms, all in a row": lambda: (
        model(
            encoder=Sequential(
                *down(3, 32, 64, norm=lambda n: GroupNorm(8, n)), Flatten(),
                *dense(64 * 64, 128), Linear(128, 64),
            ),
            decoder=Sequential(
                *dense(32, 128, 64 * 64), Unflatten(1, (64, 8, 8)), *up(64, 32, 3)
            ),
        ),
        (3, 32, 32),
        32,
    ),
    "heads that are convolutions": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 128), Conv2d(128, 256, 4), ReLU()),
            mu=Conv2d(256, 20, 1),
            logvar=Conv2d(256, 20, 1),
            decoder=Sequential(
                ConvTranspose2d(20, 256, 1), ReLU(), ConvTranspose2d(256, 128, 4), ReLU(),
                *up(128, 64, 32, 3),
            ),
        ),
        (3, 32, 32),
        20,
    ),
    "maps that are averaged": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 128, kernel=3)),
            **heads(128, 24, ("mu", "logvar")),
            dec_fc=Linear(24, 128 * 16),
            decoder=Sequential(*up(128, 64, 32, 3)),
        ),
        (3, 32, 32),
        24,
    ),
    "maps that are pooled": lambda: (
        model(
            conv1=Conv2d(1, 16, 3, 1, 1),
            conv2=Conv2d(16, 32, 3, 1, 1),
            **heads(32 * 49, 12),
            fc_dec=Linear(12, 32 * 49),
            deconv1=ConvTranspose2d(32, 16, 2, 2),
            deconv2=ConvTranspose2d(16, 1, 2, 2),
        ),
        (1, 28, 28),
        12,
    ),
    "a class as planes": lambda: (
        model(
            encoder=Sequential(*down(11, 32, 64)),
            **heads(64 * 49, 16),
            fc_dec=Linear(26, 64 * 49),
            decoder=Sequential(*up(64, 32, 1)),
        ),
        (1, 28, 28),
        16,
    ),
    "a class beside the features": lambda: (
        model(
            encoder=Sequential(*down(1, 32, 64)),
            **heads(64 * 49 + 10, 16),
            fc_dec=Linear(26, 64 * 49),
            decoder=Sequential(*up(64, 32, 1)),
        ),
        (1, 28, 28),
        16,
    ),
    "six halvings": lambda: (
        model(
            encoder=Sequential(*down(3, 16, 32, 64, 64, 64, 64)),
            **heads(64 * 16, 64),
            dec_in=Linear(64, 64 * 16),
            decoder=Sequential(*up(64, 64, 64, 64, 32, 16, 3)),
        ),
        (3, 256, 256),
        64,
    ),
    "one convolution gives both": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, 128), Conv2d(128, 64, 4)),
            decoder=Sequential(ConvTranspose2d(32, 128, 4), ReLU(), *up(128, 64, 32, 3)),
        ),
        (3, 32, 32),
        32,
    ),
    "norms after the decoder's linear layers": lambda: (
        model(
            encoder=Sequential(*down(1, 32, 64, norm=BatchNorm2d), Flatten(), *dense(3136, 256)),
            **heads(256, 20),
            decoder_fc=Sequential(*dense(20, 256, 3136, norm=BatchNorm1d)),
            decoder_conv=Sequential(*up(64, 32, 1)),
        ),
        (1, 28, 28),
        20,
    ),
    "faces as they were cut": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64)),
            **heads(64 * 54 * 44, 16),
            fc_dec=Linear(16, 64 * 54 * 44),
            decoder=Sequential(*up(64, 32, 3)),
        ),
        (3, 216, 176),
        16,
    ),
    "the decoder first, one coordinate": lambda: (
        model(
            decoder=Sequential(*dense(1, 64), Linear(64, 784)),
            encoder=Sequential(*dense(784, 64)),
            **heads(64, 1),
        ),
        (1, 28, 28),
        1,
    ),
    # modules without weights between numbered ones tell where maps are halved and doubled
    "two convolutions at each size": lambda: (
        model(
            encoder=Sequential(
                *down(1, 16, 16, kernel=3, stride=1, norm=BatchNorm2d), nn.MaxPool2d(2),
                *down(16, 32, 32, kernel=3, stride=1, norm=BatchNorm2d), nn.MaxPool2d(2),
            ),
            **heads(32 * 64, 16),
            decoder_input=Linear(16, 32 * 64),
            decoder=Sequential(
                *down(32, 32, 32, kernel=3, stride=1, norm=BatchNorm2d),
                nn.Upsample(scale_factor=2),
                *down(32, 16, 16, kernel=3, stride=1, norm=BatchNorm2d),
                nn.Upsample(scale_factor=2), Conv2d(16, 1, 3, 1, 1),
            ),
        ),
        (1, 32, 32),
        16,
    ),
    "maps that are shuffled": lambda: (
        model(
            encoder=Sequential(*down(3, 32, 64, kernel=3)),
            **heads(64 * 64, 24),
            fc=Linear(24, 64 * 64),
            decoder=Sequential(
                Conv2d(64, 128, 3, 1, 1), nn.PixelShuffle(2), ReLU(),
                Conv2d(32, 12, 3, 1, 1), nn.PixelShuffle(2),
            ),
        ),
        (3, 32, 32),
        24,
    ),
    "a decoder alone": lambda: (
        model(decoder=Sequential(*dense(16, 256), Linear(256, 784))),
        (1, 28, 28),
        16,
    ),
}  # fmt: skip


def recognised(made):
    out = io.BytesIO()
    torch.save(made.state_dict(), out)
    contents = files.read_stream(io.BytesIO(out.getvalue()), out.tell(), "vae.pt")
    return reading.structured(contents)


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_the_first_readings_have_the_pictures_and_the_latent_of_the_program(written):
    torch.manual_seed(0)
    made, shape, latent = written()
    found, _, _, stray = recognised(made)
    # whether pictures stand or lie is measured
    assert shape in {plan.shape for plan in found[:2]}
    assert found[0].latent == latent
    assert not stray
    assert not found[0].reading.left


# blocks of as many channels as they are given
BLOCKS = {
    "convolutions by name": lambda n: model(
        conv1=Conv2d(n, n, 3, 1, 1), bn1=BatchNorm2d(n), conv2=Conv2d(n, n, 3, 1, 1)
    ),
    "narrower in its middle": lambda n: model(
        body=Sequential(Conv2d(n, n // 2, 3, 1, 1), ReLU(), Conv2d(n // 2, n, 1))
    ),
    "an activation first": lambda n: model(
        body=Sequential(ReLU(), Conv2d(n, n, 3, 1, 1), ReLU(), Conv2d(n, n, 1))
    ),
    "a shortcut": lambda n: model(conv=Conv2d(n, n, 3, 1, 1), shortcut=Conv2d(n, n, 1)),
}


def around(block):
    """A VAE with such blocks in it."""
    return model(
        encoder=Sequential(*down(3, 32, 64), block(64)),
        **heads(64 * 64, 16),
        fc=Linear(16, 64 * 64),
        decoder=Sequential(block(64), *up(64, 32, 3)),
    )


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_what_goes_past_a_layer_is_seen(block):
    """And where a row of the same layers is as likely, both are kept to be measured."""
    found, _, _, stray = recognised(around(block))
    assert found[0].latent == 16
    assert not stray
    known = [(plan.shape, len(plan.blocks)) for plan in found[: reading.MOST_PLANS]]
    assert ((3, 32, 32), 2) in known


def test_attention_is_said_and_never_read_as_a_row():
    made = around(
        lambda n: model(
            query_conv=Conv2d(n, n // 8, 1),
            key_conv=Conv2d(n, n // 8, 1),
            value_conv=Conv2d(n, n, 1),
        )
    )
    with pytest.raises(FormatError, match="attention"):
        recognised(made)


def test_a_class_beside_the_features_is_seen_by_the_heads_as_in_the_program():
    torch.manual_seed(0)
    net, _, _ = WRITTEN["a class beside the features"]()
    plans, start, *_ = recognised(net)
    assert plans[0].classes == 10
    x, y = torch.rand(3, 1, 28, 28), torch.arange(3)
    label = nn.functional.one_hot(y, 10).float()
    theirs = net.fc_mu(torch.cat([net.encoder(x).flatten(1), label], 1))
    ours = built(plans[0], start).encode(x, y).mean
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_is_not_of_pictures_is_said():
    row = Sequential(nn.Conv1d(1, 8, 4, 2, 1), ReLU(), nn.Conv1d(8, 16, 4, 2, 1))
    made = model(encoder=row, **heads(64, 4), decoder=Sequential(nn.ConvTranspose1d(16, 8, 4)))
    with pytest.raises(FormatError, match="one-dimensional"):
        recognised(made)
