"""Releases that nothing runs any more: the present one, the one before and those of other services stay."""

from __future__ import annotations

from hosts import layout
from hosts.facts import Facts
from hosts.steps import agent_service
from hosts.steps.commands import Command, Remove
from hosts.steps.wish import Wish


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Remove the other releases."""
    own = (agent_service.NAME, agent_service.unit(wish.host))
    others = {release for service, release in facts.used if service not in own}
    kept = {wish.release, previous(facts, wish), *others}
    return [Remove(layout.release(facts.root, name)) for name in facts.releases if name not in kept]


def previous(facts: Facts, wish: Wish) -> str | None:
    """Return the release that the agent ran before the wished one, as far as it is known."""
    if facts.agent.release in (None, wish.release):
        return facts.previous_release
    return facts.agent.release
