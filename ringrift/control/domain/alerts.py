"""What is worth waking somebody for: one small rule each, from facts to findings. No clock, no I/O.

All ages are seconds, all shares 0..1, and None is unknown, which is never a finding. Silence counts from when
the controller began to watch, so that one that was away accuses nobody at its return; what is open already
stays open by its whole age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ringrift.control.domain.alert_facts import Facts
from ringrift.control.domain.health import age_text

if TYPE_CHECKING:
    from ringrift.control.settings import AlertSettings

Severity = Literal["warning", "critical"]
HOUR, MINUTE = 3600.0, 60.0
_NAMED = 5
"""So many names stand in a reason; more are counted."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what was found, what is allowed, why it matters and what to do."""

    kind: str
    subject: str
    severity: Severity
    value: str
    limit: str
    reason: str

    @property
    def signature(self) -> str:
        """Kind and subject: under this name it is one alert however often it is found."""
        return f"{self.kind}:{self.subject}"

    @property
    def message(self) -> str:
        """One sentence."""
        return f"{self.subject}: {self.value} (limit {self.limit}) - {self.reason}"


Rule = Callable[[Facts, "AlertSettings"], Iterator[Finding]]


def findings(facts: Facts, limits: AlertSettings) -> list[Finding]:
    """Return everything that is wrong, the critical first."""
    found = [finding for rule in RULES for finding in rule(facts, limits)]
    return sorted(found, key=lambda finding: (finding.severity != "critical", finding.signature))


def _host_down(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.host_down_minutes * MINUTE
    for host in facts.hosts:
        if facts.lasting(host.silent, f"host-down:{host.name}") >= limit:
            yield Finding(
                "host-down",
                host.name,
                "warning",
                f"silent for {age_text(host.silent)}",
                age_text(limit),
                f"ringrift-ctl why {host.name}",
            )


def _few_healthy(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    live = sum(host.live for host in facts.hosts)
    grace = limits.host_down_minutes * MINUTE
    watched = facts.watching >= grace or "fleet-unhealthy:fleet" in facts.open
    if facts.hosts and watched and live < limits.healthy_share * len(facts.hosts):
        silent = [host.name for host in facts.hosts if not host.live]
        yield Finding(
            "fleet-unhealthy",
            "fleet",
            "critical",
            f"{live} of {len(facts.hosts)} hosts beat",
            f"{limits.healthy_share:.0%}",
            f"silent: {_names(silent)}",
        )


def _no_output(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.no_output_minutes * MINUTE
    for host in facts.hosts:
        if host.live and facts.lasting(host.fruitless, f"no-output:{host.name}") >= limit:
            yield Finding(
                "no-output",
                host.name,
                "warning",
                f"leases but no result for {age_text(host.fruitless)}",
                age_text(limit),
                "a crash loop or a hung search: ringrift-ctl hosts show, jobs list",
            )


def _no_training(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.no_training_hours * HOUR
    for config in facts.configs:
        if config.untrained >= limit:
            yield Finding(
                "no-training",
                config.key,
                "warning",
                f"no training run for {age_text(config.untrained)}",
                age_text(limit),
                f"ringrift-ctl why {config.key}",
            )


def _old_data(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.data_age_hours * HOUR
    for config in facts.configs:
        if config.data_age >= limit:
            yield Finding(
                "old-data",
                config.key,
                "warning",
                f"no sound games for {age_text(config.data_age)}",
                age_text(limit),
                "training on old data makes the model worse",
            )


def _regression(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    for config in facts.configs:
        value = "the champion lost a test" if config.rejected else ""
        if not value and config.elo is not None and config.best_elo is not None:
            if config.best_elo - config.elo <= limits.regression_elo:
                continue
            value = f"champion at {config.elo:+.0f} Elo, {config.best_elo:+.0f} before"
        if value:
            yield Finding(
                "champion-regression",
                config.key,
                "critical",
                value,
                f"{limits.regression_elo:.0f} Elo",
                "ringrift-ctl models list; rollback, or promote a better one",
            )


def _stalled(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.evaluation_minutes * MINUTE
    for name, quiet in facts.evaluations:
        if facts.lasting(quiet, f"evaluation-stalled:{name}") >= limit:
            yield Finding(
                "evaluation-stalled",
                name,
                "warning",
                f"no new block for {age_text(quiet)}",
                age_text(limit),
                "ringrift-ctl jobs list --kind evaluate",
            )


def _refused(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    for config in facts.configs:
        for gate, times in config.refusals:
            if times >= limits.refusals:
                yield Finding(
                    "gate-refusals",
                    f"{config.key} {gate}",
                    "warning",
                    f"{times} candidates refused",
                    str(limits.refusals),
                    "the same gate every time since the last promotion: a broken gate, or no gain",
                )


def _disk(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    shares = [(host.name, host.disk) for host in facts.hosts if host.live]
    for name, share in (("controller", facts.controller_disk), *shares):
        if share is not None and share >= limits.disk_share:
            full = share >= limits.disk_full_share
            yield Finding(
                "disk",
                name,
                "critical" if full else "warning",
                f"{share:.0%} full",
                f"{limits.disk_full_share if full else limits.disk_share:.0%}",
                "uploads and games stop when it is full",
            )


def _memory(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    for host in facts.hosts:
        if host.live and host.memory is not None and host.memory >= limits.memory_share:
            yield Finding(
                "memory",
                host.name,
                "warning",
                f"{host.memory:.0%} of its RAM",
                f"{limits.memory_share:.0%}",
                "jobs are killed when it runs out",
            )


def _gpu_idle(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.gpu_idle_minutes * MINUTE
    for host in facts.hosts:
        if host.live and facts.lasting(host.gpu_idle, f"gpu-idle:{host.name}") >= limit:
            yield Finding(
                "gpu-idle",
                host.name,
                "warning",
                f"GPU under {limits.gpu_share:.0%} for {age_text(host.gpu_idle)}",
                age_text(limit),
                f"work waits: ringrift-ctl why {host.name}",
            )


def _queue_stuck(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.queue_minutes * MINUTE
    for queue in facts.queues:
        lasting = facts.lasting(min(queue.oldest, queue.unserved), f"queue-stuck:{queue.kind}")
        if lasting >= limit:
            yield Finding(
                "queue-stuck",
                queue.kind,
                "critical",
                f"{queue.waiting} wait, the oldest for {age_text(queue.oldest)}",
                age_text(limit),
                "nothing of the kind is handed out: ringrift-ctl jobs list, why JOB",
            )


def _targets(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    for target in facts.targets:
        if target.state in ("unhealthy", "unreachable", "drifted"):
            value = f"{target.state}{f': {target.issue}' if target.issue else ''}"
            yield Finding(
                "target", target.name, "critical", value, "serving", f"ringrift-ctl why {target.name}"
            )
        elif target.behind:
            yield Finding(
                "target",
                target.name,
                "warning",
                f"serves another model than the champion of {_names(target.behind)}",
                f"{age_text(limits.undeployed_minutes * MINUTE)} after a promotion",
                f"ringrift-ctl deploy-inference {target.name}",
            )


def _backup(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    limit = limits.backup_hours * HOUR
    if facts.unsaved is not None and facts.unsaved >= limit:
        yield Finding(
            "backup",
            "controller",
            "critical",
            f"nothing verified for {age_text(facts.unsaved)}",
            age_text(limit),
            "set RINGRIFT_BACKUP_TO, or ringrift-ctl backup --to PLACE",
        )


def _cost(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    cost = sum(host.cost for host in facts.hosts if host.live)
    if limits.hourly_budget and cost > limits.hourly_budget:
        yield Finding(
            "cost",
            "fleet",
            "warning",
            f"${cost:.2f} an hour",
            f"${limits.hourly_budget:.2f}",
            "ringrift-ctl hosts list shows what costs and does nothing",
        )


def _errors(facts: Facts, limits: AlertSettings) -> Iterator[Finding]:
    for error in facts.errors:
        grown = error.lately > 2 * error.before or f"errors:{error.text}" in facts.open
        if error.lately >= limits.errors and grown:
            yield Finding(
                "errors",
                error.text,
                "warning",
                f"{error.lately} times in ten minutes",
                f"{limits.errors}, or twice what it was",
                f"before: {error.before:.0f} in ten minutes",
            )


RULES: tuple[Rule, ...] = (
    _host_down,
    _few_healthy,
    _no_output,
    _no_training,
    _old_data,
    _regression,
    _stalled,
    _refused,
    _disk,
    _memory,
    _gpu_idle,
    _queue_stuck,
    _targets,
    _backup,
    _cost,
    _errors,
)


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
