"""Send calls to the controller and rebuild its errors. Sync for the shell, async for the terminal."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from ringrift import __version__
from ringrift.client.access import Access
from ringrift.client.routes import Call
from ringrift.errors import (
    AccessRefused,
    BadInput,
    Conflict,
    CorruptData,
    NotFound,
    RingRiftError,
    Unreachable,
    error_classes,
)

T = TypeVar("T")
CONNECT_SECONDS = 3.0
VERSION_HEADER = "x-ringrift-version"
_BY_STATUS = {401: AccessRefused, 403: AccessRefused, 404: NotFound, 409: Conflict, 422: BadInput}
_SAME_VERSION = f"this is version {__version__}: install the version that the controller runs"


class Client:
    """Blocking calls over one kept connection."""

    def __init__(self, access: Access) -> None:
        self.access = access
        # trust_env False: a proxy set in the environment must never see a loopback token.
        self._http = httpx.Client(base_url=access.url, headers=_headers(access), trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Return the answer; raise the `RingRiftError` that the controller named, or `Unreachable`."""
        try:
            response = self._http.request(call.method, call.path, **_options(call))
        except httpx.HTTPError as problem:
            raise _unanswered(self.access, call, problem) from None
        return _read(self.access, call, response)


class AsyncClient:
    """The same over asyncio; used by the terminal."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._http = httpx.AsyncClient(base_url=access.url, headers=_headers(access), trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Return the answer; raise the `RingRiftError` that the controller named, or `Unreachable`."""
        try:
            response = await self._http.request(call.method, call.path, **_options(call))
        except httpx.HTTPError as problem:
            raise _unanswered(self.access, call, problem) from None
        return _read(self.access, call, response)


def _headers(access: Access) -> dict[str, str]:
    return {"authorization": f"Bearer {access.token}", VERSION_HEADER: __version__}


def _options(call: Call[Any]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "params": call.params,
        "timeout": httpx.Timeout(call.seconds, connect=CONNECT_SECONDS),
    }
    content = call.content()
    if content is not None:
        options |= {"content": content, "headers": {"content-type": "application/json"}}
    return options


def _unanswered(access: Access, call: Call[Any], problem: httpx.HTTPError) -> RingRiftError:
    if isinstance(problem, httpx.ReadTimeout):
        text = f"the controller at {access.url} did not answer {call.path} within {call.seconds:.0f} s"
        return Unreachable(text, hint="see `ringrift-ctl doctor`")
    if isinstance(problem, httpx.RemoteProtocolError) and "disconnected" not in str(problem):
        return CorruptData(f"what answers at {access.url} speaks no HTTP", hint=access.hint)
    return Unreachable(f"no controller answers at {access.url}", hint=access.hint)


def _read(access: Access, call: Call[T], response: httpx.Response) -> T:
    if not response.is_success:
        raise rebuilt_error(access, call, response.status_code, response.content)
    try:
        return call.parse(response.content)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise CorruptData(
            f"cannot read the answer to {call.method} {call.path} ({where}: {first['msg']})",
            hint=_SAME_VERSION,
        ) from None


def rebuilt_error(access: Access, call: Call[Any], status: int, content: bytes) -> RingRiftError:
    """Return the error that an answer carries, by its code; by its HTTP status where the code is unknown."""
    fallback = _BY_STATUS.get(status, RingRiftError)
    try:
        body = json.loads(content)["error"]
        code, message, hint = str(body["code"]), str(body["message"]), str(body.get("hint") or "")
    except (ValueError, TypeError, KeyError):
        text = f"{access.url} answered {call.method} {call.path} with HTTP {status}"
        return fallback(text, hint="see `ringrift-ctl doctor`")
    return error_classes().get(code, fallback)(message, hint=hint)
