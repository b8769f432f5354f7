"""How to reach the operators' API: RINGRIFT_URL and RINGRIFT_TOKEN, else what this home has recorded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from ringrift.client.home import home, read_record, read_token, record_path
from ringrift.errors import AccessRefused, BadInput, CorruptData, Unreachable

START_HINT = "start it with `ringrift-ctl up`"


@dataclass(frozen=True)
class Access:
    """An address with its token. `local` tells whether it is this home's own controller."""

    url: str
    token: str = field(repr=False)
    local: bool

    @property
    def hint(self) -> str:
        """What to do when nothing answers there."""
        return START_HINT if self.local else "check RINGRIFT_URL and the tunnel to that machine"


def find_access() -> Access:
    """Return where the controller is; raise `Unreachable` where none was started for this home."""
    url = os.environ.get("RINGRIFT_URL")
    if url:
        token = os.environ.get("RINGRIFT_TOKEN")
        if not token:
            raise AccessRefused(
                "RINGRIFT_URL is set, RINGRIFT_TOKEN is not",
                hint="set it to the text of operator.token in the controller's RINGRIFT_HOME",
            )
        return Access(checked_url(url), checked_token(token), local=False)
    record = read_record()
    if record is None:
        raise Unreachable(f"no controller runs for {home()}", hint=START_HINT)
    return Access(_recorded_url(record.url), checked_token(read_token()), local=True)


def _recorded_url(url: str) -> str:
    try:
        return checked_url(url)
    except BadInput:
        raise CorruptData(
            f"{record_path()} is not a controller record (url is {url!r})",
            hint="remove the file, then start the controller with `ringrift-ctl up`",
        ) from None


def checked_url(url: str) -> str:
    """Return the base address; refuse what is none, and one that sends the token in clear elsewhere."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"RINGRIFT_URL {url!r} is no address", hint="use the form http://127.0.0.1:8470")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadInput(
            f"RINGRIFT_URL {url!r} would send the token unencrypted to another machine",
            hint="forward the port with `ssh -L 8470:127.0.0.1:8470 HOST` and use http://127.0.0.1:8470",
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str) -> str:
    """Return the token; refuse one that cannot stand in an HTTP header."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AccessRefused("the operator's token holds characters that no token has", hint="copy it anew")
    return token
