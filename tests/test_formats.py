"""Real checkpoints of others against what is known of them; invented ones against their makers."""

import json
import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from explorer import bundle
from explorer.__main__ import main
from explorer.errors import BundleError, FormatError
from explorer.formats import reading, telling
from explorer.formats.adopting import adopt
from explorer.formats.calibrate import built
from explorer.formats.files import Contents
from explorer.models.foreign import USUAL, Config, Foreign
from explorer.protocol import DataSpec
from train.data import DATASETS

SHARED = Path(__file__).parents[1].parent / "shared" / "checkpoints"
TRUTHS = sorted(SHARED.rglob("truth.json"))
PADDED = {"prenassipaolo+clothing-gan"}  # which frames digits with a border of 2
needs_files = pytest.mark.skipif(not TRUTHS, reason="needs real checkpoints in ../shared")


def held(on, shape, padded):
    """The first 500 test pictures that a truth's error is over, and their labels."""
    data = DATASETS["fashion-mnist" if on.startswith("Fashion") else "mnist"]().held
    x = data.x[:500].float() / 255
    y = None if data.y is None else torch.as_tensor(np.asarray(data.y[:500])).long()
    if padded:
        x = nn.functional.pad(x, (2, 2, 2, 2))
    elif shape[1:] != (28, 28):
        x = nn.functional.interpolate(x, shape[1:], mode="bilinear", align_corners=False)
    return x, y


@needs_files
@pytest.mark.parametrize("path", TRUTHS, ids=lambda p: p.parent.name)
def test_real_files_are_read_as_they_were_made(path, capsys):
    truth = json.loads(path.read_text())
    file = next(p for p in path.parent.iterdir() if p.name in truth["files"])
    if "image" not in truth:
        assert main(["inspect", str(file), "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert not told["opened"]
        assert re.search("Choose|state_dict|It redraws", told["reason"])
        return
    found = reading.inspect(file)
    said = telling.facts(found)
    for side, value in truth["image"].items():
        assert said[side] == value
    assert said["latent"] == truth["latent_size"]
    assert said["conditional"] == truth["conditional"]
    assert truth["input_range"].startswith(said["input_range"])
    assert truth["output_activation"] == said["output_activation"]
    layout = truth["posterior_head"].lower()
    expected = "interleaved" if "interleaved" in layout else "chunked" if "2l" in layout else ""
    assert said["head"] == (expected or "separate")
    verified = truth["verification"]
    if verified.get("recon_mse") and "MNIST" in verified["recon_mse_on"]:
        if os.environ.get("LATENT_DATA"):
            padded = truth["name"] in PADDED
            x, y = held(verified["recon_mse_on"], found.plan.shape, padded)
            model = found.best.model()
            y = y if found.plan.classes else None
            with torch.no_grad():
                error = (model.decode(model.encode(x, y).mean, y).mean - x).square().mean()
            assert error.item() < 1.02 * verified["recon_mse"]


# --- what a program wrote comes back as the program -------------------------------------------


class Maker(nn.Module):
    """A program's VAE: encoder, two heads, decoder; decoder ends before its last activation."""

    def __init__(self, encoder, mean, second, decoder):
        super().__init__()
        self.encoder, self.fc_mu, self.fc_var, self.decoder = encoder, mean, second, decoder

    def look(self, x):
        return self.fc_mu(self.encoder(x))

    def draw(self, z):
        return self.decoder(z)


def antixk():
    """Its VanillaVAE, in key order and layers."""

    def down(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU())

    def up(a, b):
        return nn.Sequential(
            nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.BatchNorm2d(b), nn.LeakyReLU()
        )

    net = nn.Module()
    sides = [3, 32, 64, 128, 256, 512]
    net.encoder = nn.Sequential(*(down(a, b) for a, b in pairwise(sides)))
    net.fc_mu, net.fc_var = nn.Linear(2048, 16), nn.Linear(2048, 16)
    net.decoder_input = nn.Linear(16, 2048)
    back = sides[:0:-1]
    net.decoder = nn.Sequential(*(up(a, b) for a, b in pairwise(back)))
    net.final_layer = nn.Sequential(*up(32, 32), nn.Conv2d(32, 3, 3, padding=1), nn.Tanh())
    look = lambda x: net.fc_mu(net.encoder(x).flatten(1))  # noqa: E731
    draw = lambda z: net.final_layer(net.decoder(net.decoder_input(z).view(-1, 512, 2, 2)))  # noqa: E731
    return net, look, draw


def pythae():
    """Its default MLP for 28 x 28."""
    net = nn.Module()
    net.encoder, net.decoder = nn.Module(), nn.Module()
    net.encoder.layers = nn.Sequential(nn.Sequential(nn.Linear(784, 512), nn.ReLU()))
    net.encoder.embedding, net.encoder.log_var = nn.Linear(512, 16), nn.Linear(512, 16)
    net.decoder.layers = nn.Sequential(
        nn.Sequential(nn.Linear(16, 512), nn.ReLU()),
        nn.Sequential(nn.Linear(512, 784), nn.Sigmoid()),
    )
    look = lambda x: net.encoder.embedding(net.encoder.layers(x.flatten(1)))  # noqa: E731
    return net, look, lambda z: net.decoder.layers(z).view(-1, 1, 28, 28)


def world_models():
    """Ha and Schmidhuber's: no padding, kernels 5, 5, 6, 6 in the decoder."""
    net = nn.Module()
    net.encoder, net.decoder = nn.Module(), nn.Module()
    sides = [3, 32, 64, 128, 256]
    for k in range(4):
        setattr(net.encoder, f"conv{k + 1}", nn.Conv2d(sides[k], sides[k + 1], 4, stride=2))
    net.encoder.fc_mu, net.encoder.fc_logsigma = nn.Linear(1024, 32), nn.Linear(1024, 32)
    net.decoder.fc1 = nn.Linear(32, 1024)
    back = [(1024, 128, 5), (128, 64, 5), (64, 32, 6), (32, 3, 6)]
    for k, (a, b, kernel) in enumerate(back):
        setattr(net.decoder, f"deconv{k + 1}", nn.ConvTranspose2d(a, b, kernel, stride=2))

    def look(x):
        for k in range(4):
            x = getattr(net.encoder, f"conv{k + 1}")(x).relu()
        return net.encoder.fc_mu(x.flatten(1))

    def draw(z):
        h = net.decoder.fc1(z).relu()[..., None, None]
        for k in range(3):
            h = getattr(net.decoder, f"deconv{k + 1}")(h).relu()
        return net.decoder.deconv4(h).sigmoid()

    return net, look, draw


def konny_h():
    """1Konny's for 64 x 64: numbered through, a view between; logits come out."""
    net = nn.Module()

    class View(nn.Module):
        def __init__(self, *shape):
            super().__init__()
            self.shape = shape

        def forward(self, x):
            return x.view(-1, *self.shape)

    convs = [nn.Conv2d(1, 32, 4, 2, 1), nn.Conv2d(32, 32, 4, 2, 1), nn.Conv2d(32, 64, 4, 2, 1)]
    convs += [nn.Conv2d(64, 64, 4, 2, 1), nn.Conv2d(64, 256, 4, 1)]
    body = [m for conv in convs for m in (conv, nn.ReLU(True))]
    net.encoder = nn.Sequential(*body, View(256), nn.Linear(256, 20))
    up = [nn.ConvTranspose2d(256, 64, 4), nn.ConvTranspose2d(64, 64, 4, 2, 1)]
    up += [nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 32, 4, 2, 1)]
    body = [m for conv in up for m in (nn.ReLU(True), conv)]
    net.decoder = nn.Sequential(
        nn.Linear(10, 256),
        View(256, 1, 1),
        *body,
        nn.ReLU(True),
        nn.ConvTranspose2d(32, 1, 4, 2, 1),
    )
    return net, lambda x: net.encoder(x)[:, :10], lambda z: net.decoder(z).sigmoid()


def pooled():
    """A tutorial's: 3 x 3 convolutions with pooling, up-sampling in the decoder, flat names."""
    net = nn.Module()
    net.conv1, net.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    net.fc1 = nn.Linear(32 * 49, 64)
    net.mu, net.logvar = nn.Linear(64, 8), nn.Linear(64, 8)
    net.fc2, net.fc3 = nn.Linear(8, 64), nn.Linear(64, 32 * 49)
    net.conv3, net.conv4 = nn.Conv2d(32, 16, 3, padding=1), nn.Conv2d(16, 1, 3, padding=1)
    pool, up = nn.functional.max_pool2d, nn.functional.interpolate

    def look(x):
        h = pool(net.conv2(pool(net.conv1(x).relu(), 2)).relu(), 2)
        return net.mu(net.fc1(h.flatten(1)).relu())

    def draw(z):
        h = net.fc3(net.fc2(z).relu()).relu().view(-1, 32, 7, 7)
        return net.conv4(up(net.conv3(up(h, scale_factor=2)).relu(), scale_factor=2)).sigmoid()

    return net, look, draw


MAKERS = {f.__name__: f for f in (antixk, pythae, world_models, konny_h, pooled)}
RANGED = {"antixk": (-1.0, 1.0)}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_a_program_comes_back_with_its_own_arithmetic(maker, prefix):
    """Weights are chance, so nothing can be measured: the structure alone must be right."""
    torch.manual_seed(0)
    net, look, draw = MAKERS[maker]()
    net.eval()
    tensors = {prefix + k: v for k, v in net.state_dict().items()}
    plans, start, *_ = reading.structured(Contents(tensors, "zip"))
    assert any(agrees(plan, start, look, draw) for plan in plans[: reading.MOST_PLANS])


@torch.no_grad()
def agrees(plan, start, look, draw):
    """Whether a plan draws and looks as the program does."""
    z = torch.randn(3, plan.latent)
    theirs = draw(z)
    if theirs.shape[1:] != plan.shape:
        return False
    model = built(plan, start)
    low, high = start.out_of
    x = (theirs - low) / (high - low)
    mean = model.heads(model.features(x))[0]
    return torch.allclose(model.decode(z).mean, x, atol=1e-5) and torch.allclose(
        mean, look(theirs), atol=1e-4
    )


# --- adopted, it is one of ours ------------------------------------------------------------------


@needs_files
def test_an_adopted_file_opens_draws_and_says_where_it_is_from(tmp_path, capsys):
    path = SHARED / "Zeesky-code+HandWriter" / "cvae_mnist.pth"
    assert main(["inspect", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["opened"]
    assert said["classes"] == 10
    assert main(["adopt", str(path), str(tmp_path / "mine")]) == 0
    model, card = bundle.load(tmp_path / "mine")
    assert card.provenance["source"] == "cvae_mnist.pth"
    found = reading.inspect(path)
    z, y = torch.randn(2, 5, model.latent_size), torch.arange(5)
    assert torch.equal(model.decode(z, y).mean, found.best.model().decode(z, y).mean)


def test_what_cannot_be_read_is_a_sentence_and_status_1(tmp_path, capsys):
    (tmp_path / "a.pt").write_bytes(b"no")
    assert main(["inspect", str(tmp_path / "a.pt"), "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {"opened": False, "reason": told.err.strip(), "family": None}


DATA = DataSpec("toy", 1, 8, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent": 10**9}, {"decoder": [{"op": "system"}]}, {"decoder": [{"op": "conv"}]},
        {"output": "exec"}, {"into": [1, 0]}, {"classes": -1}, {"encoder": 3},
        {"mean": [{"op": "linear", "ins": 10**9, "outs": 10**9}]},
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_is_a_sentence(wrong):
    with pytest.raises(BundleError):
        Foreign(DATA, Config({**USUAL, **wrong}))


def test_a_decoder_alone_draws_and_says_that_it_cannot_look(tmp_path):
    torch.manual_seed(0)
    tensors = {"0.weight": torch.randn(32, 4), "0.bias": torch.zeros(32)}
    tensors |= {"2.weight": torch.randn(784, 32), "2.bias": torch.zeros(784)}
    found = reading.recognise(Contents(tensors, "zip"))
    card = adopt(found, tmp_path / "half", "half.pt")
    assert "cannot look" in card.notes["lacks encoder"]
    model, _ = bundle.load(tmp_path / "half")
    assert model.decode(torch.zeros(1, 4)).mean.shape == (1, 1, 28, 28)
    with pytest.raises(BundleError, match="decoder alone"):
        model.encode(torch.zeros(1, 1, 28, 28))


def test_nan_weights_are_told():
    tensors = {"fc1.weight": torch.full((4, 784), float("nan"))}
    with pytest.raises(FormatError, match="NaN"):
        reading.recognise(Contents(tensors, "zip"))


README = Path(__file__).parents[1] / "explorer" / "formats" / "README.md"


def test_the_adapter_of_the_readme_adopts_what_no_reader_follows(tmp_path, capsys):
    torch.manual_seed(0)
    net = nn.ModuleDict(
        {"look": nn.Linear(64, 9), "where": nn.Linear(9, 3), "how_sure": nn.Linear(9, 3),
         "left": nn.Linear(3, 64), "right": nn.Linear(3, 64)}
    )  # fmt: skip
    torch.save(net.state_dict(), tmp_path / "vae.pth")
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.S)
    assert code is not None
    (tmp_path / "mine.py").write_text(code[1])
    told = ["--adapter", str(tmp_path / "mine.py")]
    assert main(["inspect", str(tmp_path / "vae.pth"), "--json", *told]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "mine"
    assert main(["adopt", str(tmp_path / "vae.pth"), str(tmp_path / "bundle"), *told]) == 0
    model, _ = bundle.load(tmp_path / "bundle")
    z, x = torch.randn(4, 3), torch.rand(4, 1, 8, 8)
    drawn = (net["left"](z) + net["right"](z)).sigmoid().view(4, 1, 8, 8)
    assert torch.allclose(model.decode(z).mean, drawn, atol=1e-6)
    mean = net["where"](net["look"](x.flatten(1)).tanh())
    assert torch.allclose(model.encode(x).mean, mean, atol=1e-6)
    (tmp_path / "mine.py").write_text("x = 1")
    assert main(["inspect", str(tmp_path / "vae.pth"), *told]) == 1
    assert "FORMAT" in capsys.readouterr().err
