"""Host keys as operators see them."""

from __future__ import annotations

from sqlmodel import Session, select

from ringrift.control.store import hostkeys
from ringrift.control.store.clock import now, timestamp
from ringrift.control.store.fleet import get_host
from ringrift.control.store.tables import Host
from ringrift.protocol.hosts import AuthorityView, PinnedKeyView, RevokedKeyView


def pinned_views(session: Session, name: str) -> list[PinnedKeyView]:
    """Return the keys that were pinned for a host, newest first."""
    host, time, revoked = get_host(session, name), now(session), hostkeys.revoked_keys(session)
    rows = hostkeys.pinned_keys(session, name)
    return [
        PinnedKeyView(
            host=name,
            type=row.public_key.split()[0],
            fingerprint=row.fingerprint,
            how=row.how,
            actor=row.actor,
            at=timestamp(row.at),
            age=time - row.at,
            in_force=row is rows[0] and not host.blocked,
            revoked=revoked[row.fingerprint].reason if row.fingerprint in revoked else None,
        )
        for row in rows
    ]


def revoked_views(session: Session) -> list[RevokedKeyView]:
    """Return every revoked key with the hosts that it is pinned for."""
    time, hosts = now(session), session.exec(select(Host.fingerprint, Host.name)).all()
    return [
        RevokedKeyView(
            fingerprint=row.fingerprint,
            reason=row.reason,
            actor=row.actor,
            at=timestamp(row.at),
            age=time - row.at,
            hosts=sorted(name for print_, name in hosts if print_ == row.fingerprint),
        )
        for row in sorted(hostkeys.revoked_keys(session).values(), key=lambda row: row.at)
    ]


def authority_views(session: Session) -> list[AuthorityView]:
    """Return the authorities, oldest first."""
    time = now(session)
    return [
        AuthorityView(
            fingerprint=row.fingerprint,
            public_key=row.public_key,
            actor=row.actor,
            at=timestamp(row.at),
            age=time - row.at,
        )
        for row in hostkeys.authorities(session)
    ]
