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
    """A script in ``tools/``; the first one of PAGES is where a visitor lands.

    Attributes:
        sentence: what one does there.
        needs: what a model must have for it, of the names in `cards.Card.lacks`.
    """

    verb: str
    title: str
    name: str
    icon: str
    sentence: str
    needs: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        return TOOLS / f"{self.name}.py"


VECTOR, BOTH = ("vector",), ("encoder", "vector")
PAGES = (
    Page(
        "Wander", "Play", "play", ":material/touch_app:",
        "Drag the picture, or turn a dial: the picture follows your hand.", VECTOR,
    ),
    Page(
        "Wander", "Manifold", "manifold", ":material/grid_on:",
        "Pictures by two ways in which they differ. Drag over them and watch yours change.",
        VECTOR,
    ),
    Page(
        "Wander", "Map", "map", ":material/scatter_plot:",
        "Where every picture lies. Point to see one, click to take it, lasso a group.", VECTOR,
    ),
    Page(
        "Blend", "Morph", "morph", ":material/animation:",
        "Bring two pictures, or up to four, and watch one become the other.", BOTH,
    ),
    Page(
        "Fix", "Attributes", "attributes", ":material/tune:",
        "Turn a dial: the picture changes in that, and as little else as may be.", BOTH,
    ),
    Page(
        "Fix", "Inpaint", "inpaint", ":material/brush:",
        "Paint over a part of the picture, and the model fills it in.", BOTH,
    ),
    Page(
        "Teach", "Train", "train", ":material/model_training:",
        "Choose pictures, press Train, and watch a model learn them.",
    ),
    Page(
        "Teach", "Runs", "runs", ":material/monitoring:",
        "What is being learned, and what has been.",
    ),
    Page(
        "Teach", "Compare", "compare", ":material/compare:",
        "Runs side by side: their curves, their numbers, the same pictures through both.",
    ),
    Page(
        "Model", "Card", "model", ":material/badge:",
        "What this model is, how good it is, and where to open another.",
    ),
    Page(
        "Model", "Clouds", "clouds", ":material/bubble_chart:",
        "Why there is a KL term: the same digits placed by three models that differ in it alone.",
    ),
    Page(
        "Model", "Gaps", "gaps", ":material/unfold_more:",
        "How far below log p(x) the model's bound lies for one picture, and why.", BOTH,
    ),
    Page(
        "Model", "Flows", "flows", ":material/waves:",
        "A round cloud, bent step by step into shapes that no Gaussian has.",
    ),
    Page(
        "Model", "Scoreboard", "scoreboard", ":material/leaderboard:",
        "Every shipped model by one measure, with what its paper reports beside it.",
    ),
)  # fmt: skip
