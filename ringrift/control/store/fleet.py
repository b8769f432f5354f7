"""Hosts and their states, agents and their enrolment."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import bindparam, delete, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from ringrift.control.domain.states import HOST, advance
from ringrift.control.store.clock import database_now, now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Agent, Assignment, EnrolmentToken, Host, HostStateRow
from ringrift.errors import AccessRefused, NotFound, Refused


def get_host(session: Session, name: str) -> Host:
    """Return a host; `NotFound` for an unknown name."""
    host = session.get(Host, name)
    if host is None:
        raise NotFound(f"no host {name!r}", hint="`ringrift-ctl hosts list` shows the known ones")
    return host


def set_state(session: Session, host: Host, state: str, reason: str = "", actor: str = CONTROLLER) -> bool:
    """Move a host to a state with history and audit row; return whether anything changed."""
    if (host.state, host.reason) == (state, reason):
        return False
    before = host.state
    if before != state:
        advance(HOST, f"host {host.name}", before, state)
    host.state, host.reason, host.changed_at = state, reason, now(session)
    if state != "quarantined":
        host.quarantined_until = None
    session.add(host)
    session.add(HostStateRow(host=host.name, state=state, reason=reason, at=host.changed_at))
    record(session, actor, "host.state", host.name, before=before, state=state, reason=reason)
    return True


def reachable_state(session: Session, host: Host) -> str:
    """Return the state that a host has when nothing is wrong with it.

    One whose provisioning was cut short before its agent enrolled is still new: without an agent it would
    be called ready for ever and never work.
    """
    if host.release is None or active_agent(session, host.name) is None:
        return "new"
    return "draining" if host.draining else "ready"


def quarantine(session: Session, host: Host, reason: str, seconds: float | None, actor: str) -> None:
    """Keep work away from a host, for a time or (`seconds` None) until a person ends it."""
    set_state(session, host, "quarantined", reason, actor)
    host.quarantined_until = None if seconds is None else now(session) + seconds
    session.add(host)
    record(session, actor, "host.quarantine", host.name, reason=reason, seconds=seconds)


def expired_quarantines(session: Session) -> list[Host]:
    """Return the quarantined hosts whose time is over."""
    query = select(Host).where(Host.state == "quarantined", col(Host.quarantined_until) <= now(session))
    return list(session.exec(query.order_by(col(Host.name))).all())


def end_quarantines(session: Session, hosts: list[Host]) -> None:
    """Let hosts work again."""
    for host in hosts:
        set_state(session, host, reachable_state(session, host), "its quarantine is over")


def drain(session: Session, host: Host, actor: str) -> None:
    """Give a host no new work from now on; `Refused` where there is nothing to drain."""
    if host.state in ("retired", "new"):
        raise Refused(f"host {host.name} is {host.state}, there is nothing to drain")
    host.draining = True
    session.add(host)
    if host.state in ("ready", "quarantined"):
        set_state(session, host, "draining", "", actor)
    else:
        record(session, actor, "host.drain", host.name)


def resume(session: Session, host: Host, actor: str) -> None:
    """Let a drained or quarantined host work again; `Refused` for a retired one."""
    if host.state == "retired":
        raise Refused(f"host {host.name} is retired", hint="add it again first")
    host.draining, host.restarts, host.restarted_at, host.unanswered = False, 0, None, 0.0
    session.add(host)
    if host.state in ("draining", "quarantined"):
        set_state(session, host, reachable_state(session, host), "", actor)
    else:
        record(session, actor, "host.resume", host.name)


def history(session: Session, name: str, limit: int) -> list[HostStateRow]:
    """Return the changes of a host's state, newest first."""
    query = select(HostStateRow).where(HostStateRow.host == get_host(session, name).name)
    return list(session.exec(query.order_by(col(HostStateRow.id).desc()).limit(limit)).all())


_hosts = Host.__table__
_STATE = columns(_hosts.c.state).where(_hosts.c.name == bindparam("host"))
_OPENED = (
    update(_hosts)
    .where(_hosts.c.name == bindparam("host"))
    .values(restarted_at=database_now(), drift_at=None, tunnel="open", tunnel_reason="")
)


def tunnel_opened(session: Session, name: str) -> None:
    """Note that agents of this host can reach the controller from now on.

    A silence until now says nothing about the agent: what is left of its time to show a heartbeat goes on, at
    least a part of it (P7).
    It is looked at next, so that drift is named and debts are paid.
    """
    # All hosts of a fleet come back at once after a restart: no object is made for each.
    session.flush()
    connection = session.connection()
    state = connection.execute(_STATE, {"host": name}).scalar_one_or_none()
    connection.execute(_OPENED, {"host": name})
    if state in (None, "unreachable"):
        host = get_host(session, name)
        session.refresh(host)
        set_state(session, host, reachable_state(session, host))


def tunnel_lost(session: Session, name: str, reason: str) -> None:
    """Note that a host cannot be reached and why."""
    host = get_host(session, name)
    host.tunnel, host.tunnel_reason = "closed", reason
    session.add(host)
    if host.state in ("ready", "draining", "unreachable"):
        set_state(session, host, "unreachable", reason)


def tunnels_unknown(session: Session) -> None:
    """Forget what a former run of the controller knew about tunnels."""
    session.execute(update(Host).values(tunnel="unknown"))


def active_agent(session: Session, host: str) -> Agent | None:
    """Return the one agent of a host that is not revoked."""
    query = select(Agent).where(Agent.host == host, col(Agent.revoked_at).is_(None))
    return session.exec(query.order_by(col(Agent.enrolled_at).desc())).first()


def mint_token(session: Session, host: str, life: float) -> str:
    """Return a new single-use enrolment token for a host; unused earlier ones stop working."""
    unused = delete(EnrolmentToken).where(
        col(EnrolmentToken.host) == host, col(EnrolmentToken.used_at).is_(None)
    )
    session.execute(unused)
    token, time = secrets.token_urlsafe(32), now(session)
    session.add(EnrolmentToken(digest=_digest(token), host=host, made_at=time, expires_at=time + life))
    record(session, CONTROLLER, "token.made", host, seconds=life)
    return token


def enrol(session: Session, token: str, host: str, public_key: str) -> str:
    """Use up a token and return the new agent's id; the host's former agent is revoked.

    Asking again with the same token and the same key returns the same id, since the first reply may have been
    lost. Raises `AccessRefused` for a token that is wrong, used, expired or another host's.
    """
    row = session.get(EnrolmentToken, _digest(token))
    if row is None or row.host != host:
        raise AccessRefused("enrolment token is not valid", hint=f"provision {host} again for a new one")
    if row.used_at is not None:
        if row.used_key == public_key and row.agent is not None:
            return row.agent
        raise AccessRefused("enrolment token was used already", hint=f"provision {host} again for a new one")
    time = now(session)
    if time > row.expires_at:
        raise AccessRefused("enrolment token has expired", hint=f"provision {host} again for a new one")
    found = get_host(session, host)
    if found.state == "retired":
        raise Refused(f"host {host} is retired")
    revoke_agents(session, host, "replaced by a newly enrolled agent")
    agent = Agent(id=new_id("agent"), host=host, public_key=public_key, enrolled_at=time)
    session.add(agent)
    row.used_at, row.used_key, row.agent = time, public_key, agent.id
    session.add(row)
    record(session, agent.id, "agent.enrolled", host)
    if found.state == "new" and found.release is not None:
        set_state(session, found, reachable_state(session, found), "its agent enrolled late")
    return agent.id


def revoke_agents(session: Session, host: str, reason: str) -> None:
    """Take the access of every agent of a host; their leases end at once, so that others get the work."""
    time = now(session)
    query = select(Agent).where(Agent.host == host, col(Agent.revoked_at).is_(None))
    for agent in session.exec(query).all():
        agent.revoked_at = time
        session.add(agent)
        session.execute(
            update(Assignment)
            .where(col(Assignment.agent) == agent.id, col(Assignment.state) == "running")
            .values(expires_at=0.0)
        )
        record(session, CONTROLLER, "agent.revoked", host, agent=agent.id, reason=reason)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
