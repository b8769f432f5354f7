"""Sample views of a small fleet in the middle of its work. Documentation addresses only."""

from __future__ import annotations

from ringrift.game.config import ALL_CONFIGS
from ringrift.protocol import hosts as hw
from ringrift.protocol import operator as op
from ringrift.protocol.agent import Telemetry
from ringrift.protocol.alerts import AlertCount, AlertView
from ringrift.protocol.batches import BatchView, DebtView

GIB = 1024**3
FINGERPRINT = "SHA256:" + "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg"
OTHER_FINGERPRINT = "SHA256:" + "4jVIYQzs2mTg9o1SiGxPMv6TfZyCSVbKH8sWjnLTnZk"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDocumentationOnlyKeyNoMachineHasItAAAA"


def sha(label: str) -> str:
    """Return a stable 64-digit name for a label."""
    import hashlib

    return hashlib.sha256(label.encode()).hexdigest()


CANDIDATE = sha("candidate hex8_2p 8")
CHAMPION = sha("champion hex8_2p 7")


def host(name: str, state: str = "ready", **changes: object) -> op.HostView:
    """Return a healthy, idle host with some fields changed."""
    fields: dict[str, object] = {
        "name": name,
        "state": state,
        "reason": "",
        "login": f"ring@192.0.2.{10 + sum(name.encode()) % 200}:22",
        "fingerprint": FINGERPRINT,
        "root": "ringrift",
        "python": None,
        "tunnel": "open",
        "heartbeat_age": 6.0,
        "health": "up",
        "release": "3f9c21ab77de",
        "telemetry": telemetry(),
        "games_per_hour": None,
        "spooled": 0,
        "idle_reason": "",
        "operation": f"op-{name}",
    }
    return op.HostView.model_validate(fields | changes)


def telemetry(
    cpu: float = 4.0,
    ram: tuple[float, float] = (6.0, 64.0),
    disk: tuple[float, float] = (88.0, 240.0),
    gpu: str | None = None,
    gpu_percent: float | None = None,
    cpus: int = 16,
) -> Telemetry:
    """Return telemetry; memory and disk as (used, total) in GiB."""
    return Telemetry(
        cpus=cpus,
        load=cpu * cpus / 100,
        cpu_percent=cpu,
        memory_total=int(ram[1] * GIB),
        memory_used=int(ram[0] * GIB),
        disk_total=int(disk[1] * GIB),
        disk_used=int(disk[0] * GIB),
        gpu=gpu,
        gpu_percent=gpu_percent,
        gpu_memory_total=96 * GIB if gpu else None,
        gpu_memory_used=31 * GIB if gpu else None,
    )


def running(
    kind: str, config: str, done: float, total: float, unit: str, rate: float
) -> list[op.RunningView]:
    job = sha(f"{kind} {config} {done}")[:12]
    return [op.RunningView(job=job, kind=kind, config=config, done=done, total=total, unit=unit, rate=rate)]


def hosts() -> list[op.HostView]:
    """Return twelve hosts of every kind and state."""
    gh = "NVIDIA GH200"
    return [
        host(
            "gh200-01",
            telemetry=telemetry(63, (141, 432), (1210, 4000), gh, 94, 64),
            running=running("train", "hexagonal_2p", 4120, 12000, "steps", 11.4),
            heartbeat_age=3.0,
        ),
        host(
            "gh200-02",
            telemetry=telemetry(88, (96, 432), (980, 4000), gh, 71, 64),
            running=running("selfplay", "hex8_2p", 37, 64, "games", 0.61),
            games_per_hour=2210.0,
        ),
        host(
            "gh200-03",
            telemetry=telemetry(91, (102, 432), (1015, 4000), gh, 68, 64),
            running=running("evaluate", "hex8_2p", 112, 200, "games", 0.34),
            games_per_hour=1180.0,
            heartbeat_age=11.0,
            drift=["settings changed on the host"],
            drift_age=31.0,
            hourly_cost=1.99,
        ),
        host(
            "pod-h100-01",
            telemetry=telemetry(79, (58, 188), (310, 500), "NVIDIA H100", 82, 24),
            running=running("selfplay", "square19_3p", 9, 32, "games", 0.052),
            games_per_hour=188.0,
        ),
        host(
            "spot-4090-01",
            telemetry=telemetry(97, (112, 128), (166, 180), "RTX 4090", 55, 32),
            running=running("selfplay", "square8_4p", 201, 256, "games", 1.9),
            games_per_hour=6710.0,
            login="root@203.0.113.8:12060",
        ),
        host(
            "spot-5080-01",
            "unreachable",
            reason="connection refused since 14:02, next try in 40 s",
            health="down",
            heartbeat_age=1260.0,
            tunnel="closed",
            owed=1,
            spot=True,
            hourly_cost=0.31,
            gpu="RTX 5080",
            gpu_count=2,
            vram_gb=16.0,
            ram_gb=64.0,
            login="root@203.0.113.15:15721",
        ),
        host(
            "spot-5090-02",
            health="stale",
            heartbeat_age=62.0,
            tunnel="closed",
            reason="no heartbeat for 62 s, connecting again",
            telemetry=telemetry(73, (40, 440), (61, 220), "RTX 5090", 64, 64),
            running=running("selfplay", "hexagonal_4p", 3, 16, "games", 0.011),
        ),
        host(
            "cpu-01",
            telemetry=telemetry(99, (11, 16), (131, 240), None, None, 8),
            running=running("ingest", "hex8_3p", 40, 64, "games", 4.2),
            games_per_hour=0.0,
        ),
        host("cpu-02", idle_reason="no job wants a host without GPU now", telemetry=telemetry(2, (3, 32))),
        host(
            "cpu-03",
            "draining",
            reason="draining: operator, 6 m ago",
            telemetry=telemetry(44, (9, 32), (205, 240)),
            running=running("selfplay", "square8_2p", 58, 64, "games", 0.9),
            games_per_hour=3100.0,
        ),
        host(
            "mac-desktop-01",
            "quarantined",
            reason="the agent was restarted 3 times within 10 minutes",
            health="down",
            heartbeat_age=540.0,
            tunnel="open",
            telemetry=telemetry(1, (22, 96), (6100, 8000), None, None, 14),
        ),
        host(
            "vgpu-a100-01",
            "provisioning",
            reason="step 4 of 9: environment",
            health="unknown",
            heartbeat_age=None,
            tunnel="closed",
            release=None,
            telemetry=None,
            spooled=None,
        ),
    ]


def alert(kind: str, subject: str, message: str, severity: str = "warning", **changes: object) -> AlertView:
    """Return an open alert with some fields changed."""
    fields: dict[str, object] = {
        "signature": f"{kind}:{subject}",
        "kind": kind,
        "subject": subject,
        "severity": severity,
        "message": f"{subject}: {message}",
        "state": "open",
        "count": 1,
        "age": 840.0,
        "seen_age": 6.0,
        "cleared_age": None,
        "notified": "sent",
        "notified_age": 835.0,
        "acknowledged_by": None,
        "acknowledged_age": None,
    }
    return AlertView.model_validate(fields | changes)


def alerts() -> list[AlertView]:
    """Return alerts as the controller orders them."""
    return [
        alert(
            "disk",
            "spot-4090-01",
            "92% full (limit 90%) - uploads and games stop when it is full",
            "critical",
        ),
        alert(
            "host-down",
            "spot-5080-01",
            "silent for 21 min (limit 5 min) - ringrift-ctl why spot-5080-01",
            count=3,
        ),
        alert(
            "host-down", "mac-desktop-01", "silent for 9 min (limit 5 min) - ringrift-ctl why mac-desktop-01"
        ),
        alert(
            "no-training",
            "square19_4p",
            "no training run for 26.0 h (limit 24.0 h) - ringrift-ctl why square19_4p",
            state="acknowledged",
            acknowledged_by="ann",
            acknowledged_age=600.0,
            age=7300.0,
        ),
    ]


def alert_count() -> AlertCount:
    return AlertCount(open=4, critical=1, unacknowledged=3, worst=f"disk {alerts()[0].message}")


def batches() -> list[BatchView]:
    """Return a batch under way."""
    counts = {"succeeded": 17, "failed": 1, "owed": 2, "running": 4, "waiting": 17}
    return [
        BatchView(
            id="batch_7", kind="update", state="running", reason="", actor="ann", canary=1, width=16,
            budget=4,
            counts=counts, hosts=[], age=95.0, seconds=None,
        )
    ]  # fmt: skip


def debts() -> list[DebtView]:
    return [
        DebtView(
            id="debt_1", host="spot-5080-01", kind="update", batch="batch_7", reason="no answer", age=1200.0
        )
    ]


def host_records() -> dict[str, object]:
    """Return what is kept of a host: changes of its state, keys that were pinned."""
    at = "2026-11-22T14:02:12.000+00:00"
    return {
        "history": [
            hw.HostStateView(state="unreachable", reason="connection refused", at=at, age=60.0),
            hw.HostStateView(state="ready", reason="", at=at, age=7200.0),
        ],
        "keys": [
            hw.PinnedKeyView(
                host="cpu-01",
                type="ssh-ed25519",
                fingerprint=FINGERPRINT,
                how="operator",
                actor="operator",
                at=at,
                age=60.0,
                in_force=True,
            )
        ],
    }


def revoked(fingerprint: str, reason: str) -> hw.RevokedKeyView:
    return hw.RevokedKeyView(
        fingerprint=fingerprint,
        reason=reason,
        actor="operator",
        at="2026-11-22T14:02:12.000+00:00",
        age=1.0,
        hosts=["cpu-01"],
    )


def authority() -> hw.AuthorityView:
    return hw.AuthorityView(
        fingerprint=FINGERPRINT, public_key=PUBLIC_KEY, actor="operator", at="2026-11-22T14:02:12Z", age=1.0
    )


def evaluation(**changes: object) -> op.EvaluationView:
    """Return a passed evaluation of the hex8_2p candidate against its champion."""
    fields: dict[str, object] = {
        "id": sha("evaluation hex8_2p"),
        "config": "hex8_2p",
        "candidate": CANDIDATE,
        "opponent": CHAMPION,
        "state": "accepted",
        "games": 312,
        "blocks": 156,
        "max_blocks": 400,
        "score": 0.571,
        "elo": 49.6,
        "elo_low": 18.2,
        "elo_high": 81.0,
        "llr": 3.02,
        "lower": -2.94,
        "upper": 2.94,
        "elo0": 0.0,
        "elo1": 30.0,
        "alpha": 0.05,
        "beta": 0.05,
        "seats": {"1": [94, 156], "2": [84, 156]},
        "age": 410.0,
    }
    return op.EvaluationView.model_validate(fields | changes)


def running_evaluation() -> op.EvaluationView:
    """Return an undecided evaluation of a three-player config."""
    return evaluation(
        id=sha("evaluation square8_3p"),
        config="square8_3p",
        candidate=sha("candidate square8_3p"),
        opponent="random",
        state="running",
        games=96,
        blocks=32,
        max_blocks=300,
        score=0.41,
        elo=58.0,
        elo_low=-4.0,
        elo_high=121.0,
        llr=1.17,
        seats={"1": [15, 32], "2": [13, 32], "3": [11, 32]},
        age=4.0,
    )


PROMOTE: dict[str, object] = {
    "next_action": "promote it: ringrift-ctl promote hex8_2p",
    "blocker": "a promotion is a person's decision",
}
VERDICT: dict[str, object] = {"next_action": "more blocks are played (32 of at most 300)"}
TRAINING: dict[str, object] = {
    "training": "job_5f2c9a01b3d4 leased",
    "next_action": "its checkpoint becomes the next candidate",
}
WAITING: dict[str, object] = {
    "training": "job_77aa01c2e9f0 queued",
    "next_action": "an agent with a free slot takes it",
    "blocker": "no live agent takes train jobs",
}
NEW: dict[str, object] = {"champion": None, "elo": None}
OFF: dict[str, object] = {
    "enabled": False,
    "next_action": "enable it: ringrift-ctl configs enable square19_4p",
    "blocker": "not enabled",
    "data_age": None,
}
_STAGES: dict[str, dict[str, object]] = {
    "square8_2p": {"games": 48210, "fresh_positions": 3120, "elo": 612.0},
    "square8_3p": {"games": 9120, "fresh_positions": 880, **VERDICT, **NEW},
    "square8_4p": {"games": 22400, "fresh_positions": 6200, "elo": 301.0, **WAITING},
    "square19_2p": {"games": 310, "fresh_positions": 310, "data_age": 7300.0, **NEW},
    "square19_3p": {"games": 122, "fresh_positions": 122, "data_age": 95000.0, **NEW},
    "square19_4p": {"games": 0, **OFF, **NEW},
    "hex8_2p": {"games": 61840, "fresh_positions": 4410, "elo": 705.0, **PROMOTE},
    "hex8_3p": {"games": 12900, "fresh_positions": 2210, "elo": 240.0},
    "hex8_4p": {"games": 8100, "fresh_positions": 950, "elo": 188.0, "data_age": 4100.0},
    "hexagonal_2p": {"games": 2950, "elo": 95.0, **TRAINING},
    "hexagonal_3p": {"games": 410, "fresh_positions": 410, **NEW},
    "hexagonal_4p": {"games": 96, "fresh_positions": 96, **NEW},
}


def config(key: str) -> op.ConfigView:
    """Return how a config stands."""
    fresh = int(str(_STAGES[key].get("fresh_positions", 0)))
    fields: dict[str, object] = {
        "key": key,
        "enabled": True,
        "games": 0,
        "positions": int(str(_STAGES[key]["games"])) * 31,
        "fresh_positions": fresh,
        "data_age": 340.0,
        "training": "",
        "evaluation": "",
        "champion": op.ChampionView(model=sha(f"champion {key} 7"), generation=7, age=86_000.0),
        "elo": 0.0,
        "next_action": f"self-play goes on: {5000 - fresh} more positions, 2 shards to be replayed",
        "blocker": "",
    }
    return op.ConfigView.model_validate(fields | _STAGES[key])


def configs() -> list[op.ConfigView]:
    return [config(each.key) for each in ALL_CONFIGS]


def conditions(passed: bool = True) -> list[op.Condition]:
    """Return the gate's conditions; the last one fails on wish."""
    return [
        op.Condition(
            name="evaluation",
            value="accepted",
            limit="accepted",
            passed=True,
            reason="no promotion without evidence",
        ),
        op.Condition(
            name="LLR", value="+3.02", limit=">= +2.94", passed=True, reason="registered before game 1"
        ),
        op.Condition(
            name="games", value="312", limit=">= 64", passed=True, reason="a floor under every verdict"
        ),
        op.Condition(
            name="worst seat",
            value="53.8 %" if passed else "38.1 %",
            limit=">= 45 %",
            passed=passed,
            reason="strong in every seat",
        ),
        op.Condition(
            name="architecture", value="hex8, 2p", limit="hex8, 2p", passed=True, reason="never another board"
        ),
    ]


def promotion(config: str = "hex8_2p", done: bool = False, allowed: bool = True) -> op.PromotionView:
    """Return the planned or made promotion of the sample candidate."""
    return op.PromotionView(
        config=config,
        model=CANDIDATE,
        champion=CHAMPION,
        generation=8,
        conditions=conditions(allowed),
        evidence=[evaluation()],
        allowed=allowed,
        done=done,
        reversible=f"yes: ringrift-ctl rollback {config}",
        command=f"ringrift-ctl promote {config} {CANDIDATE[:12]}",
    )


def model(identity: str = CANDIDATE, state: str = "candidate") -> op.ModelView:
    return op.ModelView(
        model=identity,
        config="hex8_2p",
        parent=CHAMPION,
        dataset=sha("data set"),
        state=state,
        generation=None if state == "candidate" else 7,
        positions=402_118,
        holdout_loss=1.8342,
        evaluation=evaluation(),
        age=900.0,
    )


def operation(
    identity: str, kind: str, subject: str, at: int, state: str = "running", fail: str = ""
) -> op.OperationView:
    """Return an operation whose first `at` steps are done; `fail` fails the next one with this message."""
    names = {
        "provision": (
            "connect",
            "facts",
            "release",
            "environment",
            "install",
            "service",
            "tunnel",
            "enrol",
            "heartbeat",
        ),
        "deploy": ("preflight", "copy", "hash", "load", "legal move", "swap", "observe"),
    }[kind]
    steps = [
        op.StepView(name=n, state="done", detail="", seconds=0.4 + i * 0.7) for i, n in enumerate(names[:at])
    ]
    if steps:
        steps[0] = steps[0].model_copy(update={"state": "unchanged", "detail": "connection is open"})
    if at < len(names):
        broken = "failed" if fail else "running"
        steps.append(op.StepView(name=names[at], state=broken, detail=fail))
        steps += [op.StepView(name=n, state="pending") for n in names[at + 1 :]]
    error = op.ErrorBody(code="environment", message=fail, hint="free disk on the host") if fail else None
    verdict = "failed" if fail else "succeeded" if at >= len(names) else state
    return op.OperationView(
        id=identity, kind=kind, subject=subject, state=verdict, steps=steps, error=error, age=12.0
    )


RELEASES = ("3f1c9a77be02", "a90d44e1c6b8")


def targets() -> list[op.TargetView]:
    """Return three targets: one well, one behind, one away."""
    played = [each for each in configs() if each.champion]

    def serving(old: tuple[str, ...] = (), none: tuple[str, ...] = ()) -> list[op.ServingView]:
        return [
            op.ServingView(
                config=each.key,
                desired=each.champion.model if each.champion else None,
                serving=None
                if each.key in none
                else sha(f"champion {each.key} {6 if each.key in old else 7}"),
            )
            for each in played
        ]

    return [
        op.TargetView(
            name="eu-1",
            host="cpu-01",
            port=8600,
            state="serving",
            generation=31,
            models=serving(),
            issues=[],
            checked_age=9.0,
            release=RELEASES[0],
        ),
        op.TargetView(
            name="eu-2",
            host="cpu-02",
            port=8600,
            state="drifted",
            generation=30,
            models=serving(old=("hex8_2p", "hexagonal_2p")),
            issues=["2 configs serve another hash than the champion"],
            checked_age=11.0,
            restarted_age=42.0,
            release=RELEASES[1],
            rollout=rollout("eu-2", 2, "rolled_back", "eu-1: 3 errors beside 120 moves, 1.0% are allowed"),
        ),
        op.TargetView(
            name="us-1",
            host="spot-5080-01",
            port=8600,
            state="unreachable",
            generation=29,
            models=serving(none=tuple(each.key for each in played)),
            issues=["host spot-5080-01 does not answer"],
            checked_age=1290.0,
        ),
    ]


def software(view: op.DeploymentView) -> op.DeploymentView:
    """Return a deployment made one of the newer release, which its second target runs already."""
    former = [row.model_copy(update={"release": RELEASES[place]}) for place, row in enumerate(view.targets)]
    return view.model_copy(update={"release": RELEASES[1], "targets": former})


def rollout(target: str, wave: int, state: str, reason: str = "") -> op.RolloutTarget:
    """Return where a target stands in the newest deployment."""
    return op.RolloutTarget(deployment="dep-32", target=target, wave=wave, state=state, reason=reason)


def _rollout_state(operations: list[op.OperationView], place: int, *, failed: bool) -> str:
    return "rolled_back" if failed else operations[place].state if operations else "waiting"


def deployment(done: int | None = None, fail: str = "") -> op.DeploymentView:
    """Return a plan (`done` None), or a deployment whose operations have `done` steps behind them."""
    actions = [
        op.DeployAction(
            target=target.name,
            config=served.config,
            model=str(served.desired),
            serving=served.serving,
            change=served.desired != served.serving,
        )
        for target in targets()[:2]
        for served in target.models
    ]
    operations: list[op.OperationView] = []
    if done is not None:
        operations = [
            operation("op-eu-1", "deploy", "eu-1", min(7, done + 2)),
            operation("op-eu-2", "deploy", "eu-2", done, fail=fail),
        ]
    states = {each.state for each in operations}
    state = "planned" if not operations else "running" if "running" in states else "succeeded"
    failed = "failed" in states and state != "running"
    return op.DeploymentView(
        id=None if done is None else "dep-32",
        generation=32,
        actions=actions,
        targets=[
            rollout(each.name, wave, _rollout_state(operations, wave - 1, failed=failed), fail * failed)
            for wave, each in enumerate(targets()[:2], 1)
        ],
        operations=operations,
        state="failed" if failed else state,
        reason=f"eu-2: {fail}" if failed else "",
        reversible="yes: ringrift-ctl rollback CONFIG brings back champion and serving in one",
        command="ringrift-ctl deploy-inference eu-1 eu-2",
    )


def why(subject: str) -> op.WhyView:
    """Return the answer for a host, a target, or a config."""
    if subject.startswith(("eu-", "us-")):
        return op.WhyView(
            subject=subject,
            sentence=f"{subject} serves former champions: generation 31 came after its last deployment.",
            conditions=[
                op.Condition(
                    name="generation", value="30", limit="31", passed=False, reason="players get champions"
                )
            ],
            facts=["last deployment: 26 h ago, 6 models, 8.1 s", "last check: healthy, p95 212 ms"],
            next_action="an operator deploys: ringrift-ctl deploy-inference",
        )
    if subject not in _STAGES:
        return op.WhyView(
            subject=subject,
            sentence=f"{subject} does not answer: connections are refused since 21 minutes, 9 tries.",
            conditions=[
                op.Condition(
                    name="heartbeat age",
                    value="21 m",
                    limit="<= 90 s",
                    passed=False,
                    reason="silence is unknown",
                )
            ],
            facts=[
                "14:02:11 tunnel closed by the other side",
                "14:02:13 connect refused by 203.0.113.15 port 15721",
            ],
            next_action="the controller tries again in 40 s",
        )
    return op.WhyView(
        subject=subject,
        sentence=f"candidate 1335fb9e of {subject} passed its tests and waits for a decision.",
        conditions=conditions(),
        facts=["the test was accepted 7 m ago after 312 games", "last shard: 5.7 m ago, 64 games, gh200-02"],
        next_action=f"an operator promotes: ringrift-ctl promote {subject}",
    )


def jobs() -> list[op.JobView]:
    base = {
        "host": "gh200-02",
        "attempts": 1,
        "done": 37,
        "total": 64,
        "progress": 0.58,
        "unit": "games",
        "reason": "",
    }
    rows = [
        ("selfplay", "hex8_2p", "leased", base | {"rate": 0.61, "age": 61.0}),
        (
            "train",
            "hexagonal_2p",
            "leased",
            base | {"rate": 11.4, "unit": "steps", "host": "gh200-01", "age": 361.0},
        ),
        (
            "ingest",
            "hex8_3p",
            "queued",
            base | {"host": None, "done": 0, "progress": 0.0, "rate": None, "age": 3.0},
        ),
        (
            "train",
            "square8_2p",
            "failed",
            base | {"rate": None, "reason": "out of memory (exit 137)", "age": 9001.0},
        ),
    ]
    return [
        op.JobView.model_validate(
            {"id": sha(f"job {n}"), "kind": kind, "config": key, "state": state, **rest}
        )
        for n, (kind, key, state, rest) in enumerate(rows)
    ]


def events() -> list[op.EventView]:
    rows = [
        (41, "evaluation.accepted", "hex8_2p", {"llr": 3.02, "games": 312}),
        (42, "host.drained", "cpu-03", {"by": "operator"}),
    ]
    return [
        op.EventView(
            id=number,
            at=f"2026-11-22T14:0{number - 40}:12Z",
            age=400.0,
            actor="controller",
            action=action,
            subject=subject,
            detail=detail,
            digest=sha(str(number)),
        )
        for number, action, subject, detail in rows
    ]


def status() -> op.StatusView:
    return op.StatusView(
        controller=op.ControllerView(
            version="0.1.0", pid=4242, database="postgres", home="/srv/ringrift", uptime=183_000.0
        ),
        hosts=hosts(),
        configs=configs(),
        alerts=alert_count(),
        hourly_cost=14.27,
        jobs={"leased": 8, "queued": 14, "failed": 1, "succeeded": 2210},
        receipts=op.ReceiptCount(
            games_receipted=166_458,
            games_stored=166_458,
            games_ingested=166_330,
            games_awaiting_ingest=128,
            games_refused=0,
        ),
    )
