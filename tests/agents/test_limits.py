"""Limits of a job: what breaks them, what survives a restart, and what pausing means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from agents.limits import Breach, Running, Usage, WatchedJob, find_breach, folder_bytes, group_memory
from agents.spool import Spool
from ringrift.protocol.agent import Assignment


def assignment(**limits):
    fields = {"deadline_seconds": 60.0, "memory_limit": 100, "disk_limit": 50}
    return Assignment(assignment="one", job="j", epoch=1, spec={}, lease_seconds=60, **fields | limits)


@pytest.fixture
def spool(tmp_path):
    return Spool.create(tmp_path, assignment(memory_limit=None, disk_limit=None))


@pytest.mark.parametrize(
    ("usage", "breach"),
    [
        (Usage(60.0, 100, 50), None),
        (Usage(60.1, 0, 0), Breach("stopped at its deadline of 60 s")),
        (Usage(1.0, 101, 0), Breach("out of memory: it held 101 of 100 bytes", crash=True)),
        (Usage(1.0, 0, 51), Breach("its files took 51 of 50 bytes of disk")),
    ],
)
def test_a_limit_is_broken_above_its_value_and_named_with_it(usage, breach):
    assert find_breach(assignment(), usage) == breach


def test_limits_that_are_not_set_are_not_broken():
    free = assignment(memory_limit=None, disk_limit=None)
    assert find_breach(free, Usage(1.0, 1 << 60, 1 << 60)) is None


def test_the_time_a_job_ran_is_on_disk_before_it_has_passed(tmp_path):
    path = tmp_path / "running.json"
    first = Running(path, 3600.0)
    for _ in range(400):
        first.add(0.5)
        assert first.seconds <= Running(path, 3600.0).seconds <= first.seconds + 10
    first.close()
    assert Running(path, 3600.0).seconds == 200.0


def test_a_job_that_is_started_again_and_again_comes_to_its_deadline(tmp_path):
    path = tmp_path / "running.json"
    starts = 0
    while Running(path, 600.0).seconds <= 600.0:
        Running(path, 600.0).add(0.0)
        starts += 1
    assert starts <= 61


def test_a_damaged_count_begins_anew(tmp_path):
    path = tmp_path / "running.json"
    path.write_text("{")
    assert Running(path, 60.0).seconds == 0.0


def test_memory_is_that_of_the_whole_group_and_shared_pages_count_once():
    code = (
        "import os, sys\n"
        "held = bytearray(b'x' * (64 << 20))\n"
        "os.fork()\n"
        "os.write(1, b'ready\\n')\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout.readline() == process.stdout.readline() == b"ready\n"
        summed = group_memory(process.pid, 1 << 60)
        divided = group_memory(process.pid, 0)
        assert summed > 2 * (64 << 20) > divided > 64 << 20
    finally:
        process.communicate()


def test_the_folder_of_a_job_is_counted_without_its_inputs(spool):
    before = folder_bytes(spool)
    (spool.inputs / "model").write_bytes(os.urandom(1 << 20))
    assert folder_bytes(spool) == before
    (spool.outputs / "deep").mkdir()
    (spool.outputs / "deep" / "shard").write_bytes(os.urandom(1 << 20))
    assert 1 << 20 <= folder_bytes(spool) - before < 2 << 20


class Held:
    """A reason to pause that a test sets; `seen` is set when the watcher has asked after that."""

    def __init__(self):
        self.reason = ""
        self.asked = threading.Semaphore(0)

    def __call__(self):
        self.asked.release()
        return self.reason

    def set(self, reason):
        self.reason = reason
        for _ in range(2 + self.asked._value):
            self.asked.acquire(timeout=60)


def test_a_job_pauses_as_long_as_there_is_a_reason_and_its_time_stands_still(spool, monkeypatch, tmp_path):
    monkeypatch.setenv("RINGRIFT_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "runners"))
    held, clock = Held(), iter(range(0, 1_000_000, 10))
    job = WatchedJob(spool, "agent_test_runner:hang", held, lambda: 0, lambda: float(next(clock)))
    try:
        process = psutil.Process(json.loads(spool.process.read_bytes())["pid"])
        held.set("disk 93 % full")
        assert process.status() == psutil.STATUS_STOPPED
        ran = job._running.seconds
        held.set("disk 93 % full")
        assert job._running.seconds == ran
        held.set("")
        assert process.status() != psutil.STATUS_STOPPED
    finally:
        job.kill()
        status = job.wait(60)
        job.end()
    assert status == -9
