"""Brings one host to a heartbeat of the release that was put there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from ringrift.control.domain.ports import HostSpec, ProvisionOutcome, StepEvent, StepReport
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, hostkeys, operations
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Agent, Operation
from ringrift.errors import HostKeyChanged, Refused, RingRiftError, Unreachable
from ringrift.failpoints import side_effect

_POLL_SECONDS = 0.2
HEARTBEAT = "heartbeat"


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Provision, then wait for the heartbeat that proves that the agent runs; then the host is ready."""
    spec, has_agent = await context.store.write("provision.begin", lambda s: _begin(s, operation, token))
    enrolled = has_agent and await context.fleet.agent_enrolled(spec)
    enrolment = None
    if not enrolled:
        life = context.settings.agents.token_seconds
        enrolment = await context.store.write("provision.token", lambda s: _token(s, operation, token, life))
    outcome = await _provision(context, operation, token, spec, enrolment, report)
    since = await context.store.write(
        "provision.installed", lambda s: _installed(s, operation, token, outcome)
    )
    context.wake()
    proof = Proof(f"release {outcome.release}", since, lambda agent: agent.release == outcome.release)
    await await_heartbeat(context, spec.name, proof, report)
    await context.store.write("provision.ready", lambda s: _ready(s, operation, token))


def _begin(session: Session, operation: Operation, token: str) -> tuple[HostSpec, bool]:
    operations.guard(session, operation.id, token)
    host = fleet.get_host(session, operation.host)
    fleet.set_state(session, host, "provisioning")
    return host_spec(session, host), fleet.active_agent(session, host.name) is not None


def _token(session: Session, operation: Operation, token: str, life: float) -> str:
    operations.guard(session, operation.id, token)
    return fleet.mint_token(session, operation.host, life)


async def _provision(
    context: Context,
    operation: Operation,
    token: str,
    spec: HostSpec,
    enrolment: str | None,
    report: StepReport,
) -> ProvisionOutcome:
    """Carry the ordered plan out. When the host has changed since, the plan is made anew, once."""
    try:
        with side_effect("fleet.provision"):
            return await context.fleet.provision(spec, enrolment, report, operation.plan_hash)
    except Refused:
        if operation.plan_hash is None:
            raise
        plan = await context.fleet.plan(spec)
        if plan.hash == operation.plan_hash:
            raise
    await context.store.write("operation.replan", lambda s: _replanned(s, operation, token, plan.hash))
    with side_effect("fleet.provision"):
        return await context.fleet.provision(spec, enrolment, report, plan.hash)


def _replanned(session: Session, operation: Operation, token: str, plan: str) -> None:
    row = operations.guard(session, operation.id, token)
    before, row.plan_hash = row.plan_hash, plan
    session.add(row)
    record(
        session, CONTROLLER, "operation.replanned", row.subject, operation=row.id, before=before, plan=plan
    )


def _installed(session: Session, operation: Operation, token: str, outcome: ProvisionOutcome) -> float:
    operations.guard(session, operation.id, token)
    host = fleet.get_host(session, operation.host)
    host.release, host.facts = outcome.release, dict(outcome.facts)
    session.add(host)
    hostkeys.vouched(session, host)
    return now(session)


@dataclass(frozen=True)
class Proof:
    """A heartbeat of `what` that came after `since` and `fits` shows that the agent runs as it should."""

    what: str
    since: float
    fits: Callable[[Agent], bool]


async def await_heartbeat(context: Context, name: str, proof: Proof, report: StepReport) -> None:
    """Wait for the proving heartbeat; `Unreachable` when none comes within `heartbeat_wait_seconds`."""
    limit = context.settings.agents.heartbeat_wait_seconds
    began, agent = time.monotonic(), None
    await report(StepEvent(HEARTBEAT, "running", f"waiting for {proof.what}"))
    while time.monotonic() - began < limit:
        agent = await context.store.read(lambda s: fleet.active_agent(s, name))
        if agent is not None and (agent.beat_at or 0.0) >= proof.since and proof.fits(agent):
            await report(StepEvent(HEARTBEAT, "done", proof.what, time.monotonic() - began))
            return
        await asyncio.sleep(_POLL_SECONDS)
    tunnel = await context.store.read(lambda s: fleet.get_host(s, name).tunnel_reason)
    seen = "there was none"
    if agent is not None and agent.beat_at is not None:
        seen = f"the last one is of release {agent.release or 'unknown'}"
    await report(StepEvent(HEARTBEAT, "failed", seen, limit))
    raise Unreachable(
        f"no heartbeat of {proof.what} from {name} within {limit:.0f} s: {seen}",
        hint=tunnel or f"look at the agent's log on {name}, then provision again",
    )


def _ready(session: Session, operation: Operation, token: str) -> None:
    """Close the operation and open the host for work, together; nothing when superseded."""
    if operations.finish_operation(session, operation.id, token) is None:
        return
    host = fleet.get_host(session, operation.host)
    host.drift_at = None
    session.add(host)
    fleet.set_state(session, host, fleet.reachable_state(session, host))


def note_failure(session: Session, operation: Operation, error: RingRiftError) -> None:
    """Leave a host that could not be provisioned in a state that says why."""
    host = fleet.get_host(session, operation.host)
    if host.state != "provisioning":
        return
    if isinstance(error, HostKeyChanged):
        hostkeys.block(session, host, error.message, operation.began_at)
    unreachable = isinstance(error, (Unreachable, HostKeyChanged))
    if unreachable and not host.blocked and host.tunnel == "open":
        # Only this try was in vain: whoever holds the tunnel would never be asked to lift `unreachable`.
        state = fleet.reachable_state(session, host)
    else:
        state = "unreachable" if unreachable else "quarantined"
    fleet.set_state(session, host, state, error.message)
