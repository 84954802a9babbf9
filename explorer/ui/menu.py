"""The menu, in order. To add a page: write its script, add its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGES_FOLDER = Path(__file__).parent / "pages"


@dataclass(frozen=True)
class Page:
    """A script below ``pages/``; the first one of PAGES is where a visitor lands."""

    verb: str
    title: str
    name: str
    icon: str

    @property
    def script(self) -> Path:
        return PAGES_FOLDER / f"{self.name}.py"


PAGES = (
    Page("Wander", "Play", "play", ":material/touch_app:"),
    Page("Wander", "Manifold", "manifold", ":material/grid_on:"),
    Page("Wander", "Map", "map", ":material/scatter_plot:"),
    Page("Blend", "Morph", "morph", ":material/animation:"),
    Page("Fix", "Attributes", "attributes", ":material/tune:"),
    Page("Fix", "Inpaint", "inpaint", ":material/brush:"),
    Page("Teach", "Train", "train", ":material/model_training:"),
    Page("Teach", "Runs", "runs", ":material/monitoring:"),
    Page("Model", "Card", "model", ":material/badge:"),
)
