"""A run's curves as they grow: only rows that a browser has not seen go over its WebSocket."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .errors import ExplorerError
from .runs import STOPPABLE, Run

PAUSE = 0.25  # seconds between two looks at a run's metrics
MOST_COLUMNS = 16
COLUMN = re.compile(r"[\w./-]{1,60}")


def asked(query: Mapping[str, str]) -> tuple[int, list[str]]:
    """The byte offset and the columns that a watcher asks for; ValueError for nonsense."""
    offset, columns = int(query.get("since", "0")), query.get("columns", "step").split(",")
    if not 0 <= offset < 1 << 40 or len(columns) > MOST_COLUMNS:
        raise ValueError(offset, len(columns))
    if not all(map(COLUMN.fullmatch, columns)):
        raise ValueError(columns)
    return offset, columns


async def follow(socket: WebSocket) -> None:
    """Sends a run's metrics as they are written: only rows that this browser has not seen.

    Each message is {"fresh": whether to forget earlier rows, "rows": [[a, b, ...], ...],
    "offset": where to go on after a lost connection, "state": the run's}. The socket closes
    with code 1000 once the run has ended.
    """
    try:
        run = Run.find(socket.path_params["run_id"])
        offset, columns = asked(socket.query_params)
    except ValueError:  # RunError is one
        await socket.close(1008)
        return
    await socket.accept()

    async def send() -> None:
        nonlocal offset
        told = None
        while True:
            state = (await anyio.to_thread.run_sync(run.status))["state"]
            news, offset = await anyio.to_thread.run_sync(rows_since, run, offset, columns)
            if news["rows"] or state != told:
                await socket.send_json({**news, "offset": offset, "state": state})
                told = state
            if state not in STOPPABLE:
                await socket.close(1000)
                return
            await anyio.sleep(PAUSE)

    async with anyio.create_task_group() as group:
        group.start_soon(_until_gone, socket, group.cancel_scope)
        try:
            await send()
        except (WebSocketDisconnect, RuntimeError, ExplorerError):
            pass  # the browser left, or the run was deleted
        group.cancel_scope.cancel()


async def _until_gone(socket: WebSocket, scope: anyio.CancelScope) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()


def rows_since(run: Run, offset: int, columns: list[str]) -> tuple[dict[str, Any], int]:
    """What was logged after byte ``offset``, as rows of ``columns``, and the next offset."""
    path = run.folder / "metrics.jsonl"
    # a resumed run cuts its metrics back, so what a browser holds may no longer be true
    fresh = offset == 0 or not path.exists() or path.stat().st_size < offset
    try:
        records, after = run.metrics(0 if fresh else offset)
    except ValueError:  # cut back and grown again: the offset points into a line
        fresh = True
        records, after = run.metrics(0)
    rows = [[_number(record.get(name)) for name in columns] for record in records]
    return {"fresh": fresh, "rows": rows}, after


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) and math.isfinite(value) else None


ROUTES = [WebSocketRoute("/api/run/{run_id}", follow)]
