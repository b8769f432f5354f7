"""The state machines: which state may follow which. Everything else is refused."""

from __future__ import annotations

from collections.abc import Mapping

from ringrift.errors import Conflict

Machine = Mapping[str, frozenset[str]]


def _machine(**following: str) -> Machine:
    return {state: frozenset(names.split()) for state, names in following.items()}


HOST = _machine(
    new="provisioning ready draining quarantined unreachable retired",
    provisioning="ready quarantined unreachable new retired provisioning draining",
    ready="provisioning draining quarantined unreachable retired",
    draining="provisioning ready quarantined unreachable retired new",
    quarantined="provisioning ready draining retired unreachable new",
    unreachable="provisioning ready draining quarantined retired new",
    retired="new",
)
JOB = _machine(
    queued="leased cancelled",
    leased="queued succeeded failed quarantined cancelled",
    succeeded="",
    failed="queued cancelled",
    quarantined="queued cancelled",
    cancelled="",
)
ASSIGNMENT = _machine(
    running="succeeded failed expired cancelled", succeeded="", failed="", expired="", cancelled=""
)
SHARD = _machine(received="sound refused", sound="refused", refused="")
MODEL = _machine(
    candidate="champion rejected retired",
    champion="retired",
    retired="champion",
    rejected="",
)
EVALUATION = _machine(running="accepted rejected superseded", accepted="", rejected="", superseded="running")
BATCH = _machine(
    running="succeeded failed halted cancelled",
    halted="running cancelled",
    succeeded="",
    failed="",
    cancelled="",
)
DEPLOYMENT = _machine(
    running="succeeded halting cancelling",
    halting="failed",
    cancelling="cancelled",
    succeeded="",
    failed="",
    cancelled="",
)
OPERATION = _machine(running="succeeded failed", succeeded="", failed="")


def advance(machine: Machine, what: str, current: str, wanted: str) -> str:
    """Return `wanted` when it may follow `current`; raise `Conflict` naming `what` otherwise."""
    if wanted not in machine[current]:
        raise Conflict(f"{what} is {current} and cannot become {wanted}")
    return wanted
