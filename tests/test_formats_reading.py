"""Other people's files as bytes: what is read is what was saved; what is hostile is a sentence."""

import collections
import io
import json
import os
import pickle
import random
import struct
import time
import zipfile

import pytest
import torch
from safetensors.torch import save as to_safetensors

from explorer.errors import FormatError
from explorer.formats import files, pickles
from tests.fuzzing import mutated, trial, warped


def saved(value, **how):
    out = io.BytesIO()
    torch.save(value, out, **how)
    return out.getvalue()


def read(raw, name="vae.pt"):
    return files.read_stream(io.BytesIO(raw), len(raw), name)


def state(dtype=torch.float32):
    return collections.OrderedDict(
        {
            "fc1.weight": torch.randn(4, 3).to(dtype),
            "fc1.bias": torch.randn(4).to(dtype),
            "turned": torch.randn(3, 5).to(dtype).T,
            "bn.num_batches_tracked": torch.tensor(7),
        }
    )


CONTAINERS = {
    "zip": lambda s: saved(s),
    "legacy": lambda s: saved(s, _use_new_zipfile_serialization=False),
    "safetensors": lambda s: to_safetensors({k: v.contiguous() for k, v in s.items()}),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_container_and_precision_comes_back_as_float32(container, dtype):
    made = state(dtype)
    found = read(CONTAINERS[container](made))
    assert found.container == container
    assert set(found.tensors) == set(made)
    for name, value in made.items():
        expected = value.float() if value.is_floating_point() else value
        assert torch.equal(found.tensors[name], expected)
        assert found.tensors[name].dtype == expected.dtype


WRAPPED = {
    "bare": lambda s: s,
    "lightning": lambda s: {
        "epoch": 3, "state_dict": s, "optimizer_states": [{"state": {0: {"m": torch.ones(9)}}}],
        "hyper_parameters": {"latent_dim": 5},
    },
    "pythae": lambda s: {"model_state_dict": s},
    "1Konny": lambda s: {"iter": 1, "model_states": {"net": s}, "optim_states": {"a": state()}},
    "beside its optimiser": lambda s: {"vae": s, "optimizer": {"state": {0: torch.ones(3)}}},
    "any one name": lambda s: {"what_i_trained": s, "epoch": 2},
}  # fmt: skip


@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_the_state_dict_is_found_in_whatever_it_is_wrapped(wrapper, zipped):
    made = state()
    raw = saved(WRAPPED[wrapper](made), _use_new_zipfile_serialization=zipped)
    found = read(raw)
    assert list(found.tensors) == list(made)
    assert all(torch.equal(found.tensors[k], v) for k, v in made.items())
    if wrapper == "lightning":
        assert found.facts["latent_dim"] == 5


def test_two_halves_keep_their_names():
    raw = saved({"encoder_state_dict": state(), "decoder_state_dict": state()})
    names = read(raw).tensors
    assert {n.split(".")[0] for n in names} == {"encoder", "decoder"}
    assert len(names) == 8


def test_a_module_pickled_whole_is_listed_and_not_made(tmp_path):
    found = read(saved(torch.nn.Sequential(torch.nn.Linear(3, 2))))
    assert found.whole == "torch.nn.modules.container.Sequential"
    assert list(found.tensors) == ["0.weight", "0.bias"]


class Calls:
    def __init__(self, function, *args):
        self.made = function, args

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", range(6))
def test_what_a_stream_would_call_is_never_called(tmp_path, protocol):
    target = tmp_path / "written"
    for call in (Calls(os.mkdir, str(target)), Calls(eval, f"open({str(target)!r}, 'w')")):
        stream = pickles.walk(pickle.dumps({"a": call}, protocol))
        assert isinstance(stream.value["a"], pickles.Made)
        assert stream.marks
    assert not target.exists()


def hostile():
    """Names and bytes of files that must each be refused."""
    good = saved(state())
    yield "empty", b""
    yield "lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    yield "page", b"<!DOCTYPE html><html></html>"
    yield "noise", random.Random(0).randbytes(5000)
    yield "plain pickle", pickle.dumps({"a": 1})
    yield "only a zip head", good[:40]
    huge = saved({"a": torch.zeros(1).expand(10**6, 10**6)})
    yield "expanded to 10^12", huge
    header = json.dumps(
        {"a": dict(dtype="F32", shape=[10**6, 10**6], data_offsets=[0, 4 * 10**12])}
    )
    yield "10^12 in a header", struct.pack("<Q", len(header)) + header.encode() + b"0" * 8
    both = {n: dict(dtype="F32", shape=[2], data_offsets=[0, 8]) for n in "ab"}
    header = json.dumps(both)
    yield "overlapping", struct.pack("<Q", len(header)) + header.encode() + b"0" * 8
    yield "header beyond the file", struct.pack("<Q", 1 << 40) + b"{" + b" " * 50
    many = {f"a{k}": dict(dtype="F32", shape=[0], data_offsets=[0, 0]) for k in range(100_000)}
    header = json.dumps(many)
    yield "100,000 tensors", struct.pack("<Q", len(header)) + header.encode()
    nested = b"(" + b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    yield "a deep stream", _zip({"a/data.pkl": b"\x80\x02" + nested[3:]})
    yield "no tensors", saved({"epoch": 3})
    yield "a bomb", _zip({"x/data.pkl": b"\0" * (40 << 20)}, zipfile.ZIP_DEFLATED)
    yield "a zip in a zip", _zip({"model.pt": _zip({"model.pt": good})})
    yield "an escape", _zip({"../../model.txt": b"x"})
    yield "TorchScript", _zip({"m/data.pkl": b"\x80\x02}.", "m/constants.pkl": b"\x80\x02)."})
    loop = b"\x80\x02]q\x00h\x00a."
    yield "a list in itself", _zip({"m/data.pkl": loop})


def _zip(members, how=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "raw"), list(hostile()), ids=lambda v: v if type(v) is str else ""
)
def test_hostile_files_are_a_sentence_within_three_seconds(name, raw):
    began = time.thread_time()
    with pytest.raises(FormatError) as told:
        read(raw)
    assert time.thread_time() - began < 3
    assert 10 < len(str(told.value)) < 400


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_file_cut_anywhere_is_a_sentence(container):
    raw = CONTAINERS[container]({"fc1.weight": torch.randn(64, 64), "fc1.bias": torch.randn(64)})
    for size in range(0, len(raw) - 200, 1024):
        with pytest.raises(FormatError):
            read(raw[:size])


def test_a_folder_is_read_with_its_notes_and_never_its_links(tmp_path):
    (tmp_path / "specs.json").write_text('{"latent_dim": 10}')
    (tmp_path / "model.pt").write_bytes(saved(state()))
    (tmp_path / "optimizer.pt").write_bytes(saved({"a": torch.ones(3)}))
    (tmp_path / "encoder.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    found = files.read(tmp_path)
    assert list(found.tensors) == list(state())
    assert found.facts == {"latent_dim": 10}
    zipped = _zip({p.name: p.read_bytes() for p in tmp_path.iterdir()})
    assert list(read(zipped).tensors) == list(state())
    alone = tmp_path / "links"
    alone.mkdir()
    (alone / "model.pt").symlink_to(tmp_path / "model.pt")
    with pytest.raises(FormatError, match="no weights"):
        files.read(alone)


@pytest.mark.parametrize("way", [mutated, warped])
def test_1500_broken_files_are_recognised_or_refused_in_words(way):
    began = time.thread_time()
    recognised = sum(trial(way(seed)) for seed in range(1500))
    assert time.thread_time() - began < 30
    assert 0 < recognised < 1500
