"""The way from a host back to the controller: a socket there that the SSH connection forwards here.

A Unix socket with a fresh name per connection, because its file outlives even a clean close, and because a
link that was cut leaves the old listener behind until the host's sshd notices; a loopback port of sshd's
choice where sockets are forbidden. Where it is stands in `run/controller.json`. Opening takes two programs
on the host and one request to its sshd, so that a slow link delays it little.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

from hosts.remote import Remote
from ringrift.errors import AccessRefused, CorruptData
from ringrift.failpoints import side_effect

_PREPARE = r"""
mark=$1 root=$2 name=$3
case $root in "~") root=$HOME ;; "~/"*) root=$HOME/${root#"~/"} ;; esac
run=${root%/}/run
mkdir -p -- "$run" && chmod 700 "$run" || exit
path=$run/$name
LC_ALL=C
[ ${#path} -le 100 ] || path=$(mktemp -d /tmp/ringrift-XXXXXXXX)/$name || exit
printf '\n%s %s\n%s %s\n' "$mark" "$run" "$mark" "$path"
"""
"""Makes the folder, and a short one where the socket's path would be too long: Linux allows 107 bytes,
macOS 103. Prints both paths behind a mark, since login shells print too."""

_PUBLISH = r"""
cd -- "$1" || exit
path=$2 text=$3 new=.controller.${2##*/}.new before=
record='{"uds": "\(/tmp/ringrift-[A-Za-z0-9]\{8\}\)/t-[0-9a-f]\{8\}\.sock"}'
[ ! -f controller.json ] || before=$(sed -n "s|^$record\$|\1|p" controller.json)
umask 077
printf '%s\n' "$text" > "$new" && mv -f "$new" controller.json || exit
for old in t-????????.sock .controller.*.new "${before:-$1}"/t-????????.sock; do
  [ "$old" = "${path##*/}" ] || [ "$old" = "$path" ] || rm -f -- "$old"
done
for folder in "$before" "${path%/*}"; do
  case $folder in /tmp/ringrift-*) rmdir -- "$folder" 2>/dev/null ;; esac
done
:
"""
"""Replaces `controller.json` atomically; then removes what earlier connections left: their sockets here, and
the short folder that they named. Our own short folder goes too when it is empty, because a port is used."""


async def hold(remote: Remote, root: str, agents_socket: Path, opened: Callable[[], Awaitable[None]]) -> None:
    """Forward, publish where, call `opened`, return when the connection ends. `root` may begin with `~`."""
    run, path = await _prepare(remote, root)
    listener, place = await _listen(remote, path, agents_socket)
    try:
        with side_effect("tunnel.publish"):
            await remote.check(["sh", "-c", _PUBLISH, "sh", run, path, json.dumps(place)])
        await opened()
        await remote.connection.wait_closed()
    finally:
        listener.close()


async def _prepare(remote: Remote, root: str) -> tuple[str, str]:
    """Return the folder that only the login user can enter, and a fresh socket's path there or in `/tmp`."""
    mark, name = secrets.token_hex(8), f"t-{secrets.token_hex(4)}.sock"
    done = await remote.check(["sh", "-c", _PREPARE, "sh", mark, root, name])
    lines = done.stdout.splitlines()
    told = [line.removeprefix(f"{mark} ") for line in lines if line.startswith(f"{mark} ")]
    if len(told) != 2 or not told[0].startswith("/") or not told[1].endswith(f"/{name}"):
        raise CorruptData(
            f"{remote.name}: no folder for the tunnel came back", hint="does its login shell run sh?"
        )
    return told[0], told[1]


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
