"""Which keys machines may show: pinned ones with their history, revoked ones, and authorities."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain.hostkeys import bare_key, fingerprint
from ringrift.control.domain.inventory import trust_command
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.fleet import get_host, reachable_state, set_state
from ringrift.control.store.tables import Host, HostAuthority, HostKey, RevokedKey
from ringrift.errors import HostKeyChanged, NotFound, Refused

OPERATOR, AUTHORITY, FIRST_CONTACT = "operator", "ca", "first-contact"
"""How a key was confirmed: compared with a fingerprint, by an authority, or by a look at what was shown."""


def trusted(host: Host) -> bool:
    """Tell whether its machine is known: by a pinned key, or by a certificate at an earlier login."""
    return bool(host.host_key) or host.key_how == AUTHORITY


def pin(
    session: Session,
    host: Host,
    public_key: str,
    how: str,
    actor: str,
    action: str = "host.trusted",
    **detail: str,
) -> None:
    """Pin a key, with history and audit row; a host that waited for one may be connected to from now on.

    Raises `Refused` for a revoked key, and `HostKeyChanged` where a first contact shows another key than the
    fingerprint that came with the inventory.
    """
    key, print_ = bare_key(public_key), fingerprint(public_key)
    if session.get(RevokedKey, print_) is not None:
        raise Refused(
            f"host key {print_} is revoked", hint=f"give {host.name} a new key on the machine itself"
        )
    if not host.host_key and host.fingerprint not in ("", print_) and how == FIRST_CONTACT:
        raise HostKeyChanged(
            f"{host.name} shows {print_}, the inventory says {host.fingerprint}; nothing was pinned",
            hint=f"if the inventory is wrong: {trust_command(host.name)} --fingerprint {print_}",
        )
    before, same, time = host.fingerprint, host.host_key == key, now(session)
    host.host_key, host.fingerprint, host.blocked, host.key_at = key, print_, False, time
    if not same:
        host.key_how, host.confirmed_by = how, actor
        session.add(
            HostKey(host=host.name, public_key=key, fingerprint=print_, how=how, actor=actor, at=time)
        )
    session.add(host)
    record(session, actor, action, host.name, before=before, fingerprint=print_, how=how, **detail)
    if host.release is None and host.state in ("new", "unreachable"):
        set_state(session, host, "new", "", actor)
    elif host.state == "unreachable" and host.tunnel == "open" and same:
        # The tunnel never closed, so that nobody would notice it open again.
        set_state(session, host, reachable_state(session, host), "", actor)


def vouched(session: Session, host: Host) -> None:
    """Note that a host without a pinned key was logged in to: an authority's certificate told who it is."""
    if not host.host_key and host.key_how != AUTHORITY:
        host.key_how, host.key_at, host.confirmed_by = AUTHORITY, now(session), "certificate"
        session.add(host)
        record(session, CONTROLLER, "host.vouched", host.name)


def pinned_keys(session: Session, name: str) -> list[HostKey]:
    """Return every key that was pinned for a host, newest first."""
    query = select(HostKey).where(HostKey.host == get_host(session, name).name)
    return list(session.exec(query.order_by(col(HostKey.id).desc())).all())


def revoked_keys(session: Session) -> dict[str, RevokedKey]:
    """Return the revoked keys by fingerprint."""
    return {row.fingerprint: row for row in session.exec(select(RevokedKey)).all()}


def revoke(session: Session, print_: str, reason: str, actor: str) -> list[str]:
    """Refuse a key from now on, whoever shows it; hosts that it is pinned for are blocked and returned."""
    query = select(Host).where(Host.fingerprint == print_, Host.state != "retired").order_by(col(Host.name))
    hosts = session.exec(query).all()
    if session.get(RevokedKey, print_) is None:
        session.add(RevokedKey(fingerprint=print_, actor=actor, reason=reason, at=now(session)))
        names = [host.name for host in hosts]
        record(session, actor, "host.key-revoked", print_, reason=reason, hosts=names)
    for host in hosts:
        host.tunnel, host.tunnel_reason = "closed", f"its host key {print_} is revoked: {reason}"
        _shut(session, host, host.tunnel_reason, actor)
    return [host.name for host in hosts]


def block(session: Session, host: Host, reason: str, since: float) -> bool:
    """Connect no more to a host whose machine showed another key, until a person trusts one.

    `since` is when the try began that saw it: what a person trusted later stands, and is to be tried again.
    Returns whether the host is blocked.
    """
    if not host.blocked and (host.key_at is None or host.key_at < since):
        _shut(session, host, reason, CONTROLLER)
        record(session, CONTROLLER, "host.blocked", host.name, reason=reason)
    return host.blocked


def _shut(session: Session, host: Host, reason: str, actor: str) -> None:
    host.blocked = True
    session.add(host)
    if host.state in ("new", "ready", "draining", "unreachable"):
        set_state(session, host, "unreachable", reason, actor)


def silent(session: Session, name: str, reason: str) -> None:
    """Note that a host that waits for its first contact does not answer, whatever it is declared to be."""
    host = get_host(session, name)
    if host.state == "new":
        said = host.declared.get("status")
        words = f"declared {said}, but {reason}" if said not in (None, "new") else reason
        set_state(session, host, "unreachable", words)


def authorities(session: Session) -> list[HostAuthority]:
    """Return the authorities, oldest first."""
    return list(session.exec(select(HostAuthority).order_by(col(HostAuthority.at))).all())


def add_authority(session: Session, public_key: str, actor: str) -> None:
    """Trust host certificates of an authority; adding it again changes nothing."""
    print_ = fingerprint(public_key, "public_key")
    if session.get(HostAuthority, print_) is None:
        key = bare_key(public_key, "public_key")
        session.add(HostAuthority(fingerprint=print_, public_key=key, actor=actor, at=now(session)))
        record(session, actor, "host.authority-added", print_)


def remove_authority(session: Session, print_: str, actor: str) -> None:
    """Trust an authority no longer; `NotFound` for an unknown one."""
    row = session.get(HostAuthority, print_)
    if row is None:
        raise NotFound(
            f"no authority {print_}", hint="`ringrift-ctl hosts authorities list` shows the known ones"
        )
    session.delete(row)
    record(session, actor, "host.authority-removed", print_)
