"""Recorded games from shards, with what the search thought."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ringrift.cli.boards.formats import index_of, title_of
from ringrift.cli.boards.recording import Note, Recording, record
from ringrift.client.display import short
from ringrift.draw.palette import LETTERS
from ringrift.errors import CorruptData
from ringrift.game.play import Game
from ringrift.learning.records import GameRecord
from ringrift.learning.replay import Decision, replay
from ringrift.learning.shards import read_shard
from ringrift.notation.keys import key_of

SHOWN_TARGETS = 6
"""Entries of a search target that are kept, the largest first."""


def from_shard(path: Path, number: int | None, identity: str = "") -> Recording:
    """Return a game of a shard, by number or by its id."""
    records = read_shard(path)
    ids = [each.id for each in records] if identity else []
    if identity and identity not in ids:
        raise CorruptData(f"shard {path.name} does not hold game {identity[:12]}")
    at = ids.index(identity) if identity else index_of(number, len(records), path)
    title = f"game {short(identity)}" if identity else title_of(path.name, at, len(records))
    return _from_record(records[at], title)


def _from_record(found: GameRecord, title: str) -> Recording:
    """Play a record through the rules; its decisions stand between forced plies, which are played too."""
    moves: list[int] = []
    notes: dict[int, Note] = {}
    game = Game.new(found.config, swap=found.header.swap_rule)
    values, starts = found.root_values().tolist(), found.target_starts().tolist()
    for decision in replay(found):
        moves += _settle(game)
        target = slice(starts[decision.index], starts[decision.index + 1])
        notes[len(moves)] = Note(_values(values[decision.index]), _target(found, decision, game, target))
        moves.append(decision.move)
        game.apply(moves[-1])
    moves += _settle(game)
    facts = [
        f"{LETTERS[seat]} {spec.kind}" + (f" {short(spec.model)}" if spec.model else "")
        for seat, spec in enumerate(found.header.seats, start=1)
    ]
    origin = Game.new(found.config, swap=found.header.swap_rule)
    return record(title, origin, moves, notes, [*facts, f"id {short(found.id)}"])


def _settle(game: Game) -> list[int]:
    """Play forced plies and return them."""
    played = []
    while len(legal := game.legal()) == 1:
        game.apply(int(legal[0]))
        played.append(int(legal[0]))
    return played


def _values(values: list[float]) -> tuple[float, ...]:
    """Return the root values of the seats; none where there was no search."""
    return tuple(values) if any(values) else ()


def _target(
    found: GameRecord, decision: Decision, game: Game, entries: slice
) -> tuple[tuple[str, float], ...]:
    """Return the largest entries of a search target by key, as shares of the whole target."""
    ranks, shares = found.ranks[entries], found.weights[entries].astype(float)
    keys = [key_of(game, int(decision.legal[rank])) for rank in ranks]
    largest = np.argsort(-shares, kind="stable")[:SHOWN_TARGETS].tolist()
    return tuple((keys[k], float(shares[k] / shares.sum())) for k in largest)
