"""Jobs in detail, shares against their use, and why a job waits."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.api.views.work import job_view
from ringrift.control.domain.leases import obstacle, reserved_slots
from ringrift.control.domain.poison import Tries
from ringrift.control.domain.shares import config_shares
from ringrift.control.domain.why_fleet import JobFacts, why_job
from ringrift.control.settings import Settings
from ringrift.control.store import jobs, learning, poison, shares
from ringrift.control.store.clock import now
from ringrift.control.store.leasing import as_waiting, fleet_load
from ringrift.control.store.tables import Agent, Assignment, Job, Share
from ringrift.protocol.operator import WhyView
from ringrift.protocol.scheduling import JobDetail, SharesView, ShareView, TryView

_TRIES = 50


def job_detail(session: Session, job: Job) -> JobDetail:
    """Return a job with its newest tries."""
    time = now(session)
    query = select(Assignment, Agent.host).join(Agent, col(Agent.id) == col(Assignment.agent))
    query = query.where(Assignment.job == job.id).order_by(col(Assignment.epoch).desc()).limit(_TRIES)
    return JobDetail(
        job=job_view(session, job),
        work=job.work,
        spec=job.spec,
        needs={name: value for name, value in job.needs.items() if value},
        log_tail=job.log_tail or poison.last_words(session, job),
        tries=[_try(row, host, job, time) for row, host in session.exec(query).all()],
    )


def _try(row: Assignment, host: str, job: Job, time: float) -> TryView:
    return TryView(
        assignment=row.id,
        host=host,
        epoch=row.epoch,
        state=row.state,
        crashed=row.crashed,
        counts=row.epoch > job.retried_epoch,
        exit_code=row.exit_code,
        reason=row.reason,
        log_tail=row.log_tail,
        age=time - row.began_at,
        seconds=row.ended_at - row.began_at if row.ended_at is not None else None,
    )


def job_why(session: Session, job_id: str, settings: Settings) -> WhyView:
    """Answer `why JOB`: for a waiting one, what each live host says to it."""
    job = jobs.get_job(session, job_id)
    detail = job_detail(session, job)
    load = fleet_load(session, settings.agents)
    tries = poison.tries_of(session, [job], settings.agents).get(job.id, Tries())
    facts = JobFacts(
        id=job.id,
        kind=job.kind,
        config=job.config,
        state=job.state,
        reason=job.reason,
        failures=tries.failures,
        crashes=dict(tries.crashes),
        attempts_limit=settings.agents.attempts,
        done=detail.job.done,
        total=job.total,
        host=detail.job.host,
        able=frozenset(kind for agent in load.agents for kind in agent.kinds),
        obstacles=_obstacles(session, job, settings) if job.state == "queued" else {},
        pause=max(0.0, job.not_before - now(session)),
        log_tail=detail.log_tail,
    )
    return why_job(facts)


def _obstacles(session: Session, job: Job, settings: Settings) -> dict[str, str]:
    """Return for each live host why it does not take the job now; empty when it only has to ask."""
    load, rules = fleet_load(session, settings.agents), shares.rules(session, settings)
    (waiting,) = as_waiting(session, [job], settings.agents)
    return {
        agent.host: obstacle(waiting, agent, load, rules)
        or (f"all {agent.slots} slots are busy" if agent.running >= agent.slots else "")
        for agent in load.agents
    }


def shares_view(session: Session, settings: Settings) -> SharesView:
    """Return every scope's share against its use."""
    load, rules = fleet_load(session, settings.agents), shares.rules(session, settings)
    slots = sum(agent.slots for agent in load.agents)
    enabled = learning.enabled_configs(session)
    busy = [config for _, config in [*load.running, *load.recent]]
    configs = config_shares(rules.configs, list(dict.fromkeys([*enabled, *busy])))
    rows = {row.scope: row for row in session.exec(select(Share)).all()}
    query = select(Job.kind, Job.config, func.count()).where(Job.state == "queued")
    counted = session.exec(query.group_by(col(Job.kind), col(Job.config))).all()
    waiting = {(kind, config): count for kind, config, count in counted}
    total = sum(load.running.values())
    views: list[ShareView] = []
    for part, (group, wanted) in enumerate((("kind", rules.kinds), ("config", configs))):
        held, past, queued = (_summed(counts, part) for counts in (load.running, load.recent, waiting))
        for name, share in wanted.items():
            row = rows.get(f"{group}:{name}")
            views.append(
                ShareView(
                    scope=f"{group}:{name}",
                    share=share,
                    explicit=row is not None,
                    actor=row.actor if row else "",
                    held=int(held[name]),
                    use=held[name] / total if total else None,
                    recent_hours=past[name],
                    waiting=int(queued[name]),
                )
            )
    reserved = reserved_slots(slots, rules.kinds["selfplay"])
    return SharesView(slots=slots, reserved=reserved, shares=views)


def _summed(counts: dict[tuple[str, str], float], part: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, count in counts.items():
        total[key[part]] += count  # type: ignore[assignment]  # a Counter of slot-hours, too
    return total
