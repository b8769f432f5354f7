"""Host keys: what is pinned, what an address shows, and the two side by side when they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncssh

from ringrift.control.domain.ports import HostSpec, ShownKey
from ringrift.errors import BadInput, HostKeyChanged

ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Host key algorithms, the one to pin first. Of several keys a server shows the first that it has."""


def parse_pinned(name: str, host_key: str) -> asyncssh.SSHKey:
    """Return the pinned key of a host, or raise BadInput when the stored text is no public key."""
    try:
        return asyncssh.import_public_key(host_key)
    except asyncssh.KeyImportError as error:
        raise BadInput(
            f"the pinned host key of {name} is not an OpenSSH public key: {error}",
            hint=f"pin it anew: ringrift-ctl hosts trust {name}",
        ) from None


def fingerprint(key: asyncssh.SSHKey) -> str:
    """Return the key's fingerprint as `SHA256:...`, as ssh-keygen prints it."""
    return key.get_fingerprint("sha256")


def shown(key: asyncssh.SSHKey) -> ShownKey:
    """Describe a key that a server showed."""
    key_type = key.algorithm.decode()
    public = " ".join(key.export_public_key().decode().split()[:2])
    return ShownKey(type=key_type, fingerprint=fingerprint(key), public_key=public)


def changed(host: HostSpec, pinned: asyncssh.SSHKey, seen: ShownKey) -> HostKeyChanged:
    """Build the error for a server that shows another key than the pinned one."""
    return HostKeyChanged(
        f"{host.name} ({host.address}:{host.port}) shows another host key: "
        f"pinned {pinned.algorithm.decode()} {fingerprint(pinned)}, "
        f"shown {seen.type} {seen.fingerprint}; nothing was sent to it",
        hint="if the host was reinstalled, compare the new fingerprint with the one on its console, then: "
        f"ringrift-ctl hosts trust {host.name}",
    )


async def fetch_key(
    address: str, port: int, seconds: float, algorithms: Sequence[str] = ALGORITHMS
) -> ShownKey:
    """Return the first key of these algorithms that a server shows, without logging in.

    Raises what asyncssh and the network raise, TimeoutError after `seconds`.
    """
    async with asyncio.timeout(seconds):
        key = await asyncssh.get_server_host_key(
            address, port, server_host_key_algs=list(algorithms), config=None
        )
    if key is None:
        raise asyncssh.KeyExchangeFailed("the server shows no host key")
    return shown(key)
