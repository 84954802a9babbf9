"""Somebody else's checkpoint, dropped on the page, told, opened, and dragged."""

import io

import torch
from browsing import drag, go, looks, looks_new, settled, stage
from playwright.sync_api import expect


def classic():
    """A `pytorch/examples` VAE as somebody's browser would bring it, the weights by chance."""
    torch.manual_seed(0)
    sizes = {"fc1": (64, 784), "fc21": (8, 64), "fc22": (8, 64), "fc3": (64, 8), "fc4": (784, 64)}
    state = {f"{n}.weight": torch.randn(s) / s[1] ** 0.5 for n, s in sizes.items()}
    state |= {f"{n}.bias": torch.zeros(s[0]) for n, s in sizes.items()}
    out = io.BytesIO()
    torch.save({"model_state_dict": state, "epoch": 3}, out)
    return {"name": "vae.pth", "mimeType": "application/octet-stream", "buffer": out.getvalue()}


def drop(tab, file):
    tab.get_by_role("tab", name="Somebody's checkpoint").click()
    panel = tab.get_by_role("tabpanel", name="Somebody's checkpoint")
    place = panel.get_by_role("region", name="A checkpoint of somebody else")
    place.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    return panel


def test_a_dropped_checkpoint_is_told_opened_and_dragged(visit):
    tab = visit("model", model="Digits")
    panel = drop(tab, {"name": "vae.pt", "mimeType": "", "buffer": b"version https://git-lfs"})
    expect(panel.get_by_test_id("stAlert")).to_contain_text("git lfs pull")
    panel = drop(tab, classic())
    expect(panel.get_by_text("nothing of the file was executed")).to_be_visible()
    expect(panel.get_by_text("The next best reading", exact=True)).to_be_visible()
    panel.get_by_role("button", name="Open it").click()
    expect(tab.get_by_role("combobox", name="Model")).to_have_value("vae (yours)")
    settled(tab)
    go(tab, "Play")
    canvas = stage(tab)
    before = looks(canvas)
    drag(tab, canvas, 150, -80)
    looks_new(canvas, before)
