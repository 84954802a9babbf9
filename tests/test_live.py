"""The decode service: pictures for good questions, words for bad ones, nothing for strangers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import torch
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from toys import some_atlas

from explorer import atlas, bundle, cards, guard, live
from explorer.protocol import DataSpec
from explorer.shelf import SHELF, Opened
from explorer.tickets import MOST_SOCKETS, TICKETS, Bucket, Tickets
from explorer.turns import Turns

BARE = "ws://localhost/api/decode"
URL = f"{BARE}?ticket={TICKETS.issue()}"
D = 3
ROUTES = live.ROUTES


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A small random model of 4x6 RGB pictures with an atlas."""
    folder = tmp_path_factory.mktemp("bundles") / "toy"
    config = {"latent": D, "hidden": 16, "likelihood": "gaussian"}
    card = cards.Card("toy", "vae", config, DataSpec("toy", 3, 4, 6))
    torch.manual_seed(0)
    model = bundle.build(card)
    # an untrained decoder answers grey to everything: make latents matter
    state = {name: 3 * value for name, value in model.state_dict().items()}
    card = bundle.save(folder, state, card)
    along = np.eye(D, dtype=np.float32)[0]
    smile = {"smile": atlas.Direction(along, along, 0.5, 0.97)}
    known = some_atlas(20, D, attributes={"smile": np.zeros(20)}, directions=smile)
    atlas.save(folder, known)
    cards.write_card(folder, card)
    return SHELF.open(folder, "cpu")


@pytest.fixture(scope="module")
def client():
    app = Starlette(routes=ROUTES, middleware=[Middleware(guard.Guard)])
    with TestClient(app, client=("127.0.0.1", 50000)) as client:
        yield client


def ask(session: WebSocketTestSession, **question: Any) -> tuple[dict[str, Any], np.ndarray]:
    session.send_text(json.dumps({"stamp": 1, **question}))
    return parse(session.receive_bytes())


def parse(message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    pixels = np.frombuffer(message[4 + length :], np.uint8)
    if "error" in header:
        return header, pixels
    return header, pixels.reshape(
        header["n"], header["height"], header["width"], header["channels"]
    )


def truth(opened: Opened, z: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        mean = opened.model.decode(torch.tensor(z)).mean
    return 255 * np.moveaxis(mean.clamp(0, 1).numpy(), 1, -1)


def test_pictures_are_those_of_the_model(client: TestClient, opened: Opened) -> None:
    z = np.random.default_rng(1).standard_normal((70, D), np.float32)  # more than one chunk
    with client.websocket_connect(URL) as session:
        header, pixels = ask(session, model=opened.key, z=z.tolist(), batch=True)
    assert (header["stamp"], header["n"]) == (1, 70)
    assert header["generation"] == opened.generation
    assert np.abs(pixels - truth(opened, z)).max() <= 1
    assert pixels.std() > 5
    assert np.allclose(header["typicality"], opened.atlas.typicality(z), atol=1e-3)


def test_a_known_latent_and_its_place_on_the_map_give_the_same_picture(
    client: TestClient, opened: Opened
) -> None:
    with client.websocket_connect(URL) as session:
        _, by_index = ask(session, model=opened.key, index=4)
        place = opened.atlas.maps["pca"][4].tolist()
        _, by_place = ask(session, model=opened.key, near={"map": "pca", "xy": place})
        header, _ = ask(session, model=opened.key, index=4)
    assert np.abs(by_index - truth(opened, opened.atlas.latents[4:5])).max() <= 1
    assert np.abs(by_index.astype(int) - by_place).max() <= 1
    assert np.allclose(header["z"], opened.atlas.latents[4], atol=1e-4)  # a browser goes on there


def test_a_latent_off_the_map_is_led_back_and_told_where_it_came_to(
    client: TestClient, opened: Opened
) -> None:
    with client.websocket_connect(URL) as session:
        header, pixels = ask(session, model=opened.key, z=[[9.0] * D], snap=True)
    assert header["typicality"][0] > atlas.TYPICAL
    assert np.allclose(header["z"], opened.atlas.snapped(np.full(D, 9, np.float32)), atol=1e-4)
    assert np.abs(pixels - truth(opened, np.array([header["z"]], np.float32))).max() <= 1


def test_one_answer_holds_so_much_and_no_more(
    client: TestClient, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_PIXELS", 20 * 64)
    with client.websocket_connect(URL) as session:
        assert "error" not in ask(session, model=opened.key, z=[[0.0] * D] * 16, batch=True)[0]
        header, pixels = ask(session, model=opened.key, z=[[0.0] * D] * 64, batch=True)
        assert "too many" in header["error"]
        assert not pixels.size
        header, _ = ask(session, model=opened.key, z=[[0.0] * D] * 2, snap=True)
        assert "one picture" in header["error"]


def test_what_a_picture_shows_is_told_when_it_is_asked_for(
    client: TestClient, opened: Opened
) -> None:
    with client.websocket_connect(URL) as session:
        assert "shows" not in ask(session, model=opened.key, z=NUMBER)[0]
        seen = [
            ask(session, model=opened.key, z=[[turn] + [0.0] * (D - 1)], tell=True)[0]["shows"]
            for turn in (0.25, 0.75)
        ]
    assert seen == [[], ["smiling"]]


NUMBER = [[0.0] * D]
BAD = {
    "unknown model": dict(model="nobody's", z=NUMBER),
    "path for a model": dict(model="../../etc", z=NUMBER),
    "no model": dict(model=None, z=NUMBER),
    "model is a number": dict(model=3, z=NUMBER),
    "nothing asked": dict(),
    "two things asked": dict(z=NUMBER, index=1),
    "wrong D": dict(z=[[0.0] * (D + 1)]),
    "ragged": dict(z=[[0.0] * D, [0.0]]),
    "no latent": dict(z=[]),
    "empty latent": dict(z=[[]]),
    "one latent without its list": dict(z=[0.0] * D),
    "words": dict(z=[["a"] * D]),
    "huge number": dict(z=[[1e9] * D]),
    "number beyond floats": dict(z=[[10**400] * D]),
    "too many": dict(z=[[0.0] * D] * (live.MOST_LATENTS + 1), batch=True),
    "many that are waited for": dict(z=[[0.0] * D] * (live.PART + 1)),
    "index too large": dict(index=20),
    "index negative": dict(index=-1),
    "index a truth value": dict(index=True),
    "unknown map": dict(near={"map": "moon", "xy": [0, 0]}),
    "no place": dict(near={"map": "pca"}),
    "place of words": dict(near={"map": "pca", "xy": ["a", 0]}),
    "near nothing": dict(near=None),
    "unknown class": dict(z=NUMBER, y=0),
    "seed is text": dict(z=NUMBER, seed="a"),
}


@pytest.mark.parametrize("question", BAD.values(), ids=BAD)
def test_a_bad_question_is_answered_in_words_and_the_next_one_with_a_picture(
    client: TestClient, opened: Opened, question: dict[str, Any]
) -> None:
    with client.websocket_connect(URL) as session:
        header, pixels = ask(session, **{"model": opened.key, **question})
        assert header["error"].endswith(".")
        assert pixels.size == 0
        header, _ = ask(session, model=opened.key, z=NUMBER)
        assert "error" not in header


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_refused(
    client: TestClient, opened: Opened, number: str
) -> None:
    with client.websocket_connect(URL) as session:
        session.send_text(f'{{"stamp": 1, "model": "{opened.key}", "z": [[0, 0, {number}]]}}')
        assert "finite" in parse(session.receive_bytes())[0]["error"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 1007),
        ("[]", 1007),
        ('{"model": "a"}', 1007),
        ('{"stamp": "1"}', 1007),
        ("[" * 100_000, 1007),
        (" " * (live.LONGEST_MESSAGE + 1), 1009),
        (b"\x00", 1003),
    ],
    ids=["half", "list", "no stamp", "stamp of text", "deep", "long", "binary"],
)
def test_what_is_no_question_ends_the_connection(
    client: TestClient, message: str | bytes, code: int
) -> None:
    with client.websocket_connect(URL) as session:
        session.send_bytes(message) if isinstance(message, bytes) else session.send_text(message)
        assert session.receive()["code"] == code


STRANGERS = {
    "foreign origin": ({"origin": "http://evil.example"}, "127.0.0.1"),
    "sandboxed page": ({"origin": "null"}, "127.0.0.1"),
    "other port": ({"origin": "http://localhost:9"}, "127.0.0.1"),
    "origin that is no address": ({"origin": "http://["}, "127.0.0.1"),
    "rebound name": ({"host": "evil.example", "origin": "http://evil.example"}, "127.0.0.1"),
    "name that begins like ours": ({"host": "localhost.evil.example"}, "127.0.0.1"),
    "neighbour who says localhost": ({}, "192.168.1.7"),
}


@pytest.mark.parametrize(("headers", "peer"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_are_turned_away_before_the_handshake(
    headers: dict[str, str], peer: str
) -> None:
    app = Starlette(routes=ROUTES, middleware=[Middleware(guard.Guard)])
    client = TestClient(app, base_url="http://localhost", client=(peer, 50000))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(URL, headers=headers):
        pass
    assert client.get("/", headers=headers).status_code == 403


def test_the_operator_names_who_else_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENT_HOSTS", "lab.example, Other.example")
    app = Starlette(middleware=[Middleware(guard.Guard)])
    client = TestClient(app, base_url="http://lab.example", client=("192.168.1.7", 50000))
    assert not guard.on_loopback()
    assert client.get("/").status_code == 404
    assert client.get("/", headers={"origin": "http://lab.example"}).status_code == 404
    assert client.get("/", headers={"host": "other.example:80"}).status_code == 404
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403


def test_of_the_questions_that_wait_only_the_newest_is_answered(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(question: live.Question) -> None:
        begun.set()
        assert gate.wait(10)
        raise live.RequestError("Slow.")

    monkeypatch.setattr(live, "look", slow)
    asked = {"model": "any", "index": 0}
    with client.websocket_connect(URL) as session:
        session.send_text(json.dumps({"stamp": 1, **asked}))
        assert begun.wait(10)
        for stamp in range(2, 11):
            session.send_text(json.dumps({"stamp": stamp, **asked}))
        session.portal.call(anyio.wait_all_tasks_blocked)
        gate.set()
        assert [parse(session.receive_bytes())[0]["stamp"] for _ in range(2)] == [1, 10]
        session.send_text(json.dumps({"stamp": 11, **asked}))
        assert parse(session.receive_bytes())[0]["stamp"] == 11


def test_a_batch_waits_for_those_who_drag_and_is_answered_whole(
    client: TestClient, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TURNS", Turns(at_once=1))
    looked, look = [], live.look
    begun, gate = threading.Event(), threading.Event()

    def watched(question: live.Question) -> Any:
        looked.append(len(question.where))
        begun.set()
        assert gate.wait(10)
        return look(question)

    monkeypatch.setattr(live, "look", watched)
    z = np.random.default_rng(2).standard_normal((5 * live.PART, D)).round(3)
    with client.websocket_connect(URL) as one, client.websocket_connect(URL) as other:
        one.send_text(json.dumps(dict(stamp=1, model=opened.key, z=z.tolist(), batch=True)))
        assert begun.wait(10)
        other.send_text(json.dumps(dict(stamp=2, model=opened.key, z=NUMBER)))
        other.portal.call(anyio.wait_all_tasks_blocked)
        gate.set()
        assert parse(other.receive_bytes())[0]["stamp"] == 2
        header, pixels = parse(one.receive_bytes())
    assert looked[:2] == [live.PART, 1]  # what is dragged came next
    assert header["n"] == len(header["typicality"]) == len(z)
    assert np.abs(pixels - truth(opened, z.astype(np.float32))).max() <= 1


# -- who is let in, and how much


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=guess", "?ticket=" + "a" * 9999])
def test_without_a_good_ticket_nobody_gets_a_picture(client: TestClient, query: str) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(BARE + query):
        pass


def test_a_ticket_ends_with_its_visit(client: TestClient) -> None:
    ticket = TICKETS.issue()
    with client.websocket_connect(f"{BARE}?ticket={ticket}"):
        pass
    with client.websocket_connect(f"{BARE}?ticket={ticket}") as session:
        TICKETS.revoke(ticket)
        session.send_text(json.dumps({"stamp": 1}))  # what is open answers no more
        assert session.receive()["code"] == 1013
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{BARE}?ticket={ticket}"):
        pass


def test_one_visitor_has_so_many_sockets_and_another_still_gets_in(client: TestClient) -> None:
    mine, yours = TICKETS.issue(), TICKETS.issue()
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_SOCKETS):
            stack.enter_context(client.websocket_connect(f"{BARE}?ticket={mine}"))
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{BARE}?ticket={mine}"):
            pass
        stack.enter_context(client.websocket_connect(f"{BARE}?ticket={yours}"))
    with client.websocket_connect(f"{BARE}?ticket={mine}"):  # those who left made room
        pass


@pytest.mark.parametrize("padding", [0, 1 << 20], ids=["many", "long"])
def test_who_asks_more_than_a_hand_can_is_sent_away_for_a_while(
    client: TestClient, padding: int
) -> None:
    text = json.dumps({"stamp": 1, "batch": True}) + " " * padding
    with client.websocket_connect(f"{BARE}?ticket={TICKETS.issue()}") as session:
        for _ in range(2000 if padding == 0 else 20):
            session.send_text(text)
        while (message := session.receive())["type"] != "websocket.close":
            pass
    assert message["code"] == 1013


def test_a_bucket_gives_no_more_than_came_in() -> None:
    now = [0.0]
    bucket = Bucket(10, clock=lambda: now[0])
    assert [bucket.take(10) for _ in range(4)] == [True, True, True, False]  # three seconds' worth
    now[0] = 0.5
    assert [bucket.take(5), bucket.take(1)] == [True, False]
    now[0] = 1e6
    assert [bucket.take(30), bucket.take(1)] == [True, False]


def test_the_visitor_longest_unseen_loses_the_ticket_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("explorer.tickets.MOST_TICKETS", 3)
    tickets = Tickets()
    first, second, third = (tickets.issue() for _ in range(3))
    for ticket in (second, third, first):
        visitor = tickets.enter(ticket)
        assert visitor
        if ticket != second:
            tickets.leave(visitor)
    tickets.issue()
    assert tickets.enter(third) is None  # the second was seen before it, and is still connected
    assert tickets.enter(first)
    assert tickets.enter(second)


def test_turns_go_to_the_urgent_first_and_each_kind_in_order() -> None:
    async def trial() -> list[str]:
        turns, done = Turns(at_once=1), []
        gate = threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(turns.do, lambda: gate.wait(10), True)
            await anyio.wait_all_tasks_blocked()
            for name in ("patient 1", "urgent 1", "patient 2", "urgent 2"):
                work = partial(done.append, name)
                group.start_soon(turns.do, work, name.startswith("urgent"))
                await anyio.wait_all_tasks_blocked()
            gate.set()
        return done

    assert anyio.run(trial) == ["urgent 1", "urgent 2", "patient 1", "patient 2"]


def test_who_leaves_while_waiting_takes_no_turn() -> None:
    async def trial() -> str:
        turns, gate = Turns(at_once=1), threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(turns.do, lambda: gate.wait(10), True)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01):
                await turns.do(lambda: "never", True)
            gate.set()
        return await turns.do(lambda: "free", False)

    assert anyio.run(trial) == "free"


def test_small_messages_do_not_wait_for_an_acknowledgement() -> None:
    import app  # noqa: F401 - sets it, for sockets bound the way Streamlit does

    options = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted = transport.get_extra_info("socket")
            options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        listening = socket.socket(socket.AF_INET)
        listening.bind(("127.0.0.1", 0))
        async with await loop.create_server(Server, sock=listening):
            with socket.create_connection(listening.getsockname()) as client:
                assert await loop.run_in_executor(None, client.recv, 1) == b""

    asyncio.run(connect())
    assert options == [1]


def test_the_front_door_opens_from_anywhere_and_before_torch(tmp_path: Path) -> None:
    script = (
        "import sys, app, streamlit.config as c; assert 'torch' not in sys.modules;"
        "assert c.get_option('server.address') == '127.0.0.1';"
        "assert not c.get_option('browser.gatherUsageStats');"
        "assert not c.get_option('runner.postScriptGC')"
    )
    root = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        timeout=60,
    )


def test_of_a_model_that_is_told_a_class_the_picture_shows_that_class(tmp_path, client):
    spec = DataSpec("toy", 1, 8, 8, ("a", "b", "c"))
    card = cards.Card("told", "cvae", {"latent": D, "hidden": 16}, spec)
    bundle.save(tmp_path / "told", bundle.build(card).state_dict(), card)
    atlas.save(tmp_path / "told", some_atlas(20, D, labels=np.zeros(20)))
    cards.write_card(tmp_path / "told", card)
    conditional = SHELF.open(tmp_path / "told", "cpu")
    with client.websocket_connect(URL) as session:
        seen = {y: ask(session, model=conditional.key, z=NUMBER, y=y, tell=True) for y in range(3)}
    assert [header["shows"] for header, _ in seen.values()] == [["a"], ["b"], ["c"]]
    assert (np.asarray(seen[0][1]) != np.asarray(seen[2][1])).any()
