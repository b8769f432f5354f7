"""The numba cache: kernels compiled once per release, interpreter and numba version."""

from __future__ import annotations

import json

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir, PutFile, Run
from hosts.steps.wish import Wish, interpreter, program_environment

COMPILE_SECONDS = 1800.0
MODULE = "ringrift.players.warmup"


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Compile, then leave a stamp that says for whom; with the right stamp there, or `warm` off, nothing."""
    stamp = {"python": interpreter(facts, wish), "numba": _numba(facts), "arch": facts.arch}
    if not wish.warm or facts.warm == stamp:
        return []
    return [
        Mkdir(layout.numba_cache(facts.root)),
        Run(
            (interpreter(facts, wish), "-m", MODULE),
            env=program_environment(facts, wish),
            seconds=COMPILE_SECONDS,
        ),
        PutFile(layout.warm_stamp(facts.root, wish.release), json.dumps(stamp, sort_keys=True)),
    ]


def _numba(facts: Facts) -> str | None:
    return facts.interpreter.packages.get("numba") if facts.interpreter else None
