"""What a look at a host found: its facts, and in what it differs from what should be there."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.domain.inventory import declared_differences
from ringrift.control.domain.ports import HostPlan
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import Agent, Host


def note_look(session: Session, host: Host, agent: Agent | None, plan: HostPlan) -> None:
    """Keep what was found. Only a change of the drift is audited: a look is telemetry."""
    planned = plan.lines if host.release is not None else ()
    lines = [*planned, *declared_differences(host, plan.facts), *_other_settings(host, agent, plan)]
    if lines != host.drift:
        record(session, CONTROLLER, "host.drift", host.name, before=host.drift, lines=lines)
        host.drift = lines
    host.facts, host.drift_at = dict(plan.facts) or host.facts, now(session)
    session.add(host)


def _other_settings(host: Host, agent: Agent | None, plan: HostPlan) -> list[str]:
    """Tell whether the agent works with other settings than its file holds, which is as it should be.

    Agents of another release are not compared: the plan names that, and theirs may be hashed otherwise.
    """
    held = plan.facts.get("agent_settings")
    if plan.lines or not held or agent is None or agent.config_hash in ("", held):
        return []
    told = f"settings of the agent: it works with {agent.config_hash}, its file holds {held}"
    return [f"{told}: ringrift-ctl hosts restart {host.name}"]


def is_unchanged(host: Host, agent: Agent | None, plan: HostPlan, time: float, down_seconds: float) -> bool:
    """Tell whether there is nothing to do: no step is called for, and the agent of that release beats."""
    return (
        not plan.lines
        and host.release is not None
        and agent is not None
        and agent.release == host.release
        and agent.beat_at is not None
        and time - agent.beat_at <= down_seconds
    )
