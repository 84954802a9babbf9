"""A training run is a folder. The trainer writes it, the UI reads it; nothing else passes between.

config.json          what to do                      launcher, once
status.json          where it stands                 trainer, replaced whole
metrics.jsonl        one record per log step         trainer, appended by line
samples/000500.png   what it looks like              trainer
manifold/000500.png  its map, of two latents          trainer
checkpoints/000500/  a bundle and resume.safetensors trainer, published by one rename
data/                pictures somebody brought       launcher; goes when the run is deleted
stop                 "stopped" or "paused", please   UI, by creating it
lock                 held while the trainer lives    trainer; the system drops it with it
log.txt              stdout and stderr               trainer
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from . import processes
from .cards import CARD, replace_whole
from .errors import RunError
from .processes import ROOT

RUNS = Path(os.environ.get("LATENT_RUNS", ROOT / "runs"))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
STOPPABLE = ("queued", "running")
SHEETS = ("samples", "manifold")
DIED = "The trainer ended without a word."
KEPT = "Its last checkpoint is kept; it can be resumed."
ENDS = ("stopped", "paused")  # as somebody may ask a trainer to end
LEAVES = "deleted"  # what is asked before everything goes


@dataclass(frozen=True)
class Run:
    folder: Path

    @classmethod
    def create(cls, name: str, config: Mapping[str, Any], private: bool = False) -> Run:
        """A new queued run below RUNS. A private one has a name that cannot be guessed."""
        token = f"-{secrets.token_urlsafe(12)}" if private else ""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "run"
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for attempt in range(100):
            suffix = f"-{attempt}" if attempt else ""
            folder = RUNS / f"{'private-' if private else ''}{stamp}-{slug}{suffix}{token}"
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                continue
        return cls.prepare(folder, config)

    @classmethod
    def prepare(cls, folder: Path, config: Mapping[str, Any]) -> Run:
        """A queued run in ``folder``; refuses one that already holds a run."""
        if (folder / "status.json").exists():
            raise RunError(f"{folder} already holds a run. Resume it, or choose another folder.")
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        run = cls(folder)
        run.instruct(config)
        run.report("queued", 0, pid=None)
        return run

    @classmethod
    def find(cls, name: str) -> Run:
        """The run of that name below RUNS; the name comes from a browser and is checked."""
        if not NAME.fullmatch(name) or not (RUNS / name / "status.json").is_file():
            raise RunError(f"There is no run called {name[:100]!r}. It may have been deleted.")
        return cls(RUNS / name)

    @classmethod
    def listed(cls) -> list[Run]:
        """The runs anybody may see, newest first."""
        found = [Run(p.parent) for p in RUNS.glob("*/status.json")]
        return sorted((run for run in found if not run.private), key=Run.begun, reverse=True)

    def begun(self) -> float:
        """When the run was made, in seconds since 1970; 0 where that cannot be told."""
        try:
            return (self.folder / "config.json").stat().st_mtime
        except OSError:
            return 0.0

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def private(self) -> bool:
        """Whether only who started it, or has its name, may see it."""
        return self.name.startswith("private-")

    # what the trainer reads and writes

    def config(self) -> dict[str, Any]:
        """What to do, as the launcher wrote it."""
        try:
            return json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise RunError(
                f"{self.name}: config.json is missing or damaged; start a new run."
            ) from None

    def lock(self) -> FileLock:
        """Held by the trainer for as long as it lives; the system drops it with the process.

        Whoever only looks whether it is held holds it for an instant, hence the patience.
        """
        return FileLock(self.folder / "lock", timeout=0.03, poll_interval=0.005)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Being this run's one trainer. Raises RunError where there is one, or no run."""
        if not (self.folder / "status.json").is_file():
            raise RunError(f"There is no run in {self.folder}. It may have been deleted.")
        lock = self.lock()
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self.name} is being trained already; watch it, or stop it first."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def report(self, state: str, step: int, **more: Any) -> None:
        """Replaces status.json. ``pid`` is this process unless ``more`` says otherwise."""
        status = dict(state=state, step=step, pid=os.getpid(), at=time.time()) | more
        replace_whole(self.folder / "status.json", json.dumps(status).encode())

    def stop_requested(self) -> bool:
        return (self.folder / "stop").exists()

    def asked_end(self) -> str:
        """One of ENDS: how somebody asked the trainer to end."""
        said = self._asked()
        return said if said in ENDS else ENDS[0]

    def leaving(self) -> bool:
        """Whether somebody is deleting it: it has ended, and is about to be gone."""
        return self._asked() == LEAVES

    def _asked(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "stop").read_text(encoding="utf-8")
        return ""

    # what a launcher and a watcher do

    def instruct(self, config: Mapping[str, Any]) -> None:
        """Replaces config.json; before the run is started."""
        replace_whole(self.folder / "config.json", json.dumps(dict(config), indent=1).encode())

    def start(self) -> subprocess.Popen[bytes]:
        """The trainer as a process of its own, which outlives this one and yields to it."""
        status = self.status()
        if self.alive() or (status["pid"] is not None and processes.starting(status)):
            raise RunError(f"{self.name} is being trained already; watch it, or stop it first.")
        newest = self.checkpoint()
        (self.folder / "stop").unlink(missing_ok=True)
        trainer = processes.launch(self.folder, ["train", "resume", str(self.folder.resolve())])
        step = int(newest.name) if newest else 0
        self.report("queued", step, of=status.get("of", 0), pid=trainer.pid)
        return trainer

    def stop(self, how: str = ENDS[0]) -> None:
        """Asks the trainer to end at its next step with a checkpoint; ``how``: ENDS or LEAVES."""
        with contextlib.suppress(FileNotFoundError):  # it has been deleted
            replace_whole(self.folder / "stop", how.encode())

    def alive(self) -> bool:
        """Whether a trainer holds the lock."""
        if not (self.folder / "lock").exists():
            return False  # looking would make the file, and the folder of a deleted run with it
        try:
            with self.lock():
                return False
        except Timeout:
            return True

    def status(self) -> dict[str, Any]:
        """status.json; a run whose trainer is gone without a word reads as ``died``."""
        status = self._told()
        if status["state"] in STOPPABLE and not self.alive():
            status = self._told()  # its last words may have come between the two looks
            if status["state"] in STOPPABLE and not processes.starting(status):
                why = processes.reason(self.folder, status)
                status |= dict(state="died", error=f"{DIED} Most likely, {why}. {KEPT}")
        return status

    def _told(self) -> dict[str, Any]:
        try:
            status = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
            if not {"state", "step", "at", "pid"} <= status.keys():
                raise KeyError
        except (OSError, ValueError, KeyError, AttributeError):
            raise RunError(
                f"{self.name}: status.json is missing or damaged. The run may have been deleted."
            ) from None
        return status

    def note(self, step: int, event: str) -> None:
        """Records what was changed by hand, so that it shows on the curve."""
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "event": event}) + "\n")

    def cut_back(self, step: int) -> None:
        """Forgets what was recorded and drawn after ``step``."""
        for kind in SHEETS:
            for steps in self.sheets(kind):
                if steps > step:
                    (self.folder / kind / f"{steps:06d}.png").unlink()
        metrics = self.folder / "metrics.jsonl"
        if metrics.exists():
            lines = metrics.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if (told := _record(line)) and told["step"] <= step]
            replace_whole(metrics, b"".join(kept))

    def records(self) -> list[dict[str, Any]]:
        """Whole records; lines that a fallen machine damaged are left out."""
        try:
            lines = (self.folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [record for line in lines if (record := _record(line)) is not None]

    def log(self, length: int = 4000) -> str:
        """The last ``length`` characters or so of what the trainer said."""
        try:
            with open(self.folder / "log.txt", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - length))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def sheets(self, kind: str = SHEETS[0]) -> list[int]:
        """Steps of which there is a sheet of pictures, in order."""
        found = (path.stem for path in (self.folder / kind).glob("*.png"))
        return sorted(int(stem) for stem in found if stem.isdigit())

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint."""
        found = [p.parent for p in (self.folder / "checkpoints").glob(f"*/{CARD}")]
        complete = [p for p in found if p.name.isdigit()]  # not one that is being written
        return max(complete, key=lambda p: int(p.name), default=None)

    def delete(self) -> None:
        """Removes the folder and every picture in it; a living trainer is ended first."""
        self.stop(LEAVES)
        self._end()
        for _ in range(30):
            try:
                return shutil.rmtree(self.folder)
            except FileNotFoundError:
                return None  # by somebody else
            except PermissionError:
                time.sleep(0.1)  # Windows: somebody is reading one of its files
        raise RunError(f"{self.name} cannot be removed: one of its files is open somewhere.")

    def _end(self, patience: float = 10.0) -> None:
        """Waits until nobody trains here; ends who does not stop by itself."""
        if self._known()["state"] == "queued":
            patience = 0.0  # it is importing torch, and has nothing to lose
        deadline = time.monotonic() + patience
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        status = self._known()
        if status["state"] in STOPPABLE:
            processes.end(status)
        if self.alive():
            raise RunError(f"{self.name} is still being trained and does not stop. Try again.")

    def _known(self) -> dict[str, Any]:
        """status.json, or as much as can be said where it is damaged."""
        try:
            return self._told()
        except RunError:
            return dict(state="unreadable", step=0, pid=None, at=0.0)


def _record(line: bytes) -> dict[str, Any] | None:
    """What a line of the metrics says; None where the machine went down while it was written."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
