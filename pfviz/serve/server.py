"""The web server: one page, its files, and a socket behind which each visitor's pfviz runs.

What is served comes from this machine alone, and only pages that it served itself may connect.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from pathlib import Path
from socket import socket
from typing import Any, Final

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.server import Server

from pfviz.serve.addresses import Names
from pfviz.serve.session import Session

SESSIONS_MAX: Final = 16
"""Visitors at a time: each is a process of some 100 MB."""
CELLS_MAX: Final = 1000
MESSAGE_BYTES_MAX: Final = 1 << 20
INTERRUPTED: Final = 130

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer(Server):
    """Serves pfviz to browsers that ask for it by one of its own names."""

    def __init__(self, arguments: Sequence[str], names: Names) -> None:
        """Each visitor gets `pfviz ARGUMENTS`."""
        super().__init__("pfviz", title="pfviz")
        self.arguments = tuple(arguments)
        self.names = names
        self.sessions: set[Session] = set()
        self.page = Path(str(resources.files("pfviz.serve"))) / "page"
        self.library = Path(textual_serve.__file__).parent / "static"

    async def _make_app(self) -> web.Application:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        app.add_routes(
            [
                web.get("/", self.handle_index),
                web.get("/ws", self.handle_websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/page", self.page),
                web.static("/static", self.library),
            ]
        )
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn away who asked for another name, or comes from another page."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not self.names.knows_host(host):
            raise web.HTTPForbidden(text="pfviz does not go by this name here; see --public-url\n")
        needs_origin = request.path == "/ws"
        if (origin is not None or needs_origin) and not self.names.knows_origin(origin or ""):
            raise web.HTTPForbidden(text="only pfviz's own page may connect\n")
        response = await handler(request)
        if not response.prepared:
            sockets = f"ws://{host} wss://{host}"
            for name, value in HEADERS.items():
                response.headers[name] = value.replace("{sockets}", sockets)
        return response

    async def handle_index(self, request: web.Request) -> Any:  # noqa: ARG002
        """The page."""
        return web.FileResponse(self.page / "index.html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A visit: start a pfviz, pass on what both sides say, and end it."""
        if len(self.sessions) >= SESSIONS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{SESSIONS_MAX} visitors are here already\n")
        channel = web.WebSocketResponse(heartbeat=15, max_msg_size=MESSAGE_BYTES_MAX)
        session = Session(
            self.arguments, write_bytes=channel.send_bytes, write_str=channel.send_str,
            close=channel.close, download_manager=self.download_manager,
        )  # fmt: skip
        self.sessions.add(session)
        try:
            await channel.prepare(request)
            query = request.query
            await session.start(_cells(query.get("width"), 80), _cells(query.get("height"), 24))
            async for message in channel:
                if message.type == WSMsgType.TEXT:
                    await self._pass_on(channel, session, message.data)
        except ConnectionError:
            pass  # The visitor is gone.
        finally:
            self.sessions.discard(session)
            await session.stop()
        return channel

    async def _pass_on(self, channel: web.WebSocketResponse, session: Session, text: str) -> None:
        """Give a visitor's message to the process; what is no message is dropped."""
        try:
            kind, *rest = json.loads(text)
            said = rest[0] if rest else None
        except (ValueError, TypeError):
            return
        if kind == "stdin" and isinstance(said, str):
            await session.send_bytes(said.encode("utf-8", "replace"))
        elif kind == "resize" and isinstance(said, dict):
            size = _cells(said.get("width"), 80), _cells(said.get("height"), 24)
            await session.set_terminal_size(*size)
        elif kind == "ping":
            await channel.send_json(["pong", said])
        elif kind == "blur":
            await session.blur()
        elif kind == "focus":
            await session.focus()

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002
        """End everybody's pfviz."""
        await asyncio.gather(*(session.stop() for session in tuple(self.sessions)))

    async def serve_on(self, sockets: Sequence[socket]) -> int:
        """Serve until SIGINT or SIGTERM comes; the exit code."""
        runner = web.AppRunner(
            await self._make_app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def end(code: int) -> None:
            if not ended.done():
                ended.set_result(code)

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, end, 0)
        try:
            for one in sockets:
                await web.SockSite(runner, one).start()
            return await ended
        finally:
            await runner.cleanup()


def _cells(value: Any, usual: int) -> int:
    """A number of columns or rows that somebody else said."""
    try:
        return max(1, min(int(value), CELLS_MAX))
    except (TypeError, ValueError, OverflowError):
        return usual
