"""Rows of a config at a chosen stage, made through the units of work that the controller itself uses."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.domain.evaluations import Wanted, register
from ringrift.control.store import datasets, evaluations, jobs
from ringrift.control.store.clock import now
from ringrift.control.store.evidence import wanted_of
from ringrift.control.store.tables import (
    Artifact,
    Evaluation,
    EvaluationBlock,
    Game,
    Model,
    Result,
    Shard,
)
from ringrift.control.store.tables import Assignment as AssignmentRow
from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.doubles import sha, vectors
from tests.control.world import CONFIG, POLICY, World


async def with_candidates(
    world: World, *names: str, blocks: int = 8, champion: str | None = None, tests: int | None = None
) -> list[str]:
    """Store candidates, each with accepted tests of won and replayed blocks; return their hashes.

    Their tests are those that a promotion needs now, or the first `tests` of them.
    """
    agent = await world.agent("stage") if not await world.get("/hosts") else None
    holder = agent.id if agent else (await world.read(_first_agent))
    return await world.write(
        lambda session: [_candidate(session, holder, name, blocks, champion, tests) for name in names]
    )


def _first_agent(session: Session) -> str:
    from sqlmodel import select

    from ringrift.control.store.tables import Agent

    return session.exec(select(Agent.id)).first() or ""


def artifact(session: Session, name: str) -> str:
    session.add(Artifact(sha256=name, size=1, stored_at=now(session)))
    session.flush()
    return name


def _job(session: Session, agent: str, work: str) -> tuple[str, str]:
    player = PlayerSpec(kind="random")
    spec = SelfplaySpec(config=CONFIG, player=player, shards=1, games_per_shard=1, seed=1)
    job = jobs.queue_job(session, spec, work)
    time = now(session)
    row = AssignmentRow(
        id=f"try_{work}",
        job=job.id,
        agent=agent,
        epoch=1,
        incarnation="first",
        state="succeeded",
        began_at=time,
        expires_at=time,
        deadline_at=time,
    )
    session.add(row)
    job.state, job.epoch = "succeeded", 1
    session.add(job)
    session.flush()
    return job.id, row.id


def _shard(session: Session, agent: str, name: str, purpose: str, winners: list[int]) -> int:
    """Add a sound shard with one game per winner; return the id of its result."""
    job, assignment = _job(session, agent, name[:40])
    result = Result(
        job=job,
        sequence=0,
        assignment=assignment,
        agent=agent,
        payload={},
        games_named=len(winners),
        received_at=now(session),
    )
    session.add(result)
    session.add(
        Shard(
            sha256=artifact(session, name),
            config=CONFIG,
            purpose=purpose,
            state="sound",
            job=job,
            sequence=0,
            agent=agent,
            games=len(winners),
            positions=40 * len(winners),
            soft_target_share=0.5,
            received_at=now(session),
            judged_at=now(session),
        )
    )
    session.flush()
    for number, winner in enumerate(winners):
        session.add(
            Game(
                game_id=sha(name, number),
                shard=name,
                config=CONFIG,
                purpose=purpose,
                winner=winner,
                plies=60,
                decisions=40,
            )
        )
    session.flush()
    return result.id or 0


def _candidate(
    session: Session, agent: str, name: str, blocks: int, champion: str | None, tests: int | None
) -> str:
    shard = sha("data", name)
    _shard(session, agent, shard, "selfplay", [1, 2])
    dataset = datasets.make_dataset(session, CONFIG, 80)
    model = artifact(session, sha("model", name))
    job, _ = _job(session, agent, f"train-{name}")
    row = Model(
        sha256=model,
        config=CONFIG,
        state="candidate",
        parent=champion,
        dataset=dataset.sha256,
        job=job,
        architecture={"blocks": 2, "channels": 8},
        recipe={},
        positions=80,
        train_loss=1.0,
        holdout_loss=1.0,
        holdout_value_accuracy=0.5,
        golden=vectors(CONFIG),
        made_at=now(session),
    )
    session.add(row)
    session.flush()
    for test in wanted_of(session, POLICY, row)[:tests]:
        _played(session, agent, model, test, blocks)
    return model


async def play_out(world: World, *, wins: bool = True) -> None:
    """Give every running test eight replayed blocks, of which the candidate wins all or none.

    Against itself it wins one game of each, or all.
    """

    def work(session: Session) -> None:
        for evaluation in evaluations.running_evaluations(session):
            _blocks(session, _first_agent(session), evaluation, 8, wins)

    await world.write(work)


def _played(session: Session, agent: str, model: str, wanted: Wanted, blocks: int) -> None:
    """Register a test, let the candidate win all of its blocks and close it if that decides."""
    player = PlayerSpec(kind="gumbel", model=model, simulations=8)
    evaluation = evaluations.register_evaluation(session, register(POLICY, CONFIG, player, wanted, 4))
    assert evaluation is not None
    _blocks(session, agent, evaluation, blocks, True)
    verdict = evaluations.standing(session, evaluation).verdict
    if verdict.verdict == "accept":
        evaluations.close_evaluation(session, evaluation, "accepted", verdict.reason, verdict)


def _blocks(session: Session, agent: str, evaluation: Evaluation, blocks: int, wins: bool) -> None:
    players = GameConfig.parse(CONFIG).players
    seats = list(range(1, players + 1))
    if evaluation.candidate == evaluation.opponent:
        won = seats[:1] if wins else seats
    else:
        won = seats if wins else []
    for block in range(blocks):
        shard = sha("block", evaluation.id, block)
        result = _shard(session, agent, shard, "evaluation", seats)
        session.add(
            EvaluationBlock(
                evaluation=evaluation.id,
                block=block,
                shard=shard,
                result=result,
                wins=len(won),
                games=players,
                winning_seats=won,
            )
        )
    session.flush()
