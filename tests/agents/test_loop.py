"""The beat loop: what becomes of the slots when it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agents.loop import Agent
from agents.settings import AgentFile, Layout
from ringrift.protocol.agent import BeatReply, LeaseReply


class Faulty:
    """A controller whose second answer to a beat trips over a defect."""

    incarnation = "first"

    def __init__(self) -> None:
        self.connection = self
        self.beats = 0

    def beat(self, request: Any) -> BeatReply:
        self.beats += 1
        if self.beats > 1:
            raise ValueError("a defect")
        return BeatReply(next_beat_seconds=0.2)

    def lease(self, request: Any) -> LeaseReply:
        return LeaseReply(retry_seconds=60.0)

    def wait_for_change(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)


def test_an_agent_that_can_beat_no_more_ends_its_slots_so_that_it_is_started_anew(tmp_path):
    layout = Layout(tmp_path)
    layout.prepare()
    settings = AgentFile(host="alpha", disk_floor_bytes=0)
    stopping = threading.Event()
    agent = Agent(layout, settings, Faulty(), 2, "no:runner", stopping)
    try:
        with pytest.raises(ValueError, match="a defect"):
            agent.run()
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("slot-")] == []
    finally:
        stopping.set()


class Hostile(Faulty):
    """A controller whose first answers to a lease are no answers at all."""

    def __init__(self, stopping: threading.Event) -> None:
        super().__init__()
        self.leases = 0
        self._stopping = stopping

    def beat(self, request: Any) -> BeatReply:
        return BeatReply(next_beat_seconds=60.0)

    def lease(self, request: Any) -> LeaseReply:
        self.leases += 1
        if self.leases == 3:
            self._stopping.set()
            return LeaseReply(retry_seconds=0.1)
        raise TypeError("a defect")

    def wait_for_change(self, seconds: float, stop: threading.Event) -> None:
        if seconds > 30.0:
            stop.wait()


def test_a_defect_on_the_way_to_a_lease_costs_no_slot(tmp_path):
    layout = Layout(tmp_path)
    layout.prepare()
    stopping = threading.Event()
    controller = Hostile(stopping)
    Agent(layout, AgentFile(host="alpha", disk_floor_bytes=0), controller, 1, "no:runner", stopping).run()
    assert controller.leases == 3
