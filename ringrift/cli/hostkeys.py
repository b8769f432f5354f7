"""Host keys as the operator meets them: parse a login, fetch the shown keys, compare or confirm one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringrift.cli.output import confirm, note
from ringrift.client import routes
from ringrift.errors import AccessRefused, BadInput, HostKeyChanged, Unreachable
from ringrift.protocol.hosts import ScanHostsRequest, ScannedHost, ScanRequest
from ringrift.protocol.operator import HostKey, HostView

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


def choose_key(client: Client, name: str, address: str, port: int, fingerprint: str | None) -> HostKey:
    """Return the key to pin: the one with the given fingerprint, else the shown one after a yes."""
    check_fingerprint(fingerprint)
    shown = client.send(routes.scan(routes.build(ScanRequest, address=address, port=port)))
    return _choose(f"{name} at {address} port {port}", shown, fingerprint)


def scan_host(client: Client, name: str) -> ScannedHost:
    """Return what a known host shows now, through its jump host where it has one."""
    return client.send(routes.scan_hosts(routes.build(ScanHostsRequest, names=[name])))[0]


def choose_shown(found: ScannedHost, fingerprint: str | None, yes: bool) -> HostKey:
    """Return the key of a known host to pin; nothing is asked where its fingerprint is known beforehand."""
    if not found.keys and found.error:
        raise Unreachable(found.error, hint="nothing was pinned; try again when it answers")
    return _choose(f"{found.name} ({found.login})", found.keys, fingerprint or found.expected or None, yes)


def compare_pinned(client: Client, view: HostView) -> HostKey:
    """Return the shown key that is the pinned one; raise `HostKeyChanged` when none is."""
    found = scan_host(client, view.name)
    if not found.keys:
        raise Unreachable(found.error or f"{view.name} showed no host key")
    for key in found.keys:
        if key.fingerprint == view.fingerprint and not view.blocked:
            return key
    if view.blocked:
        raise HostKeyChanged(
            f"{view.name} is blocked: {view.reason or 'it showed another key'}; it shows "
            f"{found.keys[0].fingerprint} now, pinned is {view.fingerprint}",
            hint=f"after a look at the machine itself: `ringrift-ctl hosts trust {view.name}`",
        )
    raise HostKeyChanged(
        f"{view.name} shows {found.keys[0].fingerprint}, pinned is {view.fingerprint or 'none'}",
        hint=f"if the machine was rebuilt: `ringrift-ctl hosts trust {view.name}`",
    )


def check_fingerprint(fingerprint: str | None) -> None:
    """Refuse what is no fingerprint before anything is asked."""
    if fingerprint is not None and not _FINGERPRINT.fullmatch(fingerprint):
        raise BadInput(
            f"{fingerprint!r} is no fingerprint", hint="use the form SHA256:... as `ssh-keygen -lf` prints it"
        )


def _choose(place: str, shown: list[HostKey], fingerprint: str | None, yes: bool = False) -> HostKey:
    if not shown:
        raise Unreachable(f"{place} showed no host key", hint="is an SSH server running there?")
    if fingerprint is None:
        key = min(shown, key=_preference)
        note(f"{place} shows this {key.type} key:\n  {key.fingerprint}")
        confirm("Is this the fingerprint that the machine itself reports?", yes)
        return key
    for key in shown:
        if key.fingerprint == fingerprint:
            return key
    found = ", ".join(key.fingerprint for key in shown)
    raise AccessRefused(
        f"{place} shows {found}, not {fingerprint}; nothing was pinned",
        hint="compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine itself",
    )


def _preference(key: HostKey) -> int:
    return _PREFERENCE.index(key.type) if key.type in _PREFERENCE else len(_PREFERENCE)
