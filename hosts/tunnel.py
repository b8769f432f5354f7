"""The way from a host back to the controller: a socket there that the SSH connection forwards here.

A Unix socket with a fresh name per connection, because its file outlives even a clean close; a loopback port
of sshd's choice where sockets are forbidden. Where it is stands in `run/controller.json`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

from hosts.remote import Remote
from ringrift.errors import AccessRefused

LONGEST_PATH = 100
"""Bytes. A socket's path is limited to 107 on Linux and 103 on macOS."""
_SOCKET = re.compile(r"t-[0-9a-f]{8}\.sock")
_SHORT_FOLDER = re.compile(r"/tmp/ringrift-[A-Za-z0-9]{8}")  # noqa: S108 - made by mktemp -d, mode 0700


async def hold(remote: Remote, root: str, agents_socket: Path, opened: Callable[[], Awaitable[None]]) -> None:
    """Forward, publish where, call `opened`, and return when the connection ends. `root` is absolute."""
    folder = f"{root}/run"
    await remote.files.mkdir(folder, 0o700)
    path = await _socket_path(remote, folder)
    listener, place = await _listen(remote, path, agents_socket)
    try:
        before = await remote.files.get(f"{folder}/controller.json")
        text = json.dumps(place) + "\n"
        await remote.files.put(f"{folder}/controller.json", text.encode(), 0o600)
        await _remove_stale(remote, folder, path, before)
        await opened()
        await remote.connection.wait_closed()
    finally:
        listener.close()


async def _socket_path(remote: Remote, folder: str) -> str:
    """Return a fresh path in a folder that only the login user can enter."""
    name = f"t-{secrets.token_hex(4)}.sock"
    path = f"{folder}/{name}"
    if len(path.encode()) <= LONGEST_PATH:
        return path
    done = await remote.check(["mktemp", "-d", "/tmp/ringrift-XXXXXXXX"])  # noqa: S108
    for line in reversed(done.stdout.splitlines()):
        if _SHORT_FOLDER.fullmatch(line.strip()):
            return f"{line.strip()}/{name}"
    return path


async def _listen(
    remote: Remote, path: str, agents_socket: Path
) -> tuple[asyncssh.SSHListener, dict[str, str | int]]:
    """Open the forward; raises AccessRefused when the server's sshd forbids both kinds."""
    connection = remote.connection
    with remote.speaking("opening the tunnel"):
        try:
            return await connection.forward_remote_path(path, str(agents_socket)), {"uds": path}
        except asyncssh.ChannelListenError:
            pass
        try:
            listener = await connection.forward_remote_port_to_path("127.0.0.1", 0, str(agents_socket))
        except asyncssh.ChannelListenError:
            raise AccessRefused(
                f"the sshd of {remote.name} forbids forwarding, so its agent cannot reach the controller",
                hint="set AllowStreamLocalForwarding yes or AllowTcpForwarding yes in its sshd_config",
            ) from None
        return listener, {"host": "127.0.0.1", "port": listener.get_port()}


async def _remove_stale(remote: Remote, folder: str, path: str, before: bytes | None) -> None:
    """Remove the socket files of earlier connections."""
    stale = [f"{folder}/{name}" for name in await remote.files.names(folder) if _SOCKET.fullmatch(name)]
    stale += _short_folder(before)
    for old in stale:
        if old != path and not path.startswith(f"{old}/"):
            await remote.files.remove(old)


def _short_folder(published: bytes | None) -> list[str]:
    """Return the folder of our own making that an earlier `controller.json` names, if it names one."""
    try:
        place = json.loads(published or b"null")
        folder, _, name = place["uds"].rpartition("/")
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    return [folder] if _SHORT_FOLDER.fullmatch(folder) and _SOCKET.fullmatch(name) else []
