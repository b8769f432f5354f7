"""The operators' API: what the terminal and `ringrift-ctl` read and ask.

HTTP on loopback with a bearer token. Every read is a row that the controller already has, with its age
in seconds; None means unknown, never zero. Every mutation takes `dry_run` where it can be planned, and
names the `ringrift-ctl` command that does the same. Errors are `{"error": {"code", "message", "hint"}}`
with the codes of `ringrift.errors`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from ringrift.protocol.agent import Telemetry
from ringrift.protocol.alerts import AlertCount
from ringrift.protocol.hosts import HostDetails
from ringrift.protocol.hosts import HostKey as HostKey
from ringrift.protocol.lineage import AncestorView, OriginView
from ringrift.protocol.types import ConfigKey, Name, Port, ReleaseName, Reply, Sha256, Wire
from ringrift.protocol.types import Line as Line

PREFIX = "/v1"


class ErrorBody(Reply):
    code: str
    message: str
    hint: str = ""


class Condition(Reply):
    """One tested condition of a decision: what was found, what was needed, and why it matters."""

    name: str
    value: str
    limit: str
    passed: bool
    reason: str = ""


# --- hosts -----------------------------------------------------------------------------------------


HostState = Literal["new", "provisioning", "ready", "draining", "quarantined", "unreachable", "retired"]


class HostView(HostDetails):
    name: str
    state: HostState
    reason: str
    login: str
    """`user@address:port`."""
    fingerprint: str
    root: str
    python: str | None
    tunnel: Literal["open", "closed", "unknown"]
    heartbeat_age: float | None
    health: Literal["up", "stale", "down", "unknown"]
    release: str | None
    telemetry: Telemetry | None
    running: list[RunningView] = []
    games_per_hour: float | None = None
    spooled: int | None = None
    idle_reason: str = ""
    operation: str | None = None
    """The latest operation on this host."""


class RunningView(Reply):
    job: str
    kind: str
    config: str
    done: float
    total: float
    unit: str
    rate: float


StepState = Literal["pending", "running", "done", "unchanged", "failed"]


class StepView(Reply):
    name: str
    state: StepState
    detail: str = ""
    seconds: float | None = None


class OperationView(Reply):
    """A long action on hosts or targets: provisioning or a deployment. Resumable by asking again."""

    id: str
    kind: Literal["provision", "restart", "deploy", "stage"]
    subject: str
    state: Literal["running", "succeeded", "failed"]
    steps: list[StepView]
    error: ErrorBody | None = None
    age: float


# --- configs, evaluations, promotion ---------------------------------------------------------------


class ChampionView(Reply):
    model: str
    generation: int
    age: float


class ConfigView(Reply):
    key: str
    enabled: bool
    games: int
    positions: int
    fresh_positions: int
    """Positions ingested since the newest data set."""
    data_age: float | None
    training: str
    evaluation: str
    champion: ChampionView | None
    elo: float | None
    next_action: str
    blocker: str
    """Empty when nothing blocks."""


class WhyView(Reply):
    """One sentence of cause, the conditions with values and limits, the last facts, the next action."""

    subject: str
    sentence: str
    conditions: list[Condition]
    facts: list[str]
    next_action: str


class EvaluationView(Reply):
    id: str
    config: str
    candidate: str
    opponent: str
    """A model hash, or the name of a player without a model."""
    state: Literal["running", "accepted", "rejected"]
    games: int
    blocks: int
    max_blocks: int
    score: float | None
    elo: float | None
    elo_low: float | None
    elo_high: float | None
    llr: float
    lower: float
    upper: float
    elo0: float
    elo1: float
    alpha: float
    beta: float
    seats: dict[str, list[int]]
    """Seat -> [wins, games] of the candidate."""
    age: float
    purpose: str = "superiority"
    """`superiority` over the champion, `non-inferiority` to others, `mirror`: even with itself."""
    policy: str = "none"
    """Name, version and SHA-256 of the gate's policy that it was registered under."""


class ModelView(Reply):
    model: str
    config: str
    parent: str | None
    dataset: str | None
    """null for an imported model."""
    state: Literal["candidate", "champion", "retired", "rejected"]
    generation: int | None
    positions: int | None
    holdout_loss: float | None
    evaluation: EvaluationView | None
    age: float
    aliases: list[str] = []
    """`champion`, `challenger`, `previous`: names of its config that mean this model now."""
    lineage: list[AncestorView] = []
    """Of a single model: its parents, nearest first."""
    origin: OriginView | None = None
    """Of an imported model."""


class GameView(Reply):
    """A recorded game; `shard` is the artifact that holds its record."""

    game_id: str
    shard: Sha256
    config: str
    purpose: str
    winner: int | None
    plies: int
    decisions: int


class PromoteRequest(Wire):
    """Move the champion alias. `model` None means the newest candidate with a passed evaluation."""

    config: ConfigKey
    model: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")] | None = None
    expected_champion: Sha256 | None = None
    """Compare-and-set: refuse when another model is champion now. None takes what stands at planning."""
    override: bool = False
    """Promote without the gate's evidence: `model` and `reason` must be given."""
    reason: Line = ""
    actor: Line = "operator"
    dry_run: bool = False


class PromotionView(Reply):
    """A promotion that was planned (`done` False) or made (`done` True)."""

    config: str
    model: str | None
    champion: str | None
    generation: int
    conditions: list[Condition]
    evidence: list[EvaluationView]
    allowed: bool
    done: bool
    reversible: str
    command: str
    deployment: str | None = None
    """Of a rollback: the deployment that makes the targets serve it."""
    targets: list[str] = []
    """Of a rollback: the targets that serve the config and get the former champion."""


class EnableRequest(Wire):
    enabled: bool
    actor: Line = "operator"


# --- production ------------------------------------------------------------------------------------


class TargetAdd(Wire):
    """An inference target on a known host."""

    name: Name
    host: Name
    port: Port
    configs: list[ConfigKey] = []
    """Configs that must be served; empty means every config with a champion."""
    engine: Literal["torch", "onnx"] = "torch"


class ServingView(Reply):
    config: str
    desired: str | None
    serving: str | None


class RolloutTarget(Reply):
    """Where a target stands in a deployment, and why."""

    deployment: str
    target: str
    wave: int
    state: Literal[
        "waiting", "running", "baking", "succeeded", "failed", "rolling_back", "rolled_back", "skipped"
    ]
    reason: str
    release: str | None = None
    """Of our software: what it ran before, and runs on while only models change; null when it told none."""


class TargetView(Reply):
    name: str
    host: str
    port: int
    state: Literal["new", "serving", "unhealthy", "drifted", "unreachable", "unknown"]
    generation: int | None
    models: list[ServingView]
    issues: list[str]
    """What it says is wrong, or what it serves otherwise than ordered."""
    checked_age: float | None
    restarted_age: float | None = None
    """Since it was found to have started anew other than by a deployment."""
    rollout: RolloutTarget | None = None
    """Of the newest deployment that names it."""
    release: str | None = None
    """Of our software: what answered when it was last asked; null when it did not tell."""
    engine: Literal["torch", "onnx"] = "torch"


class DeployRequest(Wire):
    """Make targets serve the champions. Empty lists mean all.

    With `software` they keep their models and get `release`, by default the controller's, of our software.
    """

    targets: list[Name] = []
    configs: list[ConfigKey] = []
    software: bool = False
    release: ReleaseName | None = None
    actor: Line = "operator"
    dry_run: bool = False


class DeployAction(Reply):
    target: str
    config: str
    model: str
    serving: str | None
    change: bool


class DeploymentView(Reply):
    """A deployment that was planned (no operations) or begun.

    One operation per target as its wave comes, and one more for each that is taken back; `halting` and
    `cancelling` last until all are.
    """

    id: str | None
    generation: int
    actions: list[DeployAction]
    targets: list[RolloutTarget] = []
    operations: list[OperationView]
    state: Literal["planned", "running", "halting", "cancelling", "succeeded", "failed", "cancelled"]
    reason: str = ""
    release: str | None = None
    """Of our software: what it installs; null when only models change."""
    reversible: str
    command: str


# --- the whole -------------------------------------------------------------------------------------


class JobView(Reply):
    id: str
    kind: str
    config: str
    state: Literal["queued", "leased", "succeeded", "failed", "quarantined", "cancelled"]
    host: str | None
    attempts: int
    done: int
    total: int
    progress: float
    """Share of the job that is done, 0..1, by the last report."""
    rate: float | None
    unit: str
    reason: str
    age: float


class EventView(Reply):
    """One audit row; `digest` chains it to the row before (P10)."""

    id: int
    at: str
    age: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    digest: str


class ControllerView(Reply):
    version: str
    pid: int
    database: Literal["sqlite", "postgres"]
    home: str
    uptime: float


class StatusView(Reply):
    controller: ControllerView
    hosts: list[HostView]
    configs: list[ConfigView]
    jobs: dict[str, int]
    """State -> count."""
    receipts: ReceiptCount
    hourly_cost: float = 0.0
    """US dollars an hour of the hosts that are up."""
    alerts: AlertCount = AlertCount()


class ReceiptCount(Reply):
    """The query of promises P1 and P2: equal numbers mean that nothing was lost or counted twice."""

    games_receipted: int
    """Games named in accepted results."""
    games_stored: int
    """Rows of distinct games."""
    games_ingested: int
    """Of these, replayed through the rules and found sound."""
    games_awaiting_ingest: int
    games_refused: int


HostView.model_rebuild()
StatusView.model_rebuild()
