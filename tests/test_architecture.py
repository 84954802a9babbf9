"""Who may import whom. The table is the architecture; change it on purpose or not at all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {  # folder -> what may not be imported in it; the first that fits a file counts
    "explorer/ui": (),
    "explorer": ("explorer.ui", "train", "streamlit"),
    "train": ("explorer.ui", "streamlit"),
}
LOW = ("protocol", "errors", "distributions", "likelihoods", "nets", "ops", "rng", "images", "ink")
HIGH = ("explorer.bundle", "explorer.atlas", "explorer.runs", "explorer.shelf", "explorer.live")
FILES = [p for folder in ("explorer", "train") for p in sorted((ROOT / folder).rglob("*.py"))]
EXECUTES = ("pickle", "cPickle", "dill", "joblib", "shelve", "marshal")


def imports(path):
    """Every module that a file imports, relative ones resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def reaches(found, forbidden):
    return sorted(i for i in found for f in forbidden if i == f or i.startswith(f + "."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    relative = path.relative_to(ROOT).as_posix()
    layer = next(name for name in LAYERS if relative.startswith(name + "/"))
    assert reaches(imports(path), LAYERS[layer]) == []


@pytest.mark.parametrize("name", LOW)
def test_the_lowest_layer_knows_no_files_and_no_runs(name):
    assert reaches(imports(ROOT / "explorer" / f"{name}.py"), HIGH) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_that_runs_what_a_file_says_is_imported(path):
    assert reaches(imports(path), EXECUTES) == []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loads = [c for c in calls if ast.unparse(c.func) in ("torch.load", "eval", "exec")]
    words = [k for c in calls for k in c.keywords if k.arg == "allow_pickle"]
    pickled = [k for k in words if ast.unparse(k.value) != "False"]
    assert not loads
    assert not pickled


def test_the_table_itself_would_catch_a_page_in_the_core(tmp_path):
    assert reaches({"streamlit.components.v2"}, LAYERS["explorer"])
    assert reaches({"explorer.ui.cache"}, LAYERS["train"])
    assert not reaches({"explorer.uikit"}, LAYERS["train"])
