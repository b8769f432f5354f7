"""Listening sockets: opened, or taken over from who started this process."""

from __future__ import annotations

import errno
import os
import socket

from ringrift.errors import BadInput, EnvironmentProblem

_BACKLOG = 1024
_LAST_PORT = 65535


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise `EnvironmentProblem` when the address cannot be had."""
    if not 0 <= port <= _LAST_PORT:
        raise BadInput(f"{port} is no port", hint=f"use 0 to {_LAST_PORT}")
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named, asyncio answers without delay (TCP_NODELAY); else a reply waits 40 ms
        # on every connection that stays open.
        found = socket.socket(address[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address[4])
        found.listen(_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "stop what listens there or choose another port"
            raise EnvironmentProblem(f"port {port} of {host} is in use", hint=hint) from None
        raise EnvironmentProblem(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return found


def inherited(descriptor: int) -> socket.socket:
    """Return the listening socket that the starter opened; raise `EnvironmentProblem` if it is none."""
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
        if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, "it does not listen")
    except OSError as error:
        problem = f"descriptor {descriptor} is no listening socket: {error.strerror or error}"
        raise EnvironmentProblem(problem) from None
    return found
