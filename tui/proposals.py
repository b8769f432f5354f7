"""What each verb that changes something would do, as the operator reads it before."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from rich.text import Text

from ringrift.client import routes
from ringrift.client.display import plain, short
from ringrift.protocol.operator import (
    ConfigView,
    DeploymentView,
    DeployRequest,
    EnableRequest,
    HostView,
    PromoteRequest,
    PromotionView,
)
from tui.dialogs import Proposal
from tui.draw import conditions, evaluation, heading, line, prose, state, words

if TYPE_CHECKING:
    from tui.feed import Feed

WATCH_SECONDS = 10.0
"""How long after a change the feed asks often, so that the screen shows what came of it."""

PROVISIONING = (
    "Probes the machine, copies the release, makes or checks the environment, installs and starts the agent, "
    "opens the tunnel, enrols the agent and waits for its first heartbeat."
)


def watch(feed: Feed) -> None:
    """Ask at once, and often for a while."""
    feed.hurry(WATCH_SECONDS)
    feed.wake()


def actor() -> str:
    """Return who asks, for the audit rows."""
    try:
        return f"{getpass.getuser()} (terminal)"
    except (OSError, KeyError):
        return "operator (terminal)"


def host_change(feed: Feed, view: HostView, verb: str) -> Proposal:
    """Drain or resume a host."""
    wanted = {"drain": ("ready", "draining"), "resume": ("draining or quarantined", "ready")}
    fits = view.state == "ready" if verb == "drain" else view.state in ("draining", "quarantined")
    told = {
        "drain": "The host finishes what runs and takes nothing new.",
        "resume": "The host takes work again.",
    }[verb]

    async def apply() -> None:
        await feed.send(routes.change_host(view.name, verb))
        watch(feed)

    return Proposal(
        title=f"{verb} {plain(view.name)}",
        lines=lambda width: [
            line(words(f"{view.name}  "), state(view.state), words("  →  ", "dim"), state(wanted[verb][1])),
            prose(told),
            words(f"{len(view.running)} job(s) run there now", "dim"),
        ],
        extent="1 host",
        reversible=f"yes: ringrift-ctl hosts {'resume' if verb == 'drain' else 'drain'} {view.name}",
        command=f"ringrift-ctl hosts {verb} {view.name}",
        verb=verb.capitalize(),
        refused="" if fits else f"{view.name} is {view.state}, needed is {wanted[verb][0]}",
        apply=apply,
    )


def provision(feed: Feed, view: HostView) -> Proposal:
    """Bring a host up to a working agent."""

    async def apply() -> None:
        await feed.send(routes.provision(view.name))
        watch(feed)

    return Proposal(
        title=f"provision {plain(view.name)}",
        lines=lambda width: [
            line(words(f"{view.name}  "), state(view.state), words(f"  {view.login}", "dim")),
            prose(PROVISIONING),
            prose("What is right already is left as it is; a run that was cut off is resumed.", "dim"),
        ],
        extent="1 host",
        reversible=f"yes: ringrift-ctl hosts remove {view.name}",
        command=f"ringrift-ctl hosts provision {view.name}",
        verb="Provision",
        refused="a provisioning runs already" if view.state == "provisioning" else "",
        apply=apply,
    )


def promotion(feed: Feed, plan: PromotionView, only_look: str) -> Proposal:
    """Make a model the champion. `only_look` says why it can only be read, empty when it can be done."""

    async def apply() -> None:
        request = routes.build(
            PromoteRequest,
            config=plan.config,
            model=plan.model,
            expected_champion=plan.champion,
            actor=actor(),
        )
        await feed.send(routes.promote(request))
        watch(feed)

    return _champion_change(plan, f"promote {plain(plan.config)}", "Promote", only_look, apply)


def rollback(feed: Feed, plan: PromotionView) -> Proposal:
    """Make the previous champion the champion again, and have the targets that serve the config follow."""

    async def apply() -> None:
        await feed.send(routes.rollback(plan.config, dry_run=False, champion=plan.champion))
        watch(feed)

    return _champion_change(plan, f"roll back {plain(plan.config)}", "Roll back", "", apply)


def _champion_change(plan: PromotionView, title: str, verb: str, only_look: str, apply: object) -> Proposal:
    def lines(width: int) -> list[Text]:
        rows = [
            line(
                words("champion  ", "dim"),
                words(short(plan.champion, "none")),
                words("  →  ", "dim"),
                words(short(plan.model), "accent"),
                words(f"   generation {plan.generation}", "dim"),
            ),
            words(""),
            *conditions(plan.conditions, width),
        ]
        for view in plan.evidence[:2]:
            rows += [words(""), heading("evidence", width), *evaluation(view, width)]
        return rows

    failed = next(
        (f"{c.name} is {c.value}, needed is {c.limit}" for c in plan.conditions if not c.passed), ""
    )
    return Proposal(
        title=title,
        lines=lines,
        extent=_extent(plan),
        reversible=plan.reversible,
        command=plan.command,
        verb=verb,
        refused=only_look or ("" if plan.allowed else plain(failed or "the gate says no")),
        apply=apply,  # type: ignore[arg-type]
    )


def _extent(plan: PromotionView) -> str:
    if plan.targets:
        return f"1 config and {len(plan.targets)} target(s), which follow: {plain(', '.join(plan.targets))}"
    return f"1 config, no host; what is served changes with the next deployment of {plan.config}"


def switch(feed: Feed, view: ConfigView) -> Proposal:
    """Enable or disable a config."""
    wanted = not view.enabled
    word = "enable" if wanted else "disable"

    async def apply() -> None:
        await feed.send(routes.enable(view.key, routes.build(EnableRequest, enabled=wanted, actor=actor())))
        watch(feed)

    told = "Agents work on it again." if wanted else "Nothing new is started for it; what runs is finished."
    return Proposal(
        title=f"{word} {view.key}",
        lines=lambda width: [prose(told)],
        extent="1 config",
        reversible=f"yes: ringrift-ctl configs {'disable' if wanted else 'enable'} {view.key}",
        command=f"ringrift-ctl configs {word} {view.key}",
        verb=word.capitalize(),
        refused="",
        apply=apply,
    )


def deploy(feed: Feed, plan: DeploymentView, only_look: str, begun: list[str]) -> Proposal:
    """Make targets serve the champions. The id of the deployment is left in `begun`."""
    names = list(dict.fromkeys(action.target for action in plan.actions))
    changes = [action for action in plan.actions if action.change]

    async def apply() -> None:
        view = await feed.send(routes.deploy(routes.build(DeployRequest, actor=actor())))
        if view.id:
            begun.append(view.id)
        watch(feed)

    def lines(width: int) -> list[Text]:
        rows = [words(f"{len(changes)} of {len(plan.actions)} served models change", "accent")]
        for action in changes:
            rows.append(
                line(
                    words(f"{plain(action.target)[:16]:<16}  {plain(action.config):<13} "),
                    words(f"{short(action.serving, 'nothing'):>8}"),
                    words("  →  ", "dim"),
                    words(short(action.model), "accent"),
                )
            )
        rows.append(prose("Each target: copy, verify the hash, load beside, one legal move, swap.", "dim"))
        return rows

    return Proposal(
        title=f"deploy generation {plan.generation}",
        lines=lines,
        extent=f"{len(names)} target(s): {plain(', '.join(names))}",
        reversible=plan.reversible,
        command=plan.command,
        verb="Deploy",
        refused=only_look or ("" if plan.actions else "there is no target or no champion to deploy"),
        apply=apply,
    )
