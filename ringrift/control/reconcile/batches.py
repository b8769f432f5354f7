"""Carries batches on: looks at their hosts, starts those whose turn it is, settles what has ended."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain import batches as domain
from ringrift.control.domain.batches import Verdict, Watch
from ringrift.control.reconcile import looks
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.looks import Look
from ringrift.control.reconcile.provisioning import HEARTBEAT
from ringrift.control.settings import Settings
from ringrift.control.store import batches, debts, drift, fleet, hostkeys, operations
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import Batch, BatchHost, Operation
from ringrift.errors import HostKeyChanged, Refused, Unreachable

_PREFIX = "batch:"


async def step(context: Context) -> bool:
    """Settle, start, stop and end; begin the looks that are missing."""
    settings = context.settings
    changed = await converge(
        "batch.advance",
        context.store,
        lambda s: settlements(s, settings) or verdicts(s),
        lambda s, _: advance(s, settings),
    )
    for batch_id, names in (await context.store.read(_unseen)).items():
        if _PREFIX + batch_id not in context.flights:
            context.flights.start(_PREFIX + batch_id, _look(context, batch_id, names))
    return changed


def advance(session: Session, settings: Settings) -> None:
    """Bring every row and every batch to where the ended operations and looks allow."""
    for row, state, reason in settlements(session, settings):
        _settle(session, row, state, reason)
    session.flush()
    for batch, verdict in verdicts(session):
        _apply(session, batch, verdict)


def settlements(session: Session, settings: Settings) -> list[tuple[BatchHost, str, str]]:
    """Return the rows of batches whose operation ended or whose watch is over, with the state they get."""
    query = (
        select(BatchHost, Operation, Batch)
        .join(Operation, col(Operation.id) == col(BatchHost.operation))
        .join(Batch, col(Batch.id) == col(BatchHost.batch))
        .where(col(BatchHost.state).in_(("running", "baking", "owed")), Operation.state != "running")
    )
    found: list[tuple[BatchHost, str, str]] = []
    for row, operation, batch in session.exec(query).all():
        if row.state == "baking":
            state, reason = _watched(session, row, operation, settings)
        elif operation.state == "succeeded":
            bake = batch.kind == "update" and row.state == "running" and settings.hosts.bake_seconds > 0
            state, reason = ("baking", "") if bake else ("succeeded", "")
        else:
            state, reason = _failure(session, operation)
        if state != row.state or row.state == "owed":
            found.append((row, state, reason))
    return found


def _failure(session: Session, operation: Operation) -> tuple[str, str]:
    """Tell a host that went away before anything ran from one that is not healthy after the change."""
    error = operation.error or {}
    reached = any(step.name == HEARTBEAT for step in operations.steps_of(session, operation.id))
    away = error.get("code") == Unreachable.code and not reached
    return "owed" if away else "failed", str(error.get("message", ""))


def _watched(session: Session, row: BatchHost, operation: Operation, settings: Settings) -> tuple[str, str]:
    host, agent = fleet.get_host(session, row.host), fleet.active_agent(session, row.host)
    watch = Watch(
        changed_at=operation.ended_at or 0.0,
        beat_at=agent.beat_at if agent is not None else None,
        incarnation=agent.incarnation if agent is not None else "",
        incarnation_then=row.incarnation,
        quarantined=host.state == "quarantined",
        connected=host.tunnel == "open",
    )
    return domain.watched(watch, now(session), settings.hosts.bake_seconds, settings.agents.down_seconds)


def _settle(session: Session, row: BatchHost, state: str, reason: str) -> None:
    if state == "owed":
        debts.owe(session, row, batches.get_batch(session, row.batch), reason)
        return
    if state == "baking":
        agent = fleet.active_agent(session, row.host)
        row.incarnation = agent.incarnation if agent is not None else ""
    batches.close(session, row, state, reason)


def verdicts(session: Session) -> list[tuple[Batch, Verdict]]:
    """Return the running batches that start hosts, stop or end now."""
    found: list[tuple[Batch, Verdict]] = []
    for batch in batches.running_batches(session):
        rows = batches.rows_of(session, batch.id)
        verdict = domain.decide(batches.pure(rows), batches.shape(batch, len(rows)))
        if verdict.start or verdict.state != "running":
            found.append((batch, verdict))
    return found


def _apply(session: Session, batch: Batch, verdict: Verdict) -> None:
    rows = {row.host: row for row in batches.rows_of(session, batch.id)}
    for name in verdict.start:
        row = rows[name]
        row.wave, row.state = verdict.wave, "running"
        session.add(row)
        kind = domain.KINDS[batch.kind]
        if kind:
            plan_hash = row.plan_hash or None
            row.operation = debts.begin(session, kind, name, batch.actor, batch.id, plan_hash)
        else:
            _mark(session, batch, row)
    if verdict.start and not domain.KINDS[batch.kind]:
        verdict = domain.decide(batches.pure(rows.values()), batches.shape(batch, len(rows)))
    if verdict.state != "running":
        batches.move(session, batch, verdict.state, verdict.reason, CONTROLLER)


def _mark(session: Session, batch: Batch, row: BatchHost) -> None:
    """Drain or resume a host: its row is all it takes."""
    act = fleet.drain if batch.kind == "drain" else fleet.resume
    try:
        act(session, fleet.get_host(session, row.host), batch.actor)
    except Refused as error:
        batches.close(session, row, "skipped", error.message)
    else:
        batches.close(session, row, "succeeded", "")


def _unseen(session: Session) -> dict[str, list[str]]:
    """Return the hosts that running batches have to look at."""
    found: dict[str, list[str]] = {}
    query = (
        select(BatchHost)
        .join(Batch, col(Batch.id) == col(BatchHost.batch))
        .where(Batch.state == "running", BatchHost.state == "waiting", col(BatchHost.plan_hash).is_(None))
        .order_by(col(BatchHost.position))
    )
    for row in session.exec(query).all():
        found.setdefault(row.batch, []).append(row.host)
    return found


async def _look(context: Context, batch_id: str, names: list[str]) -> None:
    """Look at hosts; what was found in a second, and what follows from it, is one transaction."""
    settings = context.settings

    def note(session: Session, found: list[Look]) -> None:
        note_looks(session, batch_id, found, since, settings)
        session.flush()
        advance(session, settings)

    since, wanted = await context.store.read(lambda s: (now(s), looks.wanted(s, names)))
    async for found in looks.looks(context.fleet, wanted):
        await context.store.write("batch.looked", lambda s, f=found: note(s, f))
        context.wake()


def note_looks(
    session: Session, batch_id: str, found: list[Look], since: float, settings: Settings
) -> None:
    """Write what looks that began at `since` found into the rows that still wait for theirs.

    One audit row tells of all.
    """
    batch = batches.get_batch(session, batch_id)
    rows = {row.host: row for row in batches.rows_of(session, batch_id)}
    agents, time = batches.host_agents(session, (look.host for look in found)), now(session)
    told: dict[str, list[str]] = {}
    for look in found:
        row, host = rows[look.host], fleet.get_host(session, look.host)
        if look.plan is not None:
            drift.note_look(session, host, agents.get(host.name), look.plan)
        if row.state != "waiting" or row.plan_hash is not None:
            continue
        if look.plan is None:
            _note_failed_look(session, batch, row, look, since)
        elif drift.is_unchanged(host, agents.get(host.name), look.plan, time, settings.agents.down_seconds):
            batches.close(session, row, "succeeded", "unchanged")
        else:
            row.plan_hash, row.lines = look.plan.hash, list(look.plan.lines)
            session.add(row)
        told.setdefault(row.state if row.plan_hash is None else "planned", []).append(row.host)
    if told:
        record(session, CONTROLLER, "batch.looked", batch_id, **told)


def _note_failed_look(session: Session, batch: Batch, row: BatchHost, look: Look, since: float) -> None:
    error = look.error
    if isinstance(error, Unreachable):
        debts.owe(session, row, batch, error.message)
        return
    if isinstance(error, HostKeyChanged):
        hostkeys.block(session, fleet.get_host(session, row.host), error.message, since)
    batches.close(session, row, "failed", error.message if error is not None else "")
