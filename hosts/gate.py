"""The gate of a handshake: it judges the key that a server shows, and tells what a handshake ended with."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import asyncssh

from hosts import keys
from hosts.entry import CUT
from ringrift.control.domain.ports import HostSpec
from ringrift.errors import AccessRefused, RingRiftError, Unreachable

_SHOWN = "shown_host_key"
"""What a connection remembers: the accepted key or certificate in SSH's binary form."""


class Gate(asyncssh.SSHClient):
    """Judges the key that a server shows, in the place of asyncssh's own lists of known hosts.

    Those see of a certificate its signer only; here the whole certificate is seen. They are given empty: if
    this gate were not asked, every key would be refused.
    """

    def __init__(self, trust: keys.Trust) -> None:
        self.trust = trust
        self.leaving = ExitStack()
        """Closed with the connection: gives that of the jump host back."""
        self.accepted = False
        self.untrusted: keys.UntrustedKey | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Take over the judgement; asyncssh calls this before the first byte of the handshake."""
        conn.validate_server_host_key = self._judge  # type: ignore[method-assign]
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what the connection needed."""
        self.leaving.close()

    def _judge(self, key_data: bytes) -> asyncssh.SSHKey:
        try:
            key = keys.judge(self.trust, key_data)
        except keys.UntrustedKey as error:
            self.untrusted = error
            raise asyncssh.HostKeyNotVerifiable(error.what) from None
        self.accepted = True
        self._connection.set_extra_info(**{_SHOWN: key_data})
        return key


def still_good(connection: asyncssh.SSHClientConnection, before: HostSpec, now: HostSpec) -> bool:
    """Tell whether a connection stands, leads to where the host is now, and its key is still trusted."""
    if connection.is_closed() or _way(before) != _way(now):
        return False
    try:
        keys.judge(keys.trust_in(now), connection.get_extra_info(_SHOWN))
    except keys.UntrustedKey:
        return False
    return True


def _way(host: HostSpec) -> tuple[object, ...]:
    jump = (*_way(host.jump), host.jump.host_key) if host.jump else None
    return host.user, host.address, host.port, host.identity, jump


def failed_handshake(host: HostSpec, gate: Gate, error: Exception) -> RingRiftError:
    """Tell what a handshake ended with: a key that is not trusted, or not proven, or no way there."""
    if gate.untrusted is not None:
        return keys.refused(host, gate.trust, gate.untrusted)
    if gate.accepted and isinstance(error, asyncssh.KeyExchangeFailed):
        return AccessRefused(
            f"{place_of(host)} shows a trusted host key but cannot prove that it holds it; nothing was sent",
            hint="something on the way there answers in its place: look at its gateway, network and address",
        )
    if host.jump is not None and isinstance(error, asyncssh.ChannelOpenError):
        return _not_through(host, host.jump, error)
    return unreachable(place_of(host), error)


def _not_through(host: HostSpec, jump: HostSpec, error: asyncssh.ChannelOpenError) -> Unreachable:
    """Tell why the second leg failed while the first, to the jump host, stands."""
    hint = f"is {host.name} up, and is this its address as {jump.name} sees it?"
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        hint = f"the sshd_config of {jump.name} needs: AllowTcpForwarding local"
    where = f"{host.name} at {host.address}:{host.port}"
    return Unreachable(f"the jump host {jump.name} does not reach {where}: {error.reason[:300]}", hint=hint)


def place_of(host: HostSpec) -> str:
    """Return name, address and way of a host, for an error."""
    way = f" through {host.jump.name}" if host.jump else ""
    return f"{host.name} ({host.address}:{host.port}{way})"


def unreachable(place: str, error: BaseException) -> Unreachable:
    """Build the error for a server that cannot be spoken with."""
    if isinstance(error, TimeoutError):
        return Unreachable(f"{place} does not answer in time", hint="is the machine up?")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"{place} refuses connections", hint="is sshd running there, on that port?")
    if isinstance(error, socket.gaierror):
        return Unreachable(f"{place}: no such address", hint="check its spelling")
    if isinstance(error, CUT):
        return Unreachable(
            f"{place} cuts the connection during the handshake",
            hint="is it an SSH server, and does its MaxStartups allow more logins?",
        )
    if isinstance(error, ValueError):
        return Unreachable(f"{place} answers with something that is not SSH", hint="is this the right port?")
    reason = str(error) or type(error).__name__
    return Unreachable(f"{place} cannot be reached: {reason[:300]}")
