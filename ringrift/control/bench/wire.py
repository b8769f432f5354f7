"""HTTP/1.1 by hand over a few connections that stay open: the load costs little beside what it measures."""

from __future__ import annotations

import asyncio
from collections import deque

Answer = tuple[int, dict[str, str], bytes]


class Closed(Exception):
    """Nobody answers."""


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Answer] | None = None
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._got[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        whole = end + 4 + int(headers["content-length"])
        if len(self._got) < whole or self.waiting is None or self.waiting.done():
            return
        body, self._got = self._got[end + 4 : whole], self._got[whole:]
        self.waiting.set_result((int(lines[0][9:12]), headers, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(Closed("cut"))


class Pool:
    """Up to `most` connections to a unix socket or (host, port); a request takes a free one, or makes one."""

    def __init__(self, place: str | tuple[str, int], most: int) -> None:
        self._place = place
        self._free: deque[_Connection] = deque()
        self._room = asyncio.Semaphore(most)
        self.opened = 0

    async def post(self, path: str, body: bytes, more: str) -> Answer:
        """Send a request with these further header lines; raise `Closed` when there is no answer."""
        async with self._room:
            connection = await self._take()
            connection.waiting = asyncio.get_running_loop().create_future()
            head = f"POST {path} HTTP/1.1\r\nhost: c\r\ncontent-length: {len(body)}\r\n{more}\r\n"
            if connection.transport is None:
                raise Closed("cut")
            connection.transport.write(head.encode() + body)
            answer = await connection.waiting
            if answer[1].get("connection") == "close":
                connection.transport.close()
            else:
                self._free.append(connection)
            return answer

    async def _take(self) -> _Connection:
        while self._free:
            connection = self._free.popleft()
            if connection.transport is not None:
                return connection
        try:
            if isinstance(self._place, str):
                _, made = await asyncio.get_running_loop().create_unix_connection(_Connection, self._place)
            else:
                _, made = await asyncio.get_running_loop().create_connection(_Connection, *self._place)
        except OSError as error:
            raise Closed(str(error)) from error
        self.opened += 1
        return made
