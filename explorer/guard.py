"""Who may talk to the server: this computer, or the names its operator lists in LATENT_HOSTS.

A page of another site can reach a server on loopback through the visitor's own browser (cross-site
WebSockets, DNS rebinding), so Origin, Host and peer are checked before any route, Streamlit's too.
"""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
REFUSAL = (
    "Latent Explorer answers only this computer. To serve others, its operator starts it with "
    "LATENT_HOSTS=name,... set to the names that people type into the address bar."
)


def operator_hosts() -> tuple[str, ...]:
    """The names in LATENT_HOSTS, lower case; empty where the app serves this computer alone."""
    names = os.environ.get("LATENT_HOSTS", "").split(",")
    return tuple(name.strip().lower() for name in names if name.strip())


def on_loopback() -> bool:
    """Whether only this computer is served, so that a page may take paths on it."""
    return not operator_hosts()


def allowed(scope: Scope) -> bool:
    """Whether peer, Host and Origin of a connection are ones we serve."""
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    peer = scope.get("client")
    if on_loopback() and peer is not None and not _is_loopback(peer[0]):
        return False
    if _hostname(host) not in (*LOOPBACK, *operator_hosts()):
        return False
    return origin is None or _read(origin).netloc == host


def _hostname(host: str) -> str | None:
    return _read(f"//{host}").hostname


def _read(address: str) -> SplitResult:
    """Its parts; none of what is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    # a dual-stack socket reports 127.0.0.1 as ::ffff:127.0.0.1
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


class Guard:
    """ASGI middleware that turns everyone else away before a handshake is accepted."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or allowed(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(REFUSAL, status_code=403)(scope, receive, send)
