"""An inference target: its models by generation, which of them is current, and its service."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from hosts import layout
from hosts.facts import Facts, TargetFacts
from hosts.steps import service, staging
from hosts.steps.commands import Check, Command, Link, Mkdir, PutFile, Remove, Rename, Run, Upload
from hosts.steps.service import Service
from hosts.steps.staging import MANIFEST, SIGNATURE, plan_trust, trusted_keys
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.errors import Conflict

KEPT_GENERATIONS = 3
FRONT = "inference.front"
"""Holds the port, and follows `current` to other software by itself."""
SOFTWARE = "software"
"""The link from a generation to the release that serves it."""
NOWHERE = "none"
"""What `previous` says when nothing was proven before."""
STOP_SECONDS = 40.0
"""The service answers what is open before it ends: 2 s for idle connections, 30 s for the longest search."""


def pointer(order: DeployOrder) -> str:
    """Return what the `current` link of this deployment says."""
    return f"models/{order.generation}"


def definition(facts: Facts, host: str, order: DeployOrder) -> Service:
    """Describe the target as a service."""
    folder = layout.target(facts.root, order.target)
    return Service(
        name=service_name(order.target),
        unit=unit(host, order.target),
        arguments=("-m", FRONT, "--models", folder, "--host", "127.0.0.1", "--port", str(order.port)),
        stop_seconds=STOP_SECONDS,
        kill_mode="mixed",
    )


def service_name(target: str) -> str:
    """Return the name of a target's service below a root."""
    return f"inference-{target}"


def unit(host: str, target: str) -> str:
    """Return the name of a target's systemd unit."""
    return f"ringrift-inference-{host}-{target}"


def plan_models(facts: Facts, order: DeployOrder) -> list[Command]:
    """Have the generation's folder complete, and its signer trusted; its manifest is written last.

    What the current generation has already is linked, not sent again. Raises Conflict when the number is
    taken by other models that are being served.
    """
    seen = facts.target or TargetFacts()
    folder = layout.generation(facts.root, order.target, order.generation)
    commands: list[Command] = [Mkdir(folder)]
    present = dict(seen.files)
    waiting = staging.files(facts, order)
    if seen.manifest is not None and seen.manifest != order.manifest:
        if seen.current == pointer(order):
            raise Conflict(
                f"{order.target} serves generation {order.generation} with other models",
                hint="deploy under a newer generation",
            )
        commands.insert(0, Remove(folder))
        present.clear()
    missing = [model for model in order.models if present.get(model.served_as) != model.sha256]
    software = _software(order)
    right = (seen.manifest, seen.signature, seen.software) == (order.manifest, order.signature, software)
    if right and not missing:
        return plan_trust(facts, order)
    for model in missing:
        source = waiting.get(model.sha256)
        if source is not None:
            commands += _linked(source, posixpath.join(folder, model.served_as))
        else:
            commands += _fetch(facts, seen, order, model, present.get(model.served_as) is None)
    commands.append(Link(posixpath.join(folder, SOFTWARE), software))
    commands.append(PutFile(posixpath.join(folder, SIGNATURE), order.signature))
    commands.append(PutFile(posixpath.join(folder, MANIFEST), order.manifest))
    return [*commands, *plan_trust(facts, order)]


def _software(order: DeployOrder) -> str:
    return posixpath.relpath(layout.release("/", order.release), layout.generation("/", order.target, 0))


def plan_check(facts: Facts, order: DeployOrder) -> list[Command]:
    """Go on only when every file of the generation has its hash: where no process asks its models before."""
    seen = facts.target or TargetFacts()
    folder = layout.generation(facts.root, order.target, order.generation)
    return [
        Check(posixpath.join(folder, model.served_as), model.sha256)
        for model in order.models
        if seen.files.get(model.served_as) != model.sha256
    ]


def plan_swap(facts: Facts, order: DeployOrder) -> list[Command]:
    """Point `current` to the generation; until it is proven, `previous` says what was proven last."""
    seen = facts.target or TargetFacts()
    if seen.current == pointer(order):
        return []
    folder = layout.target(facts.root, order.target)
    swap: list[Command] = [Link(posixpath.join(folder, "current"), pointer(order))]
    if seen.previous is not None:
        return swap
    return [Link(posixpath.join(folder, "previous"), seen.current or NOWHERE), *swap]


def is_proven(facts: Facts, wish: Wish, order: DeployOrder) -> bool:
    """Tell whether every model is served by this very release now, or was proven for it ahead of time."""
    seen = facts.target
    if seen is None or (seen.front or {}).get("release") != order.release:
        return False
    return all(
        seen.holds(model.config, model.served_as, model.sha256)
        or staging.is_proven(facts, wish, order, model)
        for model in order.models
    )


def on_trial(facts: Facts, before: Facts, order: DeployOrder) -> dict[str, str]:
    """Return config -> SHA-256 of what the target serves only since the swap that `facts` show.

    All of the order's when another release serves them, or when the swap was begun earlier.
    """
    seen, former = facts.target or TargetFacts(), before.target or TargetFacts()
    if seen.previous is None:
        return {}
    whole = former.current == pointer(order) or (former.front or {}).get("release") != order.release
    models = {model.config: model.sha256 for model in order.models}
    return {key: sha for key, sha in models.items() if whole or former.served_models().get(key) != sha}


def plan_restore(facts: Facts, before: Facts, order: DeployOrder, host: str) -> list[Command]:
    """Undo a swap that did not prove itself, and put the service back that ran `before`.

    Nothing for a swap that was proven earlier, and nothing for a service that is as it was.
    """
    seen = facts.target or TargetFacts()
    again = service.put_back(facts, before, service_name(order.target), unit(host, order.target))
    if seen.current != pointer(order) or seen.previous is None:
        return again
    folder = layout.target(facts.root, order.target)
    current = posixpath.join(folder, "current")
    back = Remove(current) if seen.previous == NOWHERE else Link(current, seen.previous)
    return [back, Remove(posixpath.join(folder, "previous")), *again]


def plan_service(facts: Facts, wish: Wish, order: DeployOrder) -> list[Command]:
    """Have the holder of the port running, of whatever release: it starts the one that is wished itself."""
    stands = _front_release(facts)
    wish = replace(wish, release=stands) if stands in facts.releases else wish
    return service.plan(facts, wish, definition(facts, wish.host, order))


def _front_release(facts: Facts) -> str:
    """Return the release of the front that is set up; empty where there is none."""
    text = facts.unit.text if facts.unit else " ".join(facts.supervised.argv) if facts.supervised else ""
    found = re.search(r"/releases/([0-9a-f]{12})\b", text)
    return found[1] if found and FRONT in text else ""


def hands_over(facts: Facts, order: DeployOrder) -> bool:
    """Tell whether the front has not come to an end yet with the order."""
    front = facts.target.front if facts.target else None
    return front is not None and front.get("seen") != pointer(order)


def refusal(facts: Facts, order: DeployOrder) -> str:
    """Return why the order's software did not take over; empty while it may."""
    front = facts.target.front if facts.target else None
    seen = (front or {}).get("seen") == pointer(order)
    return str((front or {}).get("refused") or "") if seen else ""


def plan_retention(facts: Facts, order: DeployOrder) -> list[Command]:
    """After the proof: forget `previous`, trust its signer alone, and keep the last three generations.

    A release stays while it serves, was served by, runs a service of ours, or is the agent's or was before.
    """
    seen = facts.target or TargetFacts()
    folder = layout.target(facts.root, order.target)
    commands: list[Command] = [Remove(posixpath.join(folder, "previous"))] if seen.previous else []
    if seen.trusted != order.trusted:
        commands.append(PutFile(trusted_keys(facts, order), order.trusted))
    numbers = sorted(int(name) for name in seen.generations if name.isdecimal() and name.isascii())
    kept = {*numbers[-KEPT_GENERATIONS:], order.generation}
    old = [layout.generation(facts.root, order.target, number) for number in numbers if number not in kept]
    needed = {order.release, facts.agent.release, facts.previous_release, *(name for _, name in facts.used)}
    old += [layout.release(facts.root, name) for name in facts.releases if name not in needed]
    return [*commands, *(Remove(path) for path in old)]


def _fetch(
    facts: Facts, seen: TargetFacts, order: DeployOrder, model: ModelFile, absent: bool
) -> list[Command]:
    """Have one model file: a link to the current generation's equal one, or a copy of the controller's.

    A file that is there with another hash is always sent anew, so that damage is never linked: the
    generation's own or, behind the same manifest, the current one's.
    """
    name = model.served_as
    path = posixpath.join(layout.generation(facts.root, order.target, order.generation), name)
    if absent and seen.holds(model.config, name, model.sha256) and seen.current != pointer(order):
        return _linked(posixpath.join(layout.target(facts.root, order.target), "current", name), path)
    return [Upload(str(model.path), path, model.sha256)]


def _linked(source: str, path: str) -> list[Command]:
    """Have a second name for a file that is there."""
    folder, name = posixpath.split(path)
    linked = posixpath.join(folder, f".{name}.linked")
    return [Run(("ln", "-f", "--", source, linked)), Rename(linked, path)]
