"""Every number that the controller decides with: one named, documented default each (the gate's: `policy/`).

`RINGRIFT_HOME/config.toml` overrides them by section and name, for example

    [training]
    min_positions = 20000

Unknown sections and names are refused, so that a misspelt setting is never silently the default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from ringrift.control.domain.policy import Policy
from ringrift.control.policy import packaged_policy, read_policy
from ringrift.errors import BadInput, EnvironmentProblem


def bounded(default: float, low: float, high: float) -> Any:
    """Declare a number with its default and its inclusive bounds."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class AgentSettings:
    """Heartbeats, leases and repair of agents."""

    beat_seconds: float = bounded(15.0, 0.1, 300.0)
    """Pause between an agent's heartbeats."""
    beats_per_second: float = bounded(450.0, 1.0, 100_000.0)
    """Those of all agents from which each pauses longer, to half of `stale_seconds` or a third of a lease."""
    stale_seconds: float = bounded(45.0, 0.2, 3600.0)
    """Heartbeat age from which a host is `stale`."""
    down_seconds: float = bounded(90.0, 0.3, 7200.0)
    """Heartbeat age from which a host is `down`; still never taken for dead."""
    lease_seconds: float = bounded(120.0, 1.0, 86_400.0)
    """Every heartbeat extends the lease to this: longer than `down_seconds`, so that slow is not dead."""
    attempts: int = bounded(3, 1, 20)
    """Tries of a job before it is failed (reported failures) or quarantined (vanished agents)."""
    retry_seconds: float = bounded(5.0, 0.0, 3600.0)
    """Pause before a failed job is handed out again, times the attempts so far."""
    idle_seconds: float = bounded(5.0, 0.1, 300.0)
    """When an agent without work asks again."""
    patience_seconds: float = bounded(60.0, 0.0, 86_400.0)
    """How long a job waits for another agent than the one it should avoid."""
    restarts: int = bounded(3, 0, 20)
    """Agent restarts over SSH before its host is quarantined."""
    restart_seconds: float = bounded(60.0, 1.0, 3600.0)
    """Time for a restarted agent to show a heartbeat."""
    quarantine_seconds: float = bounded(7200.0, 1.0, 31_536_000.0)
    """How long a quarantine lasts that the controller decided; one by a person has no end."""
    token_seconds: float = bounded(900.0, 10.0, 86_400.0)
    """Life of an enrolment token."""
    heartbeat_wait_seconds: float = bounded(120.0, 0.1, 3600.0)
    """How long provisioning waits for the first heartbeat of the new release."""
    host_crashes: int = bounded(5, 2, 1000)
    """Different jobs that crash in a day on one host and on no other before the host is quarantined."""
    placement_seconds: float = bounded(15.0, 0.0, 3600.0)
    """How long a job waits for a clearly faster host that has a free slot."""
    faster: float = bounded(2.0, 1.1, 100.0)
    """Times the measured rate of the asking host from which another one is clearly faster."""
    spot_check_share: float = bounded(0.01, 0.0, 1.0)
    """Share of self-played shards that another host plays again."""
    spot_check_seconds: float = bounded(86_400.0, 1.0, 8_640_000.0)
    """How long a spot check waits for a host that can do it."""


@dataclass(frozen=True)
class DeadlineSettings:
    """Hard limits in seconds on one assignment, by kind; heartbeats do not extend them."""

    selfplay: float = bounded(3600.0, 1.0, 864_000.0)
    ingest: float = bounded(1800.0, 1.0, 864_000.0)
    train: float = bounded(21_600.0, 1.0, 864_000.0)
    evaluate: float = bounded(3600.0, 1.0, 864_000.0)
    repeat: float = bounded(3600.0, 1.0, 864_000.0)


@dataclass(frozen=True)
class MemorySettings:
    """Most bytes of resident memory of one job, by kind; 0 means no limit."""

    selfplay: int = bounded(8 << 30, 0, 2**50)
    ingest: int = bounded(4 << 30, 0, 2**50)
    train: int = bounded(64 << 30, 0, 2**50)
    evaluate: int = bounded(8 << 30, 0, 2**50)
    repeat: int = bounded(8 << 30, 0, 2**50)


@dataclass(frozen=True)
class DiskSettings:
    """Most bytes that one job may have in its folder, by kind; 0 means no limit."""

    selfplay: int = bounded(8 << 30, 0, 2**50)
    ingest: int = bounded(4 << 30, 0, 2**50)
    train: int = bounded(64 << 30, 0, 2**50)
    evaluate: int = bounded(8 << 30, 0, 2**50)
    repeat: int = bounded(8 << 30, 0, 2**50)


@dataclass(frozen=True)
class SelfplaySettings:
    """What self-play jobs look like and how many wait."""

    simulations: int = bounded(32, 1, 100_000)
    considered: int = bounded(16, 2, 64)
    randomness: float = bounded(0.0, 0.0, 1.0)
    full_share: float = bounded(0.5, 0.01, 1.0)
    cheap_simulations: int = bounded(8, 0, 100_000)
    opening_random_plies: int = bounded(4, 0, 200)
    games_per_shard: int = bounded(32, 1, 4096)
    shards_per_job: int = bounded(4, 1, 10_000)
    reserve: float = bounded(0.4, 0.0, 1.0)
    """Share of the fleet's slots that self-play gets before anything else while it waits."""
    queued_per_config: int = bounded(4, 1, 1000)
    """Most self-play jobs that wait per config."""
    queue_minutes: float = bounded(5.0, 0.1, 1440.0)
    """Below that, as many wait as are handed out in so many minutes, by the measured rate."""
    ahead: float = bounded(4.0, 1.0, 1000.0)
    """Self-play of a config pauses once its fresh positions reach this many times `min_positions`."""


@dataclass(frozen=True)
class TrainingSettings:
    """When to train and how."""

    min_positions: int = bounded(5000, 1, 10**12)
    max_data_age_hours: float = bounded(24.0, 0.01, 8760.0)
    """Positions older than this do not count as fresh, and a newest one older than this blocks."""
    window_positions: int = bounded(500_000, 1, 10**12)
    """A data set takes the newest sound shards up to this many positions."""
    min_soft_target_share: float = bounded(0.05, 0.0, 1.0)
    """Least share of fresh decisions with a search target."""
    max_fruitless: int = bounded(10, 1, 10**6)
    """So many rejected candidates in a row stop a config until it is enabled anew."""
    steps: int = bounded(2000, 1, 10**9)
    batch_size: int = bounded(256, 1, 10**6)
    learning_rate: float = bounded(1e-3, 1e-8, 1.0)
    weight_decay: float = bounded(1e-4, 0.0, 1.0)
    value_weight: float = bounded(1.0, 0.0, 100.0)
    gradient_clip: float = bounded(1.0, 1e-6, 1e6)
    holdout_share: float = bounded(0.1, 0.001, 0.49)
    max_seconds: float = bounded(3600.0, 1.0, 864_000.0)
    blocks: int = bounded(4, 1, 64)
    channels: int = bounded(32, 8, 1024)

    @property
    def max_data_age(self) -> float:
        """`max_data_age_hours` in seconds."""
        return self.max_data_age_hours * 3600.0


@dataclass(frozen=True)
class EvaluationSettings:
    """How the games of tests are played and handed out. What they decide by says the gate's policy."""

    policy: str = field(default="", metadata={"most": 4096})
    """File of a policy of your own, relative to RINGRIFT_HOME; empty means the one that comes along."""
    simulations: int = bounded(32, 1, 100_000)
    considered: int = bounded(16, 2, 64)
    opening_random_plies: int = bounded(4, 0, 200)
    blocks_per_job: int = bounded(4, 1, 1000)
    jobs_ahead: int = bounded(4, 1, 1000)
    """Evaluation jobs of one test that are queued or running at once."""


@dataclass(frozen=True)
class HostSettings:
    """How provisioning works on hosts. 1 is yes, 0 is no."""

    systemd: int = bounded(1, 0, 1)
    """Keep programs running by systemd where it is usable; else, or with 0, by our supervisor."""
    drift_seconds: float = bounded(45.0, 1.0, 86_400.0)
    """How often every ready host is compared with what should be there."""
    repair_drift: int = bounded(0, 0, 1)
    """Repair drift as it is found; with 0 it is shown, and `hosts converge` repairs."""
    bake_seconds: float = bounded(60.0, 0.0, 86_400.0)
    """How long an updated agent must beat without a crash before it counts as healthy."""


@dataclass(frozen=True)
class RolloutSettings:
    """How deployments go over their targets, and what a changed target must keep."""

    share: float = bounded(0.5, 0.0, 1.0)
    """After the first target, up to this share of all of them; then the rest."""
    bake_seconds: float = bounded(0.5, 0.0, 86_400.0)
    """How long each wave is watched before the next; short, since it is asked for moves, not waited for.

    More is for targets with so much traffic that clients find in that time what two moves do not show.
    """
    error_share: float = bounded(0.01, 0.0, 1.0)
    """Most errors of its own, of all requests while it is watched."""
    p99_seconds: float = bounded(10.0, 0.01, 60.0)
    """Longest that 99 % of the moves may take while it is watched."""
    least_moves: int = bounded(0, 0, 1_000_000)
    """Moves that must be asked of a target while it is watched."""
    stage_challengers: int = bounded(1, 0, 1)
    """Have challengers wait on their targets, proven there, before they are promoted. 1 is yes, 0 is no."""
    patience_seconds: float = bounded(120.0, 0.0, 86_400.0)
    """How much longer a target is waited for that cannot be asked, or taken back."""
    retry_seconds: float = bounded(5.0, 0.0, 3600.0)
    """Pause before a target that could not be reached is taken back again."""


@dataclass(frozen=True)
class LimitSettings:
    """Sizes and paces of the controller itself."""

    body_bytes: int = bounded(8 << 20, 1 << 10, 1 << 30)
    """Largest JSON request of an agent."""
    upload_bytes: int = bounded(4 << 30, 1 << 10, 1 << 45)
    free_bytes: int = bounded(256 << 20, 0, 1 << 45)
    """Uploads are refused when less than this would stay free on the disk."""
    pass_seconds: float = bounded(1.0, 0.01, 60.0)
    """Pause between two passes of a reconciler when nothing wakes it."""
    observe_seconds: float = bounded(5.0, 0.1, 3600.0)
    """How often inference targets are asked what they serve."""
    reconnect_seconds: float = bounded(1.0, 0.01, 60.0)
    """First pause before a lost host is connected again; doubles up to a minute, with jitter."""


@dataclass(frozen=True)
class BackupSettings:
    """Backups to the place that `RINGRIFT_BACKUP_TO` names; without it there is no schedule."""

    every_hours: float = bounded(6.0, 0.0, 8760.0)
    """How old the last good one may get; 0 means no schedule."""
    again_minutes: float = bounded(15.0, 0.1, 10_080.0)
    """Pause after one that failed."""
    keep: int = bounded(14, 1, 10_000)
    """Backups that stay in the place; older ones and what only they name are removed."""


@dataclass(frozen=True)
class RetentionSettings:
    """What may be removed, and when. What anything references stays whatever these say."""

    every_hours: float = bounded(6.0, 0.0, 8760.0)
    """How often to look; 0 means never."""
    min_age_hours: float = bounded(168.0, 0.0, 87_600.0)
    """Younger artifacts stay, since the result that names them may still be on its way."""
    predecessors: int = bounded(5, 0, 1000)
    """Former champions of each config that stay, with their data sets and shards."""
    leftover_hours: float = bounded(48.0, 0.01, 8760.0)
    """Unfinished uploads and unused copies of a bucket's files go after so long."""
    quarantine_hours: float = bounded(720.0, 0.01, 87_600.0)
    """Refused uploads are kept so long for whoever wants to look at them."""


@dataclass(frozen=True)
class AlertSettings:
    """What is worth waking somebody for. Shares are 0..1; 1 is yes, 0 is no."""

    every_seconds: float = bounded(15.0, 0.1, 3600.0)
    """How often all rules are looked at."""
    host_down_minutes: float = bounded(5.0, 0.1, 1440.0)
    healthy_share: float = bounded(0.8, 0.0, 1.0)
    """Least share of the provisioned hosts that beat."""
    no_output_minutes: float = bounded(30.0, 0.1, 1440.0)
    """How long a host may hold leases without a result; training is left out, its one result comes last."""
    no_training_hours: float = bounded(24.0, 0.01, 8760.0)
    data_age_hours: float = bounded(24.0, 0.01, 8760.0)
    regression_elo: float = bounded(25.0, 0.0, 1000.0)
    """How far a champion's Elo may stand below that of an earlier champion of its config."""
    evaluation_minutes: float = bounded(60.0, 0.1, 14_400.0)
    """How long an evaluation may go without a new block."""
    refusals: int = bounded(5, 1, 1000)
    """Refusals of a config's candidates by the same gate since its last promotion."""
    disk_share: float = bounded(0.8, 0.01, 1.0)
    disk_full_share: float = bounded(0.9, 0.01, 1.0)
    """From here on it is critical."""
    memory_share: float = bounded(0.85, 0.01, 1.0)
    gpu_share: float = bounded(0.1, 0.0, 1.0)
    gpu_idle_minutes: float = bounded(30.0, 0.1, 1440.0)
    queue_minutes: float = bounded(60.0, 0.1, 14_400.0)
    """How long jobs of a kind may wait with none of that kind handed out."""
    undeployed_minutes: float = bounded(60.0, 0.0, 525_600.0)
    """How long a target may serve something else than the champion after a promotion."""
    backup_hours: float = bounded(24.0, 0.01, 8760.0)
    hourly_budget: float = bounded(0.0, 0.0, 1_000_000.0)
    """US dollars an hour of the hosts that are up; 0 means no budget."""
    errors: int = bounded(20, 2, 1_000_000)
    """So many of the same error in ten minutes, and more than before, is growth."""
    cooldown_minutes: float = bounded(30.0, 0.0, 1440.0)
    """An alert that opens again in this time is not sent again before its end."""
    slack: int = bounded(0, 0, 1)
    """Send the form that Slack takes instead of our JSON."""


@dataclass(frozen=True)
class Settings:
    """All settings, by section, and the gate's policy."""

    agents: AgentSettings = field(default_factory=AgentSettings)
    deadlines: DeadlineSettings = field(default_factory=DeadlineSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    disk: DiskSettings = field(default_factory=DiskSettings)
    selfplay: SelfplaySettings = field(default_factory=SelfplaySettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    rollouts: RolloutSettings = field(default_factory=RolloutSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    gate: Policy = field(default_factory=packaged_policy)


SECTIONS = tuple(section for section in fields(Settings) if section.name != "gate")
_MOVED = frozenset({"elo0", "elo1", "anchor_elo0", "anchor_elo1", "alpha", "beta", "max_blocks"})
"""Former names of [evaluation] that the gate's policy holds."""


def load_settings(home: Path) -> Settings:
    """Read `home/config.toml`, and the policy that it names; no file means all defaults.

    Raises `BadInput` naming the file and the key.
    """
    path = home / "config.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}") from error
    settings = parse_settings(data, str(path))
    own = settings.evaluation.policy
    return replace(settings, gate=read_policy(home / own)) if own else settings


def parse_settings(data: dict[str, Any], source: str) -> Settings:
    """Build settings from a parsed document; `source` is named in errors."""
    sections = {section.name: section for section in SECTIONS}
    read: dict[str, Any] = {}
    for name, values in data.items():
        if name not in sections or not isinstance(values, dict):
            raise BadInput(f"{source}: unknown section [{name}]", hint=f"use one of {', '.join(sections)}")
        read[name] = _section(get_type_hints(Settings)[name], name, values, source)
    settings = Settings(**read)
    _check_together(settings, source)
    return settings


def _section(cls: type[Any], name: str, values: dict[str, Any], source: str) -> Any:
    known = {item.name: item for item in fields(cls)}
    types = get_type_hints(cls)
    for key, value in values.items():
        if name == "evaluation" and key in _MOVED:
            raise BadInput(
                f"{source}: {name}.{key} is a number of the gate's policy now",
                hint="`ringrift-ctl evaluate policy --toml` prints it; evaluation.policy names your own",
            )
        if key not in known:
            raise BadInput(f"{source}: unknown setting {name}.{key}", hint=f"use one of {', '.join(known)}")
        if types[key] is str:
            if not isinstance(value, str) or len(value) > known[key].metadata["most"]:
                raise BadInput(f"{source}: {name}.{key} must be a short text")
            continue
        whole = types[key] is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise BadInput(f"{source}: {name}.{key} must be {'an integer' if whole else 'a number'}")
        low, high = known[key].metadata["low"], known[key].metadata["high"]
        if not low <= value <= high:
            raise BadInput(f"{source}: {name}.{key} is {value}, must be between {low} and {high}")
    return cls(**values)


def _check_together(settings: Settings, source: str) -> None:
    agents = settings.agents
    if not agents.beat_seconds < agents.stale_seconds < agents.down_seconds:
        raise BadInput(f"{source}: agents.beat_seconds < stale_seconds < down_seconds must hold")
    if agents.lease_seconds <= 2 * agents.beat_seconds:
        raise BadInput(f"{source}: agents.lease_seconds must be more than two beats")
