"""What the READMEs say is there, is there; what is there, they say."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from explorer import cards
from explorer.models import FAMILIES
from explorer.ui.menu import PAGES
from train.config import recipes
from train.data import DATASETS
from train.objectives import OBJECTIVES

ROOT = Path(__file__).parents[1]
TRAIN = (ROOT / "train/README.md").read_text(encoding="utf-8")
FRONT = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = (ROOT / "explorer/README.md").read_text(encoding="utf-8")
MARKDOWN = [
    p for p in ROOT.glob("**/*.md") if not {".venv", "runs", "node_modules"} & set(p.parts)
]


@pytest.mark.parametrize("name", [*DATASETS, *OBJECTIVES, *FAMILIES])
def test_every_entry_of_a_menu_is_in_the_training_readme_with_its_source(name):
    lines = [line for line in TRAIN.splitlines() if f"`{name}`" in line]
    assert lines
    assert any(
        re.search(r"(19|20)\d\d|\$LATENT_DATA|your own|scikit-learn", line) for line in lines
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_page_is_on_the_front_page(page):
    assert f"**{page.verb}**" in FRONT
    assert f"*{page.title}*" in FRONT or page.verb == "Model"


@pytest.mark.parametrize("path", sorted((ROOT / "explorer").glob("*.py")), ids=lambda p: p.name)
def test_every_file_of_the_core_is_on_the_map(path):
    assert path.name == "__init__.py" or f"`{path.name}`" in CODE


def test_the_front_page_begins_with_a_picture_and_the_two_commands():
    assert FRONT.index("![") < FRONT.index("make run") < FRONT.index("make test")
    assert len(FRONT.splitlines()) < 70


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target


def commands():
    """Every line of a README that starts our own programs."""
    for path in MARKDOWN:
        for line in path.read_text(encoding="utf-8").splitlines():
            for found in re.findall(r"python -m train \w[^#`]*", line):
                yield from (part for part in re.split(r"\s{3,}", found.strip()) if part)


def test_every_command_names_a_subcommand_that_helps():
    known = {shlex.split(command)[3] for command in commands()}
    assert {"start", "resume", "promote", "atlas", "evaluate"} <= known
    for name in sorted(known):
        done = subprocess.run(
            [sys.executable, "-m", "train", name, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert name in done.stdout


def test_recipes_that_readmes_start_exist():
    started = {shlex.split(c)[4] for c in commands() if shlex.split(c)[3:4] == ["start"]}
    assert started - {"RECIPE", "NAME"} <= set(recipes())


def test_the_table_of_shipped_models_repeats_their_cards():
    shown = (ROOT / "pretrained/README.md").read_text(encoding="utf-8")
    for name, card in cards.catalogue(ROOT / "pretrained").items():
        row = next(line for line in shown.splitlines() if line.startswith(f"| `{name}`"))
        for metric in card.metrics:
            if metric.name in ("elbo", "log_likelihood"):
                assert f"{metric.value:.2f} ± {metric.error:.2f}" in row
            if metric.name == "squared_error":
                assert f"{metric.value:.3f}" in row
