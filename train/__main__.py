"""python -m train start RECIPE | resume DIR | promote RUN BUNDLE | atlas BUNDLE | ...

Modules are imported where they are used, so that help and mistakes do not wait for torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import DataError, ExplorerError, RunError

if TYPE_CHECKING:
    from explorer.runs import Run

NOW = "do not wait for other runs on this machine"
SHOWN = 10  # skipped pictures told one by one


def main(arguments: list[str]) -> int:
    """The exit code: 0, or 1 after a sentence about what went wrong."""
    known, settings = parser().parse_known_args(arguments)
    try:
        known.overrides = overrides(settings)
        if known.overrides and known.command not in (start, fork):
            raise DataError(
                f"{settings[0]} is not known; see python -m train {known.verb} --help."
            )
        return known.command(known)
    except ExplorerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands, in the order one needs them."""
    root = argparse.ArgumentParser(
        prog="python -m train", description="Trains, measures and ships models."
    )
    verbs = root.add_subparsers(title="commands", metavar="COMMAND", dest="verb", required=True)

    def verb(command: Callable[[argparse.Namespace], int], says: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(
            command.__name__, help=says, description=command.__doc__, allow_abbrev=False
        )
        made.set_defaults(command=command)
        return made

    verb(recipes, "list the recipes, with the size of their models")

    made = verb(data, "fetch or read a data set and say what is in it")
    made.add_argument("name", metavar="NAME", help="such as mnist; faces, folder: see PATH")
    where = "faces: FairFace's archive, to build the set from; folder: your pictures"
    made.add_argument("path", metavar="PATH", nargs="?", help=where)

    made = verb(start, "train a model from a recipe")
    made.add_argument("recipe", metavar="RECIPE", help="see python -m train recipes")
    made.add_argument(
        "--run", metavar="DIR", type=Path, help="the run's folder (default: runs/...)"
    )
    made.add_argument("--seed", metavar="N", type=int, help="fixes every draw")
    made.add_argument("--now", action="store_true", help=NOW)
    made.usage = "%(prog)s RECIPE [--run DIR] [--seed N] [--now] [--key value ...]"

    made = verb(resume, "go on with a run that was stopped or killed")
    made.add_argument("run", metavar="DIR", type=Path, help="the run's folder")
    made.add_argument("--now", action="store_true", help=NOW)
    made.add_argument("--processes", metavar="N", type=int, help="that share every batch")

    made = verb(fork, "go on from a run's newest checkpoint with something changed")
    made.add_argument("parent", metavar="RUN", type=Path, help="the run's folder")
    made.add_argument("--anew", action="store_true", help="begin at step 0")
    made.add_argument("--now", action="store_true", help=NOW)
    made.usage = "%(prog)s RUN [--anew] [--now] --key value ..."

    made = verb(promote, "make a bundle of a run's newest checkpoint")
    made.add_argument("run", metavar="RUN", type=Path, help="the run's folder")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="such as pretrained/NAME")

    made = verb(atlas, "build a bundle's maps, dials and attributes")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")

    made = verb(export, "make a bundle's decoder and encoder that need no torch")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")

    made = verb(masks, "train what reads pictures with holes, beside a bundle's model")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    made.add_argument("--steps", type=int, default=8_000, help="of training (default 8000)")

    made = verb(quadrants, "train what completes pictures from quadrants, beside a bundle's model")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    made.add_argument("--epochs", type=int, default=8, help="of training (default 8)")
    made.add_argument("--grey", action="store_true", help="measure by the grey protocol instead")

    made = verb(labels, "measure how far a hundred labels go on a bundle's latents")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")

    made = verb(gaps, "measure what of a bundle's gap below log p is whose")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")

    verb(eyes, "fit what finds the eyes of faces in photographs")

    verb(energies, "bend flows into four shapes of the plane")

    made = verb(rates, "draw a rate-distortion curve of models that differ in beta alone")
    made.add_argument(
        "--runs", metavar="DIR", type=Path, default=Path("runs/rates"), help="theirs"
    )

    made = verb(sheet, "draw pictures that nobody selected")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    made.add_argument("picture", metavar="JPEG", type=Path, help="the file to write")

    made = verb(evaluate, "measure a bundle on held-out pictures")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    made.add_argument("--k", type=int, default=5000, help="importance samples (default 5000)")
    made.add_argument("--n", type=int, help="pictures for the log-likelihood (default: all)")

    made = verb(effects, "say what else each attribute's direction changes")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")

    made = verb(compare, "measure how much better a bundle is than another")
    made.add_argument("bundle", metavar="BUNDLE", type=Path, help="whose card is told")
    made.add_argument("other", metavar="OTHER", type=Path, help="what it is compared with")
    made.add_argument("--k", type=int, default=1000, help="importance samples (default 1000)")
    made.add_argument("--n", type=int, default=2000, help="pictures (default 2000)")
    made = verb(ship, "make shipped models from nothing, going on where it was stopped")
    made.add_argument("names", metavar="NAME", nargs="*", help="recipes (default: all that ship)")
    made.add_argument("--runs", type=Path, default=Path("runs/pretrained"), metavar="DIR")
    made.add_argument("--bundles", type=Path, default=Path("pretrained"), metavar="DIR")
    made.add_argument("--k", type=int, default=1000, help="importance samples (default 1000)")
    made.add_argument("--n", type=int, default=2000, help="pictures (default 2000)")
    return root


def overrides(settings: list[str]) -> dict[str, str]:
    """Settings by name, from ``--model.latent 8`` or ``--model.latent=8``."""
    found: dict[str, str] = {}
    left = iter(settings)
    for word in left:
        key, joined, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not key:
            raise DataError(f"{word!r} belongs to nothing; settings look like --epochs 2.")
        found[key] = value if joined else next(left, "")
        if not found[key]:
            raise DataError(f"--{key} has no value; settings look like --epochs 2.")
    return found


def recipes(_: argparse.Namespace) -> int:
    """Lists every recipe: its data, its epochs, and the size of the model it makes."""
    from explorer import bundle, cards

    from . import config
    from .data import spec

    for name in config.recipes():
        made = config.recipe(name)
        card = cards.Card(name, made.family, made.model, spec(made.dataset, made.data))
        weights = sum(p.numel() for p in bundle.build(card).parameters())
        size = weights * (2 if made.half else 4) / 2**20
        print(f"{name:12} {made.title:20} {made.dataset:14} {made.epochs:4} epochs {size:6.1f} MB")
    return 0


def data(args: argparse.Namespace) -> int:
    """Fetches or reads a data set and says what is in it. For faces, PATH is FairFace's public
    archive (padding 0.25) as a zip or folder; for folder, it is your own pictures."""
    from .data import load

    if args.name == "faces" and args.path:
        from .data.faces import build

        print(f"built {build(Path(args.path))}")
        args.path = None
    found = load(args.name, {"path": args.path} if args.path else {})
    shape = "x".join(map(str, found.spec.shape))
    counts = f"{len(found.train.x):,} pictures to train on, {len(found.held.x):,} held out"
    print(f"{found.spec.name}: {counts}, {shape}")
    for title, words in {
        "classes": ", ".join(found.spec.classes),
        "attributes": ", ".join(found.train.attributes),
        "licence": found.licence,
        "credit": found.credit,
        "skipped": f"{len(found.skipped):,} files" if found.skipped else "",
    }.items():
        if words:
            print(f"{title}: {words}")
    for line in found.skipped[:SHOWN]:
        print(f"  {line}")
    return 0


def start(args: argparse.Namespace) -> int:
    """Trains a model from a recipe. Any of its settings can be changed: --epochs 2,
    --model.latent 8, --terms.beta 4, --processes 2. Ctrl-C stops at the next step, with a
    checkpoint."""
    from explorer.processes import helping
    from explorer.runs import Run

    from .config import recipe
    from .data import spec

    if helping():
        if not args.run:
            raise RunError("Several machines need --run DIR, on a disk that they share.")
        return _help(Run(args.run))
    seed = {} if args.seed is None else {"seed": str(args.seed)}
    config = recipe(args.recipe, args.overrides | seed)
    spec(config.dataset, config.data)  # a mistake is told before there is a run
    known = config.as_dict()
    run = Run.prepare(args.run, known) if args.run else Run.create(config.name, known)
    print(run.folder, flush=True)
    return _train(run, args.now)


def resume(args: argparse.Namespace) -> int:
    """Goes on where a run's newest checkpoint stands; a run that is done stays as it is."""
    from explorer.processes import helping
    from explorer.runs import STOPPABLE, Run

    from .config import TrainConfig

    run = Run(args.run)
    if helping():
        return _help(run)
    config = run.config()
    if args.processes:
        told = TrainConfig.from_dict(config | {"processes": args.processes}, run.name)
        with run.hold():
            run.instruct(told.as_dict())
    if run.status()["state"] not in STOPPABLE:
        (run.folder / "stop").unlink(missing_ok=True)  # what stopped it the last time
    return _train(run, args.now)


def fork(args: argparse.Namespace) -> int:
    """A second run that goes on from the newest checkpoint of RUN, with settings changed:
    --terms.beta 0.5, --lr 1e-4, --epochs 100. What was changed is marked in its records."""
    from explorer.runs import Run

    from .config import TrainConfig, changed
    from .fork import fork as make

    parent = Run(args.parent)
    raw = changed(parent.config(), args.overrides)
    run = make(parent, TrainConfig.from_dict(raw, parent.name), args.anew)
    print(run.folder, flush=True)
    return _train(run, args.now)


def _help(run: Run) -> int:
    """Takes this process's part in a training whose first process is another."""
    from .team import end_with_the_first

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one says when to stop
    end_with_the_first()
    from .loop import help_with

    help_with(run)
    return 0


def _train(run: Run, at_once: bool) -> int:
    """Trains in the foreground once it is this run's turn; the first Ctrl-C asks the run to stop,
    the second ends it."""
    from explorer import line
    from explorer.runs import ENDS

    def ask(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nStopping at the next step; Ctrl-C again ends at once.", file=sys.stderr)
        run.stop()

    signal.signal(signal.SIGINT, ask)
    started = "WORLD_SIZE" in os.environ  # by torchrun: the others are here, and wait
    with run.hold(), line.turn(run, at_once or started):
        from .loop import go_on

        return 0 if go_on(run) in ("done", *ENDS) else 1


def promote(args: argparse.Namespace) -> int:
    """Makes a bundle of a run's newest checkpoint. Its atlas and its numbers come after."""
    from explorer.runs import Run

    from .promote import promote as make

    run = Run(args.run)
    run.config()
    make(run, args.bundle)
    print(f"{args.bundle}: next, python -m train atlas, export and evaluate {args.bundle}")
    return 0


def atlas(args: argparse.Namespace) -> int:
    """Builds what a bundle knows of its latent space: latents, maps, dials, attributes."""
    from .atlas import build

    build(args.bundle)
    return 0


def export(args: argparse.Namespace) -> int:
    """Writes a bundle's decoder.onnx, with which the app draws faster than with PyTorch, and its
    encoder.onnx for other programs, and checks that both do as PyTorch does. Their weights are
    those in weights.safetensors, beside which they have to lie."""
    from .export import export as make

    make(args.bundle)
    return 0


def masks(args: argparse.Namespace) -> int:
    """Trains a net that reads pictures with holes for a bundle's model, which stays as it is, and
    writes it beside the weights: the first guesses of inpainting then take one pass."""
    from .masks import fit

    print(f"{fit(args.bundle, args.steps):.1f} nats more than the prior's, held out")
    return 0


def quadrants(args: argparse.Namespace) -> int:
    """Trains a structured CVAE and a plain network on the rest of a picture given one, two or
    three quadrants, writes them beside a bundle's weights, and measures them: evaluate repeats
    the numbers on the card. --grey trains them on grey pixels instead, writes the cross-entropies
    that Pyro's tutorial reports, and keeps no net."""
    from .evaluate import tell
    from .quadrants import fit, grey

    tell((grey if args.grey else fit)(args.bundle, args.epochs))
    return 0


def labels(args: argparse.Namespace) -> int:
    """Measures how many held-out pictures are classified wrongly from a hundred labels, spread
    along the neighbours of pixels and of the model's latents, and puts both on the card."""
    from .evaluate import tell
    from .labels import few

    tell(few(args.bundle))
    return 0


def gaps(args: argparse.Namespace) -> int:
    """Measures the encoder's bound, that of Gaussians fitted to each picture and log p over 100
    held-out pictures, and puts them and the two gaps between them on the card."""
    from .evaluate import tell
    from .particulars import tabled

    tell(tabled(args.bundle))
    return 0


def eyes(_: argparse.Namespace) -> int:
    """Fits what finds eyes in photographs to the aligned faces, half a minute on one core, and
    writes explorer/faces.safetensors."""
    from .eyes import fit

    fit()
    return 0


def energies(_: argparse.Namespace) -> int:
    """Bends planar flows of 2, 8 and 32 steps into four shapes of the plane, some minutes on one
    core, and writes explorer/energies.json."""
    from .energies import fit

    fit()
    return 0


def rates(args: argparse.Namespace) -> int:
    """Trains a small model of sprites at seven prices of information, some minutes on one core,
    and writes explorer/rates.json. Can be stopped and started again."""
    from .rates import sweep

    sweep(args.runs)
    return 0


def sheet(args: argparse.Namespace) -> int:
    """Draws 2 rows of 10 pictures from a bundle's known latents and 2 from its prior, seed 0, as
    they come, into one JPEG."""
    from .sheet import sheet as make

    make(args.bundle, args.picture)
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Held-out ELBO and importance-weighted log-likelihood in nats, active units and squared
    error; of faces also how they look and whether attributes flip, judged by networks that are
    trained for it the first time, twenty minutes on one core. Printed with their protocol, and
    written on the card."""
    from .evaluate import evaluate as measure

    measure(args.bundle, args.k, args.n)
    return 0


def effects(args: argparse.Namespace) -> int:
    """A table: how far each attribute's direction (row), one unit long, moves what the witness
    reads of each attribute (column), in spreads of its reading, over 300 held-out faces."""
    from .evaluate import effects as measure

    measure(args.bundle)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Log-likelihoods of two models on the same held-out pictures: the mean of their differences
    with its standard error, printed, and written on the first one's card."""
    from .evaluate import compare as measure

    measure(args.bundle, args.other, args.k, args.n)
    return 0


def ship(args: argparse.Namespace) -> int:
    """Trains, promotes, exports, measures and charts every shipped model, or those named. How
    long it will take is told first. It can be stopped at any time and started again: what is made
    stays, and a run goes on where it was."""
    from explorer.cards import catalogue
    from explorer.shelf import PRETRAINED

    from .config import recipes
    from .ship import ship as make

    names = args.names or [name for name in catalogue(PRETRAINED) if name in recipes()]
    make(names, args.runs, args.bundles, args.k, args.n)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
