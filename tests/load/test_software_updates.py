"""Other software on a target that is asked all the time: a controller, an sshd and a service, all real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("torch")
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game
from tests.load.stand import CONFIG, Stand, standing

ASKERS = 2
PAUSE_SECONDS = 0.1


@asynccontextmanager
async def asked(stand: Stand, name: str) -> AsyncIterator[list[tuple[int, str | None]]]:
    """Ask a target for moves all the time; yields what came back: status, 0 for no answer, and model."""
    body = {"game_state": dump_game(Game.new(GameConfig.parse(CONFIG))), "player_number": 1, "difficulty": 5}
    seen: list[tuple[int, str | None]] = []
    enough = asyncio.Event()

    async def ask() -> None:
        while not enough.is_set():
            try:
                answer = await stand.services.post(f"http://127.0.0.1:{stand.ports[name]}/move", json=body)
                seen.append((answer.status_code, answer.json().get("model")))
            except httpx.TransportError as error:
                seen.append((0, repr(error)))
            await asyncio.sleep(PAUSE_SECONDS)

    askers = [asyncio.create_task(ask()) for _ in range(ASKERS)]
    try:
        yield seen
    finally:
        enough.set()
        await asyncio.gather(*askers)


async def runs(stand: Stand) -> tuple[str, int]:
    """Return release and process, as the service itself tells them."""
    health = await stand.health("t1")
    return health["release"], health["pid"]


def states(view: Any) -> list[str]:
    return [row["state"] for row in view["targets"]]


@pytest.mark.timeout(900)
async def test_releases_come_and_go_without_a_lost_request_and_one_that_does_not_start_replaces_nothing(
    tmp_path: Path,
) -> None:
    async with standing(tmp_path, 1, "[rollouts]\nbake_seconds = 0.2\n") as stand:
        model = await stand.model(1)
        await stand.promote(model)
        assert (await stand.deploy())["state"] == "succeeded"
        first, _ = await runs(stand)
        package = tmp_path / "source" / "inference"
        async with asked(stand, "t1") as seen:
            (package / "later.py").touch()
            assert states(await stand.deploy(software=True)) == ["succeeded"]
            second, process = await runs(stand)
            assert second != first

            main = (package / "__main__.py").read_text()
            (package / "__main__.py").write_text(f"raise SystemExit('a module is missing')\n{main}")
            broken = await stand.deploy(software=True)
            assert (broken["state"], states(broken)) == ("failed", ["rolled_back"])
            assert "does not take over: it ended with 1" in broken["reason"]
            assert await runs(stand) == (second, process)

            await stand.promote(await stand.model(2, parent=model))
            assert (await stand.deploy())["state"] == "succeeded"
            assert await runs(stand) == (second, process), "models come without other software"

            assert (await stand.deploy(software=True, release=first))["state"] == "succeeded"
            assert (await runs(stand))[0] == first
            asked_before = len(seen)
            while len(seen) < asked_before + ASKERS:
                await asyncio.sleep(0.05)
        assert {status for status, _ in seen} == {200}
        assert len({model for _, model in seen}) == 2, "every answer is of a champion's"
        shown = await stand.get("/targets/t1")
        assert (shown["release"], shown["state"]) == (first, "serving")
