"""`agent/agent.json`: who the agent is and, until it is enrolled, its single-use token. Mode 0600."""

from __future__ import annotations

import hashlib
import posixpath

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Link, Merge
from hosts.steps.wish import Wish, interpreter


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Write the file where it differs; settings that are not ours stay.

    A token is written unless the agent was enrolled with exactly it and no other waits.
    """
    agent = facts.agent
    digest = token_digest(wish.token) if wish.token else None
    enrolled = agent.identity_token == digest and agent.token in (None, digest)
    token = None if enrolled else wish.token
    python = interpreter(facts, wish)
    same = (agent.host, agent.release, agent.python, agent.mode) == (wish.host, wish.release, python, 0o600)
    # Without a new token a waiting one stays: the agent erases it itself when it is enrolled.
    if same and (token is None or agent.token == digest):
        return []
    values = [("host", wish.host), ("release", wish.release), ("python", python)]
    if token is not None:
        values.append(("token", token))
    path = posixpath.join(facts.root, "agent", "agent.json")
    write = Merge(path, tuple(values), 0o600, hidden="token")
    if agent.release in (None, wish.release, facts.previous_release):
        return [write]
    # Noted first: afterwards nothing tells any more which release the agent ran before.
    return [Link(layout.previous_release(facts.root), agent.release), write]


def enrolment(facts: Facts, wish: Wish) -> str:
    """Return what names the enrolment that the agent works under; another value means start it anew."""
    if wish.token:
        return token_digest(wish.token)[:12]
    return (facts.agent.token or facts.agent.identity_token or "")[:12]


def token_digest(token: str) -> str:
    """Return the SHA-256 by which facts speak of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
