"""Keeps just enough self-play jobs waiting for every enabled config, played by its present champion."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session, select

from ringrift.control.domain.selfplay import SelfplayNeed, waits_for_data, wanted_jobs
from ringrift.control.domain.trigger import training_conditions
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.training import limits
from ringrift.control.settings import Settings
from ringrift.control.store import jobs, learning, shares
from ringrift.control.store.ids import new_id, new_seed
from ringrift.control.store.leasing import free_slots
from ringrift.control.store.tables import Job
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec

Plan = tuple[str, Job | str | None, str]
"""(config, job to cancel, why) or (config, champion hash or None for a new job, "")."""


async def step(context: Context) -> bool:
    """Cancel what waits in vain, queue what is missing."""
    settings = context.settings
    return await converge(
        "selfplay.queue", context.store, partial(decide, settings), partial(apply, settings)
    )


def decide(settings: Settings, session: Session) -> list[Plan]:
    """Return jobs to cancel (their config is off, or their player is not champion any more) and to add."""
    enabled = learning.enabled_configs(session)
    champions = learning.champions(session)
    facts = learning.training_facts(session, settings.training.max_data_age)
    free = free_slots(session, settings.agents)
    drained = shares.drain_rates(session)
    unreplayed = learning.unreplayed_positions(session)
    query = select(Job).where(Job.kind == "selfplay", Job.state == "queued")
    queued: dict[str, int] = {}
    plan: list[Plan] = []
    for job in session.exec(query).all():
        champion = champions.get(job.config)
        if job.config not in enabled:
            plan.append((job.config, job, "the config is not enabled"))
        elif job.spec["player"]["model"] != (champion.model if champion else None):
            plan.append((job.config, job, "another model is champion now"))
        else:
            queued[job.config] = queued.get(job.config, 0) + 1
    for key in enabled:
        champion, found = champions.get(key), facts[key]
        need = SelfplayNeed(
            enabled=True,
            queued=queued.get(key, 0),
            fresh_positions=found.fresh_positions,
            free=max(0, free),
            configs=len(enabled),
            drained=drained.get(key, 0.0),
            blocked=waits_for_data(training_conditions(found, limits(settings.training))),
            unreplayed=unreplayed.get(key, 0),
        )
        missing = wanted_jobs(
            need,
            queue_limit=settings.selfplay.queued_per_config,
            minutes=settings.selfplay.queue_minutes,
            min_positions=settings.training.min_positions,
            ahead=settings.selfplay.ahead,
        )
        plan.extend([(key, champion.model if champion else None, "")] * missing)
    return plan


def apply(settings: Settings, session: Session, plan: list[Plan]) -> None:
    """Carry the plan out."""
    for config, what, reason in plan:
        if isinstance(what, Job):
            jobs.cancel_jobs(session, [jobs.get_job(session, what.id)], reason)
        else:
            jobs.queue_job(session, make_spec(settings, config, what), f"selfplay:{new_id('work')}")


def make_spec(settings: Settings, config: str, champion: str | None) -> SelfplaySpec:
    """Return a self-play spec; without a champion the heuristic evaluates, said by `model` None."""
    wish = settings.selfplay
    player = PlayerSpec(
        kind="gumbel",
        model=champion,
        simulations=wish.simulations,
        considered=wish.considered,
        randomness=wish.randomness,
    )
    return SelfplaySpec(
        config=config,
        player=player,
        shards=wish.shards_per_job,
        games_per_shard=wish.games_per_shard,
        seed=new_seed(),
        full_share=wish.full_share,
        cheap_simulations=wish.cheap_simulations,
        opening_random_plies=wish.opening_random_plies,
    )
