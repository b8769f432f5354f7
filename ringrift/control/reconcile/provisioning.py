"""Brings one host to a heartbeat of the release that was put there."""

from __future__ import annotations

import asyncio
import time

from sqlmodel import Session

from ringrift.control.domain.ports import HostSpec, ProvisionOutcome, StepEvent, StepReport
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, operations
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Operation
from ringrift.errors import RingRiftError, Unreachable

_POLL_SECONDS = 0.2
HEARTBEAT = "heartbeat"


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Provision, then wait for the heartbeat that proves that the agent runs; then the host is ready."""
    spec, has_agent = await context.store.write("provision.begin", lambda s: _begin(s, operation.host))
    enrolled = has_agent and await context.fleet.agent_enrolled(spec)
    life = context.settings.agents.token_seconds
    enrolment = (
        None
        if enrolled
        else await context.store.write("provision.token", lambda s: fleet.mint_token(s, spec.name, life))
    )
    outcome = await context.fleet.provision(spec, enrolment, report)
    since = await context.store.write("provision.installed", lambda s: _installed(s, spec.name, outcome))
    context.wake()
    await _await_heartbeat(context, spec.name, outcome.release, since, report)
    await context.store.write("provision.ready", lambda s: _ready(s, operation, token))


def _begin(session: Session, name: str) -> tuple[HostSpec, bool]:
    host = fleet.get_host(session, name)
    fleet.set_state(session, host, "provisioning")
    return host_spec(session, host), fleet.active_agent(session, name) is not None


def _installed(session: Session, name: str, outcome: ProvisionOutcome) -> float:
    host = fleet.get_host(session, name)
    host.release, host.facts = outcome.release, dict(outcome.facts)
    session.add(host)
    return now(session)


async def _await_heartbeat(
    context: Context, name: str, release: str, since: float, report: StepReport
) -> None:
    """Wait for a heartbeat that came after `since` and names the release; `Unreachable` when none comes."""
    limit = context.settings.agents.heartbeat_wait_seconds
    began = time.monotonic()
    await report(StepEvent(HEARTBEAT, "running", f"waiting for release {release}"))
    while time.monotonic() - began < limit:
        found = await context.store.read(lambda s: _beat(s, name))
        if found is not None and found[0] >= since and found[1] == release:
            await report(StepEvent(HEARTBEAT, "done", f"release {release}", time.monotonic() - began))
            return
        await asyncio.sleep(_POLL_SECONDS)
    tunnel = await context.store.read(lambda s: fleet.get_host(s, name).tunnel_reason)
    seen = f"the last one is of release {found[1] or 'unknown'}" if found else "there was none"
    await report(StepEvent(HEARTBEAT, "failed", seen, limit))
    raise Unreachable(
        f"no heartbeat of release {release} from {name} within {limit:.0f} s: {seen}",
        hint=tunnel or f"look at the agent's log on {name}, then provision again",
    )


def _beat(session: Session, name: str) -> tuple[float, str] | None:
    agent = fleet.active_agent(session, name)
    return (agent.beat_at, agent.release) if agent is not None and agent.beat_at is not None else None


def _ready(session: Session, operation: Operation, token: str) -> None:
    """Close the operation and open the host for work, together; nothing when superseded."""
    if operations.finish_operation(session, operation.id, token) is None:
        return
    host = fleet.get_host(session, operation.host)
    fleet.set_state(session, host, fleet.reachable_state(host))


def note_failure(session: Session, name: str, error: RingRiftError) -> None:
    """Leave a host that could not be provisioned in a state that says why."""
    host = fleet.get_host(session, name)
    if host.state != "provisioning":
        return
    if error.code == "host_key_changed":
        host.blocked = True
    unreachable = isinstance(error, Unreachable) or host.blocked
    fleet.set_state(session, host, "unreachable" if unreachable else "quarantined", error.message)
