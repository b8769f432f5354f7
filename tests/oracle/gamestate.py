"""An oracle position at the start of a turn as GameState JSON, for the engine to load (RULES 7.2)."""

from __future__ import annotations

from tests.oracle.state import State, cap_height


def to_json(state: State, legacy_territory: bool) -> dict:
    """Return the JSON object; with `legacy_territory` it lacks `territoryVictoryMinimum`."""
    cells = len(state.board.xy)
    wire = {
        "board": _board_json(state),
        "players": [
            {
                "playerNumber": seat,
                "ringsInHand": state.hand[seat],
                "eliminatedRings": state.eliminated[seat],
                "territorySpaces": state.territory[seat],
                "isActive": True,
            }
            for seat in state.seats
        ],
        "currentPlayer": state.player,
        "currentPhase": state.phase,
        "moveHistory": [],
        "gameStatus": "active",
        "victoryThreshold": state.ring_threshold,
        "territoryVictoryThreshold": cells // 2 + 1,
        "totalRingsInPlay": state.players * state.board.rings,
    }
    if not legacy_territory:
        wire["territoryVictoryMinimum"] = state.territory_minimum
    return wire


def _board_json(state: State) -> dict:
    board = state.board
    positions = [{"x": x, "y": y, "z": -x - y} if board.hex else {"x": x, "y": y} for x, y in board.xy]
    keys = [",".join(str(value) for value in position.values()) for position in positions]
    return {
        "type": board.name,
        "size": 2 * board.extent + 1 if board.hex else board.extent,
        "stacks": {
            keys[cell]: {
                "position": positions[cell],
                "rings": rings[::-1],
                "stackHeight": len(rings),
                "capHeight": cap_height(rings),
                "controllingPlayer": rings[-1],
            }
            for cell, rings in state.stacks.items()
        },
        "markers": {
            keys[cell]: {"position": positions[cell], "player": seat, "type": "regular"}
            for cell, seat in state.markers.items()
        },
        "collapsedSpaces": {keys[cell]: seat for cell, seat in state.collapsed.items()},
        "eliminatedRings": {str(seat): state.eliminated[seat] for seat in state.seats},
        "formedLines": [],
        "territories": {},
    }
