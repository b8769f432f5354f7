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
from ringrift.learning.records import GameRecord, decode, game_id
from ringrift.learning.replay import Decision, replay
from ringrift.learning.shards import read_shard
from ringrift.notation.keys import key_of

SHOWN_TARGETS = 6
"""Entries of a search target that are kept, the largest first."""


def from_shard(path: Path, number: int | None, identity: str = "") -> Recording:
    """Return a game of a shard, by number or by its id."""
    records = read_shard(path)
    ids = [game_id(each) for each in records]
    if identity and identity not in ids:
        raise CorruptData(f"shard {path.name} does not hold game {identity[:12]}")
    at = ids.index(identity) if identity else index_of(number, len(records), path)
    found = decode(records[at])
    title = f"game {short(ids[at])}" if identity else title_of(path.name, at, len(records))
    return _from_record(found, title)


def _from_record(found: GameRecord, title: str) -> Recording:
    """Play a record through the rules; its decisions stand between forced plies, which are played too."""
    moves: list[int] = []
    notes: dict[int, Note] = {}
    game = Game.new(found.config, swap=found.header.swap_rule)
    for decision in replay(found):
        moves += _settle(game)
        notes[len(moves)] = _note(found, decision, game)
        moves.append(int(found.moves[decision.index]))
        game.apply(moves[-1])
    moves += _settle(game)
    facts = [
        f"{LETTERS[seat]} {spec.kind}" + (f" {short(spec.model)}" if spec.model else "")
        for seat, spec in enumerate(found.header.seats, start=1)
    ]
    origin = Game.new(found.config, swap=found.header.swap_rule)
    return record(title, origin, moves, notes, facts)


def _settle(game: Game) -> list[int]:
    """Play forced plies and return them."""
    played = []
    while len(legal := game.legal()) == 1:
        game.apply(int(legal[0]))
        played.append(int(legal[0]))
    return played


def _note(found: GameRecord, decision: Decision, game: Game) -> Note:
    values = tuple(float(value) for value in found.root_values()[decision.index])
    begin, end = found.target_starts()[decision.index : decision.index + 2].tolist()
    shares = found.weights[begin:end].astype(float)
    order = np.argsort(-shares, kind="stable")[:SHOWN_TARGETS]
    total = float(shares.sum()) or 1.0
    target = tuple(
        (key_of(game, int(decision.legal[found.ranks[begin + k]])), float(shares[k]) / total) for k in order
    )
    return Note(values if any(values) else (), target)
