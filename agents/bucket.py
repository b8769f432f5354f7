"""The bucket of artifacts, where the controller offers one: files go there by short-lived addresses.

A second way and never the only one: a host may not reach the bucket, an address may have expired, and what
lies there may be something else. The controller's own transfer makes good whatever fails here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx

from agents.clock import MONOTONIC, Clock
from agents.files import GoOn, chunks, require_room

REST_SECONDS = 600.0
"""After trouble, or without a bucket, the controller is not asked for an address for so long."""
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
log = logging.getLogger("agents")


class Bucket:
    """HTTP to the addresses that the controller signs. Safe for use by several threads."""

    def __init__(self, clock: Clock = MONOTONIC) -> None:
        self._clock = clock
        self._rests_until = 0.0

    def is_open(self) -> bool:
        """Tell whether it makes sense to ask the controller for an address."""
        return self._clock() >= self._rests_until

    def rest(self) -> None:
        """Leave the bucket alone for a while."""
        self._rests_until = self._clock() + REST_SECONDS

    def put(self, url: str, path: Path, go_on: GoOn) -> bool:
        """Send a file; False when that failed. Raises what `go_on` raises."""
        try:
            with _client() as client:
                size = {"content-length": str(path.stat().st_size)}
                client.put(url, content=_counted(path, go_on), headers=size).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._failed(error)
        return True

    def fetch(self, url: str, into: Path, go_on: GoOn) -> bool:
        """Fetch a file into `into`, going on where that ends; False when that failed, perhaps half-way.

        Raises `OSError` (no space left) before anything is written that would not fit, and what `go_on`
        raises.
        """
        have = into.stat().st_size if into.exists() else 0
        try:
            with _client() as client, client.stream("GET", url, headers=from_byte(have)) as response:
                response.raise_for_status()
                receive(response, into, go_on)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._failed(error)
        return True

    def _failed(self, error: Exception) -> bool:
        # The text of an error may hold the address, which is a secret while it lives.
        status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
        log.info(
            "the bucket is of no use (%s%s): files go through the controller", type(error).__name__, status
        )
        self.rest()
        return False


def from_byte(have: int) -> dict[str, str]:
    """Return the header that asks for what follows the first `have` bytes."""
    return {"range": f"bytes={have}-"} if have else {}


def receive(response: httpx.Response, into: Path, go_on: GoOn) -> None:
    """Write an answer's body to the end of `into`, or in its place when it is the whole file."""
    mode = "ab" if response.status_code == httpx.codes.PARTIAL_CONTENT else "wb"
    require_room(into.parent, int(response.headers.get("content-length", 0)))
    with into.open(mode) as file:
        for piece in response.iter_bytes():
            file.write(piece)
            go_on()


def _client() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT, trust_env=False)


def _counted(path: Path, go_on: GoOn) -> Iterator[bytes]:
    for piece in chunks(path):
        go_on()
        yield piece
