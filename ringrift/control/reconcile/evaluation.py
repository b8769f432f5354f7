"""Gives every candidate its registered test, hands out the test's blocks, and closes it with a verdict."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from ringrift.control.domain.evaluations import Registration, Wanted, blocks_to_hand_out, register
from ringrift.control.domain.policy import Policy
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import EvaluationSettings, Settings
from ringrift.control.store import aliases, evaluations, jobs, learning
from ringrift.control.store.evaluations import Standing
from ringrift.control.store.evidence import evidence, is_under, next_test, purpose_of, wanted_of
from ringrift.control.store.tables import Evaluation, Model
from ringrift.protocol.jobs import EvaluateSpec, PlayerSpec

Closing = tuple[Evaluation, str, str]
"""(evaluation, its final state, why)."""


async def register_step(context: Context) -> bool:
    """Register the next test of every candidate that passed those before it."""
    decide = partial(missing_tests, context.settings)
    return await converge("evaluation.register", context.store, decide, _register_all)


async def aliases_step(context: Context) -> bool:
    """Let `challenger` and `previous` say what the rows say."""
    return await converge("alias.follow", context.store, aliases.changes, aliases.move)


def missing_tests(settings: Settings, session: Session) -> list[Registration]:
    """Return the tests to register or to take up again."""
    wanted: list[Registration] = []
    for candidate in learning.candidates(session).values():
        following = next_test(evidence(session, settings.gate, candidate))
        if following is None or not following.open:
            continue
        if following.current and following.evaluation is not None:
            wanted.append(Registration.read(following.evaluation.registration))
        else:
            wanted.append(_registration(settings, candidate, following.wanted))
    return wanted


def _registration(settings: Settings, candidate: Model, wanted: Wanted) -> Registration:
    games = settings.evaluation
    player = PlayerSpec(
        kind="gumbel", model=candidate.sha256, simulations=games.simulations, considered=games.considered
    )
    return register(settings.gate, candidate.config, player, wanted, games.opening_random_plies)


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
    """Close the tests that are decided, cannot be finished, or that no promotion needs any more."""
    decide = partial(decided, context.settings.gate)
    return await converge("evaluation.close", context.store, decide, _close_all)


def decided(policy: Policy, session: Session) -> list[Closing]:
    """Return the evaluations to close. A verdict waits until every counted game was found sound."""
    closing: list[Closing] = []
    for evaluation in evaluations.running_evaluations(session):
        found = evaluations.standing(session, evaluation)
        obstacle, needless = _obstacle(found), _needless(session, policy, evaluation)
        if needless:
            closing.append((evaluation, "superseded", needless))
        elif obstacle:
            closing.append((evaluation, "rejected", obstacle))
        elif found.verdict.verdict != "continue" and not found.unverified:
            state = "accepted" if found.verdict.verdict == "accept" else "rejected"
            closing.append((evaluation, state, found.verdict.reason))
    return closing


def _needless(session: Session, policy: Policy, evaluation: Evaluation) -> str:
    """Tell why no promotion needs a test any more; empty when one does."""
    if not is_under(evaluation, policy):
        return "the gate has another policy now"
    model = session.get(Model, evaluation.candidate)
    if model is None or model.state != "candidate":
        return "the candidate was decided on meanwhile"
    wanted = wanted_of(session, policy, model)
    if (purpose_of(evaluation), evaluation.opponent) in {(item.purpose, item.opponent) for item in wanted}:
        return ""
    return "another model is champion now"


def _obstacle(found: Standing) -> str:
    """Tell why a test can never be finished: a block's games are not what they were said to be."""
    return f"a block's games were refused: {found.refused}" if found.refused else ""


def _close_all(session: Session, plan: list[Closing]) -> None:
    for planned, state, reason in plan:
        verdict = evaluations.standing(session, planned).verdict
        evaluations.close_evaluation(session, planned, state, reason, verdict)
