"""Finding a recorded game by its id."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.store.tables import Game, Shard
from ringrift.errors import BadInput, NotFound


def find_game(session: Session, prefix: str) -> Game:
    """Return a game by its id or the beginning of it; `NotFound` or `BadInput` when not exactly one."""
    if not 8 <= len(prefix) <= 64 or set(prefix) - set("0123456789abcdef"):
        raise BadInput(f"{prefix[:70]!r} is no game", hint="give 8 to 64 digits of its id")
    begun = (col(Game.game_id) >= prefix, col(Game.game_id) < prefix + "g")  # a range, which an index serves
    found = session.exec(select(Game).where(*begun).limit(2)).all()
    if not found:
        raise NotFound(f"no game {prefix!r} is known here")
    if len(found) > 1:
        raise BadInput(f"game {prefix!r} is ambiguous", hint="give more digits")
    return found[0]


def newest_games(session: Session, config: str | None, limit: int) -> list[Game]:
    """Return games of the newest shards, of one config if named."""
    query = select(Game).join(Shard, col(Shard.sha256) == col(Game.shard))
    if config:
        query = query.where(Shard.config == config)
    order = (col(Shard.received_at).desc(), col(Game.game_id))
    return list(session.exec(query.order_by(*order).limit(limit)).all())
