"""Logging in to a host: the one caller of `asyncssh.connect`.

The host key is always the pinned one, given explicitly; no configuration file, no key agent and no default
key takes part. At most 16 logins run at once, because sshd's MaxStartups (10:30:100) drops bursts.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import asyncssh

from hosts import keys
from hosts.identity import controller_key, public_line, read_identity
from ringrift.control.domain.ports import HostSpec, ShownKey
from ringrift.errors import AccessRefused, RingRiftError, Unreachable

CONNECT_TIMEOUT = 10.0
KEEPALIVE_SECONDS = 2
KEEPALIVE_COUNT = 3
"""A cut link is noticed after 2 s x (3 + 1), about 8 s."""
CONNECTS_AT_ONCE = 16
ATTEMPTS = 4
FIRST_PAUSE = 0.3
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
"""aes128-gcm first: 40 % less CPU than chacha20 on a transfer."""

T = TypeVar("T")


class _PinnedClient(asyncssh.SSHClient):
    """Remembers the key that a server showed when it was not the pinned one."""

    def __init__(self) -> None:
        self.unexpected: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.unexpected = key
        return False


class Connector:
    """Opens connections to hosts with the controller's key or the key that a host's spec names."""

    def __init__(self, home: Path, timeout: float = CONNECT_TIMEOUT) -> None:
        self._home = home
        self._timeout = timeout
        self._limit = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def connect(self, host: HostSpec) -> asyncssh.SSHClientConnection:
        """Log in.

        Raises Unreachable, AccessRefused or HostKeyChanged, each with what to do about it.
        """
        pinned = keys.parse_pinned(host.name, host.host_key)
        identity = self._identity(host)
        try:
            async with self._limit:
                return await _with_retries(lambda: self._login(host, pinned, identity))
        except (asyncssh.KeyExchangeFailed, *_RETRIED) as error:
            raise await self._handshake_problem(host, pinned, error) from error

    async def scan(self, address: str, port: int) -> list[ShownKey]:
        """Return the host keys that an address shows, best first; raises Unreachable."""
        try:
            async with self._limit:
                return [await _with_retries(lambda: keys.fetch_key(address, port, self._timeout))]
        except _FAILURES as error:
            raise _unreachable(f"{address}:{port}", error) from error

    def _identity(self, host: HostSpec) -> asyncssh.SSHKey:
        path = Path(host.identity).expanduser() if host.identity else controller_key(self._home)
        return read_identity(path)

    async def _login(
        self, host: HostSpec, pinned: asyncssh.SSHKey, identity: asyncssh.SSHKey
    ) -> asyncssh.SSHClientConnection:
        place = _place(host)
        client = _PinnedClient()
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncssh.connect(
                    host.address,
                    host.port,
                    username=host.user,
                    client_factory=lambda: client,
                    known_hosts=([pinned], [], []),
                    client_keys=[identity],
                    config=None,
                    agent_path=None,
                    preferred_auth="publickey",
                    encryption_algs=list(CIPHERS),
                    keepalive_interval=KEEPALIVE_SECONDS,
                    keepalive_count_max=KEEPALIVE_COUNT,
                )
        except asyncssh.HostKeyNotVerifiable as error:
            if client.unexpected is None:
                raise _unreachable(place, error) from error
            raise keys.changed(host, pinned, keys.shown(client.unexpected)) from None
        except asyncssh.PermissionDenied as error:
            raise AccessRefused(
                f"{place} refused the login of {host.user}: {error.reason}",
                hint=f"add this line to ~{host.user}/.ssh/authorized_keys there: {public_line(identity)}",
            ) from None
        except (asyncssh.KeyExchangeFailed, *_RETRIED):
            raise
        except _FAILURES as error:
            raise _unreachable(place, error) from error

    async def _handshake_problem(
        self, host: HostSpec, pinned: asyncssh.SSHKey, error: Exception
    ) -> RingRiftError:
        """Tell a server that no longer has a key of the pinned type from one that cannot be spoken with."""
        try:
            seen = await keys.fetch_key(host.address, host.port, self._timeout)
        except _FAILURES:
            return _unreachable(_place(host), error)
        try:
            same = [algorithm.decode() for algorithm in pinned.sig_algorithms]
            await keys.fetch_key(host.address, host.port, self._timeout, same)
        except _FAILURES:
            return keys.changed(host, pinned, seen)
        return _unreachable(_place(host), error)


_RETRIED = (ConnectionResetError, BrokenPipeError, asyncssh.ConnectionLost)
_FAILURES = (OSError, TimeoutError, asyncssh.Error)


async def _with_retries(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again, with growing and jittered pauses, while the connection is cut during the handshake."""
    pause = FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except _RETRIED:
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
    return await attempt()


def _place(host: HostSpec) -> str:
    return f"{host.name} ({host.address}:{host.port})"


def _unreachable(place: str, error: BaseException) -> Unreachable:
    if isinstance(error, TimeoutError):
        return Unreachable(f"{place} does not answer in time", hint="is the machine up?")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"{place} refuses connections", hint="is sshd running there, on that port?")
    if isinstance(error, socket.gaierror):
        return Unreachable(f"{place}: no such address", hint="check its spelling")
    if isinstance(error, _RETRIED):
        return Unreachable(
            f"{place} cuts the connection during the handshake",
            hint="is it an SSH server, and does its MaxStartups allow more logins?",
        )
    reason = str(error) or type(error).__name__
    return Unreachable(f"{place} cannot be reached: {reason}")
