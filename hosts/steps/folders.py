"""The folders below the host's root, each with the mode it must have."""

from __future__ import annotations

import posixpath

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir
from hosts.steps.wish import Wish
from ringrift.errors import AccessRefused


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Make what is missing; raises AccessRefused when the login user may not write there."""
    if not facts.writable:
        raise AccessRefused(
            f"{wish.host}: {facts.user} may not write to {facts.root}",
            hint="choose another root folder, or give that one to the login user",
        )
    return [
        Mkdir(posixpath.join(facts.root, name) if name else facts.root, mode)
        for name, mode in layout.FOLDERS.items()
        if facts.modes.get(name) != mode
    ]
