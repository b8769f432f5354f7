"""Bringing a host from nothing, or from wherever it stands, to a started agent."""

from __future__ import annotations

import functools
import posixpath
from dataclasses import dataclass
from pathlib import Path

from hosts import wheel
from hosts.facts import Facts, Question
from hosts.layout import check_root, services
from hosts.remote import Remote
from hosts.runner import StepRunner
from hosts.steps import agent_config, agent_service, environment, folders, release, warmup
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import HostSpec, ProvisionOutcome, StepReport
from ringrift.errors import EnvironmentProblem


@dataclass(frozen=True)
class FleetSettings:
    """How hosts are provisioned."""

    warm: bool = True
    """Compile the kernels at provisioning; without it they compile at their first use."""
    systemd: bool = True
    """Use systemd where it is usable; without it always our supervisor."""
    source: Path | None = None
    """Folder that holds the packages to send; by default the one that they are imported from."""


def wish_for(
    host: HostSpec, built: wheel.Release, extra: str, settings: FleetSettings, token: str | None = None
) -> Wish:
    """Return the wished state of a host for this release."""
    return Wish(
        host=host.name,
        extra=extra,
        release=built.name,
        wheel=str(built.path),
        wheel_sha256=built.sha256,
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
        record=wheel.RECORD,
        packages=environment.package_names(wish.requirements),
        service=name,
        unit=unit,
    )


async def provision(
    remote: Remote,
    host: HostSpec,
    built: wheel.Release,
    settings: FleetSettings,
    token: str | None,
    report: StepReport,
) -> ProvisionOutcome:
    """Take the host through every step. Idempotent; killed anywhere and called again, it resumes."""
    wish = wish_for(host, built, "agent", settings, token)
    question = question_for(host, wish, agent_service.NAME, agent_service.unit(host.name))
    runner = StepRunner(remote, question, report)
    await runner.look()
    await prepare(runner, wish)
    await runner.step("agent configuration", functools.partial(agent_config.plan, wish=wish))
    await runner.step(
        "agent service",
        functools.partial(agent_service.plan, wish=wish),
        lambda: does_not_stay_up(runner, agent_service.NAME, agent_service.unit(host.name)),
    )
    return ProvisionOutcome(facts=_recorded(runner.facts), release=built.name)


async def prepare(runner: StepRunner, wish: Wish) -> None:
    """Take a host through the steps that agents and inference targets share."""
    await runner.step("folders", functools.partial(folders.plan, wish=wish))
    await runner.step("release", functools.partial(release.plan, wish=wish))
    await runner.step("environment", functools.partial(environment.plan, wish=wish))
    await runner.step("warm-up", functools.partial(warmup.plan, wish=wish))


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
    if facts.unit is None:
        path = posixpath.join(services(facts.root), f"{name}.log")
        return ["tail", "-n", "40", "--", path], path
    field = "_SYSTEMD_UNIT" if facts.systemd == "system" else "_SYSTEMD_USER_UNIT"
    match = f"{field}={unit}.service"  # the program's lines, without those of systemd about it
    return ["journalctl", "--no-pager", "-o", "cat", "-n", "40", match], f"journalctl {match}"


def _recorded(facts: Facts) -> dict[str, object]:
    """Return the facts that are worth keeping."""
    kept = {"os", "arch", "user", "home", "root", "disk_free_kib", "systemd", "interpreter", "releases"}
    return facts.model_dump(mode="json", include=kept)
