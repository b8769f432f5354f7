"""Bringing models to an inference target ahead of their deployment, and proving them there.

Nothing that serves is touched. Killed anywhere and called again, it resumes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from hosts import layout, wheel
from hosts.deploy import verified
from hosts.provision import PREPARATION, FleetSettings, bound, question_for, wish_for
from hosts.remote import Remote
from hosts.runner import StepRunner
from hosts.steps import staging as steps
from hosts.steps import target as target_steps
from hosts.steps.wish import EXTRAS, Wish
from ringrift.control.domain.ports import DeployOrder, HostSpec, StepReport


async def stage(
    remote: Remote,
    host: HostSpec,
    built: wheel.Release,
    settings: FleetSettings,
    target: str,
    orders: Sequence[DeployOrder],
    report: StepReport,
) -> None:
    """Have exactly these models wait on a target, one in each order, each of them proven by the release.

    What else waits there is removed. Raises an error of the tree for a model that does not arrive whole or
    would not serve; it waits without a proof then.
    """
    engine = orders[0].engine if orders else "torch"
    wish = wish_for(host, built, EXTRAS[engine], settings)
    name, unit = target_steps.service_name(target), target_steps.unit(host.name, target)
    question = question_for(host, wish, name, unit).model_copy(update={"target": target})
    runner = StepRunner(remote, question, report)
    await runner.look()
    prepared = bound(PREPARATION, wish) if orders else {}
    copies = functools.partial(steps.plan_copies, target=target, orders=orders)
    await runner.carry_out({**prepared, "models": copies})
    if not orders:
        return
    await runner.stage("verify", lambda: _verify(runner, wish, orders))
    await runner.carry_out({"proof": functools.partial(steps.plan_proofs, wish=wish, orders=orders)})


async def _verify(runner: StepRunner, wish: Wish, orders: Sequence[DeployOrder]) -> tuple[str, str]:
    asked = [order for order in orders if not steps.is_proven(runner.facts, wish, order, order.models[0])]
    for order in asked:
        folder = layout.staged(runner.facts.root, order.target, order.models[0].sha256)
        # What serves there goes first.
        await verified(runner, wish, order, folder, "nice", "-n", "10")
    names = ", ".join(order.models[0].config for order in asked)
    return ("done", f"a legal move for each of {names}") if asked else ("unchanged", "")
