"""Spot checks: shards that another host plays again, and what becomes of a host that is found out."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.spotchecks import Repetition, Verdict, is_chosen, judge_repetitions
from ringrift.control.domain.states import HOST, SHARD, advance
from ringrift.control.settings import AgentSettings
from ringrift.control.store import fleet, jobs
from ringrift.control.store.clock import now
from ringrift.control.store.evaluations import withdraw_blocks
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import (
    Agent,
    Assignment,
    DatasetShard,
    Host,
    Job,
    Result,
    Setting,
    Shard,
    SpotCheck,
)
from ringrift.protocol.jobs import RepeatResult, RepeatSpec, SelfplaySpec, exact_everywhere, parse_spec

SALT = "spotchecks.salt"
_NAMED = 200
"""Shards that an audit row names; more are counted."""


def consider(session: Session, shard: Shard, share: float) -> None:
    """Choose a received self-play shard for a spot check, or not; always the same answer for a shard."""
    if shard.purpose != "selfplay" or session.get(SpotCheck, shard.sha256) is not None:
        return
    if not share or not is_chosen(shard.sha256, _salt(session), share):
        return
    host = _host_of(session, shard.agent)
    session.add(SpotCheck(shard=shard.sha256, host=host, state="waiting", made_at=now(session)))
    record(session, CONTROLLER, "spotcheck.made", shard.sha256, host=host)


def _salt(session: Session) -> str:
    """Return what keeps hosts from knowing which of their shards are checked."""
    row = session.get(Setting, SALT)
    if row is None:
        row = Setting(key=SALT, value={"salt": secrets.token_hex(16)})
        session.add(row)
        session.flush()
    return str(row.value["salt"])


def verdicts(
    session: Session, settings: AgentSettings, among: Sequence[str] | None = None
) -> list[tuple[SpotCheck, Verdict]]:
    """Return the open checks for which something is to be done, and what; only those of shards `among`."""
    query = select(SpotCheck).where(SpotCheck.state == "waiting").order_by(col(SpotCheck.made_at))
    if among is not None:
        query = query.where(col(SpotCheck.shard).in_(among))
    found = [(check, _verdict(session, check, settings)) for check in session.exec(query).all()]
    return [(check, verdict) for check, verdict in found if verdict.action != "wait"]


def _verdict(session: Session, check: SpotCheck, settings: AgentSettings) -> Verdict:
    asked = _repetition_jobs(session, check)
    shard = session.get(Shard, check.shard)
    if shard is not None and shard.state == "refused":
        return Verdict("unable", reason="its shard is refused already")
    if not asked and _numeric_class(session, check) is None:
        return Verdict("unable", reason="its producer did not tell its numeric class")
    since = asked[-1].created_at if asked else check.made_at
    repetitions = [_repetition(session, job) for job in asked]
    peer = _has_peer(session, check, repetitions)
    if asked and asked[-1].state == "queued" and not peer:
        # Nobody would take it: a job that waits for nobody is an alarm for nothing.
        repetitions[-1] = replace(repetitions[-1], dead=True, reason="no other host could do it any more")
    overdue = now(session) - since > settings.spot_check_seconds
    return judge_repetitions(check.host, repetitions, peer=peer, overdue=overdue)


def _repetition_jobs(session: Session, check: SpotCheck) -> list[Job]:
    query = select(Job).where(Job.kind == "repeat", Job.subject == check.shard)
    return list(session.exec(query.order_by(col(Job.created_at), col(Job.work))).all())


def _repetition(session: Session, job: Job) -> Repetition:
    row = session.exec(select(Result).where(Result.job == job.id)).first()
    if row is None:
        return Repetition("", None, job.reason, dead=job.state in (*jobs.GIVEN_UP, "cancelled"))
    said = RepeatResult.model_validate(row.payload)
    return Repetition(_host_of(session, row.agent), said.same, said.reason)


def _numeric_class(session: Session, check: SpotCheck) -> str | None:
    """Return the class of hosts that can repeat the shard: empty for all of them, None when not known."""
    shard = session.get(Shard, check.shard)
    agent = session.get(Agent, shard.agent) if shard else None
    if shard is None or agent is None:
        return None
    spec = parse_spec(jobs.get_job(session, shard.job).spec)
    if isinstance(spec, SelfplaySpec) and exact_everywhere(spec.player):
        return ""
    return agent.numeric_class or None


def _has_peer(session: Session, check: SpotCheck, repetitions: Sequence[Repetition]) -> bool:
    """Tell whether a host could repeat the shard that has nothing to do with it yet."""
    wanted = _numeric_class(session, check)
    known = {check.host, *(item.host for item in repetitions)}
    query = select(Host.name).join(Agent, col(Agent.host) == col(Host.name))
    query = query.where(col(Agent.revoked_at).is_(None), col(Host.state).in_(("ready", "unreachable")))
    if wanted:
        query = query.where(Agent.numeric_class == wanted)
    return session.exec(query.where(col(Host.name).not_in(known)).limit(1)).first() is not None


def carry_out(session: Session, check: SpotCheck, verdict: Verdict) -> None:
    """Ask the next host, or close the check and deal with a guilty host."""
    if verdict.action == "ask":
        _ask(session, check)
        return
    asked = _repetition_jobs(session, check)
    jobs.cancel_jobs(session, [job for job in asked if job.state in jobs.OPEN], "its spot check is closed")
    hosts = [item.host for item in (_repetition(session, job) for job in asked) if item.host]
    check.checker = hosts[-1] if hosts else None
    check.state, check.reason, check.closed_at = verdict.action, verdict.reason, now(session)
    session.add(check)
    session.flush()
    detail = {"host": check.host, "checker": check.checker, "reason": verdict.reason}
    record(session, CONTROLLER, f"spotcheck.{verdict.action}", check.shard, **detail)
    if verdict.guilty:
        _distrust(session, verdict.guilty, f"spot check of shard {check.shard[:12]}: {verdict.reason}")


def _ask(session: Session, check: SpotCheck) -> None:
    shard = session.get(Shard, check.shard)
    asked = _repetition_jobs(session, check)
    origin = parse_spec(jobs.get_job(session, shard.job).spec) if shard else None
    if shard is None or not isinstance(origin, SelfplaySpec):
        return
    spec = RepeatSpec(config=shard.config, origin=origin, sequence=shard.sequence, shard=shard.sha256)
    involved = [
        check.host,
        *(item.host for item in (_repetition(session, job) for job in asked) if item.host),
    ]
    numeric_class = _numeric_class(session, check) or ""
    work = f"repeat:{shard.sha256}:{len(asked) + 1}"
    job = jobs.queue_job(session, spec, work, never=involved, numeric_class=numeric_class)
    if job is not None:
        check.job = job.id
        session.add(check)


def _distrust(session: Session, name: str, reason: str) -> None:
    """Quarantine a host, take its work back, and refuse its self-play shards since its last good check.

    Its blocks of running tests are taken out. Data sets that have such shards and tests that counted such
    blocks already are immutable; the audit row names them. Later data sets leave the shards out.
    """
    host = session.get(Host, name)
    if host is None:
        return
    last = _last_good(session, name)
    shards = unconfirmed_shards(session, name, last)
    blocks, decided = withdraw_blocks(session, name, last)
    if not shards and not blocks and host.state == "quarantined":
        return
    for shard in shards:
        shard.state = advance(SHARD, f"shard {shard.sha256[:12]}", shard.state, "refused")
        shard.reason, shard.judged_at = f"its host {name} was found out: {reason}", now(session)
        session.add(shard)
    names = [shard.sha256 for shard in shards]
    ingests = [f"ingest:{sha256}" for sha256 in names]
    query = select(Job).where(col(Job.work).in_(ingests), col(Job.state).in_(jobs.OPEN))
    jobs.cancel_jobs(session, session.exec(query).all(), "its shard is refused")
    used = select(DatasetShard.dataset).where(col(DatasetShard.shard).in_(names)).distinct()
    datasets = sorted(session.exec(used).all())
    running = select(Assignment).join(Agent, col(Agent.id) == col(Assignment.agent))
    for assignment in session.exec(running.where(Agent.host == name, Assignment.state == "running")).all():
        jobs.take_back(session, assignment, f"{name} is not trusted any more")
    detail = {"shards": names[:_NAMED], "refused": len(names), "datasets": datasets}
    tests = {"blocks": blocks, "decided": decided}
    record(session, CONTROLLER, "host.distrusted", name, reason=reason, **detail, **tests)
    if "quarantined" in HOST[host.state]:
        fleet.set_state(session, host, "quarantined", reason)


def _last_good(session: Session, name: str) -> float:
    """Return when the newest shard of a host arrived that a check found good."""
    good = select(func.max(Shard.received_at)).join(SpotCheck, col(SpotCheck.shard) == col(Shard.sha256))
    return session.exec(good.where(SpotCheck.host == name, SpotCheck.state == "same")).one() or 0.0


def unconfirmed_shards(session: Session, name: str, last: float) -> list[Shard]:
    """Return the self-play shards of a host that arrived after the last good one, refused ones left out."""
    query = select(Shard).join(Agent, col(Agent.id) == col(Shard.agent))
    query = query.where(Agent.host == name, Shard.purpose == "selfplay", Shard.state != "refused")
    return list(session.exec(query.where(Shard.received_at > last).order_by(col(Shard.received_at))).all())


def _host_of(session: Session, agent: str) -> str:
    return session.exec(select(Agent.host).where(Agent.id == agent)).one()
