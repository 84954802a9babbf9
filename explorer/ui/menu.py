"""The menu, in order. To add a page: write its script in ``tools/``, add its line.

The folder must not be called ``pages``: beside the main script Streamlit takes one of that name
for its older kind of multi-page app, and opens its scripts without our frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"


@dataclass(frozen=True)
class Page:
    """A script in ``tools/``; the first one of PAGES is where a visitor lands."""

    verb: str
    title: str
    name: str
    icon: str

    @property
    def script(self) -> Path:
        return TOOLS / f"{self.name}.py"


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
