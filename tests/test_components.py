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
from explorer.ui.components.checks import flags, numbers, whole
from explorer.ui.components.points import PointsValue, chosen
from explorer.ui.components.sheet import chosen as cell
from explorer.ui.components.stage import Axis, Plane, rested

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


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: repr(v)[:20])
def test_hostile_values_come_to_nothing(value: Any) -> None:
    axes = [Axis("a", np.zeros(3)), Axis("b", np.zeros(3))]
    assert numbers(value, 2, 10) is None
    assert flags(value, 12) is None
    for sent in (value, {"id": "x", "bits": value}):
        assert painted(sent, "x", (3, 4)) is None
    for sent in (value, {"model": "m", "place": value}):
        assert cell(sent, "m") is None
    for sent in (
        value,
        {"model": "m", "revision": 0, "values": value, "place": [0, 0]},
        {"model": "m", "revision": 0, "values": [0, 0], "place": value},
    ):
        assert rested(sent, axes, "m", 0) is None
    sent = {"id": "x", "bits": value, "picked": value, "ground": value}
    found = chosen(sent, "x", 1)
    assert found.selection is None
    assert found.ground is None
    assert found.picked is None
    assert chosen(value, "x", 1) == PointsValue() or chosen(value, "x", 1).picked is None


def test_a_point_is_one_of_those_there_are() -> None:
    assert [whole(k, 3) for k in (-1, 0, 2, 3, True, 1.0)] == [None, 0, 2, None, None, None]


def test_dials_stay_within_their_range_and_a_stage_forgets_an_older_revision() -> None:
    axes = [Axis("a", np.zeros(2), -1, 2)]
    sent = {"model": "m", "revision": 4, "values": [9.0], "place": [-3.5, 1e6]}
    values, place = rested(sent, axes, "m", 4)
    assert values.tolist() == [2]
    assert place == (-3.5, 1e6)
    assert rested(sent, axes, "m", 5) is None
    assert rested(sent, axes, "n", 4) is None
    assert rested(sent, [], "m", 4) is None


@pytest.fixture
def plane() -> Plane:
    return Plane(np.random.default_rng(1).normal(2, 3, (256, 40)).astype(np.float32), seed=5)


def test_the_plane_goes_through_its_corners_without_a_jump(plane: Plane) -> None:
    for place in [(0.0, 0.0), (7.0, -3.0), (-1e6, 12.0)]:
        at = plane.at(place)
        assert np.abs(plane.corners - at).max(1).min() < 1e-4
    line = np.array([plane.at((x, 0.3)) for x in np.linspace(-2, 2, 2001)])
    assert np.abs(np.diff(line, axis=0)).max() < 0.1


def test_the_plane_keeps_the_spread_of_its_corners_everywhere(plane: Plane) -> None:
    places = np.random.default_rng(2).uniform(-1e4, 1e4, (3000, 2))
    z = np.array([plane.at(tuple(p)) for p in places])
    assert abs(z.mean() - plane.corners.mean()) < 0.1
    assert abs(z.std() / plane.corners.std() - 1) < 0.03


def test_a_plane_can_be_led_through_a_latent(plane: Plane) -> None:
    z = np.full(40, 9, np.float32)
    assert np.allclose(plane.through(z).at((0.0, 0.0)), z, atol=1e-4)
    assert not np.allclose(plane.at((0.0, 0.0)), z)


def test_another_seed_is_another_plane(plane: Plane) -> None:
    other = Plane(plane.corners, seed=6)
    assert not np.allclose(plane.at((3.0, 4.0)), other.at((3.0, 4.0)))


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


@pytest.mark.parametrize("name", ["brush", "curve", "film", "points", "sheet", "stage"])
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
        c.curve("curve", "a-run", [c.Series("elbo", "ELBO")])

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert [info.value for info in page.info] == [mount.WITHOUT_ROUTES] * 3
