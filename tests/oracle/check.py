"""One random game in the engine and in the oracle at once, compared at every ply."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from ringrift.game.config import GameConfig
from ringrift.game.phases import REASON_NAMES
from ringrift.game.play import Game
from ringrift.notation import canonical
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import keyed_moves, move_of
from tests.oracle.board import CONFIGS
from tests.oracle.coverage import Coverage
from tests.oracle.gamestate import to_json
from tests.oracle.notation import canonical_state, key_of, lps_counters
from tests.oracle.policy import POLICIES, choose
from tests.oracle.starts import new_state
from tests.oracle.state import State
from tests.oracle.turn import apply, legal

# Games on a large board last many times longer; with these weights they take about a sixth of the plies.
WEIGHTS = [90 if name.endswith("8") else 2 for name, _ in CONFIGS]


@dataclass
class Played:
    """A compared game: what it met, and the first difference, empty if there is none."""

    board: str
    met: Counter[str] = field(default_factory=Counter)
    difference: str = ""


def play(seed: int, number: int, config: tuple[str, int] | None = None) -> Played:
    """Play game `number` of a seed, on a random config unless one is given."""
    rng = Random(f"{seed} {number}")
    board, players = config or rng.choices(CONFIGS, WEIGHTS)[0]
    state, legacy = new_state(board, players, rng)
    policies = rng.choices(list(POLICIES), k=players)
    coverage, ply, problem = Coverage(), 0, ""
    start = canonical_state(state)
    keys: list[str] = []
    try:
        game = _engine_game(state, legacy)
        problem = compare(game, state)
        while not problem and not state.over:
            problem = play_ply(game, state, policies, rng, coverage, keys)
            ply += 1
    except Exception as error:  # a crash of either side is a finding like any other
        problem = f"{type(error).__name__}: {error}"
    coverage.met.update(games=1, plies=ply)
    if problem:
        problem = f"{board}_{players}p, seed {seed}, game {number}, ply {ply}: {problem}\n" + json.dumps(
            {"start": start, "legacy": legacy, "played": keys, "position": canonical_state(state)}
        )
    return Played(board, coverage.met, problem)


def _engine_game(state: State, legacy: bool) -> Game:
    """Return the engine's game in the oracle's position; an opening is not loaded but started."""
    config = GameConfig(state.board.name, state.players)
    opening = not state.stacks and state.hand[1:] == [config.rings_per_player] * state.players
    if opening and not state.collapsed and not state.markers:
        return Game.new(config, swap=state.swap_rule)
    state.swap_rule = False
    return load_game(to_json(state, legacy))


def play_ply(
    game: Game, state: State, policies: list[str], rng: Random, coverage: Coverage, keys: list[str]
) -> str:
    """Compare the legal sets, play a move in both and compare the positions; return the difference."""
    moves = {key_of(state.board, move): move for move in legal(state)}
    keyed = keyed_moves(game)
    if keyed.keys() != moves.keys():
        extra, missing = sorted(keyed.keys() - moves.keys()), sorted(moves.keys() - keyed.keys())
        return f"legal only in the engine: {extra}; only in the oracle: {missing}"
    choices = [moves[key] for key in sorted(moves)]
    move = choose(state, choices, policies[state.player - 1], rng)
    keys.append(key_of(state.board, move))
    game.apply(move_of(game, keys[-1], keyed))
    coverage.before(state, choices, move)
    apply(state, move)
    coverage.after(state, move)
    return compare(game, state)


def compare(game: Game, state: State) -> str:
    """Return how the positions differ, counters of last player standing and reason of the end included."""
    engine, oracle = canonical.canonical_state(game), canonical_state(state)
    wrong = [
        f"{name}: engine {engine[name]}, oracle {value}"
        for name, value in oracle.items()
        if engine[name] != value
    ]
    reason = REASON_NAMES[game.states[0]["reason"]]
    if reason != state.reason:
        wrong.append(f"reason: engine {reason}, oracle {state.reason}")
    counters, expected = canonical.lps_counters(game), lps_counters(state)
    if counters != expected and not state.over:
        wrong.append(f"counters: engine {counters}, oracle {expected}")
    return "; ".join(wrong)
