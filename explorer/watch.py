"""What a browser follows of a run: its curves as they grow, over a WebSocket, and its pictures."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .curves import Curves, curves
from .errors import ExplorerError, RunError
from .runs import SHEETS, STOPPABLE, Run
from .tickets import TICKETS, Visitor

PAUSE = 0.25  # seconds between two looks at a run's metrics
POINTS = 1500  # of a series that are sent together: more than a chart has pixels
LOOKS = 200  # at coordinates that are sent together
MOST_COLUMNS = 16
LONGEST = 100  # characters of a question
COLUMN = re.compile(r"[\w./-]{1,60}")


def asked(query: Mapping[str, str]) -> list[str]:
    """The columns that a watcher asks for; ValueError for nonsense."""
    columns = query.get("columns", "elbo").split(",")
    if len(columns) > MOST_COLUMNS or not all(map(COLUMN.fullmatch, columns)):
        raise ValueError(columns)
    return columns


def within(message: str) -> tuple[int, int]:
    """The range of steps that a watcher looks at closely; ValueError for nonsense."""
    if len(message) > LONGEST:
        raise ValueError(message[:LONGEST])
    try:
        low, high = json.loads(message)
    except (TypeError, RecursionError) as error:
        raise ValueError(message) from error
    if not all(type(step) is int and abs(step) < 1 << 40 for step in (low, high)):
        raise ValueError(message)
    return low, high


@dataclass
class Sight:
    """What one browser has been sent of a run."""

    columns: list[str]
    generation: int = 0
    sent: dict[str, int] = field(default_factory=dict)  # records by column

    def news(self, found: Curves) -> dict[str, Any]:
        """What it has not been sent; all, thinned, where what it has is no longer true."""
        fresh = found.generation != self.generation
        if fresh:
            self.generation, self.sent = found.generation, {}
        series = {}
        for name in self.columns:
            steps, values = found.thinned(name, POINTS, self.sent.get(name, 0))
            self.sent[name] = found.count(name)
            if steps:
                series[name] = [steps, values]
        events = found.events[self.sent.get("events", 0) :]
        looks = found.coordinates[self.sent.get("coordinates", 0) :]
        self.sent |= {"events": len(found.events), "coordinates": len(found.coordinates)}
        thin = -(-len(looks) // LOOKS) or 1
        return dict(
            fresh=fresh, series=series, events=events, coordinates=looks[::-1][::thin][::-1]
        )


async def follow(socket: WebSocket) -> None:
    """Sends a run's records as they are written: only those that this browser has not seen.

    Each message is {"fresh": whether to forget earlier ones, "series": {column: [steps, values]},
    "events": [[step, words]], "coordinates": [[step, nats of each]], "state": the run's}. To
    [low, high] it answers {"range": [low, high], "series": ...}, with all points of these steps.
    Once the run has ended nothing is looked at any more, and questions are still answered.
    """
    visitor = TICKETS.enter(socket.query_params.get("ticket", ""))
    try:
        run = Run.find(socket.path_params["run_id"])
        sight = Sight(asked(socket.query_params))
        if visitor is not None:
            await _follow(socket, visitor, run, sight)
    except ValueError:  # RunError is one
        pass
    finally:
        if visitor is not None:
            TICKETS.leave(visitor)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the browser was first
        await socket.close(1008)


async def _follow(socket: WebSocket, visitor: Visitor, run: Run, sight: Sight) -> None:
    await socket.accept()
    turn = anyio.Lock()

    async def send(message: dict[str, Any]) -> None:
        async with turn:
            await socket.send_json(message)

    async def hear() -> bool:
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text") or ""
            low, high = within(text)
            if not visitor.may_ask(len(text)):
                return True
            found = await anyio.to_thread.run_sync(curves, run)
            series = {n: found.between(n, low, high, POINTS) for n in sight.columns}
            await send({"range": [low, high], "series": series})
        return True

    async def tell() -> bool:
        told = None
        while True:
            state = (await anyio.to_thread.run_sync(run.status))["state"]
            news = sight.news(await anyio.to_thread.run_sync(curves, run))
            if state != told or any(news.values()):
                await send({**news, "state": state})
                told = state
            if state not in STOPPABLE:
                return False
            await anyio.sleep(PAUSE)

    async with anyio.create_task_group() as group:

        async def end_with(task: Callable[[], Awaitable[bool]]) -> None:
            """Ends both where one of them says so, or fails."""
            try:
                over = await task()
            except (WebSocketDisconnect, RuntimeError, ExplorerError, ValueError):
                over = True  # the browser left or talks nonsense, or the run was deleted
            if over:
                group.cancel_scope.cancel()

        group.start_soon(end_with, hear)
        group.start_soon(end_with, tell)


async def sheet(request: Request) -> Response:
    """One sheet of a run's pictures."""
    kind, step = request.path_params["kind"], request.path_params["step"]
    try:
        run = Run.find(request.path_params["run_id"])
    except RunError as error:
        return Response(str(error), status_code=404)
    path = run.folder / kind / f"{step:06d}.png"
    if kind not in SHEETS or not path.is_file():
        return Response("There is no such picture.", status_code=404)
    # a step's pictures do not change: a run that goes on from before draws the same ones
    headers = {
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",  # no page of another site may show it
    }
    return FileResponse(path, media_type="image/png", headers=headers)


ROUTES = [
    WebSocketRoute("/api/run/{run_id}", follow),
    Route("/api/run/{run_id}/{kind}/{step:int}.png", sheet),
]
