"""What a browser follows of a run: thinned without losing a peak, and never a record twice."""

import contextlib
import json
import time

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from explorer import watch
from explorer.curves import Curves, curves, extremes
from explorer.runs import Run
from explorer.tickets import MOST_SOCKETS, Tickets, Visitor


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("explorer.runs.RUNS", tmp_path)
    return Run.prepare(tmp_path / "a-run", {})


@pytest.fixture
def client(monkeypatch):
    tickets = Tickets()
    monkeypatch.setattr(watch, "TICKETS", tickets)
    ticket = tickets.issue()
    with TestClient(Starlette(routes=watch.ROUTES), headers={"x-ticket": ticket}) as client:
        yield client


def connect(client, path, ticket=None):
    joint = "&" if "?" in path else "?"
    return client.websocket_connect(
        f"/api/run/{path}{joint}ticket={ticket or client.headers['x-ticket']}"
    )


def log(run, *lines):
    with open(run.folder / "metrics.jsonl", "a") as file:
        file.writelines(lines)


def record(**values):
    return json.dumps(values) + "\n"


# -- thinning


@pytest.mark.parametrize("n", [1, 2, 7, 100, 1000, 4001])
@pytest.mark.parametrize("buckets", [1, 3, 50, 5000])
def test_no_peak_is_lost(n, buckets):
    values = np.random.default_rng(n).standard_normal(n).cumsum()
    kept = extremes(values, buckets)
    assert kept == sorted(set(kept))
    assert {0, n - 1, int(values.argmax()), int(values.argmin())} <= set(kept)
    assert len(kept) <= 2 * min(n, buckets) + 2


def test_of_every_part_the_extremes_are_drawn():
    values = np.random.default_rng(0).standard_normal(10_000)
    kept = np.array(extremes(values, 100))
    for part in range(100):
        inside = kept[(kept >= 100 * part) & (kept < 100 * (part + 1))]
        piece = values[100 * part : 100 * (part + 1)]
        assert {piece.max(), piece.min()} <= set(values[inside])


def test_a_hundred_thousand_records_are_ready_to_draw_within_a_tenth_of_a_second(run):
    noise = np.random.default_rng(0).standard_normal(100_000).round(4)
    log(run, *[record(step=k, elbo=v, lr=0.001, beta=1.0) for k, v in enumerate(noise.tolist())])
    found = curves(run)  # read once
    took = []
    for _ in range(5):
        began = time.perf_counter()
        news = watch.Sight(["elbo", "lr", "beta"]).news(found.look())
        json.dumps(news)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.1
    steps, values = news["series"]["elbo"]
    assert len(steps) <= watch.POINTS + 2
    assert (max(values), min(values)) == (noise.max(), noise.min())


# -- reading as it grows


def test_records_are_read_once_and_what_is_no_number_is_left_out(run):
    found = Curves(run)
    assert found.look().column("elbo") == ([], [])
    log(run, record(step=1, elbo=-2.0), '{"step": 2, "el')
    assert found.look().column("elbo") == ([1], [-2.0])
    log(run, 'bo": null}\n', '{"step": 3, "elbo": NaN}\n', "\0\0\n", "[]\n", '{"elbo": 1}\n')
    log(run, record(step=4, elbo=True), record(step=6, elbo=-1), record(step=6, event="beta"))
    assert found.look().column("elbo") == ([1, 6], [-2.0, -1])
    assert found.events == [(6, "beta")]
    assert found.generation == 2  # the file came after the first look


def test_records_that_were_cut_back_are_read_anew(run):
    log(run, *[record(step=k, elbo=k) for k in range(1, 9)])
    found = Curves(run).look()
    before = found.generation
    run.cut_back(3)
    log(run, *[record(step=k, elbo=-k) for k in range(4, 20)])  # and grown beyond where it was
    assert found.look().column("elbo")[1] == [1, 2, 3, *range(-4, -20, -1)]
    assert found.generation != before


def test_a_part_is_seen_whole_where_it_is_short(run):
    log(run, *[record(step=k, elbo=k % 7) for k in range(0, 20_000, 2)])
    found = curves(run)
    assert len(found.thinned("elbo", 100)[0]) <= 102
    assert found.between("elbo", 101, 300, 100)[0] == list(range(102, 301, 2))


# -- over the socket


def test_a_watcher_gets_each_record_once_and_its_questions_answered_after_the_end(client, run):
    log(run, record(step=1, elbo=-3.5, other=1), record(step=2, lr=0.1), '{"step": 3, "el')
    with connect(client, "a-run?columns=elbo,lr") as session:
        first = session.receive_json()
        assert first["series"] == {"elbo": [[1], [-3.5]], "lr": [[2], [0.1]]}
        assert (first["fresh"], first["state"]) == (True, "queued")
        log(run, 'bo": -3}\n', record(step=3, event="beta 1 → 2"))
        second = session.receive_json()
        assert (second["fresh"], second["series"]) == (False, {"elbo": [[3], [-3]]})
        assert second["events"] == [[3, "beta 1 → 2"]]
        run.report("done", 3)
        assert session.receive_json()["state"] == "done"
        session.send_json([2, 3])
        assert session.receive_json() == {
            "range": [2, 3],
            "series": {"elbo": [[3], [-3]], "lr": [[2], [0.1]]},
        }


def test_coordinates_are_thinned_from_the_newest_back(run):
    each = [0.1, 2.0]
    log(run, *[record(step=k, **{"held/coordinates": each}) for k in range(1, 1001)])
    looks = watch.Sight(["elbo"]).news(curves(run))["coordinates"]
    assert looks[-1] == (1000, each)
    assert len(looks) <= watch.LOOKS


@pytest.mark.parametrize(
    "path", ["nothing", "..%2Fa-run", "a-run?columns=", "a-run?columns=" + "a," * 20]
)
def test_a_watcher_of_nothing_is_turned_away(client, run, path):
    with pytest.raises(WebSocketDisconnect), connect(client, path):
        pass


@pytest.mark.parametrize(
    "message", ["", "x", "[1]", "[1, 2, 3]", "[1, 1e400]", '["a", 2]', "[" * 9, "[1, 2" + " " * 99]
)
def test_nonsense_ends_the_conversation(client, run, message):
    with connect(client, "a-run?columns=elbo") as session:
        session.receive_json()
        session.send_text(message)
        with pytest.raises(WebSocketDisconnect):
            read_on(session)


def test_who_has_no_ticket_is_turned_away_and_one_visitor_watches_only_so_much(client, run):
    with pytest.raises(WebSocketDisconnect), connect(client, "a-run", "guessed"):
        pass
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_SOCKETS):
            stack.enter_context(connect(client, "a-run"))
        with pytest.raises(WebSocketDisconnect), connect(client, "a-run"):
            pass
    with connect(client, "a-run") as session:  # they have left
        assert session.receive_json()["state"] == "queued"


def test_who_asks_too_fast_is_hung_up_on(client, run, monkeypatch):
    monkeypatch.setattr(Visitor, "may_ask", lambda self, length: False)
    with connect(client, "a-run") as session:
        session.send_json([1, 2])
        with pytest.raises(WebSocketDisconnect):
            read_on(session)


def test_sheets_are_served_and_nothing_else_of_a_run(client, run):
    (run.folder / "samples" / "000020.png").write_bytes(b"a picture")
    (run.folder / "data").mkdir()
    (run.folder / "data" / "000020.png").write_bytes(b"private")
    found = client.get("/api/run/a-run/samples/20.png")
    assert found.content == b"a picture"
    assert found.headers["cross-origin-resource-policy"] == "same-origin"
    for path in (
        "a-run/samples/21.png", "a-run/data/20.png", "nobody/samples/20.png",
        "..%2Fa-run/samples/20.png", "a-run/samples/..%2F..%2Fconfig.json",
    ):  # fmt: skip
        assert client.get(f"/api/run/{path}").status_code == 404


def read_on(session) -> None:
    """Reads until the other side is gone."""
    while True:
        session.receive_json()
