"""The service behind dragging: a latent comes in over a WebSocket, its picture goes out at once.

A browser connects to /api/decode?ticket=... with the ticket that its page was given. A question is
JSON text, {"stamp": 7, "model": key} with exactly one of

    "z": [[...], ...]                        latents, (n, D)
    "near": {"map": "umap", "xy": [x, y]}    the latent at a place of the atlas's map
    "index": 12                              a known latent of the atlas

and perhaps "y" (a class), "seed", "snap": true (led back to what is typical), "tell": true (what
the picture shows, in words), "batch": true (not waited for: strips, sheets). The answer is binary:
the header's length (u32, little endian), the header (JSON), raw uint8 pixels (n, H, W, C). A
mistake is told in header["error"].

Of the questions that wait on one connection only the newest is answered: what is shown is where
the finger is, not where it was. Batches wait for everybody's questions, and each for its turn.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .errors import ExplorerError
from .ops import Array
from .shelf import SHELF, Opened
from .tickets import TICKETS, Visitor
from .turns import Turns

MOST_LATENTS = 512
MOST_PIXELS = 32 << 20  # bytes in one answer
LONGEST_MESSAGE = 2 << 20  # characters: 512 latents of 256 numbers
LARGEST_NUMBER = 1e3  # no latent of ours comes near it
PART = 8  # latents of a batch in one turn: nobody who drags waits for more
MOST_BATCHES = 4  # that wait on one connection; a page sends one after the other

ANSWERED = threading.Event()  # set once somebody has been shown a picture
SERVED = threading.Event()  # set while these routes answer; without it the browser parts say so
TURNS = Turns()


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
    snap: bool = False
    tell: bool = False


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
    snap, tell = raw.get("snap") is True, raw.get("tell") is True
    if (snap or tell) and isinstance(where, np.ndarray) and len(where) > 1:
        raise RequestError("snap and tell are for one picture.")
    return Question(model, where, _whole(raw, "y"), _whole(raw, "seed"), snap, tell)


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


def look(question: Question) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The header's facts and the pixels ``(n, H, W, C)`` that a question asks for."""
    opened = SHELF[question.model]
    z = locate(question.where, opened)
    header: dict[str, Any] = {}
    if question.snap and opened.atlas is not None:
        z = np.stack([opened.atlas.snapped(each) for each in z])
    if question.snap or not isinstance(question.where, np.ndarray):
        header["z"] = z[0].round(5).tolist()  # the browser does not know where that is
    pixels = decode(opened, z, question.y, question.seed)
    n, height, width, channels = pixels.shape
    header |= dict(
        n=n, height=height, width=width, channels=channels, generation=opened.generation
    )
    if opened.atlas is not None:
        header["typicality"] = opened.atlas.typicality(z).round(4).tolist()
        if question.tell:
            classes, y = opened.classes, question.y
            told = [classes[y]] if classes and y is not None else None
            header["shows"] = told or opened.atlas.shows(z[0], opened.data.classes)
    return header, pixels


def locate(where: NDArray[np.float32] | Near | int, opened: Opened) -> Array:
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


def decode(opened: Opened, z: Array, y: int | None, seed: int | None) -> NDArray[np.uint8]:
    """``(n, H, W, C)`` pictures of ``z: (n, D)``, as far as that may be asked."""
    data = opened.data
    if y is not None and y >= len(data.classes):
        raise RequestError(f"There is no class {y}; {opened.card.name} knows {len(data.classes)}.")
    return opened.decoder(z, y, seed)


def parts(question: Question) -> list[Question]:
    """The question in pieces of PART latents."""
    where = question.where
    if not isinstance(where, np.ndarray) or len(where) <= PART:
        return [question]
    pieces = (where[start : start + PART] for start in range(0, len(where), PART))
    return [Question(question.model, z, question.y, question.seed) for z in pieces]


async def answer(raw: Mapping[str, Any], urgent: bool) -> bytes:
    """The reply to a message: pictures, or a sentence that says why there are none."""
    began = time.perf_counter()
    try:
        pieces = parts(read(raw))
        if urgent and len(pieces) > 1:
            raise RequestError(f"More than {PART} pictures at once are asked for as a batch.")
        looks = await _looks(pieces, urgent)
    except ExplorerError as error:
        return pack({"stamp": raw["stamp"], "error": str(error)})
    header = {**looks[0][0], "n": sum(found["n"] for found, _ in looks)}
    if "typicality" in header:
        header["typicality"] = [t for found, _ in looks for t in found["typicality"]]
    ms = round(1e3 * (time.perf_counter() - began), 2)
    pixels = b"".join(pixels.tobytes() for _, pixels in looks)
    return pack({"stamp": raw["stamp"], **header, "ms": ms}, pixels)


async def _looks(
    questions: list[Question], urgent: bool
) -> list[tuple[dict[str, Any], NDArray[np.uint8]]]:
    """What each asks for. The first goes alone: what is wrong with one is wrong with all."""
    first = await TURNS.do(partial(look, questions[0]), urgent)
    if len(questions) * first[1].nbytes > MOST_PIXELS:
        raise RequestError("These are too many pictures of this size for one answer.")
    found: dict[int, tuple[dict[str, Any], NDArray[np.uint8]]] = {0: first}

    async def see(k: int) -> None:
        found[k] = await TURNS.do(partial(look, questions[k]), urgent)

    try:
        async with anyio.create_task_group() as group:
            for k in range(1, len(questions)):
                group.start_soon(see, k)
    except* ExplorerError as errors:
        raise errors.exceptions[0] from None  # the model went away meanwhile
    return [found[k] for k in range(len(questions))]


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


class Box:
    """Letters that wait: of questions the newest, of batches a few; a newer one drives out."""

    def __init__(self, size: int) -> None:
        self._letters: deque[Mapping[str, Any]] = deque(maxlen=size)
        self._arrived = anyio.Event()

    def put(self, letter: Mapping[str, Any]) -> None:
        self._letters.append(letter)
        self._arrived.set()

    async def take(self) -> Mapping[str, Any]:
        """The oldest letter, as soon as there is one."""
        while not self._letters:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._letters.popleft()


async def converse(socket: WebSocket) -> None:
    """Answers a visitor's questions until the browser leaves."""
    visitor = TICKETS.enter(socket.query_params.get("ticket", ""))
    if visitor is None:
        await socket.close(1008)
        return
    try:
        await socket.accept()
        questions, batches = Box(1), Box(MOST_BATCHES)
        async with anyio.create_task_group() as group:
            group.start_soon(_reply, socket, questions, True)
            group.start_soon(_reply, socket, batches, False)
            code = await _collect(socket, visitor, questions, batches)
            group.cancel_scope.cancel()
        if code is not None:
            await socket.close(code)
    finally:
        TICKETS.leave(visitor)


async def _collect(
    socket: WebSocket, visitor: Visitor, questions: Box, batches: Box
) -> int | None:
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
        if not visitor.may_ask(len(text)):
            return 1013  # try again later: our own parts do, and no hand is so fast
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            return 1007
        if not isinstance(raw, dict) or type(raw.get("stamp")) is not int:
            return 1007  # no stamp, no way to answer
        (batches if raw.get("batch") is True else questions).put(raw)


async def _reply(socket: WebSocket, box: Box, urgent: bool) -> None:
    while True:
        reply = await answer(await box.take(), urgent)
        try:
            await socket.send_bytes(reply)
        except (WebSocketDisconnect, RuntimeError):
            return  # the browser left while we were decoding
        ANSWERED.set()


ROUTES = [WebSocketRoute("/api/decode", converse)]
