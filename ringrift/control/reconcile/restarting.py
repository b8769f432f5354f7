"""Starts the agent of one host anew and waits for the heartbeat of the new start."""

from __future__ import annotations

import time

from sqlmodel import Session

from ringrift.control.domain.ports import HostSpec, StepEvent, StepReport
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.provisioning import Proof, await_heartbeat
from ringrift.control.store import fleet, operations
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Operation
from ringrift.errors import Refused
from ringrift.failpoints import side_effect


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Restart over SSH; only a heartbeat of another start of the agent is success."""
    spec, former, since = await context.store.write("restart.begin", lambda s: _begin(s, operation, token))
    began = time.monotonic()
    await report(StepEvent("restart", "running"))
    with side_effect("fleet.restart"):
        await context.fleet.restart_agent(spec)
    await report(StepEvent("restart", "done", "", time.monotonic() - began))
    proof = Proof("a new start", since, lambda agent: agent.incarnation != former)
    await await_heartbeat(context, spec.name, proof, report)
    await context.store.write("restart.done", lambda s: operations.finish_operation(s, operation.id, token))


def _begin(session: Session, operation: Operation, token: str) -> tuple[HostSpec, str, float]:
    operations.guard(session, operation.id, token)
    agent = fleet.active_agent(session, operation.host)
    if agent is None:
        raise Refused(f"{operation.host} has no agent", hint=f"ringrift-ctl hosts provision {operation.host}")
    return host_spec(session, fleet.get_host(session, operation.host)), agent.incarnation, now(session)
