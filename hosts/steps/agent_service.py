"""The agent's service."""

from __future__ import annotations

from hosts.facts import Facts
from hosts.steps import service
from hosts.steps.agent_config import enrolment
from hosts.steps.commands import Command
from hosts.steps.service import Service
from hosts.steps.wish import Wish

NAME = "agent"


def definition(facts: Facts, wish: Wish) -> Service:
    """Describe the agent as a service; a new enrolment makes it another one, so that it is started anew."""
    return Service(
        name=NAME,
        unit=unit(wish.host),
        arguments=("-m", "agents", "run", "--root", facts.root, "--slots", str(wish.slots)),
        environment=(("RINGRIFT_ENROLMENT", enrolment(facts, wish)),),
    )


def unit(host: str) -> str:
    """Return the name of the agent's systemd unit; a machine may carry several hosts."""
    return f"ringrift-agent-{host}"


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Have the agent running."""
    return service.plan(facts, wish, definition(facts, wish))
