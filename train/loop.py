"""The one training loop: a run folder says what to do, and is told everything that happens."""

from __future__ import annotations

import contextlib
import errno
import math
import sys
import traceback

import psutil
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from explorer.errors import ExplorerError
from explorer.runs import Run

from . import batches, checkpoints, team
from .adam import Adam
from .config import TrainConfig
from .log import Log
from .objectives import Phase, Terms
from .trainer import Trainer, prepare, threads


def train(run: Run, quiet: bool = False) -> str:
    """Runs or resumes ``run`` to its end; returns the state it ended in.

    Raises RunError when another trainer holds the folder. Whatever else goes wrong is told in
    status.json, with the last good checkpoint kept.
    """
    with run.hold():
        return go_on(run, quiet)


def go_on(run: Run, quiet: bool = False) -> str:
    """As ``train``, by whoever holds the run."""
    trainer, crew = None, team.ALONE
    try:
        newest = run.checkpoint()
        step = int(newest.name) if newest else 0
        config = TrainConfig.from_dict(run.config(), run.name)
        _yield_to_others(config)
        run.report("running", step, note="reading the data")
        crew = team.gathered(run, config.processes)
        trainer = prepare(config, crew)
        checkpoints.resume(run, trainer)
        state = _loop(run, trainer, quiet)
        run.report(state, trainer.step, of=trainer.total)
        return state
    except KeyboardInterrupt:
        _end(run, trainer, "stopped", note="It goes on from its last checkpoint when resumed.")
        return "stopped"
    except Exception as error:
        sentence = _sentence(error, run)
        _end(run, trainer, "failed", error=sentence or f"{type(error).__name__}: {error}")
        if sentence is None:  # a bug: whoever started the run may read it in log.txt
            traceback.print_exc()
            raise
        print(f"{run.name} failed: {sentence}", file=sys.stderr)
        return "failed"
    finally:
        crew.leave()


def help_with(run: Run) -> None:
    """What a process that is not the first of a run does: its part of every batch, and no file.

    Raises ExplorerError where the first one is gone.
    """
    crew = team.gathered(run, 1)
    try:
        config = TrainConfig.from_dict(run.config(), run.name)
        _yield_to_others(config)
        trainer = prepare(config, crew)
        checkpoints.resume(run, trainer)
        _loop(run, trainer, quiet=True)
    finally:
        crew.leave()


def _end(run: Run, trainer: Trainer | None, state: str, **more: str) -> None:
    """Tells how it ended; where even that cannot be written the run reads as died."""
    step, of = (trainer.step, trainer.total) if trainer else (0, 0)
    with contextlib.suppress(OSError):
        run.report(state, step, of=of, **more)


def _sentence(error: Exception, run: Run) -> str | None:
    """What happened, what is left of the run, and what to do; None for what should not happen."""
    newest = run.checkpoint()
    kept = (
        f"Its checkpoint of step {int(newest.name):,} is kept."
        if newest
        else "It had no checkpoint yet."
    )
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return f"The machine ran out of memory; choose a smaller batch or model. {kept}"
    if _disk_is_full(error):
        return f"The disk is full. Make room and resume. {kept}"
    if isinstance(error, team.Lost):
        return f"{error} {kept} Resume it, with fewer processes if that happens again."
    if isinstance(error, FloatingPointError | SafetensorError):
        return f"{error} {kept}"
    return str(error) if isinstance(error, ExplorerError | OSError) else None


def _disk_is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    # of what Linux, macOS and Windows say only the number comes through
    said = str(error)
    return isinstance(error, SafetensorError) and ("error 28)" in said or "error 112)" in said)


def _yield_to_others(config: TrainConfig) -> None:
    """Dragging comes first: fewer threads than cores, and a low priority."""
    torch.set_num_threads(threads(config))
    me = psutil.Process()
    me.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else max(5, me.nice()))


def _loop(run: Run, trainer: Trainer, quiet: bool) -> str:
    config = trainer.config
    log = Log(run, trainer.total, config.batch, quiet) if trainer.team.first else None
    while trainer.step < trainer.total:
        if trainer.team.firsts(torch.tensor(run.stop_requested())):
            checkpoints.save(run, trainer)
            return run.asked_end()
        turns = trainer.turns
        lr = advance(trainer)
        if log and trainer.turns > turns:
            log.less_memory(trainer.step, config.batch, trainer.turns)

        step, last = trainer.step, trainer.step == trainer.total
        if step % config.log_every == 0 or step == 1 or last:
            means = trainer.means.take()
            if log:
                log.write(step, means, lr)
        if log and (step % config.evaluate_every == 0 or step == config.log_every or last):
            log.held_out(step, trainer.average, trainer.data, config)
        if step % config.checkpoint_every == 0 or step == config.log_every or last:
            checkpoints.save(run, trainer)
    return "done"


def advance(trainer: Trainer) -> float:
    """One step on the next batch; returns its learning rate. Nothing in it waits for a value."""
    x, y = batches.batch(
        trainer.data.train, trainer.config, trainer.step, trainer.device, trainer.team
    )
    lr = _schedule(trainer)
    trainer.means.add(update(trainer, x, y))
    follow(trainer)
    trainer.step += 1
    return lr


def update(trainer: Trainer, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
    """The whole training step, adversarial or not; every phase's terms by name."""
    seen: dict[str, Tensor] = {}
    for k, (phase, optimizer) in enumerate(zip(trainer.phases, trainer.optimizers, strict=True)):
        if trainer.step < phase.begins:
            continue
        terms = _slopes(trainer, phase, optimizer, x, y)
        if trainer.config.clip:
            nn.utils.clip_grad_norm_(phase.module.parameters(), trainer.config.clip)
        optimizer.step()
        seen |= {f"{phase.name}/{n}" if k else n: value for n, value in terms.items()}
    return seen


def _slopes(trainer: Trainer, phase: Phase, optimizer: Adam, x: Tensor, y: Tensor | None) -> Terms:
    """Leaves the gradient of the whole batch, whose part this process has in ``x`` and ``y``, in
    the parameters; returns the terms of the whole batch."""
    while (terms := _in_turns(trainer, phase, optimizer, x, y)) is None:
        # only now has all that was computed so far gone
        trainer.turns *= 2
        torch.cuda.empty_cache()
    slopes = [p.grad for p in optimizer.parameters if p.grad is not None]
    share = len(x) / min(trainer.config.batch, len(trainer.data.train.x))
    trainer.team.total([*slopes, *terms.values()], share)
    return terms


def _in_turns(
    trainer: Trainer, phase: Phase, optimizer: Adam, x: Tensor, y: Tensor | None
) -> Terms | None:
    """Leaves the gradient of ``x`` and ``y`` in the parameters and returns their terms, computed
    in as many turns as memory has asked for so far; None where a GPU has no room for one of them.
    """
    optimizer.zero_grad()
    summed: Terms = {}
    labels = [None] * trainer.turns if y is None else y.tensor_split(trainer.turns)
    try:
        for part, label in zip(x.tensor_split(trainer.turns), labels, strict=True):
            share = len(part) / len(x)
            terms = phase.loss(part, label, trainer.step)
            (share * terms["loss"] if share < 1 else terms["loss"]).backward()
            for name, value in terms.items():
                value = value.detach() * share if share < 1 else value.detach()
                summed[name] = summed[name] + value if name in summed else value
    except torch.OutOfMemoryError:
        if 2 * trainer.turns > len(x):
            raise
        return None
    return summed


def _schedule(trainer: Trainer) -> float:
    """Sets and returns this step's learning rate: constant, or a cosine down to a hundredth."""
    cosine = 0.505 + 0.495 * math.cos(math.pi * trainer.step / trainer.total)
    lr = trainer.config.lr * (cosine if trainer.config.schedule == "cosine" else 1.0)
    for optimizer in trainer.optimizers:
        optimizer.lr = lr
    return lr


@torch.no_grad()
def follow(trainer: Trainer) -> None:
    """Moves the average of the weights one step towards them."""
    if trainer.config.ema:
        # a young average follows fast, or the first checkpoint would show the untrained model
        decay = min(trainer.config.ema, (1 + trainer.step) / (10 + trainer.step))
        pair = list(trainer.average.parameters()), list(trainer.model.parameters())
        torch.ops.aten._foreach_lerp_.Scalar(*pair, 1 - decay)
