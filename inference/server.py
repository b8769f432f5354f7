"""The HTTP server: one listening socket, and an end that loses no request.

On SIGTERM it stops accepting, answers what is open with `Connection: close`, waits until the clients have
gone, and leaves. Whoever else holds the socket (a successor started with `--fd`) goes on accepting.
"""

from __future__ import annotations

import asyncio
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference import logs

IDLE_SECONDS = 2.0
"""How long an idle connection may stay open while draining, for a request that is on its way."""
DRAIN_SECONDS = 30.0
"""How long the longest search may take to end."""
_LOOK_SECONDS = 0.05


class _ClosingWhileDraining:
    """Marks every answer as the last of its connection once the server drains."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if self.draining and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, closing if scope["type"] == "http" else send)


class Server(uvicorn.Server):
    """uvicorn with the drain described above; a second signal ends it at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._closing = _ClosingWhileDraining(app)
        super().__init__(
            uvicorn.Config(
                self._closing,
                loop="asyncio",
                http="h11",
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=int(DRAIN_SECONDS),
                server_header=False,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._closing.draining:
            self.should_exit = self.force_exit = True
            return
        self._closing.draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: setattr(self, "_drain", loop.create_task(self._leave())))

    async def _leave(self) -> None:
        logs.log.info("draining")
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.server_state.connections and loop.time() - began < IDLE_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        self.should_exit = True
