"""Several processes that share every batch of one run, by torch.distributed: gloo, NCCL on GPUs.

The first process is the trainer that anybody knows: it holds the run, starts the others on its
machine, and alone writes. Each computes its part of the batch; gradients and terms are summed by
their shares, so that all take the same step. On a cluster torchrun starts them instead.

Not DistributedDataParallel, which sees the gradients of a module's ``forward``: an objective asks
a model's encoder and decoder one by one, of several modules in turns.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed

from explorer.errors import RunError
from explorer.processes import ROOT
from explorer.runs import Run

PORT = "LATENT_PORT"  # where the first process of this machine waits for those it has started
PATIENCE = timedelta(minutes=30)  # while the first one measures and writes
ARRIVAL = timedelta(minutes=2)
LAST_WORDS = 5.0  # seconds that a process which has failed may take to end


class Lost(RunError):
    """A process of the run is gone, and the others cannot go on."""


@dataclass(frozen=True)
class Team:
    """The processes of a run, as one of them sees them; by itself, a run of one.

    Attributes:
        rank: this process's number; 0 is the one that writes.
        size: how many there are.
        helpers: those that this one has started.
    """

    rank: int = 0
    size: int = 1
    helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def place(self, kind: str) -> torch.device:
        """Where this process computes. Raises RunError where there is no room for all."""
        if self.size == 1 or kind == "cpu":
            return torch.device(kind)
        gpu = int(os.environ.get("LOCAL_RANK", 0))
        if kind != "cuda" or gpu >= torch.cuda.device_count():
            raise RunError(
                f"{self.size} processes need a GPU of NVIDIA's each. Choose fewer, or device cpu."
            )
        torch.cuda.set_device(gpu)
        return torch.device(kind, gpu)

    def part(self, of: Tensor) -> Tensor:
        """This process's part of ``of: (n,)``; sizes differ by one at most."""
        return of.tensor_split(self.size)[self.rank]

    def total(self, parts: Sequence[Tensor], share: float) -> None:
        """Makes each tensor the sum of all processes' ones, every process's times its share."""
        if self.size == 1:
            return
        flat = torch.cat([part.reshape(-1) for part in parts]).mul_(share)
        with self._together():
            distributed.all_reduce(flat)
        for part, whole in zip(parts, flat.split([p.numel() for p in parts]), strict=True):
            part.copy_(whole.view_as(part))

    def firsts(self, tensor: Tensor) -> Tensor:
        """The first process's ``tensor``, in the place of this one's."""
        if self.size > 1:
            with self._together():
                distributed.broadcast(tensor, 0)
        return tensor

    def every(self, tensor: Tensor) -> list[Tensor]:
        """All processes' tensors of one shape, in order."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._together():
            distributed.all_gather(found, tensor)
        return found

    def leave(self) -> None:
        """Ends the team, and the processes that this one has started."""
        for helper in self.helpers:
            if helper.stdin:
                helper.stdin.close()  # they see it, and end
        for helper in self.helpers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                helper.wait(LAST_WORDS)
            helper.kill()
            helper.wait()
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # gloo and NCCL have no narrower one in common
            raise Lost(f"{self.fallen()}, so that the others could not go on.") from error

    def fallen(self) -> str:
        """Which process is gone, and how."""
        until = time.monotonic() + LAST_WORDS
        while self.helpers and time.monotonic() < until:
            for number, helper in enumerate(self.helpers, 2):
                if code := helper.poll():
                    how = f"was killed (signal {-code})" if code < 0 else "failed; see log.txt"
                    return f"Process {number} of {self.size} {how}"
            time.sleep(0.02)
        return f"One of the run's {self.size} processes does not answer"


ALONE = Team()


def gathered(run: Run, processes: int) -> Team:
    """The team of ``run``, once all are here; call ``leave`` in the end.

    There are as many as torchrun has started; else ``processes``, and the first starts the others.
    Raises Lost where one does not come.
    """
    size = int(os.environ.get("WORLD_SIZE", processes))
    if size == 1:
        return ALONE
    team = Team(int(os.environ.get("RANK", 0)), size)
    try:
        if "WORLD_SIZE" in os.environ and PORT not in os.environ:
            distributed.init_process_group(_backend(), timeout=PATIENCE)
        else:
            _meet(run, team)
    except BaseException as error:
        team.leave()
        if isinstance(error, RuntimeError):
            raise Lost(f"The run's {size} processes did not come together ({error}).") from error
        raise
    return team


def _meet(run: Run, team: Team) -> None:
    """The processes of one machine find each other at a port that is free, unless one was told."""
    port, here = int(os.environ.get(PORT, 0)), [f"here/{rank}" for rank in range(team.size)]
    store = distributed.TCPStore(  # pyright: ignore[reportPrivateImportUsage]
        "127.0.0.1", port, is_master=not port, wait_for_workers=False, timeout=ARRIVAL
    )
    store.set(here[team.rank], "")
    if team.first:
        if team.size > (cores := max(2, os.cpu_count() or 1)):
            raise RunError(f"{team.size} processes are too many for {cores} cores. Choose fewer.")
        for rank in range(1, team.size):
            team.helpers.append(_helper(run, rank, team.size, store.port))
        until = time.monotonic() + ARRIVAL.total_seconds()
        while not store.check(here):
            if time.monotonic() > until or any(h.poll() is not None for h in team.helpers):
                raise Lost(f"{team.fallen()}, before it had begun.")
            time.sleep(0.02)
    distributed.init_process_group(
        _backend(), store=store, rank=team.rank, world_size=team.size, timeout=PATIENCE
    )


def _backend() -> str:
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _helper(run: Run, rank: int, size: int, port: int) -> subprocess.Popen[bytes]:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, PORT: port}
    return subprocess.Popen(
        [sys.executable, "-m", "train", "resume", str(run.folder.resolve())],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        env={**os.environ, **{name: str(value) for name, value in place.items()}},
    )


def end_with_the_first() -> None:
    """Ends this process as soon as the one that has started it is gone, however that went."""

    def wait() -> None:
        os.read(0, 1)  # nothing is ever written
        os._exit(1)

    if PORT in os.environ:
        threading.Thread(target=wait, daemon=True).start()
