"""What an agent may do for an assignment: only with its secret, and only with the files that it names."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from sqlmodel import Session, select

from ringrift.control.store.beats import require_agent
from ringrift.control.store.tables import Assignment, Job
from ringrift.errors import AccessRefused
from ringrift.protocol.jobs import parse_spec, required_artifacts


def fits(stored: str, shown: str) -> bool:
    """Tell whether `shown` is the secret whose SHA-256 is `stored`; a row without one asks for none."""
    return not stored or hmac.compare_digest(stored, hashlib.sha256(shown.encode()).hexdigest())


def require_credential(stored: str, shown: str, assignment: str) -> None:
    """Raise `AccessRefused` unless `shown` is the secret of the assignment."""
    if not fits(stored, shown):
        raise AccessRefused(f"credential of {assignment} is missing or wrong")


def require_fetch(session: Session, agent: str, header: str, sha256: str) -> None:
    """Raise `AccessRefused` unless a live assignment of the agent needs this file."""
    for assignment in _shown(session, agent, header):
        job = session.get(Job, assignment.job)
        if job is not None and sha256 in required_artifacts(parse_spec(job.spec)):
            return
    raise AccessRefused(f"no assignment of this agent needs {sha256[:12]}")


def require_put(session: Session, agent: str, header: str) -> None:
    """Raise `AccessRefused` unless the agent holds a live assignment."""
    if next(_shown(session, agent, header), None) is None:
        raise AccessRefused("files are taken from agents with a live assignment only")


def _shown(session: Session, agent: str, header: str) -> Iterator[Assignment]:
    """Return the live assignments of an agent whose secret is in `<assignment>:<credential>`."""
    require_agent(session, agent)
    name, _, credential = header.partition(":")
    query = select(Assignment).where(Assignment.agent == agent, Assignment.state == "running")
    for assignment in session.exec(query.where(Assignment.id == name) if name else query).all():
        if fits(assignment.credential, credential):
            yield assignment
