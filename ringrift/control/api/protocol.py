"""The short way of an agent's request: from the socket to its answer without a web framework.

uvicorn's protocol serves the agents' API. In front of it stands this one, which answers whole, plain POSTs of
known paths by itself: a heartbeat costs a tenth of what it costs on the long way. Whatever is not exactly
that (another path, chunked, cut off oddly, malformed) goes the long way, which gives the same answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import h11
from pydantic import BaseModel
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from ringrift.control.api import statuses
from ringrift.control.api.beating import BeatWindow
from ringrift.control.api.signatures import caller, open_session, parse
from ringrift.control.api.work import Answer as WorkAnswer
from ringrift.control.api.work import answers
from ringrift.control.reconcile.context import Context
from ringrift.errors import RingRiftError
from ringrift.protocol.agent import BEAT, BeatReply, BeatRequest
from ringrift.protocol.sessions import SESSION, SESSION_HEADER

_LARGEST = 1 << 20
"""Larger bodies go the long way, which reads them piece by piece."""
_HEAD = 8192
_HELLO = SESSION.encode()
_FRAMING = frozenset({"transfer-encoding", "expect", "upgrade", "trailer"})

Headers = dict[str, str]
Answer = Callable[["AgentProtocol", Headers, bytes], None]


class AgentProtocol(H11Protocol):
    """One connection of an agent. Requests on it are answered one after the other."""

    context: Context
    paths: dict[bytes, Answer]
    largest: int

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held = b""
        self._busy = self._strayed = False

    def data_received(self, data: bytes) -> None:
        """Answer what is ours, hand on what is not, hold what is not whole yet."""
        if self._held:
            data = self._held + data
            self._held = b""
        if self._busy:
            self._held = data
            if len(data) > _LARGEST:
                self.transport.pause_reading()
            return
        if self._strayed and not self._between_requests():
            super().data_received(data)
            return
        request = _whole_request(data, self.paths, self.largest)
        if request is None:
            self._strayed = True
            super().data_received(data)
        elif isinstance(request, int):
            self._held = data
        else:
            answer, headers, body, end = request
            self._unset_keepalive_if_required()
            self._busy, self._held = True, data[end:]
            answer(self, headers, body)

    def _between_requests(self) -> bool:
        """Tell whether the long way has nothing under way and nothing half read on this connection."""
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def reply(self, status: int, body: bytes, more: bytes = b"") -> None:
        """Write the answer to the request under way and go on to the next."""
        if self.transport.is_closing():
            return
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
            % (status, STATUS_PHRASES[status], len(body), more, body)
        )
        self._busy = False
        self.transport.resume_reading()
        if self._held:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._held and not self._busy:
            self.data_received(b"")

    def succeed(self, reply: BaseModel) -> None:
        """Answer with a model."""
        self.reply(200, reply.__pydantic_serializer__.to_json(reply))

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        known = statuses.told(error, "a request of an agent")
        more = "".join(f"{name}: {value}\r\n" for name, value in statuses.headers_of(known).items())
        # As the long way writes it: the two are not told apart.
        body = json.dumps(statuses.body_of(known), ensure_ascii=False, separators=(",", ":"))
        self.reply(statuses.status_of(known), body.encode(), more.encode())


def _whole_request(
    data: bytes, paths: dict[bytes, Answer], largest: int
) -> tuple[Answer, Headers, bytes, int] | int | None:
    """Return a request that is ours and where it ends; 0 when it is not whole yet, None when not ours."""
    line, found, _ = data[:_HEAD].partition(b"\r\n")
    if not found:
        return 0 if b"POST /agent/v1/".startswith(line[:15]) and len(line) < 200 else None
    method, _, rest = line.partition(b" ")
    path, _, version = rest.partition(b" ")
    answer = paths.get(path)
    if method != b"POST" or version != b"HTTP/1.1" or answer is None:
        return None
    end = data.find(b"\r\n\r\n", len(line), _HEAD)
    if end < 0:
        return 0 if len(data) < _HEAD else None
    headers: Headers = {}
    for item in data[len(line) + 2 : end].decode("latin-1").split("\r\n"):
        name, colon, value = item.partition(":")
        name = name.lower()
        if not colon or name in headers or name in _FRAMING or " " in name or not item.isprintable():
            return None
        headers[name] = value.strip()
    length = headers.get("content-length", "")
    if SESSION_HEADER not in headers and path != _HELLO:
        return None
    if not (length.isdecimal() and length.isascii() and len(length) < 8 and int(length) <= largest):
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    whole = end + 4 + int(length)
    return (answer, headers, data[end + 4 : whole], whole) if len(data) >= whole else 0


def agent_protocol(context: Context) -> type[AgentProtocol]:
    """Return the protocol class that answers most requests of agents; the others go to the server's app."""
    window = BeatWindow(context)
    table = answers(context, window)
    paths = {path.encode(): _work(path, function) for path, function in table.items()}
    paths |= {BEAT.encode(): _beat(window), SESSION.encode(): _hello}
    largest = min(_LARGEST, context.settings.limits.body_bytes)
    return type("AgentProtocol", (AgentProtocol,), {"context": context, "paths": paths, "largest": largest})


def _caller(protocol: AgentProtocol, path: str, headers: Headers, body: bytes) -> str:
    """Return who sent a request, by its session."""
    sha256 = hashlib.sha256(body).hexdigest()
    return caller(protocol.context, headers[SESSION_HEADER], headers, "POST", path, sha256)


def _beat(window: BeatWindow) -> Answer:
    def answer(protocol: AgentProtocol, headers: Headers, body: bytes) -> None:
        def told(reply: BeatReply | Exception) -> None:
            if isinstance(reply, Exception):
                protocol.fail(reply)
            else:
                protocol.succeed(reply)

        try:
            window.add(_caller(protocol, BEAT, headers, body), parse(BeatRequest, body), told)
        except RingRiftError as error:
            protocol.fail(error)

    return answer


def _work(path: str, function: WorkAnswer) -> Answer:
    def answer(protocol: AgentProtocol, headers: Headers, body: bytes) -> None:
        async def work() -> BaseModel:
            return await function(_caller(protocol, path, headers, body), body)

        _run(protocol, work)

    return answer


def _hello(protocol: AgentProtocol, headers: Headers, body: bytes) -> None:
    async def work() -> BaseModel:
        return await open_session(protocol.context, headers, body)

    _run(protocol, work)


def _run(protocol: AgentProtocol, work: Callable[[], Coroutine[Any, Any, BaseModel]]) -> None:
    """Answer with what the coroutine returns or raises."""

    async def run() -> None:
        try:
            protocol.succeed(await work())
        except Exception as error:
            protocol.fail(error)

    task = protocol.loop.create_task(run())
    protocol.tasks.add(task)
    task.add_done_callback(protocol.tasks.discard)
