"""The numba cache: kernels compiled once per sources, interpreter and numba version."""

from __future__ import annotations

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir, Run
from hosts.steps.wish import Wish, interpreter, program_environment

COMPILE_SECONDS = 1800.0
MODULE = "ringrift.players.warmup"
STAMP = """
import importlib.metadata as metadata, json, os, sys
path, python, arch = sys.argv[1:]
try:
    numba = metadata.version("numba")
except metadata.PackageNotFoundError:
    numba = None
with open(path + ".new", "w") as file:
    json.dump({"python": python, "arch": arch, "numba": numba}, file)
os.replace(path + ".new", path)
"""
"""Written by the interpreter that compiled: a new environment's numba is not known before it is made."""


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Compile, then leave a stamp that says for whom; with the right stamp there, or `warm` off, nothing."""
    python = interpreter(facts, wish)
    numba = facts.interpreter.packages.get("numba") if facts.interpreter else None
    if not wish.warm or facts.warm == {"python": python, "numba": numba, "arch": facts.arch}:
        return []
    stamp = layout.warm_stamp(facts.root, wish.kernels)
    return [
        Mkdir(layout.numba_cache(facts.root)),
        Run((python, "-m", MODULE), env=program_environment(facts, wish), seconds=COMPILE_SECONDS),
        Run((python, "-I", "-c", STAMP, stamp, python, facts.arch)),
    ]
