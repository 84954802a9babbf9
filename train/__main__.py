"""python -m train start RECIPE [--run DIR] [--key value ...] | resume DIR | ..."""

from __future__ import annotations

import sys
from pathlib import Path

from explorer.runs import Run

from .config import recipe
from .loop import train

if sys.argv[1] == "start":
    over = dict(zip([a.lstrip("-") for a in sys.argv[3::2]], sys.argv[4::2], strict=True))
    where = over.pop("run", None)
    config = recipe(sys.argv[2], over)
    run = Run.prepare(Path(where), config.as_dict()) if where else Run.create(config.name, config.as_dict())
    print(run.folder)
else:
    run = Run(Path(sys.argv[2]))
sys.exit(0 if train(run) in ("done", "stopped") else 1)
