"""What programs write, from the tables of their tensors' names and shapes: each is recognised."""

from itertools import pairwise

import pytest
import torch

from explorer.errors import FormatError
from explorer.formats import reading
from explorer.formats.files import Contents


def put(name, *shape, turned=False):
    """A weight and its bias."""
    return {f"{name}.weight": shape, f"{name}.bias": (shape[1 if turned else 0],)}


def norm(name, n):
    ends = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{end}": (n,) for end in ends} | {f"{name}.num_batches_tracked": ()}


def burgess(side, channels):
    table = put("encoder.conv1", 32, channels, 4, 4)
    for name in ("conv2", "conv3", *(["conv_64"] if side == 64 else [])):
        table |= put(f"encoder.{name}", 32, 32, 4, 4)
    table |= put("encoder.lin1", 256, 512) | put("encoder.lin2", 256, 256)
    table |= put("encoder.mu_logvar_gen", 20, 256)
    table |= put("decoder.lin1", 256, 10) | put("decoder.lin2", 256, 256)
    table |= put("decoder.lin3", 512, 256)
    for name in (*(["convT_64"] if side == 64 else []), "convT1", "convT2"):
        table |= put(f"decoder.{name}", 32, 32, 4, 4)
    return table | put("decoder.convT3", 32, channels, 4, 4, turned=True)


def antixk(ins=3, heads=("fc_mu", "fc_var"), latent=128, label=0):
    table = {}
    for k, (a, b) in enumerate(pairwise((ins, 32, 64, 128, 256, 512))):
        table |= put(f"encoder.{k}.0", b, a, 3, 3) | norm(f"encoder.{k}.1", b)
    for head in heads:
        table |= put(head, latent, 2048)
    table |= put("decoder_input", 2048, latent + label)
    for k, (a, b) in enumerate(pairwise((512, 256, 128, 64, 32))):
        table |= put(f"decoder.{k}.0", a, b, 3, 3, turned=True) | norm(f"decoder.{k}.1", b)
    table |= put("final_layer.0", 32, 32, 3, 3) | norm("final_layer.1", 32)
    return table | put("final_layer.3", 3, 32, 3, 3)


def pythae(channels, flat, seam, back, kernel, last):
    table = {}
    for k, (a, b) in enumerate(pairwise((channels, 128, 256, 512, 1024))):
        table |= put(f"encoder.layers.{k}.0", b, a, 4, 4) | norm(f"encoder.layers.{k}.1", b)
    table |= put("encoder.embedding", 16, flat) | put("encoder.log_var", 16, flat)
    table |= put(seam[0], seam[1], 16)
    for k, (a, b) in enumerate(pairwise(back), 1):
        table |= put(f"decoder.layers.{k}.0", a, b, kernel, kernel, turned=True)
        if k < last:
            table |= norm(f"decoder.layers.{k}.1", b)
    return table


def konny_b():
    table = put("encoder.0", 32, 3, 4, 4)
    for k in (2, 4, 6):
        table |= put(f"encoder.{k}", 32, 32, 4, 4)
    table |= put("encoder.9", 256, 512) | put("encoder.11", 256, 256) | put("encoder.13", 20, 256)
    table |= put("decoder.0", 256, 10) | put("decoder.2", 256, 256) | put("decoder.4", 512, 256)
    for k in (7, 9, 11):
        table |= put(f"decoder.{k}", 32, 32, 4, 4)
    return table | put("decoder.13", 32, 3, 4, 4, turned=True)


def examples(latent):
    table = put("fc1", 400, 784) | put("fc21", latent, 400) | put("fc22", latent, 400)
    return table | put("fc3", 400, latent) | put("fc4", 784, 400)


ANTIXK = "PyTorch-VAE (AntixK)"
# the table, the format's name, pictures, latent
READ = {
    "disentangling-vae of 32": (burgess(32, 1), "disentangling-vae", (1, 32, 32), 10),
    "disentangling-vae of 64": (burgess(64, 3), "disentangling-vae", (3, 64, 64), 10),
    "AntixK's vanilla": (antixk(), ANTIXK, (3, 64, 64), 128),
    "pythae of digits": (
        pythae(
            1, 1024, ("decoder.layers.0", 16384), (1024, 512, 256, 1), 3, 3
        ),
        "pythae, for digits", (1, 28, 28), 16,
    ),
    "pythae of faces": (
        pythae(
            3, 16384, ("decoder.layers.0.0", 65536), (1024, 512, 256, 128, 3), 5, 4
        ),
        "pythae, for CelebA", (3, 64, 64), 16,
    ),
    "1Konny's B": (konny_b(), "Beta-VAE (1Konny), B", (3, 64, 64), 10),
    "pytorch/examples": (examples(20), "pytorch/examples", (1, 28, 28), 20),
    "pytorch/examples of 2": (examples(2), "pytorch/examples", (1, 28, 28), 2),
    "AntixK's WAE": (antixk(heads=("fc_z",)), ANTIXK, (3, 64, 64), 128),
    "AntixK's with pseudo inputs": (
        antixk() | put("embed_pseudo.0", 12288, 50), ANTIXK, (3, 64, 64), 128,
    ),
    # the softmax of its second head counts as coordinates
    "AntixK's joint": (antixk(label=40) | put("fc_z", 40, 2048), ANTIXK, (3, 64, 64), 168),
    "AntixK's conditional": (
        put("embed_class", 4096, 40) | put("embed_data", 3, 3, 1, 1) | antixk(4, label=40),
        ANTIXK, (3, 64, 64), 128,
    ),
}  # fmt: skip


def contents(table):
    torch.manual_seed(0)
    whole = {n: torch.tensor(0) if not s else torch.rand(s) * 0.02 for n, s in table.items()}
    return Contents(whole, "zip")


@pytest.mark.parametrize(("table", "name", "shape", "latent"), READ.values(), ids=READ)
def test_a_table_is_recognised_by_name_pictures_and_latent(table, name, shape, latent):
    found, _, format, _ = reading.structured(contents(table))
    assert format == name
    assert found[0].shape == shape
    assert found[0].latent == latent


def bolts():
    table = put("encoder.conv1", 64, 3, 3, 3) | put("encoder.layer1.0.conv1", 64, 64, 3, 3)
    table |= put("encoder.layer1.0.conv2", 64, 64, 3, 3)
    table |= put("fc_mu", 256, 512) | put("fc_var", 256, 512) | put("decoder.linear", 512, 256)
    return table | put("decoder.layer1.0.conv1", 64, 64, 3, 3) | put("decoder.conv1", 3, 64, 3, 3)


def kl():
    table = put("encoder.conv_in", 128, 3, 3, 3)
    table |= put("encoder.down_blocks.0.resnets.0.conv1", 128, 128, 3, 3)
    table |= put("encoder.mid_block.attentions.0.to_q", 512, 512)
    table |= put("encoder.conv_out", 8, 512, 3, 3) | put("quant_conv", 8, 8, 1, 1)
    table |= put("post_quant_conv", 4, 4, 1, 1) | put("decoder.conv_in", 512, 4, 3, 3)
    return table | put("decoder.conv_out", 3, 128, 3, 3)


def ldm():
    table = put("encoder.conv_in", 128, 3, 3, 3) | put("encoder.down.0.block.0.conv1", 9, 9, 3, 3)
    table |= put("encoder.mid.attn_1.q", 512, 512, 1, 1) | put("quant_conv", 8, 8, 1, 1)
    return table | put("decoder.up.0.block.0.conv1", 9, 9, 3, 3)


def hierarchy():
    table = put("encoder_z2_layers.0.0", 32, 3, 3, 3) | put("fc_z2_mu", 64, 2048)
    return table | put("fc_z2_var", 64, 2048) | put("fc_z1_mu", 64, 2048)


TOLD = {
    "bolts": (bolts(), "skip connections"),
    "diffusers": (kl(), "AutoencoderKL"),
    "a latent diffusion's": (
        {f"first_stage_model.{n}": s for n, s in ldm().items()}, "AutoencoderKL",
    ),
    "two code books": (
        examples(4) | {"vq.0.embedding.weight": (512, 4), "vq.1.embedding.weight": (512, 4)},
        "VQ-VAE",
    ),
    "AntixK's hierarchy": (hierarchy(), "hierarchical"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "kind"), TOLD.values(), ids=TOLD)
def test_a_table_that_is_not_opened_is_called_by_its_name(table, kind):
    with pytest.raises(FormatError, match=kind):
        reading.structured(contents(table))
