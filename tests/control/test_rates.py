"""How fast hosts are, as their agents tell it, and how often agents without work ask."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import select

from ringrift.control.domain.leases import idle_pause
from ringrift.control.domain.speed import worth_noting
from ringrift.control.store.tables import Throughput
from ringrift.protocol import agent as wire
from tests.control.doubles import RELEASE, ScriptedAgent
from tests.control.world import CONFIG, World


@pytest.mark.parametrize(("agents", "pause"), [(0, 5.0), (1, 5.0), (500, 5.0), (501, 5.01), (10_000, 100.0)])
def test_a_fleet_of_idle_agents_asks_a_hundred_times_a_second_at_most(agents: int, pause: float) -> None:
    assert idle_pause(5.0, agents) == pytest.approx(pause)


async def test_an_agent_without_work_is_told_a_pause_that_grows_with_the_fleet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = await world.agent("alpha")
    assert (await alpha.lease()).retry_seconds == world.settings.agents.idle_seconds
    monkeypatch.setattr(type(world.context.sessions), "__len__", lambda _: 10_000)
    assert (await alpha.lease()).retry_seconds == 100.0
    await world.enable()
    await world.reconcile("selfplay")
    given = await alpha.lease()
    assert given.assignment is not None and given.retry_seconds < 100.0, "who got work needs no pause"


@pytest.mark.parametrize(
    ("before", "age", "now", "noted"),
    [
        (100.0, 10.0, 105.0, False),
        (100.0, 10.0, 111.0, True),
        (100.0, 10.0, 89.0, True),
        (100.0, 600.0, 100.0, True),
        (0.0, 10.0, 0.0, False),
        (0.0, 10.0, 1.0, True),
    ],
)
def test_a_rate_is_noted_when_it_moved_by_a_tenth_or_is_old(
    before: float, age: float, now: float, noted: bool
) -> None:
    assert worth_noting(before, age, now) == noted


async def tell(agent: ScriptedAgent, **rates: float) -> None:
    """Beat with these rates of self-play, by config."""
    wish = wire.BeatRequest(
        version="0.1.0",
        release=RELEASE,
        incarnation=agent.incarnation,
        telemetry=wire.Telemetry(),
        rates=[wire.Rate(kind="selfplay", config=name, per_hour=rate) for name, rate in rates.items()],
    )
    assert (await agent.post(wire.BEAT, wish.model_dump_json().encode())).status_code == 200


async def noted(world: World) -> dict[tuple[str, str], float]:
    found = await world.read(lambda s: s.exec(select(Throughput)).all())
    assert {row.kind for row in found} <= {"selfplay"}
    return {(row.host, row.config): row.per_hour for row in found}


async def test_rates_that_agents_tell_are_stored_by_host_and_config_and_small_changes_are_not(
    world: World,
) -> None:
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    await tell(alpha, hex8_2p=100.0, square8_2p=40.0)
    await tell(beta, hex8_2p=300.0)
    first = {("alpha", CONFIG): 100.0, ("alpha", "square8_2p"): 40.0, ("beta", CONFIG): 300.0}
    assert await noted(world) == first
    await tell(alpha, hex8_2p=109.0, square8_2p=50.0)
    assert await noted(world) == first | {("alpha", "square8_2p"): 50.0}
    await world.write(lambda s: s.execute(text("UPDATE throughput SET at = at - 600")))
    await tell(alpha, hex8_2p=109.0)
    await tell(beta)
    assert await noted(world) == first | {("alpha", CONFIG): 109.0, ("alpha", "square8_2p"): 50.0}
