"""Host keys: what an operator trusts, the judgement of what a host shows, and the error that tells both.

A host is trusted by its pinned key, bare or in whatever certificate, or by a host certificate of a trusted
authority. Revoked keys are refused wherever they appear, also inside a certificate or as its signer.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass

import asyncssh
from asyncssh.public_key import CERT_TYPE_HOST, SSHOpenSSHCertificate

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
CERTIFICATES = tuple(f"{algorithm}-cert-v01@openssh.com" for algorithm in ALGORITHMS)


@dataclass(frozen=True)
class Trust:
    """What proves that a server is this host."""

    names: tuple[str, ...]
    """Name and address; a certificate must be for one of them."""
    pinned: asyncssh.SSHKey | None
    authorities: tuple[asyncssh.SSHKey, ...]
    revoked: frozenset[str]
    """Fingerprints, `SHA256:...`."""

    def algorithms(self) -> list[str]:
        """Return what to ask the server for: certificates if any could count, the pinned type, the others.

        The others can only be refused, but so that the key that is shown can be told.
        """
        pinned = [name.decode() for name in self.pinned.sig_algorithms] if self.pinned else []
        plain = sorted(ALGORITHMS, key=lambda name: name not in pinned)
        return [*(CERTIFICATES if self.authorities else ()), *plain]


class UntrustedKey(Exception):
    """Why a key or certificate is not accepted, and the key, if it is one."""

    def __init__(self, what: str, key: asyncssh.SSHKey | None) -> None:
        super().__init__(what)
        self.what = what
        self.key = key


def trust_in(host: HostSpec) -> Trust:
    """Read what is trusted for a host; raises BadInput for text that is no key, or for no trust at all."""
    if not host.host_key and not host.authorities:
        raise BadInput(
            f"{host.name} has neither a pinned host key nor a trusted authority", hint=_trust_command(host)
        )
    return Trust(
        names=(host.name, host.address),
        pinned=_parse(host, "pinned host key", host.host_key) if host.host_key else None,
        authorities=tuple(_parse(host, "certificate authority", text) for text in host.authorities),
        revoked=frozenset(host.revoked),
    )


def judge(trust: Trust, shown: bytes) -> asyncssh.SSHKey:
    """Return the key of an accepted key or certificate in SSH's binary form; raises UntrustedKey."""
    text = _openssh_form(shown)
    if b"-cert-" in text.split(b" ", 1)[0]:
        return _judge_certificate(trust, text)
    try:
        key = asyncssh.import_public_key(text)
    except ValueError as error:
        raise UntrustedKey(f"an unusable host key ({error})", None) from None
    if fingerprint(key) in trust.revoked:
        raise UntrustedKey("a revoked host key", key)
    if key != trust.pinned:
        raise UntrustedKey("another host key", key)
    return key


def _judge_certificate(trust: Trust, text: bytes) -> asyncssh.SSHKey:
    try:
        certificate = asyncssh.import_certificate(text)  # checks the authority's signature
    except ValueError as error:
        raise UntrustedKey(f"an unusable host certificate ({error})", None) from None
    if not isinstance(certificate, SSHOpenSSHCertificate):
        raise UntrustedKey("a certificate of another kind than OpenSSH's", certificate.key)
    key, signer = certificate.key, certificate.signing_key
    if {fingerprint(key), fingerprint(signer)} & trust.revoked:
        raise UntrustedKey("a host certificate with a revoked key", key)
    if key == trust.pinned:
        return key
    if signer not in trust.authorities:
        raise UntrustedKey(f"a host certificate of the unknown authority {fingerprint(signer)}", key)
    named = [name for name in trust.names if name in certificate.principals]
    if not named:
        principals = ", ".join(certificate.principals) or "nobody"
        raise UntrustedKey(f"a host certificate that is for {principals[:200]}", key)
    try:
        certificate.validate(CERT_TYPE_HOST, named[0])
    except ValueError as error:
        raise UntrustedKey(f"a host certificate that does not count ({error})", key) from None
    return key


def refused(host: HostSpec, trust: Trust, why: UntrustedKey) -> HostKeyChanged:
    """Build the error for a server whose key is not accepted: both fingerprints and what mends it."""
    pinned = _describe(trust.pinned) if trust.pinned else "no key"
    if trust.authorities:
        pinned += f" (or a certificate of {', '.join(fingerprint(key) for key in trust.authorities)})"
    seen = _describe(why.key) if why.key else "nothing usable"
    return HostKeyChanged(
        f"{host.name} ({host.address}:{host.port}) shows {why.what}: pinned {pinned}, shown {seen}; "
        "nothing was sent to it",
        hint="if the host was reinstalled, compare the new fingerprint with the one on its console, then: "
        f"{_trust_command(host)}",
    )


def fingerprint(key: asyncssh.SSHKey) -> str:
    """Return the key's fingerprint as `SHA256:...`, as ssh-keygen prints it."""
    return key.get_fingerprint("sha256")


def shown(key: asyncssh.SSHKey) -> ShownKey:
    """Describe a key that a server showed."""
    key_type = key.algorithm.decode()
    public = " ".join(key.export_public_key().decode().split()[:2])
    return ShownKey(type=key_type, fingerprint=fingerprint(key), public_key=public)


def _parse(host: HostSpec, what: str, text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(text)
    except asyncssh.KeyImportError as error:
        raise BadInput(
            f"the {what} of {host.name} is not an OpenSSH public key: {error}",
            hint=f"pin it anew: {_trust_command(host)}",
        ) from None


def _describe(key: asyncssh.SSHKey) -> str:
    return f"{key.algorithm.decode()} {fingerprint(key)}"


def _trust_command(host: HostSpec) -> str:
    return f"ringrift-ctl hosts trust {shlex.quote(host.name)}"


def _openssh_form(data: bytes) -> bytes:
    """Return type and base64 of a key in SSH's binary form, whose first string is its type."""
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length] + b" " + base64.b64encode(data)
