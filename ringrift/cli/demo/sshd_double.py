"""The stand-in for sshd where OpenSSH is not installed: exec, SFTP and forwarding, as a process of its own.

python -m ringrift.cli.demo.sshd_double FOLDER ADDRESS PORT [--no-sockets] [--no-ports]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from pathlib import Path

import asyncssh

_present: set[asyncssh.SSHServerConnection | None] = set()
"""The connections that are served now."""


class Server(asyncssh.SSHServer):
    """Lets in whoever holds an authorized key, and forwards what its options allow."""

    def __init__(self, sockets: bool, ports: bool) -> None:
        self._sockets = sockets
        self._ports = ports
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        _present.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        _present.discard(self._connection)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return self._ports

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return self._ports

    def unix_server_requested(self, listen_path: str) -> bool:
        return self._sockets


async def execute(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run the requested line in a login-like shell, as sshd does."""
    child = await asyncio.create_subprocess_exec(
        os.environ.get("SHELL", "/bin/sh"),
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path.home(),  # HOME is the folder that stands for this host's
    )
    feeding = asyncio.create_task(_feed(process, child))
    await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
    status = await child.wait()
    feeding.cancel()
    process.exit(status if status >= 0 else 128 - status)


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """Hand the client's input on; a program may end without reading it."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        while data := await process.stdin.read(65536):
            child.stdin.write(data)
            await child.stdin.drain()
        child.stdin.close()


async def _copy(source: asyncio.StreamReader | None, sink: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


async def serve(folder: Path, address: str, port: int, sockets: bool, ports: bool) -> None:
    """Serve until SIGTERM or SIGINT; SIGUSR1 cuts every connection."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _cut)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncssh.listen(
        address,
        port,
        server_factory=lambda: Server(sockets, ports),
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=execute,
        encoding=None,
        sftp_factory=True,
        allow_scp=False,
    ):
        await stopped.wait()


def _cut() -> None:
    for connection in list(_present):
        if connection is not None:
            connection.abort()


def main() -> None:
    parser = argparse.ArgumentParser(prog="sshd_double", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--no-sockets", action="store_true")
    parser.add_argument("--no-ports", action="store_true")
    options = parser.parse_args()
    os.environ["HOME"] = str(options.folder / "home")
    asyncio.run(
        serve(options.folder, options.address, options.port, not options.no_sockets, not options.no_ports)
    )


if __name__ == "__main__":
    main()
