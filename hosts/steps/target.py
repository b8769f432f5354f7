"""An inference target: its models by generation, which of them is current, and its service."""

from __future__ import annotations

import json
import posixpath
from typing import Any

from hosts import layout
from hosts.facts import Facts, TargetFacts
from hosts.steps import service
from hosts.steps.commands import Command, Link, Mkdir, PutFile, Remove, Rename, Run, Upload
from hosts.steps.service import Service
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.errors import Conflict

FORMAT = 1
MANIFEST = "manifest.json"
KEPT_GENERATIONS = 3
NOWHERE = "none"
"""What `previous` says when nothing was proven before."""
STOP_SECONDS = 40.0
"""The service answers what is open before it ends: 2 s for idle connections, 30 s for the longest search."""


def file_name(config: str) -> str:
    """Return the name that a config's model has on a target."""
    return f"canonical_{config}.pth"


def pointer(order: DeployOrder) -> str:
    """Return what the `current` link of this deployment says."""
    return f"models/{order.generation}"


def manifest(order: DeployOrder) -> dict[str, Any]:
    """Return the manifest that the service reads: exactly what it must serve."""
    return {
        "format": FORMAT,
        "generation": order.generation,
        "deployment": order.deployment,
        "models": {
            model.config: {
                "file": file_name(model.config),
                "sha256": model.sha256,
                "generation": model.generation,
            }
            for model in order.models
        },
    }


def definition(facts: Facts, host: str, order: DeployOrder) -> Service:
    """Describe the target as a service."""
    folder = layout.target(facts.root, order.target)
    return Service(
        name=service_name(order.target),
        unit=unit(host, order.target),
        arguments=("-m", "inference", "--models", folder, "--host", "127.0.0.1", "--port", str(order.port)),
        stop_seconds=STOP_SECONDS,
    )


def service_name(target: str) -> str:
    """Return the name of a target's service below a root."""
    return f"inference-{target}"


def unit(host: str, target: str) -> str:
    """Return the name of a target's systemd unit."""
    return f"ringrift-inference-{host}-{target}"


def plan_models(facts: Facts, order: DeployOrder) -> list[Command]:
    """Have the generation's folder complete; its manifest is written last.

    What the current generation has already is linked, not sent again. Raises Conflict when the number is
    taken by other models that are being served.
    """
    seen = facts.target or TargetFacts()
    wanted = manifest(order)
    folder = layout.generation(facts.root, order.target, order.generation)
    commands: list[Command] = [Mkdir(folder)]
    present = dict(seen.files)
    if seen.manifest is not None and seen.manifest != wanted:
        if seen.current == pointer(order):
            raise Conflict(
                f"{order.target} serves generation {order.generation} with other models",
                hint="deploy under a newer generation",
            )
        commands.insert(0, Remove(folder))
        present.clear()
    missing = [model for model in order.models if present.get(file_name(model.config)) != model.sha256]
    if seen.manifest == wanted and not missing:
        return []
    for model in missing:
        commands += _fetch(facts, seen, order, model, present.get(file_name(model.config)) is None)
    text = json.dumps(wanted, indent=1, sort_keys=True) + "\n"
    return [*commands, PutFile(posixpath.join(folder, MANIFEST), text)]


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
    """Have the service running."""
    return service.plan(facts, wish, definition(facts, wish.host, order))


def plan_retention(facts: Facts, order: DeployOrder) -> list[Command]:
    """After the proof: forget `previous`, and remove generations beyond the last three."""
    seen = facts.target or TargetFacts()
    folder = layout.target(facts.root, order.target)
    commands: list[Command] = [Remove(posixpath.join(folder, "previous"))] if seen.previous else []
    numbers = sorted(int(name) for name in seen.generations if name.isdecimal() and name.isascii())
    kept = {*numbers[-KEPT_GENERATIONS:], order.generation}
    old = [layout.generation(facts.root, order.target, number) for number in numbers if number not in kept]
    return [*commands, *(Remove(path) for path in old)]


def _fetch(
    facts: Facts, seen: TargetFacts, order: DeployOrder, model: ModelFile, absent: bool
) -> list[Command]:
    """Have one model file: a link to the current generation's equal one, or a copy of the controller's.

    A file that is there with another hash is always sent anew, so that damage is never linked twice.
    """
    name = file_name(model.config)
    path = posixpath.join(layout.generation(facts.root, order.target, order.generation), name)
    if absent and _served(seen, model.config) == model.sha256 and seen.current != pointer(order):
        source = posixpath.join(layout.target(facts.root, order.target), "current", name)
        linked = posixpath.join(posixpath.dirname(path), f".{name}.linked")
        return [Run(("ln", "-f", "--", source, linked)), Rename(linked, path)]
    return [Upload(str(model.path), path, model.sha256)]


def _served(seen: TargetFacts, config: str) -> object:
    """Return the SHA-256 that the manifest behind `current` gives for a config, or None."""
    models = (seen.served or {}).get("models")
    entry = models.get(config) if isinstance(models, dict) else None
    return entry.get("sha256") if isinstance(entry, dict) else None
