"""`make chaos`: 41 hosts with an sshd and an agent each, brought up, and then ten minutes of trouble.

Each figure is printed with its target; the exit status is 1 when a promise was broken. Real are the
controller, the shell, sshd, the connections, provisioning, the supervisors and the agents; the games are not
(`stub/chaos_jobs.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos import network
from tests.chaos.fleet import CONFIGS, REPOSITORY, Fleet, build, clean
from tests.chaos.ledger import compare
from tests.chaos.troubles import PROMISE_SECONDS, Story, Weather

SAMPLE = REPOSITORY.parent / "shared" / "requirements" / "hosts_sample.yaml"
_SHORT = {
    "hosts": 3,
    "troubles": 5,
    "at_once": 3,
    "kill_seconds": 3.0,
    "kills": 2,
    "beat": 1.0,
    "shard": 1.0,
    "look": 1.0,
}


@dataclass
class Report:
    """Lines of figures, and whether all are as promised."""

    kept: bool = True
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:6.1f} s, load {os.getloadavg()[0]:4.1f}] {text}", flush=True)

    def figure(self, name: str, value: str, target: str, good: bool) -> None:
        self.kept = self.kept and good
        self.say(f"{'kept  ' if good else 'BROKEN'} {name}: {value} (target: {target})")


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    network.enter("tests.chaos.run", arguments)
    folder = Path(tempfile.mkdtemp(prefix="ringrift-chaos-"))
    report = Report()
    where = "network namespaces" if network.inside() else "loopback addresses, without delay and small disks"
    report.say(f"{options.hosts} hosts on {where}, seed {options.seed}, in {folder}")
    pace = (options.latency / 1000, options.beat, options.shard)
    fleet = build(folder, options.inventory, options.hosts, *pace)
    try:
        bring_up(fleet, report, timed=not options.short)
        if options.minutes:
            story = trouble(fleet, report, options)
            tell(story, report)
            count(fleet, report)
    finally:
        fleet.close()
        if options.keep:
            report.say(f"{folder} stays")
        else:
            clean(folder)
    report.say("every promise was kept" if report.kept else "a promise was BROKEN")
    return 0 if report.kept else 1


def bring_up(fleet: Fleet, report: Report, *, timed: bool) -> None:
    """Provision every host from nothing, then converge the fleet when there is nothing to do.

    Without `timed` it must succeed, however long it takes.
    """
    controller, hosts = fleet.controller, len(fleet.machines)
    report.say(
        f"{hosts} keys pinned in {controller.order('hosts', 'trust', '--all-new', '--yes').seconds:.1f} s"
    )
    before = cpu_seconds()
    cold = controller.ctl("hosts", "converge", "--all")
    report.say(f"  processor time of all that: {cpu_seconds() - before:.1f} s")
    if cold.status:
        print(cold.output, cold.error)
    took = f"{cold.seconds:.1f} s, exit {cold.status}"
    report.figure(
        f"cold provision of {hosts}", took, "60 s", not cold.status and (cold.seconds <= 60 or not timed)
    )
    spent, worst, before = [], 0, cpu_seconds()
    for _ in range(4 if timed else 1):
        quiet = controller.ctl("hosts", "converge", "--all")
        spent.append(quiet.seconds)
        worst = max(worst, quiet.status)
    report.say(f"  processor time of one: {(cpu_seconds() - before) / len(spent):.1f} s")
    took = f"median {statistics.median(spent):.1f} s, {min(spent):.1f} to {max(spent):.1f} s, exit {worst}"
    target = f"5 s at {1000 * fleet.net.latency:.0f} ms round trip"
    good = not worst and (statistics.median(spent) <= 5 or not timed)
    report.figure(f"no-op converge of {hosts}", took, target, good)


def cpu_seconds() -> float:
    """Return the processor seconds of all processes in here (loopback: on the machine), ended ones too."""
    total = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def trouble(fleet: Fleet, report: Report, options: argparse.Namespace) -> Story:
    """Let things go wrong for so many minutes, then let all end and be seen."""
    for config in CONFIGS:
        fleet.controller.order("configs", "enable", config)
    weather = Weather(fleet, random.Random(options.seed), options.at_once)
    until = time.monotonic() + options.minutes * 60
    killed = told = time.monotonic()
    while (more := time.monotonic() < until and weather.begun < options.troubles) or weather.troubled:
        began = time.monotonic()
        if more:
            weather.begin()
            if began - killed > options.kill_seconds and fleet.controller.kills < options.kills:
                killed = began
                fleet.controller.kill()
        weather.look()
        for line in weather.story.lines:
            report.say(line)
        weather.story.lines.clear()
        if began - told > 60:
            told = began
            report.say(f"{weather.troubled} hosts in trouble, {len(weather.story.broken)} promises broken")
        time.sleep(max(0.0, options.look - (time.monotonic() - began)))
    return weather.story


def tell(story: Story, report: Report) -> None:
    """Print what the operator saw, and when."""
    for name, delays in sorted(story.delays.items()):
        middle = statistics.median(delays)
        report.say(f"  {len(delays):3} x {name} after {middle:.0f} s, at most {max(delays):.0f} s")
    report.say(f"  {story.looks} looks, {story.unanswered} of them while the controller was away")
    for line in story.broken:
        report.say(f"  {line}")
    worst = f"{len(story.broken)} times not; at worst {story.worst:.0f} s"
    target = f"always within {PROMISE_SECONDS:.0f} s"
    report.figure("operator's view is right", worst, target, not story.broken)


def count(fleet: Fleet, report: Report) -> None:
    """Compare what agents were promised with what the controller has."""
    controller = fleet.controller
    absences = controller.absences or [0.0]
    report.say(
        f"  {controller.kills} controllers killed, answering again after at most {max(absences):.1f} s"
    )
    fleet.ledger.stop()
    found = compare(fleet.ledger, controller.database)
    told = f"{found.receipts} receipts, {found.games} games"
    for line in (*found.lost[:5], *found.twice[:5]):
        report.say(f"  {line}")
    report.figure(
        "games lost after receipt",
        f"{len(found.lost)} of {told}",
        "0 of many",
        not found.lost and found.games > 0,
    )
    report.figure("games counted twice", f"{len(found.twice)} of {found.stored}", "0", not found.twice)
    receipts = controller.order("status", "--json").json()["receipts"]
    told = receipts["games_receipted"], receipts["games_stored"]
    same = told[0] == told[1] >= found.stored
    report.figure("status: games with a receipt, games stored", f"{told[0]}, {told[1]}", "equal", same)
    audit = controller.ctl("audit", "verify")
    report.figure(
        "audit verify", (audit.output or audit.error).strip().replace("\n", "; "), "exit 0", not audit.status
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of trouble; 0: only bring the fleet up")
    parser.add_argument("--hosts", type=int, default=41)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latency", type=float, default=50.0, help="round trip in ms")
    parser.add_argument("--at-once", type=int, default=8, help="hosts in trouble at the same time")
    parser.add_argument(
        "--kill-seconds", type=float, default=30.0, help="between two kills of the controller"
    )
    parser.add_argument("--kills", type=int, default=10**9, help="at most so many")
    parser.add_argument("--shard", type=float, default=8.0, help="seconds that one of stand-in games takes")
    parser.add_argument("--beat", type=float, default=5.0, help="seconds between two heartbeats")
    parser.add_argument("--look", type=float, default=4.0, help="seconds between two looks of the operator")
    parser.add_argument("--troubles", type=int, default=10**9, help="at most so many")
    parser.add_argument("--short", action="store_true", help="three hosts, five troubles, no stop-watch")
    parser.add_argument("--inventory", type=Path, default=SAMPLE)
    parser.add_argument("--keep", action="store_true", help="leave the folder with its logs")
    if "--short" in arguments:
        parser.set_defaults(**_SHORT)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
