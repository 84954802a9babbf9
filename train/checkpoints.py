"""Numbered checkpoints: a bundle to look at, and all that going on exactly takes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from explorer import bundle
from explorer.cards import read_card
from explorer.errors import RunError
from explorer.runs import Run

from .trainer import Means, Trainer, noise_seed

RESUME = "resume.safetensors"


def save(run: Run, trainer: Trainer) -> None:
    """Publishes ``checkpoints/<step>`` by one rename, then lets the older ones go."""
    if not all(p.isfinite().all() for p in trainer.average.parameters()):
        raise FloatingPointError(
            f"The training diverged: weights are not finite at step {trainer.step}. Try a smaller "
            "learning rate, or clip gradients."
        )
    draws = _draws(trainer)
    if not trainer.team.first:
        return
    root = run.folder / "checkpoints"
    target = root / f"{trainer.step:06d}"
    if target.exists():
        return
    root.mkdir(exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=root))
    try:
        save_file(_state(trainer, draws), partial / RESUME)
        bundle.save(partial, trainer.average.state_dict(), trainer.card)
        for path in (run.folder / "metrics.jsonl", *partial.iterdir(), partial):
            _to_disk(path)  # a machine may go down, and the older one goes after this
        partial.rename(target)
        _to_disk(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # on a full disk it would take the last room
        raise
    for old in [p for p in root.iterdir() if p != target]:
        shutil.rmtree(old, ignore_errors=True)


def _to_disk(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):  # Windows opens no folder
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def resume(run: Run, trainer: Trainer) -> None:
    """Brings ``trainer`` to the run's last checkpoint, if any; cuts what it logged back to it."""
    if trainer.team.first:
        for part in (run.folder / "checkpoints").glob(".part-*"):
            shutil.rmtree(part, ignore_errors=True)  # a trainer was killed while it wrote
    folder, before, told = run.checkpoint(), trainer.team.size, ""
    if folder is not None:
        try:
            forked = trainer.config.parent.get("step") == int(folder.name)
            tensors = load_file(folder / RESUME)
            _restore(trainer, tensors, strict=not forked)
            before = sum(name.startswith("rng/cpu") for name in tensors)
            told = read_card(folder).provenance.get("processes", "")
        except (KeyError, RuntimeError) as error:
            raise RunError(
                f"{run.name}: its checkpoint does not fit its settings, or was written by another "
                f"version ({str(error).splitlines()[0]}). Start a new run."
            ) from error
    _agree(run, trainer)
    if trainer.team.first:
        run.cut_back(trainer.step)
        _tell_processes(run, trainer, before, told)


def _agree(run: Run, trainer: Trainer) -> None:
    """Raises RunError where processes of the run stand at different steps."""
    steps = [int(step) for step in trainer.team.every(torch.tensor(trainer.step))]
    if len(set(steps)) > 1:
        raise RunError(
            f"{run.name}: its processes see checkpoints of different steps "
            f"({', '.join(map(str, steps))}). Its folder has to be on a disk that all share."
        )


def _tell_processes(run: Run, trainer: Trainer, before: int, told: str) -> None:
    """Says on the curve and on the card where other processes went on than had begun."""
    size = trainer.team.size
    if before != size:
        run.note(trainer.step, f"processes {before} → {size}")
        told = f"{told or before}, then {size} from step {trainer.step:,}"
    if told or size > 1:
        provenance = {**trainer.card.provenance, "processes": told or str(size)}
        trainer.card = dataclasses.replace(trainer.card, provenance=provenance)


def _draws(trainer: Trainer) -> dict[str, Tensor]:
    """Where the draws of every process stand, by name."""
    states = {"rng/cpu": torch.get_rng_state()}
    if trainer.device.type == "cuda":
        states["rng/cuda"] = torch.cuda.get_rng_state()
    return {
        _of(rank, name): state
        for name, mine in states.items()
        for rank, state in enumerate(trainer.team.every(mine))
    }


def _of(rank: int, name: str) -> str:
    return f"{name}/{rank}" if rank else name


def _state(trainer: Trainer, draws: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {
        "step": torch.tensor(trainer.step),
        **draws,
        **{f"means/sums/{name}": value for name, value in trainer.means.sums.items()},
        **{f"means/counts/{n}": torch.tensor(k) for n, k in trainer.means.counts.items()},
    }
    for phase, optimizer in zip(trainer.phases, trainer.optimizers, strict=True):
        for name, value in phase.module.state_dict().items():
            tensors[f"{phase.name}/weights/{name}"] = value
        for name, value in optimizer.state().items():
            tensors[f"{phase.name}/adam/{name}"] = value
    for name, value in trainer.average.state_dict().items():
        tensors[f"average/{name}"] = value
    # shared storage (the average may be the model) and strides are not safetensors' to keep
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}


def _restore(trainer: Trainer, tensors: dict[str, Tensor], strict: bool) -> None:
    """Unless ``strict``, what the checkpoint does not know begins anew, such as a multiplier."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    trainer.step = int(tensors["step"])
    sums = {name: value.to(trainer.device) for name, value in under("means/sums/").items()}
    counts = {name: int(value) for name, value in under("means/counts/").items()}
    trainer.means = Means(sums, counts)
    trainer.average.load_state_dict(under("average/"))
    for phase, optimizer in zip(trainer.phases, trainer.optimizers, strict=True):
        phase.module.load_state_dict(under(f"{phase.name}/weights/"), strict)
        optimizer.load(under(f"{phase.name}/adam/"), strict)
    cpu, cuda = (_of(trainer.team.rank, name) for name in ("rng/cpu", "rng/cuda"))
    if cpu in tensors:
        torch.set_rng_state(tensors[cpu])
    else:  # there were fewer processes
        torch.manual_seed(noise_seed(trainer.config, trainer.team.rank, trainer.step))
    if cuda in tensors and trainer.device.type == "cuda":
        torch.cuda.set_rng_state(tensors[cuda])
