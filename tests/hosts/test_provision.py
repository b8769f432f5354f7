"""Provisioning real hosts: from nothing to an agent, again without a change, on after every end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stub_release import Ending, Report, StoppedHere

from ringrift.errors import AccessRefused, EnvironmentProblem, NotFound, Unreachable

TOKEN = "token-of-a-test-0123456789"
STEPS = ("facts", "folders", "release", "environment", "warm-up", "agent configuration", "agent service")
STEPS = (*STEPS, "clean-up")
ACTIVE = ("facts", "folders", "release", "agent configuration", "agent service")
"""What a host that stands ready with its interpreter, and is not warmed up, begins with."""


def service_state(root: Path, name: str = "agent") -> dict:
    return json.loads((root / "run" / "services" / f"{name}.json").read_text())


def alive(process: dict) -> bool:
    return Path(f"/proc/{process['pid']}").exists() if sys.platform == "linux" else True


def release_folder(root: Path, release: str) -> Path:
    return root / "releases" / release


def releases(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "releases").iterdir())


def tree(root: Path) -> dict[str, str]:
    """Every file of the release and the agent's configuration, by hash."""
    files = [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    kept = [path for path in files if {"releases", "agent"} & set(path.relative_to(root).parts)]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


async def test_the_real_agent_is_started_from_nothing(fleet, host, report):
    outcome = await fleet.provision(host.spec, TOKEN, report)
    assert list(report.ended) == list(STEPS)
    assert report.ended["agent service"] == "done"
    assert alive(service_state(host.root)["child"])
    assert service_state(host.root)["state"] == "running"
    assert (release_folder(host.root, outcome.release) / "agents" / "__main__.py").exists()
    assert outcome.facts["root"] == str(host.root)
    assert outcome.facts["interpreter"]["packages"]["numpy"]
    assert TOKEN not in json.dumps(outcome.facts)


async def test_every_step_is_reported_once_ended_with_its_seconds_and_before_if_it_does_something(
    stub_fleet, host, report
):
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert [event.name for event in report.events if event.state == "running"] == list(ACTIVE)
    ended = [event for event in report.events if event.state != "running"]
    assert [event.name for event in ended] == list(STEPS)
    assert all(event.state in ("done", "unchanged") and event.seconds >= 0 for event in ended)
    assert [event.name for event in ended if event.state == "done"] == list(ACTIVE[1:])
    assert not any(TOKEN in event.detail for event in ended)


async def test_a_second_time_every_step_is_unchanged_and_the_agent_is_the_same_process(
    stub_fleet, either_host, report
):
    host = either_host
    first = await stub_fleet.provision(host.spec, TOKEN, report)
    before, files = service_state(host.root), tree(host.root)
    report.events.clear()
    second = await stub_fleet.provision(host.spec, TOKEN, report)
    assert set(report.ended.values()) == {"unchanged"}
    assert second.release == first.release
    assert service_state(host.root) == before
    assert tree(host.root) == files


@pytest.mark.parametrize("moment", [*((step, "running") for step in ACTIVE), ("agent service", "done")])
async def test_ended_before_any_step_and_called_again_it_comes_to_the_same_end(
    make_fleet, source, host, report, moment
):
    with pytest.raises(StoppedHere):
        await make_fleet(source=source).provision(host.spec, TOKEN, Ending(*moment))
    outcome = await make_fleet(source=source).provision(host.spec, TOKEN, report)
    assert set(report.ended.values()) <= {"done", "unchanged"}
    assert alive(service_state(host.root)["child"])
    assert releases(host.root) == [outcome.release]


@pytest.mark.parametrize("step", ["folders", "release", "agent configuration", "agent service"])
async def test_a_connection_cut_at_any_step_is_unreachable_and_the_next_call_resumes(
    stub_fleet, host, report, step
):
    async def cutting(event):
        if (event.name, event.state) == (step, "running"):
            await asyncio.to_thread(host.cut)

    with pytest.raises(Unreachable):
        await stub_fleet.provision(host.spec, TOKEN, cutting)
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert alive(service_state(host.root)["child"])


async def test_a_cancelled_provisioning_resumes(stub_fleet, host, report):
    begun = asyncio.Event()

    async def note(event):
        if (event.name, event.state) == ("release", "running"):
            begun.set()

    task = asyncio.create_task(stub_fleet.provision(host.spec, TOKEN, note))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert report.ended["agent service"] == "done"


async def test_the_agents_configuration_is_private_and_holds_host_release_and_token(stub_fleet, host, report):
    outcome = await stub_fleet.provision(host.spec, TOKEN, report)
    path = host.root / "agent" / "agent.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {
        "host": "alpha",
        "release": outcome.release,
        "python": sys.executable,
        "token": TOKEN,
    }


def enrol(root: Path, token: str) -> None:
    """Do what the agent does when it was enrolled."""
    folder = root / "agent"
    (folder / "key").write_text("key")
    digest = hashlib.sha256(token.encode()).hexdigest()
    (folder / "identity.json").write_text(json.dumps({"agent": "a1", "token": digest}))
    settings = json.loads((folder / "agent.json").read_text())
    settings.pop("token")
    (folder / "agent.json").write_text(json.dumps(settings))


async def test_an_enrolled_agent_keeps_its_enrolment_and_is_not_restarted(stub_fleet, host, report):
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert not await stub_fleet.agent_enrolled(host.spec)
    enrol(host.root, TOKEN)
    assert await stub_fleet.agent_enrolled(host.spec)
    before = service_state(host.root)
    for token in (None, TOKEN):
        report.events.clear()
        await stub_fleet.provision(host.spec, token, report)
        assert set(report.ended.values()) == {"unchanged"}
    assert service_state(host.root) == before


async def test_a_new_token_is_written_and_the_agent_started_anew_to_read_it(stub_fleet, host, report):
    await stub_fleet.provision(host.spec, TOKEN, report)
    enrol(host.root, TOKEN)
    before = service_state(host.root)["child"]
    await stub_fleet.provision(host.spec, "another-token-0123456789", report)
    settings = json.loads((host.root / "agent" / "agent.json").read_text())
    assert settings["token"] == "another-token-0123456789"
    assert service_state(host.root)["child"] != before


async def test_a_new_release_is_installed_beside_the_old_and_the_agent_moves_to_it(
    stub_fleet, source, host, report
):
    first = await stub_fleet.provision(host.spec, TOKEN, report)
    before = service_state(host.root)["child"]
    (source / "ringrift" / "new.py").write_text("VALUE = 1\n")
    second = await stub_fleet.provision(host.spec, None, report)
    assert second.release != first.release
    assert service_state(host.root)["child"] != before
    assert f"releases/{second.release}" in " ".join(service_state(host.root)["argv"])
    assert releases(host.root) == sorted([first.release, second.release, "previous"])
    assert (host.root / "releases" / "previous").readlink() == Path(first.release)


async def test_only_the_present_release_and_the_one_before_stay(stub_fleet, source, host, report):
    outcomes = []
    for number in range(3):
        (source / "ringrift" / "new.py").write_text(f"VALUE = {number}\n")
        outcomes.append((await stub_fleet.provision(host.spec, TOKEN, report)).release)
    assert report.ended["clean-up"] == "done"
    assert releases(host.root) == sorted([*outcomes[1:], "previous"])


async def test_an_operators_own_settings_of_the_agent_survive_a_new_release(stub_fleet, source, host, report):
    await stub_fleet.provision(host.spec, TOKEN, report)
    path = host.root / "agent" / "agent.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kinds": ["selfplay"]}))
    (source / "ringrift" / "new.py").write_text("VALUE = 1\n")
    outcome = await stub_fleet.provision(host.spec, TOKEN, report)
    settings = json.loads(path.read_text())
    assert (settings["kinds"], settings["release"]) == (["selfplay"], outcome.release)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_release_is_put_right(stub_fleet, host, report):
    outcome = await stub_fleet.provision(host.spec, TOKEN, report)
    damaged = release_folder(host.root, outcome.release) / "ringrift" / "errors.py"
    damaged.write_text(damaged.read_text() + "\n# changed by hand\n")
    report.events.clear()
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert report.ended["release"] == "done"
    assert "changed by hand" not in damaged.read_text()


async def test_the_warm_up_runs_once_for_releases_with_equal_kernels(make_fleet, source, host, report):
    fleet = make_fleet(source=source, warm=True)
    compiled = host.root / "cache" / "numba" / "compiled"
    first = await fleet.provision(host.spec, TOKEN, report)
    assert report.ended["warm-up"] == "done"
    (source / "agents" / "new.py").write_text("VALUE = 1\n")
    second = await fleet.provision(host.spec, TOKEN, report)
    assert (second.release != first.release, report.ended["warm-up"]) == (True, "unchanged")
    assert compiled.read_text() == "once\n"
    [stamp] = compiled.parent.glob("warm-*.json")
    assert json.loads(stamp.read_text())["python"] == sys.executable
    (source / "ringrift" / "players" / "new.py").write_text("VALUE = 1\n")
    await fleet.provision(host.spec, TOKEN, report)
    assert report.ended["warm-up"] == "done"
    assert compiled.read_text() == "once\nonce\n"


async def test_a_named_interpreter_is_only_checked_and_every_miss_is_named(make_fleet, source, host, report):
    project = (source / "pyproject.toml").read_text()
    wanted = project.replace('"numpy>=1"', '"numpy>=900", "no-such-package>=1"')
    (source / "pyproject.toml").write_text(wanted)
    with pytest.raises(EnvironmentProblem) as caught:
        await make_fleet(source=source).provision(host.spec, TOKEN, report)
    assert "numpy>=900 (has " in caught.value.message
    assert "no-such-package>=1 (missing)" in caught.value.message
    assert "never-there" not in caught.value.message
    assert report.ended["environment"] == "failed"
    assert "agent service" not in report.ended


async def test_without_a_named_interpreter_an_environment_is_made_and_used(
    stub_fleet, source, start_host, report
):
    """The only requirement is pip, which comes with the environment, so that no package index is asked."""
    project = (source / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(re.sub("agent = .*", 'agent = ["pip>=20"]', project))
    host = start_host(python=None)
    with pytest.raises(StoppedHere):
        await stub_fleet.provision(host.spec, TOKEN, Ending("environment", "done"))
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert report.ended["environment"] == "unchanged"
    assert str(host.root / "env" / "bin" / "python") in service_state(host.root)["argv"]
    assert alive(service_state(host.root)["child"])


async def test_an_interpreter_that_does_not_exist_is_named(stub_fleet, start_host, report):
    host = start_host(python="/nowhere/python3")
    with pytest.raises(EnvironmentProblem, match=r"has no Python >= 3\.11"):
        await stub_fleet.provision(host.spec, TOKEN, report)
    assert report.ended["release"] == "failed"


async def test_an_agent_that_does_not_stay_up_fails_the_step_and_shows_its_last_words(
    make_fleet, source, host, report
):
    (source / "agents" / "__main__.py").write_text("raise SystemExit('the token is not accepted')\n")
    with pytest.raises(
        EnvironmentProblem, match="does not stay up; its last words: the token is not accepted"
    ):
        for _ in range(20):  # it may be seen alive for a moment
            await make_fleet(source=source).provision(host.spec, TOKEN, report)
    assert report.ended["agent service"] == "failed"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_root_that_the_login_user_may_not_write_is_refused(stub_fleet, start_host, report, tmp_path):
    tmp_path.joinpath("closed").mkdir(mode=0o500)
    host = start_host(root=tmp_path / "closed" / "root")
    with pytest.raises(AccessRefused, match="may not write"):
        await stub_fleet.provision(host.spec, TOKEN, report)


async def test_a_restarted_agent_is_another_process_of_the_same_program(stub_fleet, host, report):
    await stub_fleet.provision(host.spec, TOKEN, report)
    before = service_state(host.root)
    await stub_fleet.restart_agent(host.spec)
    after = service_state(host.root)
    assert after["argv"] == before["argv"]
    assert after["child"] != before["child"]
    assert not alive(before["child"])


async def test_a_host_without_an_agent_has_none_to_restart(stub_fleet, host):
    with pytest.raises(NotFound, match="no agent to restart"):
        await stub_fleet.restart_agent(host.spec)


async def test_two_hosts_are_provisioned_side_by_side(stub_fleet, start_host):
    hosts = [start_host("alpha"), start_host("beta")]
    await asyncio.gather(*(stub_fleet.provision(one.spec, TOKEN, Report()) for one in hosts))
    assert len({service_state(one.root)["child"]["pid"] for one in hosts}) == 2


async def test_two_operations_on_one_host_do_not_mix(stub_fleet, host):
    reports = [Report(), Report()]
    await asyncio.gather(*(stub_fleet.provision(host.spec, TOKEN, one) for one in reports))
    assert sorted(one.ended["agent service"] for one in reports) == ["done", "unchanged"]


async def test_only_another_login_makes_another_connection(stub_fleet, host, home):
    first = await stub_fleet._remote(host.spec)
    assert await stub_fleet._remote(replace(host.spec, slots=7)) is first
    other = await stub_fleet._remote(replace(host.spec, identity=str(home / "ssh" / "id_ed25519")))
    assert other is not first
    await first.connection.wait_closed()


async def test_a_root_with_spaces_and_shell_characters_works(stub_fleet, start_host, report, tmp_path):
    host = start_host(root=tmp_path / "a root; $(touch owned) 'q'")
    await stub_fleet.provision(host.spec, TOKEN, report)
    assert alive(service_state(host.root)["child"])
    assert not list(tmp_path.rglob("owned"))
    await stub_fleet.provision(host.spec, TOKEN, report)


async def test_what_a_login_shell_prints_is_not_taken_for_facts(stub_fleet, either_host, report):
    host = either_host
    noise = 'echo "Welcome! os=Plan9"\necho "ringrift-facts-end 0"\necho oops >&2\n'
    (host.folder / "home" / ".bashrc").write_text(noise)
    outcome = await stub_fleet.provision(host.spec, TOKEN, report)
    assert outcome.facts["os"] == os.uname().sysname
    assert alive(service_state(host.root)["child"])
