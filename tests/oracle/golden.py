"""The oracle against recorded games: the first difference, if any."""

from __future__ import annotations

import hashlib
import json

from tests.oracle.lines import slide_choices
from tests.oracle.notation import canonical_state, key_of, lps_counters
from tests.oracle.state import State
from tests.oracle.turn import apply, legal

SET_BY_ENDING = ("cp", "ph", "ss", "wi", "at", "mu", "pe")


def hash16(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def replay(record: dict) -> str:
    """Replay a game of the golden format; return the first difference, empty if there is none."""
    state = State(record["board"], record["players"], record["swapRule"])
    for ply in range(record["n"]):
        problem = _replay_ply(state, record, ply)
        if problem:
            return f"ply {ply}: {problem}"
    ending = record["end"]
    if ending["timing"] == "mid_turn":
        found = {"ph": state.phase, "cp": state.player}
        return "" if found == ending["strictContinuesIn"] else f"goes on in {found}"
    found = (state.over, state.winner, state.reason)
    return "" if found == (True, ending["winner"], ending["reason"]) else f"end {found}"


def _replay_ply(state: State, record: dict, ply: int) -> str:
    moves = {key_of(state.board, move): move for move in legal(state)}
    if hash16("\n".join(sorted(moves))) != record["lh"][ply]:
        recorded = set(record["lg"].get(str(ply), ()))
        return f"{len(moves)} legal moves, recorded {record['lc'][ply]}: {sorted(recorded ^ set(moves))[:9]}"
    key = record["mv"][ply]
    move = moves.get(key)
    if move is None:
        base = moves[key.split("@")[0].split("=")[0]]
        move = {key_of(state.board, choice): choice for choice in slide_choices(state, base)}[key]
    apply(state, move)
    found, last = canonical_state(state), ply == record["n"] - 1
    if last and record["end"]["timing"] == "mid_turn":
        recorded = record["st"][str(ply)]
        wrong = [name for name in found if name not in SET_BY_ENDING and found[name] != recorded[name]]
        return f"last state differs in {wrong}" if wrong else ""
    if hash16(json.dumps(found, sort_keys=True, separators=(",", ":"))) != record["sh"][ply]:
        return f"state after {key}"
    if not last and lps_counters(state) != record["lps"][ply]:
        return f"counters after {key}"
    return ""
