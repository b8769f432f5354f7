"""Connections to jump hosts: one for all hosts behind it, open as long as somebody uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import asyncssh

from ringrift.control.domain.ports import HostSpec

Connect = Callable[[HostSpec], Awaitable[asyncssh.SSHClientConnection]]


@dataclass
class _Jump:
    """A connection that is being made or stands, and how many use it."""

    login: asyncio.Future[asyncssh.SSHClientConnection]
    users: int = 0

    def usable(self) -> bool:
        """Tell whether it is still being made, or stands."""
        if not self.login.done():
            return True
        return (
            not self.login.cancelled() and not self.login.exception() and not self.login.result().is_closed()
        )


class JumpHosts:
    """Shares connections to jump hosts. Who comes while one is being made shares its failure too."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._jumps: dict[HostSpec, _Jump] = {}

    async def join(self, spec: HostSpec, leaving: ExitStack) -> asyncssh.SSHClientConnection:
        """Return the connection to a jump host; closing `leaving` gives it back, the last one closes it."""
        jump = self._jumps.get(spec)
        if jump is None or not jump.usable():
            jump = self._jumps[spec] = _Jump(asyncio.ensure_future(self._connect(spec)))
        jump.users += 1
        leaving.callback(self._leave, spec, jump)
        return await asyncio.shield(jump.login)

    def _leave(self, spec: HostSpec, jump: _Jump) -> None:
        jump.users -= 1
        if jump.users:
            return
        if self._jumps.get(spec) is jump:
            del self._jumps[spec]
        if not jump.login.done():
            jump.login.cancel()
        elif jump.usable():
            jump.login.result().close()
