"""Gives every candidate its registered test, hands out the test's blocks, and closes it with a verdict."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from ringrift.control.domain.evaluations import Registration, blocks_to_hand_out, register
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import EvaluationSettings
from ringrift.control.store import aliases, evaluations, jobs, learning
from ringrift.control.store.evaluations import Standing
from ringrift.control.store.tables import Alias, Evaluation
from ringrift.protocol.jobs import EvaluateSpec, PlayerSpec

Closing = tuple[Evaluation, str, str]
"""(evaluation, its final state, why)."""


async def register_step(context: Context) -> bool:
    """Register a test for every candidate that has none against the present champion or the anchor."""
    settings = context.settings.evaluation
    return await converge(
        "evaluation.register", context.store, partial(missing_tests, settings), _register_all
    )


async def aliases_step(context: Context) -> bool:
    """Let `challenger` and `previous` say what the rows say."""
    return await converge("alias.follow", context.store, aliases.changes, aliases.move)


def missing_tests(settings: EvaluationSettings, session: Session) -> list[Registration]:
    """Return the tests to register or to take up again."""
    champions = learning.champions(session)
    wanted: list[Registration] = []
    for config, candidate in learning.candidates(session).items():
        champion = champions.get(config)
        opponent = champion.model if champion else "random"
        known = evaluations.latest_evaluation(session, candidate.sha256, opponent)
        if known is None or known.state == "superseded":
            found = Registration.read(known.registration) if known else None
            wanted.append(found or _registration(settings, config, candidate.sha256, champion))
    return wanted


def _registration(
    settings: EvaluationSettings, config: str, candidate: str, champion: Alias | None
) -> Registration:
    def player(model: str) -> PlayerSpec:
        return PlayerSpec(
            kind="gumbel", model=model, simulations=settings.simulations, considered=settings.considered
        )

    test = {
        "elo0": settings.elo0 if champion else settings.anchor_elo0,
        "elo1": settings.elo1 if champion else settings.anchor_elo1,
        "alpha": settings.alpha,
        "beta": settings.beta,
        "max_blocks": settings.max_blocks,
    }
    opponent = player(champion.model) if champion else None
    return register(config, player(candidate), opponent, test, settings.opening_random_plies)


def _register_all(session: Session, plan: list[Registration]) -> None:
    for registration in plan:
        evaluations.register_evaluation(session, registration)


async def blocks_step(context: Context) -> bool:
    """Keep enough blocks of every running test in the agents' hands."""
    settings = context.settings.evaluation
    return await converge("evaluation.queue", context.store, partial(missing_blocks, settings), _queue_all)


def missing_blocks(settings: EvaluationSettings, session: Session) -> list[tuple[str, EvaluateSpec]]:
    """Return (work, spec) of the evaluate jobs to queue."""
    wanted: list[tuple[str, EvaluateSpec]] = []
    for evaluation in evaluations.running_evaluations(session):
        found = evaluations.standing(session, evaluation)
        if found.verdict.verdict != "continue" or _obstacle(found):
            continue
        existing = evaluations.evaluation_jobs(session, evaluation)
        pieces = blocks_to_hand_out(
            evaluations.covered_blocks(found, existing),
            found.registration.test.max_blocks,
            sum(job.state in (*jobs.OPEN, *jobs.GIVEN_UP) for job in existing),
            jobs_ahead=settings.jobs_ahead,
            blocks_per_job=settings.blocks_per_job,
        )
        for number, (first, count) in enumerate(pieces, len(existing)):
            work = f"evaluate:{evaluation.id}:{first}:{number}"
            wanted.append((work, _spec(evaluation, found.registration, first, count)))
    return wanted


def _spec(evaluation: Evaluation, registered: Registration, first: int, count: int) -> EvaluateSpec:
    return EvaluateSpec(
        config=evaluation.config,
        evaluation=evaluation.id,
        candidate=registered.candidate,
        opponent=registered.opponent,
        first_block=first,
        blocks=count,
        seed=registered.seed,
        opening_random_plies=registered.opening_random_plies,
    )


def _queue_all(session: Session, plan: list[tuple[str, EvaluateSpec]]) -> None:
    for work, spec in plan:
        jobs.queue_job(session, spec, work)


async def verdict_step(context: Context) -> bool:
    """Close the tests that are decided, cannot be finished, or whose opponent is champion no more."""
    return await converge("evaluation.close", context.store, decided, _close_all)


def decided(session: Session) -> list[Closing]:
    """Return the evaluations to close. A verdict waits until every counted game was found sound."""
    champions = learning.champions(session)
    closing: list[Closing] = []
    for evaluation in evaluations.running_evaluations(session):
        champion = champions.get(evaluation.config)
        found = evaluations.standing(session, evaluation)
        obstacle = _obstacle(found)
        if evaluation.opponent != (champion.model if champion else "random"):
            closing.append((evaluation, "superseded", "another model is champion now"))
        elif obstacle:
            closing.append((evaluation, "rejected", obstacle))
        elif found.verdict.verdict != "continue" and not found.unverified:
            state = "accepted" if found.verdict.verdict == "accept" else "rejected"
            closing.append((evaluation, state, found.verdict.reason))
    return closing


def _obstacle(found: Standing) -> str:
    """Tell why a test can never be finished: a block's games are not what they were said to be."""
    return f"a block's games were refused: {found.refused}" if found.refused else ""


def _close_all(session: Session, plan: list[Closing]) -> None:
    for planned, state, reason in plan:
        verdict = evaluations.standing(session, planned).verdict
        evaluations.close_evaluation(session, planned, state, reason, verdict)
