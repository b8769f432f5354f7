"""Configs as operators see them, and why they stand where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.policy import Policy
from ringrift.control.domain.trigger import TrainingFacts, training_conditions
from ringrift.control.domain.why import ConfigFacts, EvaluationProgress, config_cause, why_config
from ringrift.control.reconcile.training import limits
from ringrift.control.settings import Settings
from ringrift.control.store import learning
from ringrift.control.store.clock import now
from ringrift.control.store.evaluations import standing
from ringrift.control.store.evidence import evidence, next_test
from ringrift.control.store.jobs import stuck_jobs
from ringrift.control.store.leasing import fleet_load
from ringrift.control.store.tables import Alias, Evaluation, Job, Model, Promotion, Shard
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.protocol.operator import ChampionView, ConfigView, WhyView


@dataclass(frozen=True)
class _Table:
    """What all twelve configs need, read once."""

    time: float
    training: dict[str, TrainingFacts]
    jobs: dict[str, Job]
    last: dict[str, Job]
    candidates: dict[str, Model]
    champions: dict[str, Alias]
    shards: dict[tuple[str, str, str], tuple[int, int, int]]
    """(config, purpose, state) -> (shards, games, positions)."""
    able: frozenset[str]
    stuck: dict[str, Job]


def config_views(session: Session, settings: Settings) -> list[ConfigView]:
    """Return the twelve configs in the order of the config table."""
    table = _gather(session, settings)
    return [_view(session, settings, table, config.key) for config in ALL_CONFIGS]


def config_view(session: Session, key: str, settings: Settings) -> ConfigView:
    """Return one config; `UnknownConfig` for anything else."""
    return _view(session, settings, _gather(session, settings), GameConfig.parse(key).key)


def config_why(session: Session, key: str, settings: Settings) -> WhyView:
    """Answer `why CONFIG`."""
    return why_config(_facts(session, settings, _gather(session, settings), GameConfig.parse(key).key))


def _gather(session: Session, settings: Settings) -> _Table:
    sums: Any = (func.count(), func.sum(Shard.games), func.sum(Shard.positions))
    rows = session.exec(
        select(Shard.config, Shard.purpose, Shard.state, *sums).group_by(
            col(Shard.config), col(Shard.purpose), col(Shard.state)
        )
    ).all()
    trainings = session.exec(select(Job).where(Job.kind == "train").order_by(col(Job.created_at))).all()
    live = fleet_load(session, settings.agents).agents
    return _Table(
        time=now(session),
        training=learning.training_facts(session, settings.training.max_data_age),
        jobs=learning.open_trainings(session),
        last={job.config: job for job in trainings},
        candidates=learning.candidates(session),
        champions=learning.champions(session),
        shards={
            (config, purpose, state): (int(number), int(games), int(positions))
            for config, purpose, state, number, games, positions in rows
        },
        able=frozenset(kind for agent in live for kind in agent.kinds),
        stuck=stuck_jobs(session),
    )


def _facts(session: Session, settings: Settings, table: _Table, key: str) -> ConfigFacts:
    found, job = table.training[key], table.jobs.get(key)
    candidate, last = table.candidates.get(key), table.last.get(key)
    failed = last is not None and last.state in ("failed", "quarantined")
    stuck = table.stuck.get(key)
    failure = f"the last training {last.state}: {last.reason}" if last and failed else ""
    return ConfigFacts(
        key=key,
        conditions=training_conditions(found, limits(settings.training)),
        enabled=found.enabled,
        fresh_positions=found.fresh_positions,
        min_positions=settings.training.min_positions,
        training=job.id if job else "",
        training_state=job.state if job else "",
        candidate=candidate.sha256[:12] if candidate else "",
        evaluation=_progress(session, settings.gate, candidate) if candidate else None,
        able=table.able,
        awaiting_ingest=_sum(table, key, "received")[0],
        last_training_failure=failure,
        given_up=f"{stuck.id} ({stuck.kind}) is {stuck.state}: {stuck.reason}" if stuck else "",
        retry=stuck.id if stuck else "",
        facts=[*_lines(table, key, failure), *_last_rejection(session, key)],
    )


def _progress(session: Session, policy: Policy, candidate: Model) -> EvaluationProgress | None:
    """Return how the test stands that a candidate has reached; the last one when it passed all."""
    tests = evidence(session, policy, candidate)
    reached = next_test(tests) or tests[-1]
    evaluation = reached.evaluation
    if evaluation is None or reached.open:
        return None
    found = standing(session, evaluation)
    return EvaluationProgress(
        id=evaluation.id,
        test=f"test {tests.index(reached) + 1} of {len(tests)}, {reached.wanted.name}",
        state=evaluation.state,
        games=found.verdict.games,
        blocks=found.verdict.blocks,
        max_blocks=found.registration.test.max_blocks,
        llr=found.verdict.llr,
        lower=found.verdict.lower,
        upper=found.verdict.upper,
        unverified=found.unverified,
    )


def _sum(table: _Table, key: str, state: str) -> tuple[int, int, int]:
    parts = [table.shards.get((key, purpose, state), (0, 0, 0)) for purpose in ("selfplay", "evaluation")]
    return tuple(sum(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def _lines(table: _Table, key: str, failure: str) -> list[str]:
    shards, games, positions = table.shards.get((key, "selfplay", "sound"), (0, 0, 0))
    refused, alias = _sum(table, key, "refused")[0], table.champions.get(key)
    lines = [
        f"{games} self-play games with {positions} positions in {shards} sound shards",
        f"{_sum(table, key, 'received')[0]} shards wait for their replay, {refused} were refused",
    ]
    if alias:
        age = (table.time - alias.changed_at) / 3600
        lines.append(f"champion {alias.model[:12]}, generation {alias.generation}, since {age:.1f} h")
    else:
        lines.append("no champion yet: the first must beat the random anchor")
    return [*lines, failure] if failure else lines


def _last_rejection(session: Session, key: str) -> list[str]:
    """Return why the newest decided evaluation was rejected; nothing when it was accepted."""
    query = select(Evaluation).where(
        Evaluation.config == key, col(Evaluation.state).in_(("accepted", "rejected"))
    )
    last = session.exec(query.order_by(col(Evaluation.decided_at).desc()).limit(1)).first()
    if last is None or last.state == "accepted":
        return []
    return [f"the last candidate {last.candidate[:12]} was rejected: {last.reason}"]


def _view(session: Session, settings: Settings, table: _Table, key: str) -> ConfigView:
    facts = _facts(session, settings, table, key)
    cause, alias = config_cause(facts), table.champions.get(key)
    _, games, positions = table.shards.get((key, "selfplay", "sound"), (0, 0, 0))
    row = session.get(Promotion, (key, alias.generation)) if alias else None
    champion = None
    if alias:
        age = table.time - alias.changed_at
        champion = ChampionView(model=alias.model, generation=alias.generation, age=age)
    return ConfigView(
        key=key,
        enabled=facts.enabled,
        games=games,
        positions=positions,
        fresh_positions=facts.fresh_positions,
        data_age=table.training[key].data_age,
        training=f"{facts.training} {facts.training_state}" if facts.training else "",
        evaluation=_evaluation_text(facts),
        champion=champion,
        elo=row.elo if row else None,
        next_action=cause.next_action,
        blocker=cause.blocker,
    )


def _evaluation_text(facts: ConfigFacts) -> str:
    found = facts.evaluation
    if found is None:
        return f"candidate {facts.candidate}" if facts.candidate else ""
    return f"{facts.candidate} {found.state}, {found.games} games, LLR {found.llr:.2f}"
