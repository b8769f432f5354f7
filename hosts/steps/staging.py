"""Models that wait on a target for their deployment, each in a folder of its own, proven where it will serve.

`staged/<sha256>/` looks as a generation does, with a signed manifest of its own, so that `inference.verify`
can be asked about it. `proof.json` there says what was proven: which file, with which vectors, by which
release and interpreter. A deployment takes the file over, and asks nothing again that stands in the proof.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Sequence

from hosts import layout
from hosts.facts import Facts, StagedFacts, TargetFacts
from hosts.steps.commands import Command, Mkdir, PutFile, Remove, Upload
from hosts.steps.wish import Wish, interpreter
from ringrift.control.domain.ports import DeployOrder, ModelFile

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
TRUSTED_KEYS = "trusted_keys"
PROOF = "proof.json"
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


def trusted_keys(facts: Facts, order: DeployOrder) -> str:
    """Return the path of the keys that the target's service trusts."""
    return posixpath.join(layout.target(facts.root, order.target), TRUSTED_KEYS)


def plan_trust(facts: Facts, order: DeployOrder) -> list[Command]:
    """Have the order's signer trusted beside those that are: what serves now may be signed by them."""
    seen = facts.target or TargetFacts()
    standing = [line for line in (seen.trusted or "").split() if _PUBLIC_KEY.fullmatch(line)]
    wanted = "".join(f"{line}\n" for line in dict.fromkeys([*standing, order.trusted.strip()]))
    return [] if seen.trusted == wanted else [PutFile(trusted_keys(facts, order), wanted)]


def plan_copies(facts: Facts, target: str, orders: Sequence[DeployOrder]) -> list[Command]:
    """Have the folder of each order's one model complete, and no others but those of what is served.

    The proof of a served model is of use again when it is replaced and then comes back.
    """
    seen = facts.target or TargetFacts()
    wanted = {order.models[0].sha256 for order in orders}
    gone = sorted(seen.staged.keys() - wanted - set(seen.served_models().values()))
    commands: list[Command] = [Remove(layout.staged(facts.root, target, name)) for name in gone]
    for order in orders:
        commands += _copy(facts, seen, order)
    return commands + (plan_trust(facts, orders[0]) if orders else [])


def _copy(facts: Facts, seen: TargetFacts, order: DeployOrder) -> list[Command]:
    (model,) = order.models
    known = seen.staged.get(model.sha256, StagedFacts())
    folder = layout.staged(facts.root, order.target, model.sha256)
    commands: list[Command] = []
    if known.files.get(model.served_as) != model.sha256:
        path = posixpath.join(folder, model.served_as)
        commands += [Mkdir(folder), Upload(str(model.path), path, model.sha256)]
    if (known.manifest, known.signature) != (order.manifest, order.signature):
        commands.append(PutFile(posixpath.join(folder, SIGNATURE), order.signature))
        commands.append(PutFile(posixpath.join(folder, MANIFEST), order.manifest))
    return commands


def plan_proofs(facts: Facts, wish: Wish, orders: Sequence[DeployOrder]) -> list[Command]:
    """Write down what was proven of the models that lie here undamaged.

    After a deployment of them too: what it proved is of use again when a model was replaced and comes back.
    """
    return [
        PutFile(
            posixpath.join(layout.staged(facts.root, order.target, model.sha256), PROOF),
            proof(facts, wish, model),
        )
        for order in orders
        for model in order.models
        if model.sha256 in files(facts, order) and not is_proven(facts, wish, order, model)
    ]


def proof(facts: Facts, wish: Wish, model: ModelFile) -> str:
    """Return what is written of a model that was proven: whatever differs asks for another proof."""
    golden = json.dumps(model.golden and dict(model.golden), sort_keys=True)
    proven = {
        "config": model.config,
        "sha256": model.sha256,
        "golden": hashlib.sha256(golden.encode()).hexdigest(),
        "release": wish.release,
        "engine": wish.extra,
        "python": interpreter(facts, wish),
        "version": facts.interpreter.version if facts.interpreter else None,
        "packages": facts.interpreter.packages if facts.interpreter else None,
    }
    return json.dumps(proven, indent=1, sort_keys=True) + "\n"


def is_proven(facts: Facts, wish: Wish, order: DeployOrder, model: ModelFile) -> bool:
    """Tell whether a model lies on the target whole, with a proof for this release."""
    known = (facts.target or TargetFacts()).staged.get(model.sha256)
    return known is not None and (known.files.get(model.served_as), known.proof) == (
        model.sha256,
        proof(facts, wish, model),
    )


def files(facts: Facts, order: DeployOrder) -> dict[str, str]:
    """Return SHA-256 -> path of the order's models that wait on the target, undamaged."""
    waiting = (facts.target or TargetFacts()).staged
    return {
        model.sha256: posixpath.join(layout.staged(facts.root, order.target, model.sha256), model.served_as)
        for model in order.models
        if model.sha256 in waiting and waiting[model.sha256].files.get(model.served_as) == model.sha256
    }
