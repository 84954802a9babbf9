"""The service behind dragging: a latent comes in over a WebSocket, its picture goes out at once.

A question is JSON text, {"stamp": 7, "model": key} with exactly one of

    "z": [[...], ...]                        latents, (n, D)
    "near": {"map": "umap", "xy": [x, y]}    the latent at a place of the atlas's map
    "index": 12                              a known latent of the atlas

and perhaps "y" (a class) and "seed". The answer is binary: the header's length (u32, little
endian), the header (JSON), raw uint8 pixels (n, H, W, C). A mistake is told in header["error"].
Of the questions that wait on one connection only the newest is answered: what is shown is where
the finger is, not where it was.

A model that brings an exported decoder is drawn without torch (see decoder.py).
"""

from __future__ import annotations

import json
import math
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .errors import ExplorerError
from .shelf import SHELF, Opened

MOST_LATENTS = 512
MOST_PIXELS = 32 << 20  # bytes in one answer
LONGEST_MESSAGE = 2 << 20  # characters: 512 latents of 256 numbers
LARGEST_NUMBER = 1e3  # no latent of ours comes near it

ANSWERED = threading.Event()  # set once somebody has been shown a picture
SERVED = threading.Event()  # set while these routes answer; without it the browser parts say so
_WORKERS = anyio.CapacityLimiter(2)


class RequestError(ExplorerError):
    """A question that cannot be answered; our own browser code never sends one."""


@dataclass(frozen=True)
class Near:
    """A place on a map of the atlas."""

    map: str
    xy: tuple[float, float]


@dataclass(frozen=True)
class Question:
    """What to decode: ``where`` is latents ``(n, D)``, a place on a map, or an atlas's index."""

    model: str
    where: NDArray[np.float32] | Near | int
    y: int | None = None
    seed: int | None = None


# -- reading a question


def read(raw: Mapping[str, Any]) -> Question:
    """The question in a message, checked as far as that goes without its model."""
    model = raw.get("model")
    if not isinstance(model, str):
        raise RequestError("The question names no model.")
    asked = [name for name in WHERE if name in raw]
    if len(asked) != 1:
        raise RequestError(f"A question holds exactly one of {', '.join(WHERE)}.")
    where = WHERE[asked[0]](raw[asked[0]])
    return Question(model, where, _whole(raw, "y"), _whole(raw, "seed"))


def _latents(value: Any) -> NDArray[np.float32]:
    try:
        z = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise RequestError("z is not a table of numbers.") from None
    if z.ndim != 2 or not 1 <= len(z) <= MOST_LATENTS or z.shape[1] < 1:
        raise RequestError(f"z has shape {z.shape}; it should be (1 to {MOST_LATENTS}, D).")
    if not (np.abs(z) <= LARGEST_NUMBER).all():  # NaN fails this too
        raise RequestError(f"z holds a number that is not finite or is beyond {LARGEST_NUMBER:g}.")
    return z.astype(np.float32)


def _near(value: Any) -> Near:
    if not isinstance(value, dict) or not isinstance(value.get("map"), str):
        raise RequestError("near names no map.")
    xy = value.get("xy")
    if not isinstance(xy, list) or len(xy) != 2 or not all(_is_finite(v) for v in xy):
        raise RequestError("near has no place: xy should be two finite numbers.")
    return Near(value["map"], (float(xy[0]), float(xy[1])))


def _index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise RequestError("index should be a whole number from 0.")
    return value


def _whole(raw: Mapping[str, Any], name: str) -> int | None:
    value = raw.get(name)
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 63):
        raise RequestError(f"{name} should be a whole number from 0.")
    return value


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9  # NaN is not


WHERE = {"z": _latents, "near": _near, "index": _index}


# -- answering it


def answer(raw: Mapping[str, Any]) -> bytes:
    """The reply to a message: pictures, or a sentence that says why there are none."""
    start = time.perf_counter()
    try:
        header, pixels = look(read(raw))
    except ExplorerError as error:
        return pack({"stamp": raw["stamp"], "error": str(error)})
    ms = round(1e3 * (time.perf_counter() - start), 2)
    return pack({"stamp": raw["stamp"], **header, "ms": ms}, pixels.tobytes())


def look(question: Question) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The header's facts and the pixels ``(n, H, W, C)`` that a question asks for."""
    opened = SHELF[question.model]
    z = locate(question.where, opened)
    pixels = decode(opened, z, question.y, question.seed)
    n, height, width, channels = pixels.shape
    header = dict(n=n, height=height, width=width, channels=channels, generation=opened.generation)
    if opened.atlas is not None:
        header["typicality"] = opened.atlas.typicality(z).round(4).tolist()
    return header, pixels


def locate(where: NDArray[np.float32] | Near | int, opened: Opened) -> NDArray[np.float32]:
    """``(n, D)`` latents that a question means."""
    if isinstance(where, np.ndarray):
        if where.shape[1] != opened.latent_size:
            raise RequestError(
                f"z has {where.shape[1]} coordinates; {opened.card.name} has {opened.latent_size}."
            )
        return where
    if opened.atlas is None:
        raise RequestError(
            f"{opened.card.name} has no atlas, so it has no map and no known pictures."
        )
    if isinstance(where, Near):
        if where.map not in opened.atlas.maps:
            raise RequestError(f"{opened.card.name} has no map called {where.map[:40]!r}.")
        return opened.atlas.at(where.map, np.array([where.xy], np.float32))
    if where >= len(opened.atlas.latents):
        raise RequestError(f"index {where}: the atlas holds {len(opened.atlas.latents)} pictures.")
    return opened.atlas.latents[where : where + 1]


def decode(
    opened: Opened, z: NDArray[np.float32], y: int | None, seed: int | None
) -> NDArray[np.uint8]:
    """``(n, H, W, C)`` pictures of ``z: (n, D)``, as far as that may be asked."""
    data = opened.data
    if len(z) * math.prod(data.shape) > MOST_PIXELS:
        raise RequestError(f"{len(z)} pictures of this size are too many for one answer.")
    if y is not None and y >= len(data.classes):
        raise RequestError(f"There is no class {y}; {opened.card.name} knows {len(data.classes)}.")
    return opened.decoder(z, y, seed)


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Header and body as one message; the body begins on a multiple of four."""
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + body


def warm(folder: Path) -> None:
    """Opens a model and draws one picture, so that the first visitor does not wait for it."""
    opened = SHELF.open(folder)
    look(Question(opened.key, np.zeros((1, opened.latent_size), np.float32)))


# -- the socket


class Newest:
    """A letter box with room for one: what comes later takes the place of what waits."""

    def __init__(self) -> None:
        self._letter: Mapping[str, Any] | None = None
        self._arrived = anyio.Event()

    def put(self, letter: Mapping[str, Any]) -> None:
        self._letter = letter
        self._arrived.set()

    async def take(self) -> Mapping[str, Any]:
        """The newest letter, as soon as there is one."""
        while self._letter is None:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        letter, self._letter = self._letter, None
        return letter


async def converse(socket: WebSocket) -> None:
    """Answers questions until the browser leaves."""
    await socket.accept()
    waiting = Newest()
    async with anyio.create_task_group() as group:
        group.start_soon(_reply, socket, waiting)
        code = await _collect(socket, waiting)
        group.cancel_scope.cancel()
    if code is not None:
        await socket.close(code)


async def _collect(socket: WebSocket, waiting: Newest) -> int | None:
    """Posts what arrives; returns why the connection has to end, None where the browser left."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            return 1003  # we speak text
        if len(text) > LONGEST_MESSAGE:
            return 1009
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            return 1007
        if not isinstance(raw, dict) or type(raw.get("stamp")) is not int:
            return 1007  # no stamp, no way to answer
        waiting.put(raw)


async def _reply(socket: WebSocket, waiting: Newest) -> None:
    while True:
        raw = await waiting.take()
        reply = await anyio.to_thread.run_sync(answer, raw, limiter=_WORKERS)
        try:
            await socket.send_bytes(reply)
        except (WebSocketDisconnect, RuntimeError):
            return  # the browser left while we were decoding
        ANSWERED.set()


ROUTES = [WebSocketRoute("/api/decode", converse)]
