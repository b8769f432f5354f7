"""Every call of the operators' API, as data: what is asked, and the type of the answer.

The transports in `ringrift.client.http` send these; nothing else in the product knows a path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from ringrift.errors import BadInput
from ringrift.protocol import alerts as aw
from ringrift.protocol import batches as many
from ringrift.protocol import durability as dw
from ringrift.protocol import hosts as hw
from ringrift.protocol import operator as op
from ringrift.protocol import portable as away
from ringrift.protocol.scheduling import JobChange, JobDetail, ShareSet, SharesView
from ringrift.protocol.tokens import NewToken, TokenRequest, TokenView

T = TypeVar("T")
W = TypeVar("W", bound=BaseModel)
READ_SECONDS = 10.0
SCAN_SECONDS = 40.0
"""A scan waits for a machine that may be silent: the SSH connect limit of the controller, and room."""

SCAN_ALL_SECONDS = 600.0
PLAN_SECONDS = 120.0
"""Every host is looked at, sixteen at once; one that is silent takes its whole limit."""

FILE_SECONDS = 60.0
"""A file may have some hundred megabytes."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how to read its answer. `seconds` is how long to wait for it."""

    method: str
    path: str
    reply: Any
    params: dict[str, str] = field(default_factory=dict)
    body: BaseModel | dict[str, Any] | None = None
    seconds: float = READ_SECONDS

    def content(self) -> bytes | None:
        """Return the body as JSON bytes."""
        return None if self.body is None else TypeAdapter(Any).dump_json(self.body)

    def parse(self, data: bytes) -> T:
        """Read the answer (files as they are); raise pydantic's ValidationError when it is another type."""
        if self.reply is bytes:
            return cast(T, data)
        answer: T = _adapter(self.reply).validate_json(data)
        return answer


@lru_cache(maxsize=64)
def _adapter(reply: Any) -> TypeAdapter[Any]:
    return TypeAdapter(reply)


def build(body: type[W], /, **fields: Any) -> W:
    """Make a request body; raise `BadInput` that names the first wrong field."""
    try:
        return body(**fields)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        given = repr(first["input"])[:80]
        raise BadInput(f"{where}: {given} is not allowed ({first['msg']})") from None


def segment(text: str, what: str) -> str:
    """Return a path segment made from user input; refuse what no name is."""
    if not text or text in (".", "..") or len(text) > 200 or not text.isprintable():
        raise BadInput(f"{text[:40]!r} is no name of a {what}")
    return quote(text, safe="")


def _given(**params: object) -> dict[str, str]:
    return {key: str(value) for key, value in params.items() if value is not None}


def health() -> Call[dict[str, Any]]:
    """The only call without a token."""
    return Call("GET", "/v1/health", dict[str, Any], seconds=3.0)


def status() -> Call[op.StatusView]:
    return Call("GET", "/v1/status", op.StatusView)


def why(subject: str) -> Call[op.WhyView]:
    return Call("GET", f"/v1/why/{segment(subject, 'host, config, job or target')}", op.WhyView)


def alerts(cleared: int = 0) -> Call[list[aw.AlertView]]:
    """The open alerts, then so many of those that are over."""
    return Call("GET", "/v1/alerts", list[aw.AlertView], _given(cleared=cleared))


def alert(signature: str) -> Call[aw.AlertView]:
    return Call("GET", f"/v1/alerts/{segment(signature, 'alert')}", aw.AlertView)


def acknowledge(signature: str, request: aw.AlertAck) -> Call[aw.AlertView]:
    return Call("POST", f"/v1/alerts/{segment(signature, 'alert')}/ack", aw.AlertView, body=request)


def hosts(
    kind: str | None = None, role: str | None = None, state: str | None = None, spot: bool | None = None
) -> Call[list[op.HostView]]:
    """Hosts that are not retired, or those in `state`."""
    return Call("GET", "/v1/hosts", list[op.HostView], _given(kind=kind, role=role, state=state, spot=spot))


def host(name: str) -> Call[op.HostView]:
    return Call("GET", f"/v1/hosts/{segment(name, 'host')}", op.HostView)


def scan(request: hw.ScanRequest) -> Call[list[op.HostKey]]:
    return Call("POST", "/v1/hosts/scan", list[op.HostKey], body=request, seconds=SCAN_SECONDS)


def add_host(request: hw.HostAdd) -> Call[op.HostView]:
    return Call("POST", "/v1/hosts", op.HostView, body=request)


def provision(name: str) -> Call[op.OperationView]:
    return Call("POST", f"/v1/hosts/{segment(name, 'host')}/provision", op.OperationView)


def change_host(name: str, verb: str) -> Call[op.HostView]:
    """`verb` is drain, resume or remove."""
    return Call("POST", f"/v1/hosts/{segment(name, 'host')}/{verb}", op.HostView)


def quarantine(name: str, request: hw.QuarantineRequest) -> Call[op.HostView]:
    return Call("POST", f"/v1/hosts/{segment(name, 'host')}/quarantine", op.HostView, body=request)


def host_history(name: str, limit: int) -> Call[list[hw.HostStateView]]:
    path = f"/v1/hosts/{segment(name, 'host')}/history"
    return Call("GET", path, list[hw.HostStateView], _given(limit=limit))


def import_hosts(request: hw.ImportRequest) -> Call[hw.ImportView]:
    return Call("POST", "/v1/inventory", hw.ImportView, body=request, seconds=FILE_SECONDS)


def export_hosts(with_addresses: bool) -> Call[hw.ExportView]:
    """The inventory as YAML, with what leads to the machines or without."""
    params = _given(with_addresses=with_addresses)
    return Call("GET", "/v1/inventory", hw.ExportView, params, seconds=FILE_SECONDS)


def trust(name: str, request: hw.TrustRequest) -> Call[op.HostView]:
    return Call("POST", f"/v1/hosts/{segment(name, 'host')}/trust", op.HostView, body=request)


def scan_hosts(request: hw.ScanHostsRequest) -> Call[list[hw.ScannedHost]]:
    """Ask known hosts for their keys, 16 at a time."""
    return Call("POST", "/v1/host-keys/scan", list[hw.ScannedHost], body=request, seconds=SCAN_ALL_SECONDS)


def pinned_keys(name: str) -> Call[list[hw.PinnedKeyView]]:
    return Call("GET", f"/v1/hosts/{segment(name, 'host')}/keys", list[hw.PinnedKeyView])


def revoked_keys() -> Call[list[hw.RevokedKeyView]]:
    return Call("GET", "/v1/host-keys/revoked", list[hw.RevokedKeyView])


def revoke_key(request: hw.RevokeRequest) -> Call[hw.RevokedKeyView]:
    return Call("POST", "/v1/host-keys/revoke", hw.RevokedKeyView, body=request)


def authorities() -> Call[list[hw.AuthorityView]]:
    return Call("GET", "/v1/host-authorities", list[hw.AuthorityView])


def add_authority(request: hw.AuthorityAdd) -> Call[list[hw.AuthorityView]]:
    return Call("POST", "/v1/host-authorities", list[hw.AuthorityView], body=request)


def remove_authority(request: hw.AuthorityRemove) -> Call[list[hw.AuthorityView]]:
    return Call("POST", "/v1/host-authorities/remove", list[hw.AuthorityView], body=request)


def operation(identity: str) -> Call[op.OperationView]:
    return Call("GET", f"/v1/operations/{segment(identity, 'operation')}", op.OperationView)


def plans(request: many.Choice) -> Call[list[many.PlanView]]:
    """What provisioning would do on hosts now; each is looked at over SSH."""
    return Call("POST", "/v1/plans", list[many.PlanView], body=request, seconds=PLAN_SECONDS)


def start_batch(request: many.BatchRequest) -> Call[many.BatchView]:
    return Call("POST", "/v1/batches", many.BatchView, body=request)


def batches(limit: int | None = None) -> Call[list[many.BatchView]]:
    return Call("GET", "/v1/batches", list[many.BatchView], _given(limit=limit))


def batch(identity: str) -> Call[many.BatchView]:
    return Call("GET", f"/v1/batches/{segment(identity, 'batch')}", many.BatchView)


def change_batch(identity: str, verb: str) -> Call[many.BatchView]:
    """`verb` is resume, cancel or retry; retry answers with the new batch."""
    return Call("POST", f"/v1/batches/{segment(identity, 'batch')}/{verb}", many.BatchView)


def debts() -> Call[list[many.DebtView]]:
    return Call("GET", "/v1/debts", list[many.DebtView])


def configs() -> Call[list[op.ConfigView]]:
    return Call("GET", "/v1/configs", list[op.ConfigView])


def config(key: str) -> Call[op.ConfigView]:
    return Call("GET", f"/v1/configs/{segment(key, 'config')}", op.ConfigView)


def enable(key: str, request: op.EnableRequest) -> Call[op.ConfigView]:
    return Call("POST", f"/v1/configs/{segment(key, 'config')}/enabled", op.ConfigView, body=request)


def models(config: str | None = None) -> Call[list[op.ModelView]]:
    return Call("GET", "/v1/models", list[op.ModelView], _given(config=config))


def model(sha: str) -> Call[op.ModelView]:
    return Call("GET", f"/v1/models/{segment(sha, 'model')}", op.ModelView)


def export_model(sha: str, request: away.ExportRequest) -> Call[away.ExportView]:
    """Have a model signed for others; `artifact` fetches its checkpoint."""
    return Call("POST", f"/v1/models/{segment(sha, 'model')}/export", away.ExportView, body=request)


def import_model(request: away.ImportRequest) -> Call[away.ImportView]:
    return Call("POST", "/v1/models", away.ImportView, body=request, seconds=FILE_SECONDS)


def evaluations(config: str | None = None, state: str | None = None) -> Call[list[op.EvaluationView]]:
    return Call("GET", "/v1/evaluations", list[op.EvaluationView], _given(config=config, state=state))


def evaluation(identity: str) -> Call[op.EvaluationView]:
    return Call("GET", f"/v1/evaluations/{segment(identity, 'evaluation')}", op.EvaluationView)


def games(config: str | None = None, limit: int | None = None) -> Call[list[op.GameView]]:
    """The games of the newest shards."""
    return Call("GET", "/v1/games", list[op.GameView], _given(config=config, limit=limit))


def game(identity: str) -> Call[op.GameView]:
    return Call("GET", f"/v1/games/{segment(identity, 'game')}", op.GameView)


def artifact(sha256: str) -> Call[bytes]:
    """A whole file of the artifact folder; the caller checks its hash."""
    return Call("GET", f"/v1/artifacts/{segment(sha256, 'artifact')}", bytes, seconds=FILE_SECONDS)


def promotion_plan(config: str, model: str | None = None) -> Call[op.PromotionView]:
    path = f"/v1/promotions/{segment(config, 'config')}"
    return Call("GET", path, op.PromotionView, _given(model=model))


def promote(request: op.PromoteRequest) -> Call[op.PromotionView]:
    return Call("POST", "/v1/promotions", op.PromotionView, body=request)


def rollback(config: str, dry_run: bool, champion: str | None = None) -> Call[op.PromotionView]:
    """Refused when another model than `champion` stands there by then."""
    path = f"/v1/rollback/{segment(config, 'config')}"
    given = _given(dry_run="true" if dry_run else "false", expected_champion=champion)
    return Call("POST", path, op.PromotionView, given)


def targets() -> Call[list[op.TargetView]]:
    return Call("GET", "/v1/targets", list[op.TargetView])


def target(name: str) -> Call[op.TargetView]:
    return Call("GET", f"/v1/targets/{segment(name, 'target')}", op.TargetView)


def add_target(request: op.TargetAdd) -> Call[op.TargetView]:
    return Call("POST", "/v1/targets", op.TargetView, body=request)


def deploy(request: op.DeployRequest) -> Call[op.DeploymentView]:
    return Call("POST", "/v1/deployments", op.DeploymentView, body=request)


def deployment(identity: str) -> Call[op.DeploymentView]:
    return Call("GET", f"/v1/deployments/{segment(identity, 'deployment')}", op.DeploymentView)


def cancel_deployment(identity: str) -> Call[op.DeploymentView]:
    """Start no more targets, and take back those that it touched."""
    path = f"/v1/deployments/{segment(identity, 'deployment')}/cancel"
    return Call("POST", path, op.DeploymentView)


def jobs(
    state: str | None = None, kind: str | None = None, limit: int | None = None
) -> Call[list[op.JobView]]:
    return Call("GET", "/v1/jobs", list[op.JobView], _given(state=state, kind=kind, limit=limit))


def job(identity: str) -> Call[JobDetail]:
    return Call("GET", f"/v1/jobs/{segment(identity, 'job')}", JobDetail)


def change_job(identity: str, verb: str, request: JobChange) -> Call[JobDetail]:
    """`verb` is retry or cancel."""
    return Call("POST", f"/v1/jobs/{segment(identity, 'job')}/{verb}", JobDetail, body=request)


def shares() -> Call[SharesView]:
    return Call("GET", "/v1/shares", SharesView)


def set_share(request: ShareSet) -> Call[SharesView]:
    return Call("POST", "/v1/shares", SharesView, body=request)


def events(after: int | None = None, limit: int | None = None) -> Call[list[op.EventView]]:
    return Call("GET", "/v1/events", list[op.EventView], _given(after=after, limit=limit))


def verify_audit() -> Call[dict[str, Any]]:
    """Walk the chain of audit rows; the answer says how many hold, or which is the first that fails."""
    return Call("GET", "/v1/audit/verify", dict[str, Any], seconds=60.0)


def backups(limit: int = 50) -> Call[list[dw.BackupView]]:
    return Call("GET", "/v1/backups", list[dw.BackupView], _given(limit=limit))


def backup(identity: str) -> Call[dw.BackupView]:
    return Call("GET", f"/v1/backups/{segment(identity, 'backup')}", dw.BackupView)


def begin_backup(request: dw.BackupRequest) -> Call[dw.BackupView]:
    return Call("POST", "/v1/backups", dw.BackupView, body=request)


def retention() -> Call[dw.RetentionView]:
    return Call("GET", "/v1/retention", dw.RetentionView, seconds=FILE_SECONDS)


def order_retention() -> Call[dw.RetentionView]:
    return Call("POST", "/v1/retention", dw.RetentionView, seconds=FILE_SECONDS)


def tokens() -> Call[list[TokenView]]:
    return Call("GET", "/v1/tokens", list[TokenView])


def new_token(request: TokenRequest) -> Call[NewToken]:
    return Call("POST", "/v1/tokens", NewToken, body=request)


def revoke_token(name: str) -> Call[TokenView]:
    return Call("POST", f"/v1/tokens/{segment(name, 'token')}/revoke", TokenView)
