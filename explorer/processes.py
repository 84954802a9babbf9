"""Trainers as processes: started on their own, found again, ended, and why one may have died."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
STARTING = 60  # seconds that a run which nobody has started yet counts as queued
SCARCE = 64 << 20  # bytes of disk that no checkpoint fits into


def launch(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """``python -m`` this command in a process that outlives this one; its log is in the folder."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with open(folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
            start_new_session=True,  # Windows has the flags instead
            creationflags=flags,
        )


def helping() -> bool:
    """Whether this process is one of several that train together, and not the first."""
    return int(os.environ.get("RANK", 0)) > 0


def found(status: Mapping[str, Any]) -> psutil.Process | None:
    """The living trainer that ``status`` names, unless its number has been given to another.

    Not told by times: a clock that is set moves the time at which a process seems to have begun.
    """
    try:
        process = psutil.Process(status["pid"]) if status["pid"] else None
        if process is None or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process if process.pid == os.getpid() or "train" in process.cmdline() else None
    except psutil.Error:
        return None


def starting(status: Mapping[str, Any]) -> bool:
    """Whether a queued run's trainer may not have got as far as its lock."""
    if status["state"] != "queued":
        return False
    if status["pid"] is None:
        return abs(time.time() - status["at"]) < STARTING
    return found(status) is not None


def end(status: Mapping[str, Any]) -> None:
    """Kills the trainer that ``status`` names and waits until it is gone; never this process."""
    trainer = found(status)
    if trainer is None or trainer.pid == os.getpid():
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        trainer.kill()
    while found(status) is not None:
        time.sleep(0.02)


def oom_kills() -> int:
    """How often this machine has ended a process for want of memory; 0 where it does not say."""
    with contextlib.suppress(OSError):
        said = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(), re.MULTILINE)
        return int(said[1]) if said else 0
    return 0


def reason(folder: Path, status: Mapping[str, Any]) -> str:
    """Why a trainer that ended without a word may have died."""
    if psutil.boot_time() > status["at"] + 1:
        return "the machine was restarted"
    if status.get("oom_kills", sys.maxsize) < oom_kills():
        return (
            "the machine ran out of memory and the system ended it; a smaller batch or model "
            "needs less"
        )
    if shutil.disk_usage(folder).free < SCARCE:
        return "the disk is full; make room first"
    return "somebody or the system ended it"
