"""python -m explorer inspect PATH [--json] · adopt PATH pretrained/NAME

The status is 0 where the file opens as a model with a latent vector, else 1 with a sentence on
standard error; what only redraws pictures (a code book, a map as latent) is told and adopted, too.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .errors import ExplorerError

if TYPE_CHECKING:
    from .formats.known import Format


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the exit status, 1 where a sentence was told on standard error."""
    parser = argparse.ArgumentParser("python -m explorer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("inspect", "say what somebody's checkpoint is, without executing anything of it"),
        ("adopt", "make a bundle of it that the app opens"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("path", type=Path, help="a file, folder or zip")
        if name == "inspect":
            command.add_argument("--json", action="store_true", help="print plain values")
        else:
            command.add_argument("folder", type=Path, help="such as pretrained/NAME")
        command.add_argument(
            "--adapter", type=Path, help="a Python file of your own that builds it; it is executed"
        )
        command.add_argument(
            "--pictures", type=Path, help="a folder of pictures of its kind, to measure it with"
        )
    args = parser.parse_args(argv)
    try:
        return inspect(args) if args.command == "inspect" else adopt(args)
    except ExplorerError as error:
        if args.command == "inspect" and args.json:
            family = getattr(error, "family", None)
            print(json.dumps({"opened": False, "reason": str(error), "family": family}))
        print(error, file=sys.stderr)
        return 1


def brought(folder: Path | None) -> Tensor | None:
    """``(n, 3, S, S)`` in [0, 1]: pictures of a folder, cut square; None without a folder."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise ExplorerError(f"There is no folder {folder} of pictures.")
    from .formats.probes import MOST, given

    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix != ".json"]
    if not files:
        raise ExplorerError(f"{folder} holds no pictures.")
    return given([path.read_bytes() for path in files[:MOST]])


def adapter(path: Path | None) -> Format | None:
    """FORMAT of a Python file that the owner of this machine names; None without a file."""
    if path is None:
        return None
    if not path.is_file():
        raise ExplorerError(f"There is no adapter {path}.")
    found = runpy.run_path(str(path)).get("FORMAT")
    if not hasattr(found, "build"):
        raise ExplorerError(
            f"{path.name} names no FORMAT. explorer/formats/README.md has an example."
        )
    return found


def inspect(args: argparse.Namespace) -> int:
    """Tells what the file is."""
    from .formats import reading, telling

    found = reading.inspect(args.path, brought(args.pictures), adapter(args.adapter))
    if args.json:
        print(json.dumps(telling.facts(found), indent=1))
    else:
        for title, text in telling.words(found).items():
            print(f"{title}: {text.removesuffix('.')}.")
    said = telling.facts(found)
    if not said["opened"]:
        print(said["reason"], file=sys.stderr)
    return 0 if said["opened"] else 1


def adopt(args: argparse.Namespace) -> int:
    """Makes a bundle of the file."""
    from .formats import adopting, reading, telling

    if args.folder.exists() and any(args.folder.iterdir()):
        raise ExplorerError(f"{args.folder} is there already. Choose another name.")
    own = brought(args.pictures)
    found = reading.inspect(args.path, own, adapter(args.adapter))
    adopting.adopt(found, args.folder, args.path, own=own)
    print(f"{args.folder}: {telling.words(found)['Recognised as']}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
