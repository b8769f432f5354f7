"""Logging in to a host: the one caller of `asyncssh.connect` and of `asyncssh.get_server_host_key`.

What proves a host's identity is given by its spec and judged by `hosts.keys` before anything is sent to it;
no configuration file, key agent, default key, X.509 or GSS takes part. A host behind a jump host is reached
through a connection to that one, which is judged in the same way; nothing else is forwarded by it.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import asyncssh

from hosts import keys
from hosts.entry import CUT, EntryPoints, entry_of, with_retries
from hosts.gate import Gate, failed_handshake, place_of, unreachable
from hosts.identity import check_login, controller_key, public_line, read_identity
from hosts.jumps import JumpHosts
from ringrift.control.domain.ports import HostSpec, ShownKey
from ringrift.errors import AccessRefused, RingRiftError, Unreachable

CONNECT_TIMEOUT = 10.0
KEEPALIVE_SECONDS = 2.0
KEEPALIVE_COUNT = 3
"""A cut link is noticed after 2 s x (3 + 1), about 8 s."""
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
"""aes128-gcm first: 40 % less CPU than chacha20 on a transfer."""
_FAILURES = (OSError, TimeoutError, asyncssh.Error, ValueError)
"""What a server that answers wrongly can cause; ValueError comes out of asyncssh's parsers."""


class Connector:
    """Opens connections to hosts with the controller's key or the key that a host's spec names."""

    def __init__(self, home: Path, timeout: float = CONNECT_TIMEOUT) -> None:
        self._home = home
        self._timeout = timeout
        self._entries = EntryPoints()
        self._jumps = JumpHosts(self.connect)

    async def connect(self, host: HostSpec) -> asyncssh.SSHClientConnection:
        """Log in.

        Raises Unreachable, AccessRefused or HostKeyChanged, each with what to do about it; whatever goes
        wrong with the jump host is Unreachable for the host behind it.
        """
        check_login(host)
        trust = keys.trust_in(host)
        identity = self._identity(host)

        async def attempt() -> asyncssh.SSHClientConnection:
            gate = Gate(trust)
            try:
                jump = await self._join(host.name, host.jump, gate.leaving)
                async with self._entries.turn(entry_of(host.address, host.port, host.jump)):
                    return await self._login(host, gate, identity, jump)
            except BaseException:
                gate.leaving.close()
                raise

        try:
            return await with_retries(attempt)
        except CUT as error:
            raise unreachable(place_of(host), error) from error

    async def scan(self, address: str, port: int, jump: HostSpec | None = None) -> list[ShownKey]:
        """Return the host key that an address shows, without logging in; raises Unreachable."""
        place = f"{address}:{port}"

        async def attempt() -> ShownKey:
            with ExitStack() as leaving:
                tunnel = await self._join(place, jump, leaving)
                async with self._entries.turn(entry_of(address, port, jump)):
                    return await self._fetch_key(address, port, tunnel)

        try:
            return [await with_retries(attempt)]
        except _FAILURES as error:
            raise unreachable(place, error) from error

    def _identity(self, host: HostSpec) -> asyncssh.SSHKey:
        path = Path(host.identity).expanduser() if host.identity else controller_key(self._home)
        return read_identity(path)

    async def _join(
        self, name: str, jump: HostSpec | None, leaving: ExitStack
    ) -> asyncssh.SSHClientConnection | None:
        """Return the connection to the jump host, or None where there is none to use."""
        if jump is None:
            return None
        try:
            return await self._jumps.join(jump, leaving)
        except RingRiftError as error:
            raise Unreachable(
                f"{name} cannot be reached, because its jump host failed: {error.message}", hint=error.hint
            ) from error

    async def _login(
        self,
        host: HostSpec,
        gate: Gate,
        identity: asyncssh.SSHKey,
        jump: asyncssh.SSHClientConnection | None,
    ) -> asyncssh.SSHClientConnection:
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncssh.connect(
                    host.address,
                    host.port,
                    tunnel=jump,
                    username=host.user,
                    client_factory=lambda: gate,
                    known_hosts=([], [], []),
                    server_host_key_algs=gate.trust.algorithms(),
                    x509_trusted_certs=None,
                    gss_host=None,
                    client_keys=[identity],
                    config=None,
                    agent_path=None,
                    preferred_auth="publickey",
                    encryption_algs=list(CIPHERS),
                    keepalive_interval=KEEPALIVE_SECONDS,
                    keepalive_count_max=KEEPALIVE_COUNT,
                )
        except CUT:
            raise
        except asyncssh.PermissionDenied as error:
            raise AccessRefused(
                f"{place_of(host)} refused the login of {host.user}: {error.reason}",
                hint=f"add this line to ~{host.user}/.ssh/authorized_keys there: {public_line(identity)}",
            ) from None
        except _FAILURES as error:
            raise failed_handshake(host, gate, error) from error

    async def _fetch_key(
        self, address: str, port: int, tunnel: asyncssh.SSHClientConnection | None
    ) -> ShownKey:
        async with asyncio.timeout(self._timeout):
            key = await asyncssh.get_server_host_key(
                address,
                port,
                tunnel=tunnel,
                server_host_key_algs=list(keys.ALGORITHMS),
                config=None,
            )
        if key is None:
            raise asyncssh.KeyExchangeFailed("the server shows no host key")
        return keys.shown(key)
