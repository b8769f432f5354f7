"""The way to the controller: a socket or a loopback port that the host's SSH connection forwards.

Where it is stands in `run/controller.json`, which is replaced whenever the tunnel is made anew. The file is
looked at before every request, so that a tunnel that was cut is left as soon as there is another one.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from ringrift.errors import (
    AccessRefused,
    BadInput,
    NotFound,
    RingRiftError,
    SessionUnknown,
    Unreachable,
    error_classes,
)
from ringrift.protocol.sessions import CHALLENGE_HEADER

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
"""Seconds for a small request. A transfer may be silent for as long between two pieces."""
LONG = httpx.Timeout(600.0, connect=5.0)
"""Seconds for a request whose answer the controller has to work for."""
_LOOK_SECONDS = 0.5


class Backoff:
    """Growing pauses with jitter: 0.5 s doubled up to 30 s, each shortened by up to half at random."""

    first = 0.5
    longest = 30.0

    def __init__(self) -> None:
        self._pause = self.first

    def next(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, self.longest)
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._pause = self.first


class Connection:
    """HTTP to wherever the controller is reachable now. Safe for use by several threads."""

    def __init__(self, address_file: Path) -> None:
        self._file = address_file
        self._guard = threading.Lock()
        self._client: httpx.Client | None = None
        self._stamp: tuple[int, int] | None = None
        self.on_session_unknown: Callable[[str], None] = lambda _: None
        """Called with the challenge for the next hello when the controller does not know the session."""

    def stamp(self) -> tuple[int, int] | None:
        """Identify the present content of the address file; None while there is none."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        content: Any = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> httpx.Response:
        """Send one request and read the answer; raise a `RingRiftError` for anything but success."""
        with self._talking() as client:
            response = client.request(method, path, headers=headers, content=content, timeout=timeout)
        self._raise_for(response)
        return response

    @contextlib.contextmanager
    def stream(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """GET with the body left to be read piece by piece inside the `with` block."""
        with self._talking() as client, client.stream("GET", path, headers=headers) as response:
            if response.is_error:
                response.read()
                self._raise_for(response)
            yield response

    def _raise_for(self, response: httpx.Response) -> None:
        try:
            _raise_for(response)
        except SessionUnknown as error:
            self.on_session_unknown(error.challenge)
            raise

    def wait_for_change(self, seconds: float, stop: threading.Event) -> None:
        """Wait, but no longer than until the address changes or `stop` is set."""
        before = self.stamp()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, _LOOK_SECONDS)) or self.stamp() != before:
                return

    def close(self) -> None:
        with self._guard:
            self._forget()

    @contextlib.contextmanager
    def _talking(self) -> Iterator[httpx.Client]:
        client = self._current()
        try:
            yield client
        except httpx.TransportError as error:
            with self._guard:
                if self._client is client:
                    self._forget()
            raise Unreachable(f"the controller does not answer: {_words(error)}") from error

    def _current(self) -> httpx.Client:
        with self._guard:
            stamp = self.stamp()
            if self._client is None or stamp != self._stamp:
                self._forget()
                self._client = _client_for(self._file)
                self._stamp = stamp
            return self._client

    def _forget(self) -> None:
        # Other threads may be reading through the old client, so it is left to close with its last user.
        self._client = None


def _client_for(address_file: Path) -> httpx.Client:
    try:
        address = json.loads(address_file.read_bytes())
        if "uds" in address:
            transport = httpx.HTTPTransport(uds=str(address["uds"]))
            return httpx.Client(transport=transport, base_url="http://controller", timeout=TIMEOUT)
        host, port = str(address.get("host", "127.0.0.1")), int(address["port"])
    except OSError:
        raise Unreachable(f"no way to the controller yet: {address_file} is not there") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unreachable(f"{address_file} does not say where the controller is") from None
    return httpx.Client(base_url=f"http://{host}:{port}", timeout=TIMEOUT, trust_env=False)


def _raise_for(response: httpx.Response) -> None:
    """Turn an error answer into its class of `ringrift.errors`; what a retry may mend is `Unreachable`."""
    if response.is_success:
        return
    code, message = _error_body(response)
    status = response.status_code
    where = f"{response.request.method} {response.request.url.path}"
    if status >= 500 or status in (408, 429):
        raise Unreachable(f"the controller answered {status} to {where}: {message}")
    if status in (401, 403):
        if code == SessionUnknown.code:
            raise SessionUnknown(message, challenge=response.headers.get(CHALLENGE_HEADER, ""))
        kind = error_classes().get(code, AccessRefused)
        raise (kind if issubclass(kind, AccessRefused) else AccessRefused)(message)
    if status == 404:
        raise NotFound(message)
    if status == 416:
        raise BadInput(message)
    raise error_classes().get(code, RingRiftError)(message)


def _error_body(response: httpx.Response) -> tuple[str, str]:
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        error = response.json()["error"]
        return str(error["code"]), str(error["message"])
    return RingRiftError.code, f"status {response.status_code}: {response.text[:200]}"


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
