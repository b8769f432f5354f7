"""One look and at most one program that changes a host: counted, locked, exact about what failed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stub_release import Report

from agents.processes import Process
from hosts.apply import BOOTSTRAP, Stale, StepFailed, _Listening, apply
from hosts.apply_script import do
from hosts.facts import Question, gather
from hosts.remote import Remote
from hosts.steps.commands import Link, Merge, Mkdir, PutFile, Remove, Run, Unpack, describe, wire
from ringrift import failpoints
from ringrift.errors import AccessRefused, CorruptData, EnvironmentProblem, Refused

TOKEN = "token-of-a-test-0123456789"
SCRIPT = Path(sys.modules["hosts.apply"].__file__).with_name("apply_script.py").read_bytes()


@pytest.fixture
def executed(monkeypatch) -> list[str]:
    """Collect the name of every program that is run on a host, and `sftp` for an SFTP session."""
    names: list[str] = []
    run = Remote.run

    async def counted(self, argv, **more):
        names.append("look" if argv[:2] == ["sh", "-s"] else "change" if BOOTSTRAP in argv else argv[0])
        return await run(self, argv, **more)

    monkeypatch.setattr(Remote, "run", counted)
    return names


@pytest.fixture
async def facts(remote, host):
    return await gather(remote, Question(root=str(host.root), python=sys.executable))


async def told(_step: str, _seconds: float | None) -> None:
    return


async def test_from_nothing_it_takes_three_programs_and_a_second_time_one(stub_fleet, host, report, executed):
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert executed == ["look", "change", "look"]
    executed.clear()
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert executed == ["look"]


async def test_a_plan_is_one_look_changes_nothing_and_is_carried_out_as_it_was_made(
    stub_fleet, host, report, executed
):
    planned = await stub_fleet.plan(host.spec)
    assert executed == ["look"]
    assert not host.root.exists()
    assert [line.partition(":")[0] for line in planned.lines] == [
        "folders",
        "release",
        "agent configuration",
        "agent service",
    ]
    assert planned.facts["root"] == str(host.root)
    assert planned.facts["survives_reboot"] is False
    assert (await stub_fleet.plan(host.spec)).hash == planned.hash
    await stub_fleet.provision(host.spec, TOKEN, report, planned.hash)
    assert report.ended["agent service"] == "done"
    assert (await stub_fleet.plan(host.spec)).lines == ()


async def test_a_host_or_a_wish_that_changed_since_the_plan_is_refused_and_left_alone(
    stub_fleet, host, report
):
    planned = await stub_fleet.plan(host.spec)
    with pytest.raises(Refused, match="the host changed since the plan; plan again"):
        await stub_fleet.provision(replace(host.spec, slots=9), TOKEN, report, planned.hash)
    (host.root / "agent").mkdir(parents=True)
    with pytest.raises(Refused, match="plan again"):
        await stub_fleet.provision(host.spec, TOKEN, report, planned.hash)
    assert [path.name for path in host.root.iterdir()] == ["agent"]


async def test_a_step_that_fails_is_named_with_exit_status_and_output_and_ends_the_work(remote, facts, host):
    steps = [
        ("first", [Mkdir(str(host.root / "made"))]),
        ("second", [Run(("sh", "-c", "echo the reason >&2; exit 7")), PutFile(str(host.root / "x"), "")]),
        ("third", [PutFile(str(host.root / "y"), "")]),
    ]
    with pytest.raises(StepFailed) as caught:
        await apply(remote, facts, steps, told)
    assert caught.value.step == "second"
    assert isinstance(caught.value.error, EnvironmentProblem)
    assert "step second: sh -c echo the reason" in caught.value.error.message
    assert "ended with 7: the reason" in caught.value.error.message
    assert sorted(path.name for path in host.root.iterdir()) == [".apply.lock", "made"]


async def test_a_program_that_takes_too_long_is_killed_with_what_it_started(remote, facts, tmp_path):
    number = tmp_path / "number"
    slow = Run(("sh", "-c", f"sleep 600 & echo $! > '{number}'; wait"), seconds=0.5)
    with pytest.raises(StepFailed, match="only") as caught:
        await apply(remote, facts, [("only", [slow])], told)
    assert "did not succeed" in caught.value.error.message
    async with asyncio.timeout(10):  # a process that was sent SIGKILL is still there for a moment
        while Process.of(int(number.read_text())) is not None:
            await asyncio.sleep(0.01)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_refused_access(remote, facts):
    with pytest.raises(StepFailed) as caught:
        await apply(remote, facts, [("only", [PutFile("/etc/ringrift-x", "")])], told)
    assert isinstance(caught.value.error, AccessRefused)


async def test_a_host_that_somebody_else_changed_since_the_look_is_looked_at_again(remote, facts, host):
    first = await apply(remote, facts, [("only", [Mkdir(str(host.root / "a"))])], told)
    with pytest.raises(Stale):
        await apply(remote, facts, [("only", [Mkdir(str(host.root / "b"))])], told)
    assert not (host.root / "b").exists()
    again = await gather(remote, Question(root=str(host.root), python=sys.executable))
    assert again.applied == first
    await apply(remote, again, [("only", [Mkdir(str(host.root / "b"))])], told)
    assert (host.root / "b").is_dir()


async def test_two_controllers_on_one_host_wait_for_each_other(make_fleet, source, host):
    reports = [Report(), Report()]
    fleets = [make_fleet(source=source) for _ in reports]
    provisionings = zip(fleets, reports, strict=True)
    await asyncio.gather(*(fleet.provision(host.spec, TOKEN, report) for fleet, report in provisionings))
    assert sorted(report.ended["release"] for report in reports) == ["done", "unchanged"]
    assert (await fleets[0].plan(host.spec)).lines == ()


async def test_it_waits_while_another_change_of_which_nobody_knows_goes_on(
    stub_fleet, host, report, executed
):
    host.root.mkdir()
    with (host.root / ".apply.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        task = asyncio.create_task(stub_fleet.provision(host.spec, TOKEN, report))
        while "change" not in executed:
            await asyncio.sleep(0.01)
        lock.write("another")
        lock.flush()
        assert [path.name for path in host.root.iterdir()] == [".apply.lock"]
    await task
    assert executed == ["look", "change", "look", "change", "look"]
    assert report.ended["agent service"] == "done"


GARBAGE = ["{", "[]", "7", "{}", '{"state": "running", "step": 9}', '{"state": "failed", "step": 0}']
GARBAGE += ['{"state": "ran", "step": 0, "seconds": "long"}', '{"state": "ran", "step": "x"}']


@pytest.mark.parametrize("text", GARBAGE)
async def test_what_makes_no_sense_is_corrupt_data(text):
    listening = _Listening("alpha", "n", ["only"], told)
    await listening.hear("what a login shell prints")
    with pytest.raises(CorruptData, match="alpha: what it says about its change makes no sense"):
        await listening.hear(f"ringrift-apply n {text}")


def carried_out(root: Path, steps: list, payload: bytes = b"", **changes) -> subprocess.CompletedProcess:
    """Run the script here with an order that may be wrong."""
    order = {"root": str(root), "applied": "", "wait": 1.0, "sent": [], "steps": steps, **changes}
    stdin = SCRIPT + json.dumps(order).encode() + b"\n" + payload
    command = [sys.executable, "-I", "-c", BOOTSTRAP, str(len(SCRIPT)), "n"]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.parametrize("sent", [{"sha256": "0" * 64, "size": 7}, {"sha256": "0" * 64, "size": 9000}])
def test_an_archive_that_did_not_arrive_whole_leaves_everything_as_it_was(tmp_path, sent):
    done = carried_out(tmp_path / "root", [[]], b"damaged", sent=[sent])
    assert done.returncode == 1
    assert b"nothing was done" in done.stderr
    assert not (tmp_path / "root").exists()


def test_settings_are_merged_into_what_stands_there_and_garbage_is_replaced(tmp_path):
    path = tmp_path / "agent.json"
    for before, after in (
        ('{"kinds": ["x"], "token": "t"}', {"kinds": ["x"], "token": "t", "host": "a"}),
        ("[1]", {"host": "a"}),
        ("{", {"host": "a"}),
    ):
        path.write_text(before)
        (tmp_path / ".apply.lock").unlink(missing_ok=True)
        merge = {"do": "Merge", "path": str(path), "values": [["host", "a"]], "mode": 0o600}
        assert carried_out(tmp_path, [[merge]]).returncode == 0
        assert json.loads(path.read_text()) == after
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_small_file_has_its_mode_replaces_the_old_one_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new\nline $(id)"
    for content in ("first", "second"):
        do(wire(PutFile(str(path), content, 0o600)), {})
        assert path.read_text() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for target in ("one", "two"):
        do(wire(Link(str(tmp_path / "current"), target)), {})
    assert (tmp_path / "current").readlink() == Path("two")
    assert list((tmp_path / "one").iterdir()) == []


def test_removing_a_link_leaves_what_it_points_to_and_nothing_there_is_fine(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to("kept")
    for _ in range(2):
        do(wire(Remove(str(tmp_path / "link"))), {})
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    do(wire(Remove(str(tmp_path / "kept"))), {})
    assert list(tmp_path.iterdir()) == []


async def test_an_archive_that_is_damaged_here_is_not_sent(remote, facts, host, tmp_path):
    (tmp_path / "r.whl").write_bytes(b"damaged")
    with pytest.raises(CorruptData, match="it was not sent"):
        unpack = Unpack(str(tmp_path / "r.whl"), str(host.root / "releases" / "r"), "0" * 64)
        await apply(remote, facts, [("only", [unpack])], told)
    assert not host.root.exists()


async def test_no_token_is_in_an_argument_that_other_users_of_the_host_could_see(
    stub_fleet, host, report, monkeypatch
):
    seen: list[str] = []
    run = Remote.run

    async def noted(self, argv, **more):
        seen.extend(argv)
        return await run(self, argv, **more)

    monkeypatch.setattr(Remote, "run", noted)
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert not any(TOKEN in word for word in seen)
    assert TOKEN in (host.root / "agent" / "agent.json").read_text()


async def test_changing_a_host_is_a_named_side_effect_and_looking_is_none(stub_fleet, host, report):
    places: list[tuple[str, str]] = []
    failpoints.watch(lambda name, moment: places.append((name, moment)))
    try:
        await stub_fleet.plan(host.spec)
        assert places == []
        await stub_fleet.provision(host.spec, TOKEN, report)
    finally:
        failpoints.watch(None)
    assert places == [("host.apply", "before"), ("host.apply", "after")]


def test_no_description_shows_what_is_hidden():
    shown = json.dumps(describe(Merge("/a", (("host", "h"), ("token", TOKEN)), hidden="token")))
    assert TOKEN not in shown
    assert '"h"' in shown
