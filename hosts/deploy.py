"""Making an inference target serve exactly the models of an order.

Staged beside what serves, hashes computed there, every model loaded and one legal move played there, and only
then swapped: one link, replaced atomically. What does not show the right hashes afterwards is swapped back.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping

from hosts import health, layout, wheel
from hosts.facts import Facts, Question
from hosts.probing import probe
from hosts.provision import (
    PREPARATION,
    FleetSettings,
    bound,
    does_not_stay_up,
    question_for,
    wish_for,
)
from hosts.remote import Remote
from hosts.runner import Plan, StepRunner
from hosts.steps import staging
from hosts.steps import target as steps
from hosts.steps.commands import Command
from hosts.steps.wish import EXTRAS, Wish, interpreter, program_environment
from ringrift.control.domain.ports import DeployOrder, HostSpec, Serving, StepReport
from ringrift.errors import (
    BadInput,
    CorruptData,
    EnvironmentProblem,
    RingRiftError,
    Unreachable,
    error_classes,
)

VERIFY_SECONDS = 1800.0
"""Loading twelve models and one move each; the kernels may have to be compiled first."""
READY_SECONDS = 180.0
LOOK_SECONDS = 1.0
"""How long to ask before looking whether the service still runs."""


async def deploy(
    remote: Remote,
    host: HostSpec,
    built: wheel.Release,
    settings: FleetSettings,
    order: DeployOrder,
    report: StepReport,
) -> Serving:
    """Take the target through every step and return what it says that it serves.

    Idempotent; killed anywhere and called again, it resumes. Raises an error of the tree when the target does
    not end up serving the order; then it serves what it served before.
    """
    if not order.models:
        raise BadInput(f"the deployment to {order.target} names no model")
    wish = wish_for(host, built, EXTRAS[order.engine], settings)
    runner = StepRunner(remote, _question(host, wish, order), report)
    before = await runner.look()
    preparation = {
        **bound(PREPARATION, wish),
        "models": functools.partial(steps.plan_models, order=order),
    }
    if steps.is_proven(before, wish, order):
        preparation["verify"] = functools.partial(steps.plan_check, order=order)
    else:
        await runner.carry_out(preparation)
        await runner.stage("verify", lambda: _verify(runner, wish, order))
        before, preparation = runner.facts, {}
    try:
        return await _swap(runner, wish, order, before, preparation)
    except Unreachable:
        raise  # nothing can be put back now; the next call resumes
    except RingRiftError as error:
        raise await _restored(runner, before, order, error) from error


async def _swap(
    runner: StepRunner, wish: Wish, order: DeployOrder, before: Facts, preparation: Mapping[str, Plan]
) -> Serving:
    """Swap, in one command with the preparation where what is to be served was proven ahead of time."""
    await runner.carry_out(
        {
            **preparation,
            "swap": functools.partial(steps.plan_swap, order=order),
            "service": functools.partial(steps.plan_service, wish=wish, order=order),
        },
        explain={"service": lambda: _does_not_stay_up(runner, order)},
    )
    serving = await _proven(runner, wish, order)
    await runner.stage("probe", lambda: _probe(runner, order, before))
    after = {
        "retention": functools.partial(steps.plan_retention, order=order),
        "proof": functools.partial(staging.plan_proofs, wish=wish, orders=[order]),
    }
    await runner.carry_out(after, look=False)
    return serving


async def _verify(runner: StepRunner, wish: Wish, order: DeployOrder) -> tuple[str, str]:
    """Load every model on the host and play one legal move with it, unless they serve already."""
    facts = runner.facts
    if facts.target is not None and facts.target.current == steps.pointer(order):
        return "unchanged", ""
    moves = await verified(runner, wish, order, layout.generation(facts.root, order.target, order.generation))
    return "done", f"a legal move for each of {', '.join(sorted(moves))}"


async def verified(
    runner: StepRunner, wish: Wish, order: DeployOrder, folder: str, *before: str
) -> dict[str, str]:
    """Return config -> the move that `inference.verify` played with each model of a folder.

    `before` is put before the program. Raises the error that it tells, CorruptData when it tells nothing of a
    model of the order.
    """
    facts = runner.facts
    done = await runner.remote.run(
        [
            *(*before, interpreter(facts, wish), "-m", "inference.verify", folder),
            *("--trust", steps.trusted_keys(facts, order)),
        ],
        env=dict(program_environment(facts, wish)),
        seconds=VERIFY_SECONDS,
    )
    moves = read_verdict(f"{order.target} on {wish.host}", done.stdout, done.last_words())
    missing = sorted({model.config for model in order.models} - set(moves))
    if missing:
        raise CorruptData(f"{order.target} on {wish.host}: no move was played for {', '.join(missing)}")
    return moves


def read_verdict(name: str, output: str, last_words: str) -> dict[str, str]:
    """Return config -> move of `python -m inference.verify`, whose last JSON line is its verdict.

    Raises the error that it reports, CorruptData when there is no verdict.
    """
    for line in reversed(output.splitlines()):
        try:
            verdict = json.loads(line)
        except ValueError:
            continue
        if not isinstance(verdict, dict):
            continue
        if verdict.get("ok") is True and isinstance(verdict.get("moves"), dict):
            return {str(key): str(move) for key, move in verdict["moves"].items()}
        error = verdict.get("error")
        if isinstance(error, dict):
            cls = error_classes().get(str(error.get("code")), CorruptData)
            raise cls(f"{name}: {error.get('message')}", hint="what served before goes on serving")
    raise CorruptData(f"{name}: the models could not be verified: {last_words or 'no verdict came back'}")


async def _proven(runner: StepRunner, wish: Wish, order: DeployOrder) -> Serving:
    """Wait until the service shows the order's generation and hashes; raises CorruptData when it does not."""
    answers: list[Serving] = []

    async def waited() -> tuple[str, str]:
        serving = await _await_order(runner, wish, order)
        answers.append(serving)
        return "unchanged", f"generation {serving.generation}, {len(serving.models)} models"

    await runner.stage("health", waited)
    return answers[0]


async def _probe(runner: StepRunner, order: DeployOrder, before: Facts) -> tuple[str, str]:
    """Ask the service itself for moves with every model that it has only since this swap."""
    models = steps.on_trial(runner.facts, before, order)
    if not models:
        return "unchanged", ""
    slowest = await probe(runner.remote, order.target, order.port, models)
    return "done", f"moves of {', '.join(models)}, the slowest after {slowest:.2f} s"


async def _await_order(runner: StepRunner, wish: Wish, order: DeployOrder) -> Serving:
    """Ask until the order is served; give up when the service goes down or keeps refusing the models."""
    wanted = {model.config: model.sha256 for model in order.models}

    def settled(serving: Serving) -> bool:
        shown = (serving.generation, serving.models, serving.release)
        return serving.healthy and shown == (order.generation, wanted, order.release)

    remote, until = runner.remote, time.monotonic() + READY_SECONDS
    before: Serving | None = None
    while True:
        serving, silence = None, None
        try:
            serving = await health.wait_for(remote, order.target, order.port, settled, LOOK_SECONDS)
        except Unreachable as error:
            if remote.connection.is_closed():
                raise
            silence = error
        if serving is not None and settled(serving):
            return serving
        if steps.plan_service(await runner.gather(), wish, order):
            raise await _does_not_stay_up(runner, order)
        refused = steps.refusal(runner.facts, order)
        if refused:
            raise _not_taken_over(remote, order, refused)
        if time.monotonic() > until or (
            serving == before and _refuses(serving) and not steps.hands_over(runner.facts, order)
        ):
            raise _not_served(remote, order, serving) from silence
        before = serving


async def _does_not_stay_up(runner: StepRunner, order: DeployOrder) -> EnvironmentProblem:
    name, unit = steps.service_name(order.target), steps.unit(runner.remote.name, order.target)
    return await does_not_stay_up(runner, name, unit)


def _not_taken_over(remote: Remote, order: DeployOrder, why: str) -> EnvironmentProblem:
    where = f"{order.target} on {remote.name}"
    return EnvironmentProblem(f"{where}: release {order.release} does not take over: {why}")


def _refuses(serving: Serving | None) -> bool:
    """Tell whether a service goes on with older models because of what it found wrong with these."""
    return serving is not None and bool(serving.issues) and serving.generation is not None


def _not_served(remote: Remote, order: DeployOrder, serving: Serving | None) -> CorruptData:
    if serving is None:
        what = f"nothing answers on port {order.port}"
    else:
        what = "; ".join(serving.issues) or f"it serves generation {serving.generation}"
    return CorruptData(f"{order.target} on {remote.name} does not serve the deployment: {what}")


async def _restored(
    runner: StepRunner, before: Facts, order: DeployOrder, error: RingRiftError
) -> RingRiftError:
    """Swap back and put the service back, and return the error with what stands now."""

    def undo(facts: Facts) -> list[Command]:
        return steps.plan_restore(facts, before, order, runner.remote.name)

    try:
        await runner.gather()
        await runner.carry_out({"restore": undo})
    except RingRiftError as failure:
        return type(error)(f"{error.message}; swapping back failed: {failure.message}", hint=error.hint)
    return type(error)(f"{error.message}; what served before is current again", hint=error.hint)


def _question(host: HostSpec, wish: Wish, order: DeployOrder) -> Question:
    name, unit = steps.service_name(order.target), steps.unit(host.name, order.target)
    return question_for(host, wish, name, unit).model_copy(
        update={
            "target": order.target,
            "generation": order.generation,
            "model_files": tuple(model.served_as for model in order.models),
        }
    )
