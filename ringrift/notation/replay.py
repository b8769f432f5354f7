"""Recorded games against the rules: the same legal set and the same state at every ply.

`python -m ringrift.notation.replay FOLDER` replays every `*.jsonl.gz` below a folder and prints a line per
config. The record format is that of the golden games: `mv` the moves as keys, `lc`, `lh` size and hash of the
legal set before each, `sh` and `lps` state hash and counters after each, `end` how the game ended.

A game that was ended in the middle of a turn (`end.timing` = `mid_turn`) goes on under the written rule. Its
last state is compared without the fields that the ending set; phase and player with `end.strictContinuesIn`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.errors import BadInput, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.game.phases import REASON_NAMES
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state, hash16, lps_counters, state_hash
from ringrift.notation.keys import keyed_moves, move_of

SET_BY_ENDING = ("cp", "ph", "ss", "wi", "at", "mu", "pe")


@dataclass(slots=True)
class Tally:
    """Counts of one config."""

    games: int = 0
    plies: int = 0
    differences: list[str] = field(default_factory=list)

    def line(self, config: str) -> str:
        return f"{config}: {self.games} games, {self.plies} plies, {len(self.differences)} differences"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the games of a gzip file with one JSON object a line."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def replay_record(record: dict[str, Any]) -> tuple[int, str]:
    """Return the number of plies replayed, and the first difference (empty if there is none)."""
    game = Game.new(GameConfig(record["board"], record["players"]), swap=record["swapRule"])
    if state_hash(canonical_state(game)) != state_hash(record["st"]["-1"]):
        return 0, "start position"
    for ply in range(record["n"]):
        try:
            problem = _replay_ply(game, record, ply)
        except RingRiftError as error:
            problem = error.line()
        if problem:
            return ply, f"ply {ply}: {problem}"
    return record["n"], _compare_end(game, record["end"])


def _replay_ply(game: Game, record: dict[str, Any], ply: int) -> str:
    keyed = keyed_moves(game)
    keys = sorted(keyed)
    if len(keys) != record["lc"][ply] or hash16("\n".join(keys)) != record["lh"][ply]:
        return f"{len(keys)} legal moves, recorded {record['lc'][ply]}"
    game.apply(move_of(game, record["mv"][ply], keyed))
    last = ply == record["n"] - 1
    if last and record["end"]["timing"] == "mid_turn":
        return _compare_mid_turn(game, record["st"][str(ply)])
    if state_hash(canonical_state(game)) != record["sh"][ply]:
        return f"state after {record['mv'][ply]}"
    if not last and lps_counters(game) != record["lps"][ply]:
        return f"last-player-standing counters after {record['mv'][ply]}"
    return ""


def _compare_mid_turn(game: Game, recorded: dict[str, Any]) -> str:
    state = canonical_state(game)
    wrong = [key for key in recorded if key not in SET_BY_ENDING and state[key] != recorded[key]]
    return f"last state differs in {', '.join(wrong)}" if wrong else ""


def _compare_end(game: Game, end: dict[str, Any]) -> str:
    state = canonical_state(game)
    if end["timing"] == "mid_turn":
        goes_on = {"ph": state["ph"], "cp": state["cp"]}
        return "" if goes_on == end["strictContinuesIn"] else f"goes on in {goes_on}"
    reason = REASON_NAMES[game.states[0]["reason"]]
    found = (game.over, game.winner, reason)
    return "" if found == (True, end["winner"], end["reason"]) else f"end {found}"


def replay_folder(folder: Path) -> dict[str, Tally]:
    """Replay every game below a folder; return the counts by config key."""
    paths = sorted(folder.rglob("*.jsonl.gz"))
    if not paths:
        raise BadInput(f"no *.jsonl.gz below {folder}")
    tallies: dict[str, Tally] = {}
    for path in paths:
        for record in read_records(path):
            tally = tallies.setdefault(GameConfig(record["board"], record["players"]).key, Tally())
            plies, problem = replay_record(record)
            tally.games += 1
            tally.plies += plies
            if problem:
                tally.differences.append(f"{path.parent.name}/{record['id']}: {problem}")
    return tallies


def main(arguments: list[str]) -> int:
    """Replay the given folder and print one line per config; return 1 if anything differs."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m ringrift.notation.replay FOLDER\n")
        return BadInput.exit_status
    try:
        tallies = replay_folder(Path(arguments[0]))
    except (RingRiftError, OSError, EOFError, ValueError) as error:
        sys.stderr.write(f"cannot replay {arguments[0]}: {error}\n")
        return BadInput.exit_status
    for config, tally in sorted(tallies.items()):
        sys.stdout.write("".join(f"{line}\n" for line in (tally.line(config), *tally.differences)))
    return int(any(tally.differences for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
