"""The browser parts' Python halves: nothing that a browser sends is taken unchecked."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from explorer.ui import components
from explorer.ui.components import mount
from explorer.ui.components.brush import painted
from explorer.ui.components.checks import flags, numbers
from explorer.ui.components.stage import Axis, Dials, Map, Sheet, lassoed, rested

HOSTILE: list[Any] = [
    None, True, 1, -1, 1e308, float("nan"), 10**400, "", "a", "=" * 9, b"", [], [None], [[]], {},
    {"id": 1}, {"model": "m"}, ["a", "b"], [float("inf"), 0.0], [1, True], [10**400, 0],
    "AAAA" * 10**5,
]  # fmt: skip


def packed(mask: np.ndarray) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (28, 20), (5, 7), (64, 64)])
def test_a_mask_survives_packing(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(size) < 0.4
    mask[0, 0] = True
    found = painted({"id": "x", "bits": packed(mask)}, "x", size)
    assert found is not None
    assert found.dtype == bool
    assert (found == mask).all()


def test_an_empty_mask_and_one_of_another_picture_are_none() -> None:
    mask = np.zeros((4, 4), bool)
    assert painted({"id": "x", "bits": packed(mask)}, "x", (4, 4)) is None
    assert painted({"id": "y", "bits": packed(~mask)}, "x", (4, 4)) is None
    assert painted({"id": "x", "bits": packed(~mask)}, "x", (4, 9)) is None


AXES = [Axis("a", np.zeros(3), -1, 2), Axis("b", np.zeros(3))]
MAP = Map("pca", np.arange(24.0).reshape(12, 2), np.zeros(12))


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: repr(v)[:20])
def test_hostile_values_come_to_nothing(value: Any) -> None:
    assert numbers(value, 2, 10) is None
    assert flags(value, 12) is None
    for sent in (value, {"id": "x", "bits": value}):
        assert painted(sent, "x", (3, 4)) is None
    for sent in (
        value,
        {"model": "m", "revision": 0, "values": value, "z": [0, 0, 0]},
        {"model": "m", "revision": 0, "values": [0, 0], "z": value},
    ):
        assert rested(sent, "m", 0, 3, Dials(AXES)) is None
    for sent in (value, {"id": MAP.identity, "bits": value}):
        assert lassoed(sent, MAP) is None


def test_dials_stay_within_their_range_and_a_stage_forgets_an_older_revision() -> None:
    sent = {"model": "m", "revision": 4, "values": [9.0, -1.0], "z": [0.25, 0, -3]}
    z, values = rested(sent, "m", 4, 3, Dials(AXES))
    assert values.tolist() == [2, -1]
    assert z.tolist() == [0.25, 0, -3]
    assert rested(sent, "m", 5, 3, Dials(AXES)) is None
    assert rested(sent, "n", 4, 3, Dials(AXES)) is None
    assert rested(sent, "m", 4, 2, Dials(AXES)) is None
    assert rested(sent, "m", 4, 3, Dials(AXES[:1])) is None
    assert rested({**sent, "values": []}, "m", 4, 3, MAP) is not None


def test_a_lasso_is_of_its_map() -> None:
    inside = np.arange(12) % 3 == 0
    sent = {"id": MAP.identity, "bits": packed(inside)}
    assert (lassoed(sent, MAP) == inside).all()
    assert lassoed(sent, Map("pca", np.zeros((12, 2)), np.zeros(12))) is None
    assert lassoed(sent, Sheet(*np.zeros((3, 3)), "u", "v")) is None


def test_a_map_needs_a_colour_for_every_point() -> None:
    with pytest.raises(ValueError, match="11 colours for 12 points"):
        Map("pca", MAP.xy, np.zeros(11)).arrays()


def test_assets_are_scripts_and_styles_of_this_version_and_nothing_else() -> None:
    client = TestClient(Starlette(routes=components.ROUTES))
    base = f"/assets/{mount.version()}"
    script = client.get(f"{base}/stage/stage.js")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    missing = ("stage/__init__.py", "../mount.py", "%2e%2e/mount.py", "stage/none.js", "")
    assert [client.get(f"{base}/{path}").status_code for path in missing] == [404] * len(missing)
    assert client.get("/assets/0123/stage/stage.js").status_code == 404


@pytest.mark.parametrize("name", ["brush", "curve", "film", "frame", "stage"])
def test_a_script_imports_only_what_is_served(name: str) -> None:
    import re
    from posixpath import dirname, join, normpath

    seen, waiting = set(), [f"{name}/{name}.js"]
    while waiting:
        path = waiting.pop()
        assert path in mount.files()
        seen.add(path)
        text = mount.files()[path].decode()
        found = re.findall(r'(?:from|css\() ?"(\.[^"]+)"', text)
        waiting += [p for p in (normpath(join(dirname(path), f)) for f in found) if p not in seen]
    assert f"{name}/{name}.css" in seen
    outside = [p for p in seen if b"://" in mount.files()[p] and "uPlot" not in p]
    assert not outside


def test_without_the_routes_every_part_is_a_calm_sentence() -> None:
    def script() -> None:
        import numpy as np

        from explorer.ui import components as c

        frames = np.zeros((2, 4, 4, 1), np.uint8)
        c.film("film", frames, pixelated=True)
        assert c.brush("brush", frames[0], size=(4, 4)) is None
        c.curve("curve", {"a-run": "A run"}, [c.Series("elbo", "ELBO")])

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert [info.value for info in page.info] == [mount.WITHOUT_ROUTES] * 3
