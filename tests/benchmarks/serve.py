"""The decode service alone, with a place that gives tickets: python serve.py PORT."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from explorer import live
from explorer.tickets import TICKETS


async def ticket(_: Request) -> PlainTextResponse:
    return PlainTextResponse(TICKETS.issue())


async def health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


app = Starlette(routes=[*live.ROUTES, Route("/ticket", ticket), Route("/_stcore/health", health)])

if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
    )
