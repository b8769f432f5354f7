"""The controller away for a day, in virtual time: nothing is lost, and coming back is spread."""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
import threading
from types import SimpleNamespace

import pytest

from agents.cache import Cache
from agents.clock import CATCH_UP_SECONDS, Outage
from agents.files import append_line
from agents.loop import Agent
from agents.settings import AgentFile, Layout
from agents.work import Surroundings
from ringrift.errors import NotFound, Unreachable
from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import ResultAnswer

HOUR = 3600.0
UNIT_SECONDS = 600.0
UNIT_BYTES = 1000


class VirtualTime:
    """Time that passes only while every thread of the agent waits; then the earliest of them goes on."""

    def __init__(self, threads):
        self.now = 0.0
        self._threads = threads
        self._changed = threading.Condition()
        self._waiting = []
        self._numbers = itertools.count()

    def __call__(self):
        return self.now

    def sleep(self, seconds, stop):
        with self._changed:
            turn = (self.now + seconds, next(self._numbers))
            heapq.heappush(self._waiting, turn)
            self._pass()
            while turn in self._waiting and not stop.is_set():
                self._changed.wait(0.05)

    def _pass(self):
        if len(self._waiting) >= self._threads:
            due, _ = heapq.heappop(self._waiting)
            self.now = max(self.now, due)
            self._changed.notify_all()


class Job:
    """A job that finishes one unit every ten minutes, and pauses while it is told to."""

    breach = None

    def __init__(self, spool, around, units, made):
        self._spool, self._around, self._made = spool, around, made
        self._units = iter(sorted(set(range(units)) - spool.done()))
        self._stop = threading.Event()

    def wait(self, seconds):
        self._around.clock.sleep(UNIT_SECONDS, self._stop)
        if self._around.hold() or self._stop.is_set():
            return None if not self._stop.is_set() else -9
        sequence = next(self._units, None)
        if sequence is None:
            return 0
        data = str(sequence).encode().ljust(UNIT_BYTES, b".")
        self._made.append((sequence, self._around.clock.now))
        (self._spool.outputs / f"{sequence}").write_bytes(data)
        artifact = {"path": f"{sequence}", "sha256": f"{sequence:064x}", "size": UNIT_BYTES}
        event = {"type": "result", "sequence": sequence, "payload": {}, "artifacts": [artifact]}
        append_line(self._spool.events, event, durable=False)
        return None

    def kill(self):
        self._stop.set()

    def end(self):
        self._stop.set()


class World:
    """A controller that is away between two moments, and gives one job of many units."""

    incarnation = "first"

    def __init__(self, away, units):
        self.time = VirtualTime(threads=2)
        self.connection = self
        self.stopping = threading.Event()
        self.made = []
        self.idle = []
        self.delivered = []
        self.calls_while_away = []
        self.together, self.old = [], False
        self._away = away
        self._units = units
        self._leased = False

    def _answer(self, what):
        if self._away[0] <= self.time.now < self._away[1]:
            self.calls_while_away.append((what, self.time.now))
            raise Unreachable("away")

    def wait_for_change(self, seconds, stop):
        self.time.sleep(seconds, stop)

    def beat(self, request):
        self._answer("beat")
        self.idle.append((self.time.now, request.idle))
        return wire.BeatReply(next_beat_seconds=15.0)

    def lease(self, request):
        self._answer("lease")
        if self._leased:
            return wire.LeaseReply(retry_seconds=60.0)
        self._leased = True
        spec = {"kind": "selfplay", "config": "hex8_2p", "player": {"kind": "random"}}
        spec |= {"shards": self._units, "games_per_shard": 1, "seed": 1}
        return wire.LeaseReply(
            assignment=wire.Assignment(
                assignment="one", job="j", epoch=1, spec=spec, lease_seconds=60, deadline_seconds=1e6
            )
        )

    def files(self, assignment):
        return self

    def upload(self, sha256, path, go_on):
        self._answer("upload")

    def result(self, request):
        self._answer("result")
        self.delivered.append((request.sequence, self.time.now))
        return wire.ResultReply(accepted=True)

    def results(self, requests):
        if self.old:
            raise NotFound("no such path")
        self._answer("results")
        self.together.append(len(requests))
        return [ResultAnswer(reply=self.result(request)) for request in requests]

    def finish(self, request):
        self._answer("finish")
        assert request.outcome == "succeeded", request
        self.stopping.set()
        return wire.FinishReply(accepted=True)


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Let an agent live in a world until its one job is finished."""
    monkeypatch.setattr("agents.loop.measure", lambda folder: wire.Telemetry())

    def run(world, units, spool_bytes=1 << 30, floor=0):
        layout = Layout(tmp_path)
        layout.prepare()
        settings = AgentFile(host="alpha", disk_floor_bytes=floor, spool_bytes=spool_bytes)
        agent = Agent(layout, settings, world, 1, "no:runner", world.stopping, around=None)
        agent._around = Surroundings(
            "alpha",
            world,
            Cache(layout.cache, 1 << 20),
            "no:runner",
            agent._hold,
            world.time,
            Outage(world.time, random.Random(3)),
            start=lambda spool, outbox, around: Job(spool, around, units, world.made),
        )
        agent._outage = agent._around.outage
        agent.run()

    return run


def test_a_day_without_the_controller_loses_nothing_and_stops_no_work(live):
    away = (1 * HOUR, 25 * HOUR)
    world = World(away, units=180)
    live(world, 180)
    assert [sequence for sequence, _ in world.delivered] == list(range(180))
    late = [at for _, at in world.delivered if at >= away[1]]
    assert len(late) > 140
    assert {what for what, _ in world.calls_while_away} <= {"beat", "lease", "upload"}
    asked = [at for what, at in world.calls_while_away if what != "beat"]
    assert len(asked) <= 2


@pytest.mark.parametrize("old", [False, True])
def test_waiting_results_go_together_but_one_by_one_to_a_controller_of_the_version_before(live, old):
    world = World((1 * HOUR, 25 * HOUR), units=60)
    world.old = old
    live(world, 60)
    assert [sequence for sequence, _ in world.delivered] == list(range(60))
    assert bool(world.together) != old
    assert all(size > 1 for size in world.together)


def test_production_stops_at_the_spools_limit_and_goes_on_afterwards(live):
    world = World((1 * HOUR, 25 * HOUR), units=60)
    live(world, 60, spool_bytes=20 * UNIT_BYTES)
    assert [sequence for sequence, _ in world.delivered] == list(range(60))
    kept = [at for _, at in world.made if 1 * HOUR <= at < 25 * HOUR]
    assert len(kept) == 21
    assert max(kept) < 5 * HOUR
    assert [sequence for sequence, _ in world.made] == list(range(60))


def test_a_full_disk_pauses_production_until_there_is_room_and_is_told(live, monkeypatch):
    world = World((0.0, 0.0), units=40)

    def usage(folder):
        share = 93 if 2 * HOUR <= world.time.now < 4 * HOUR else 86 if world.time.now >= 6 * HOUR else 50
        return SimpleNamespace(total=100 << 30, used=share << 30, free=(100 - share) << 30)

    monkeypatch.setattr("agents.disk.shutil.disk_usage", usage)
    live(world, 40, floor=None)
    assert [sequence for sequence, _ in world.made] == list(range(40))
    assert not [at for _, at in world.made if 2 * HOUR <= at < 4 * HOUR]
    assert {round(at / HOUR) for at, idle in world.idle if "93 % full" in idle} == {2, 3, 4}
    assert all("limit is 85 %" in idle for at, idle in world.idle if at >= 6 * HOUR)
    assert not [at for at, idle in world.idle if idle and at < 2 * HOUR]


def test_a_fleet_that_comes_back_spreads_its_deliveries_over_a_minute():
    starts = []
    for number in range(400):
        now = [0.0]
        outage = Outage(lambda now=now: now[0], random.Random(number))
        outage.begin()
        now[0] = 24 * HOUR
        assert outage.pause() > 0
        outage.end()
        starts.append(outage.pause())
    assert min(starts) >= 0.0 and max(starts) <= CATCH_UP_SECONDS
    deciles = statistics.quantiles(starts, n=10)
    for number, decile in enumerate(deciles, start=1):
        assert decile == pytest.approx(number * CATCH_UP_SECONDS / 10, abs=6.0)


def test_a_blink_of_the_tunnel_delays_nothing_for_long():
    now = [0.0]
    outage = Outage(lambda: now[0], random.Random(1))
    assert outage.pause() == 0.0
    outage.begin()
    now[0] = 2.0
    outage.begin()
    outage.end()
    assert outage.pause() <= 0.5
    outage.end()
    now[0] = 3.0
    assert outage.pause() == 0.0
