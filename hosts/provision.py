"""Bringing a host from nothing, or from wherever it stands, to a started agent."""

from __future__ import annotations

import functools
import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hosts import wheel
from hosts.facts import Facts, Question, gather
from hosts.layout import check_root, services
from hosts.remote import Remote
from hosts.runner import Plan, StepRunner, summary
from hosts.steps import agent_config, agent_service, clean_up, environment, folders, release, service, warmup
from hosts.steps.commands import Command, digest
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import HostPlan, HostSpec, ProvisionOutcome, StepReport
from ringrift.errors import EnvironmentProblem, Refused


@dataclass(frozen=True)
class FleetSettings:
    """How hosts are provisioned."""

    warm: bool = True
    """Compile the kernels at provisioning; without it they compile at their first use."""
    systemd: bool = True
    """Use the service manager of the host where there is one; without it always our supervisor, alone."""
    source: Path | None = None
    """Folder that holds the packages to send; by default the one that they are imported from."""


def wish_for(
    host: HostSpec, built: wheel.Release, extra: str, settings: FleetSettings, token: str | None = None
) -> Wish:
    """Return the wished state of a host for this release; `Refused` for one of before there was the extra."""
    if extra not in built.requirements:
        hint = "install a newer one: `ringrift-ctl deploy-inference --software`"
        raise Refused(f"release {built.name} has no engine {extra}", hint=hint)
    return Wish(
        host=host.name,
        extra=extra,
        release=built.name,
        wheel=str(built.path),
        wheel_sha256=built.sha256,
        record=built.record,
        kernels=built.kernels,
        requirements=built.requirements[extra],
        python=host.python,
        warm=settings.warm,
        systemd=settings.systemd,
        slots=host.slots,
        token=token,
    )


def question_for(host: HostSpec, wish: Wish, name: str, unit: str) -> Question:
    """Return what to look at on the host for a service of this name and systemd unit."""
    return Question(
        root=check_root(host.root),
        python=host.python or "",
        release=wish.release,
        record=wish.record,
        kernels=wish.kernels,
        packages=environment.package_names(wish.requirements),
        service=name,
        unit=unit,
    )


class Step(Protocol):
    """A pure function that says what is still to do."""

    def __call__(self, facts: Facts, wish: Wish) -> list[Command]: ...


PREPARATION: dict[str, Step] = {
    "folders": folders.plan,
    "release": release.plan,
    "environment": environment.plan,
    "warm-up": warmup.plan,
}
"""What agents and inference targets share."""
STEPS: dict[str, Step] = {
    **PREPARATION,
    "agent configuration": agent_config.plan,
    "agent service": agent_service.plan,
    "clean-up": clean_up.plan,
}
"""What provisioning goes through, in this order."""
_PASSING: Any = {
    "disk_free_kib": True,
    "boot": True,
    "applied": True,
    "agent": {"enrolled", "identity_token", "token"},
    "supervised": {"last_exit"},
}
"""Facts that change by themselves; where they matter they change the commands."""


def plan(facts: Facts, wish: Wish) -> HostPlan:
    """Return what provisioning would do. A token is not part of a plan, since it is minted when it is needed.

    Raises what a step raises that cannot be carried out on this host.
    """
    wish = replace(wish, token=None)
    commands = {name: step(facts, wish) for name, step in STEPS.items()}
    content = {
        "facts": facts.model_dump(mode="json", exclude=_PASSING),
        "wish": {**asdict(wish), "wheel": ""},
        "commands": {name: [digest(command) for command in asked] for name, asked in commands.items()},
    }
    text = json.dumps(content, sort_keys=True)
    lines = tuple(f"{name}: {summary(asked)}" for name, asked in commands.items() if asked)
    return HostPlan(hashlib.sha256(text.encode()).hexdigest(), lines, _recorded(facts, wish))


async def look(remote: Remote, host: HostSpec, built: wheel.Release, settings: FleetSettings) -> HostPlan:
    """Look at the host and return the plan; changes nothing."""
    wish = wish_for(host, built, "agent", settings)
    return plan(await gather(remote, _question(host, wish)), wish)


def _question(host: HostSpec, wish: Wish) -> Question:
    return question_for(host, wish, agent_service.NAME, agent_service.unit(host.name))


async def provision(
    remote: Remote,
    host: HostSpec,
    built: wheel.Release,
    settings: FleetSettings,
    token: str | None,
    report: StepReport,
    plan_hash: str | None = None,
) -> ProvisionOutcome:
    """Take the host through every step. Idempotent; killed anywhere and called again, it resumes.

    Raises Refused, before anything is changed, when `plan_hash` is of another plan than the one called for.
    """
    wish = wish_for(host, built, "agent", settings, token)
    runner = StepRunner(remote, _question(host, wish), report)
    await runner.look()

    def check(facts: Facts) -> None:
        if plan_hash is not None and plan(facts, wish).hash != plan_hash:
            raise Refused(f"{host.name}: the host changed since the plan; plan again")

    await runner.carry_out(
        bound(STEPS, wish),
        explain={
            "agent service": lambda: does_not_stay_up(
                runner, agent_service.NAME, agent_service.unit(host.name)
            )
        },
        check=check,
    )
    return ProvisionOutcome(facts=_recorded(runner.facts, wish), release=built.name)


def bound(steps: Mapping[str, Step], wish: Wish) -> dict[str, Plan]:
    """Return the steps for one wish."""
    return {name: functools.partial(step, wish=wish) for name, step in steps.items()}


async def does_not_stay_up(runner: StepRunner, name: str, unit: str) -> EnvironmentProblem:
    """Return the error for a service that was started and does not run, with its program's last words."""
    argv, place = _log_of(runner.facts, name, unit)
    done = await runner.remote.run(argv)
    lines = (line.strip() for line in done.stdout.splitlines())
    words = [line for line in lines if line and " supervisor: " not in line]
    last = f"; its last words: {words[-1][-300:]}" if words else ""
    return EnvironmentProblem(
        f"{name} on {runner.remote.name} does not stay up{last}", hint=f"its log on the host: {place}"
    )


def _log_of(facts: Facts, name: str, unit: str) -> tuple[list[str], str]:
    """Return the command that prints the end of a service's log, and where a person finds it."""
    if facts.unit is None or facts.os == "Darwin":
        path = posixpath.join(services(facts.root), f"{name}.log")
        return ["tail", "-n", "40", "--", path], path
    field = "_SYSTEMD_UNIT" if facts.systemd == "system" else "_SYSTEMD_USER_UNIT"
    match = f"{field}={unit}.service"  # the program's lines, without those of systemd about it
    return ["journalctl", "--no-pager", "-o", "cat", "-n", "40", match], f"journalctl {match}"


_RECORDED = {"os", "arch", "user", "home", "root", "disk_free_kib", "disk_total_bytes", "cpus", "ram_bytes"}
_RECORDED |= {"gpus", "boot", "systemd", "interpreter", "releases"}


def _recorded(facts: Facts, wish: Wish) -> dict[str, object]:
    """Return the facts that are worth keeping."""
    kept = facts.model_dump(mode="json", include=_RECORDED)
    kept["enrolled"] = facts.agent.enrolled
    kept["agent_settings"] = facts.agent.settings
    kept["keeper"] = service.keeper(facts, wish)
    kept["survives_reboot"] = service.survives_reboot(facts, wish)
    return kept
