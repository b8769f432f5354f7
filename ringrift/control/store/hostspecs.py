"""What the SSH room needs to know of a host, from its rows."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session, select

from ringrift.control.domain.inventory import JUMPS, trust_command
from ringrift.control.domain.ports import HostSpec
from ringrift.control.store.fleet import get_host
from ringrift.control.store.tables import Host, HostAuthority, RevokedKey
from ringrift.errors import Refused, RingRiftError


def host_spec(session: Session, host: Host) -> HostSpec:
    """Return how to log in to a host.

    Raises `Refused` where nothing tells its machine from another one (no pinned key, no authority), and for
    one that is reached in a circle or through too many others.
    """
    return _checked(session, host, *_trusted(session))


def host_specs(session: Session, names: Collection[str]) -> dict[str, HostSpec | RingRiftError]:
    """Return how to log in to each of these hosts, or why that cannot be told."""
    trusted, specs = _trusted(session), dict[str, HostSpec | RingRiftError]()
    for host in session.exec(select(Host)).all():
        if host.name in names:
            try:
                specs[host.name] = _checked(session, host, *trusted)
            except RingRiftError as error:
                specs[host.name] = error
    return specs


def _checked(
    session: Session, host: Host, authorities: tuple[str, ...], revoked: tuple[str, ...]
) -> HostSpec:
    chain = _chain(session, host)
    for each in (host, *chain):
        if not each.host_key and not authorities:
            raise Refused(f"no host key of {each.name} is pinned", hint=trust_command(each.name))
    return _spec(host, chain, authorities, revoked)


def _chain(session: Session, host: Host) -> list[Host]:
    """Return the hosts through which a host is reached, the nearest to it first."""
    chain: list[Host] = []
    nearest = host
    while nearest.jump is not None:
        nearest = get_host(session, nearest.jump)
        chain.append(nearest)
        if nearest is host or len(chain) > JUMPS:
            names = " <- ".join(each.name for each in [host, *chain])
            raise Refused(f"{host.name} is reached in a circle or through more than {JUMPS} hosts: {names}")
    return chain


def _trusted(session: Session) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of authorities and the fingerprints of revoked keys."""
    authorities = tuple(session.exec(select(HostAuthority.public_key)).all())
    return authorities, tuple(session.exec(select(RevokedKey.fingerprint)).all())


def _spec(host: Host, chain: list[Host], authorities: tuple[str, ...], revoked: tuple[str, ...]) -> HostSpec:
    return HostSpec(
        name=host.name,
        user=host.user,
        address=host.address,
        port=host.port,
        host_key=host.host_key,
        root=host.root,
        python=host.python,
        identity=host.identity,
        slots=host.slots,
        jump=_spec(chain[0], chain[1:], authorities, revoked) if chain else None,
        authorities=authorities,
        revoked=revoked,
        labels=tuple(sorted(host.labels.items())),
    )
