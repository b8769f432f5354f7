"""Host keys as the operator meets them: parse a login, fetch the shown keys, compare or confirm one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringrift.cli.output import confirm, note
from ringrift.client import routes
from ringrift.errors import AccessRefused, BadInput, HostKeyChanged, Unreachable
from ringrift.protocol.operator import HostKey, HostView, ScanRequest

if TYPE_CHECKING:
    from ringrift.client.http import Client

_LOGIN = re.compile(
    r"(?P<user>[A-Za-z_][A-Za-z0-9_.-]{0,31})@(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+))"
    r"(?::(?P<port>\d{1,5}))?"
)
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_PREFERENCE = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


def login(text: str) -> tuple[str, str, int]:
    """Split `user@host:port` (or `user@[::1]:port`); the port is 22 when left out."""
    found = _LOGIN.fullmatch(text)
    port = int(found["port"] or 22) if found else 0
    if found is None or not 1 <= port <= 65535:
        raise BadInput(f"{text!r} is no SSH login", hint="use user@host:port, for example ring@192.0.2.7:22")
    return found["user"], found["six"] or found["host"], port


def choose_key(
    client: Client, name: str, address: str, port: int, fingerprint: str | None, yes: bool = False
) -> HostKey:
    """Return the key to pin: the one with the given fingerprint, else the shown one after a yes."""
    if fingerprint is not None and not _FINGERPRINT.fullmatch(fingerprint):
        raise BadInput(
            f"{fingerprint!r} is no fingerprint", hint="use the form SHA256:... as `ssh-keygen -lf` prints it"
        )
    shown = _shown_keys(client, address, port)
    if fingerprint is None:
        key = shown[0]
        note(f"{name} at {address} port {port} shows this {key.type} key:\n  {key.fingerprint}")
        confirm("Is this the fingerprint that the machine itself reports?", yes)
        return key
    for key in shown:
        if key.fingerprint == fingerprint:
            return key
    found = ", ".join(key.fingerprint for key in shown)
    raise AccessRefused(
        f"{name} at {address} port {port} shows {found}, not {fingerprint}; nothing was pinned",
        hint="compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine itself",
    )


def compare_pinned(client: Client, view: HostView) -> HostKey:
    """Return the shown key that is the pinned one; raise `HostKeyChanged` when none is."""
    _, address, port = login(view.login)
    shown = _shown_keys(client, address, port)
    for key in shown:
        if key.fingerprint == view.fingerprint:
            return key
    raise HostKeyChanged(
        f"{view.name} shows {shown[0].fingerprint}, pinned is {view.fingerprint}",
        hint=f"if the machine was rebuilt: `ringrift-ctl hosts trust {view.name}`",
    )


def _shown_keys(client: Client, address: str, port: int) -> list[HostKey]:
    """Return the keys that an address shows, the best type first."""
    keys = client.send(routes.scan(routes.build(ScanRequest, address=address, port=port)))
    if not keys:
        raise Unreachable(f"{address} port {port} showed no host key", hint="is an SSH server running there?")
    return sorted(
        keys, key=lambda k: _PREFERENCE.index(k.type) if k.type in _PREFERENCE else len(_PREFERENCE)
    )
