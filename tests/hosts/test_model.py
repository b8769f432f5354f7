"""Provisioning of modelled hosts in every state: it ends, what it leaves needs nothing more, it can be cut.

`make model` tries 10,000 pairs of host and wish; `RINGRIFT_MODEL_PAIRS` and `RINGRIFT_MODEL_SEED` say which.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
from model import ModelHost

from hosts import layout
from hosts.provision import STEPS, plan
from hosts.steps import agent_service, service
from hosts.steps.agent_config import token_digest
from hosts.steps.commands import Command
from hosts.steps.wish import Wish
from ringrift.errors import RingRiftError

PAIRS = int(os.environ.get("RINGRIFT_MODEL_PAIRS", "400"))
SEED = int(os.environ.get("RINGRIFT_MODEL_SEED", "1"))
RELEASES = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd")
REQUIREMENTS = (
    "numpy>=2.4,<2.5",
    "numba>=0.68,<0.69",
    "torch>=2.13,<2.14",
    "pydantic>=2; sys_platform == 'linux'",
)
RIGHT = {"numpy": "2.4", "numba": "0.68", "torch": "2.13", "pydantic": "2", "pip": "25.0"}


def commands(host: ModelHost, wish: Wish) -> list[Command]:
    facts = host.look(wish)
    return [command for step in STEPS.values() for command in step(facts, wish)]


def some_wish(chance: random.Random) -> Wish:
    return Wish(
        host=chance.choice(["alpha", "alpha", "beta"]),
        extra="agent",
        release=chance.choice(RELEASES),
        wheel="/ctl/r.whl",
        wheel_sha256="0" * 64,
        record="ringrift-1.dist-info/RECORD",
        kernels=chance.choice(["k1", "k2"]),
        requirements=REQUIREMENTS,
        python=chance.choice([None, None, "/opt/py/bin/python"]),
        warm=chance.random() < 0.8,
        systemd=chance.random() < 0.8,
        slots=chance.choice([1, 2]),
        token=chance.choice([None, "one", "two"]),
    )


def some_packages(chance: random.Random) -> dict[str, str]:
    packages = {name: version for name, version in RIGHT.items() if chance.random() < 0.9}
    return {name: "0.1" if chance.random() < 0.05 else version for name, version in packages.items()}


def some_host(chance: random.Random) -> ModelHost:
    """Return a host as others, earlier provisionings and accidents may have left it."""
    darwin = chance.random() < 0.2
    uid = chance.choice([0, 1000])
    kind = chance.choice(["none", "system" if uid == 0 else "user"])
    host = ModelHost(
        root=chance.choice(["/r", "/work space/50% $HOME"]),
        uid=uid,
        os="Darwin" if darwin else "Linux",
        arch=chance.choice(["x86_64", "aarch64"]),
        systemd="none" if darwin else kind,
        cron=chance.choice([None, [], ["@daily backup"], ["@reboot /old # ringrift ringrift-agent-alpha #"]]),
        base_python=chance.choice(["", "/usr/bin/python3", "/usr/bin/python3"]),
        base_venv=chance.random() < 0.9,
        environment=chance.choice([None, some_packages(chance)]),
        named={"/opt/py/bin/python": some_packages(chance)} if chance.random() < 0.8 else {},
    )
    if chance.random() < 0.3:
        return host
    host.folders = {
        f"{host.root}/{name}".rstrip("/"): chance.choice([mode, mode, 0o777])
        for name, mode in layout.FOLDERS.items()
        if name in ("", "releases", "agent", "run", "run/services") or chance.random() < 0.7
    }
    host.releases = {name: chance.random() < 0.8 for name in RELEASES if chance.random() < 0.6}
    if chance.random() < 0.5:
        host.links[layout.previous_release(host.root)] = chance.choice(RELEASES)
    if chance.random() < 0.7:
        text = chance.choice(
            ['{"kinds": ["selfplay"]}', "garbage", '{"host": "alpha", "release": "bbbbbbbbbbbb"}']
        )
        host.files[f"{host.root}/agent/agent.json"] = (text, chance.choice([0o600, 0o644]))
    host.identity = chance.choice([None, token_digest("one"), token_digest("older")])
    return host


def somewhere(seed: int) -> tuple[ModelHost, Wish]:
    """Return a host, sometimes one that was provisioned for another wish before, and a wish."""
    chance = random.Random(seed)
    host, wish = some_host(chance), some_wish(chance)
    if chance.random() < 0.5:
        before = replace(some_wish(chance), host=wish.host)
        try:
            asked = commands(host, before)
        except RingRiftError:
            return host, wish
        for command in asked[: chance.choice([len(asked), chance.randint(0, len(asked))])]:
            host.do(command)
        if chance.random() < 0.5 and f"{host.root}/agent/agent.json" in host.files:
            host.enrol_if_possible()
        if chance.random() < 0.3:
            for state in host.supervised.values():
                state["state"] = "stopped"
    if chance.random() < 0.3:
        host.supervised["inference-web"] = {
            "state": "running",
            "argv": [f"{host.root}/releases/{RELEASES[0]}"],
        }
    return host, wish


def finished(host: ModelHost, wish: Wish) -> None:
    """Check that nothing is left to do, before the agent enrols itself and afterwards."""
    assert commands(host, wish) == []
    host.enrol_if_possible()
    assert commands(host, wish) == []
    assert plan(host.look(wish), replace(wish, token=None)).lines == ()


@pytest.fixture(scope="module")
def pairs() -> list[tuple[ModelHost, Wish]]:
    """The pairs that a provisioning is possible for."""
    found = []
    for number in range(PAIRS):
        host, wish = somewhere(SEED * 1_000_000 + number)
        before = host.copy()
        try:
            commands(host, wish)
        except RingRiftError:
            assert host == before
            continue
        found.append((host, wish))
    assert len(found) > PAIRS / 2
    return found


def test_after_provisioning_nothing_is_left_to_do_and_exactly_the_wished_agent_runs(pairs):
    for host, wish in pairs:
        host = host.copy()
        for command in commands(host, wish):
            host.do(command)
        facts = host.look(wish)
        by_supervisor = host.supervised.get("agent", {}).get("state") == "running"
        assert by_supervisor == (service.keeper(facts, wish) == "supervisor")
        unit = host.units.get(agent_service.unit(wish.host), ("", False))
        assert unit[1] != by_supervisor
        assert not unit[1] or unit[0] == facts.unit.text
        assert host.releases[wish.release]
        finished(host, wish)


def test_cut_after_any_command_or_in_its_middle_and_begun_again_it_comes_to_the_same_end(pairs):
    chance = random.Random(SEED)
    for host, wish in pairs:
        asked = commands(host, wish)
        whole, cut = host.copy(), host.copy()
        for command in asked:
            whole.do(command)
        place = chance.randint(0, len(asked))
        for command in asked[:place]:
            cut.do(command)
        if place < len(asked) and chance.random() < 0.5:
            cut.half(asked[place])
        for command in commands(cut, wish):
            cut.do(command)
        finished(cut, wish)
        assert (cut.units, cut.supervised, cut.cron) == (whole.units, whole.supervised, whole.cron)
        assert set(cut.releases) == set(whole.releases)


def test_the_release_before_and_those_of_other_services_survive(pairs):
    for host, wish in pairs:
        others = {state["argv"][-1][-12:] for name, state in host.supervised.items() if name != "agent"}
        before = host.look(wish).agent.release
        kept = ({before, *others} & set(host.releases)) | {wish.release}
        after = host.copy()
        for command in commands(after, wish):
            after.do(command)
        assert kept <= set(after.releases)


def test_the_hash_of_a_plan_tells_its_commands_and_not_what_changes_by_itself(pairs):
    for host, wish in pairs[:100]:
        facts = host.look(wish)
        first = plan(facts, wish)
        passing = facts.model_copy(update={"disk_free_kib": 7, "boot": "another", "applied": "x"})
        assert plan(passing, replace(wish, token="another")).hash == first.hash
        assert plan(facts, replace(wish, slots=9)).hash != first.hash
        assert plan(facts.model_copy(update={"arch": "riscv64"}), wish).hash != first.hash
        done = host.copy()
        asked = commands(host, replace(wish, token=None))
        for command in asked:
            done.do(command)
        assert (plan(done.look(wish), wish).hash == first.hash) == (not asked)
