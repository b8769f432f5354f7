"""How each view of the operators' API looks in the shell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ringrift.cli import alerts, hosttables
from ringrift.cli.output import fields, state_text, table
from ringrift.client.display import age, count, elo, percent, plain, short
from ringrift.protocol import operator as op
from ringrift.protocol.lineage import OriginView


def operation(view: op.OperationView) -> RenderableType:
    steps = table(("step", "state", "time>", "detail"), (_step_row(step) for step in view.steps))
    head = Text.assemble(f"{view.kind} {plain(view.subject)}: ", state_text(view.state))
    parts: list[RenderableType] = [head, steps]
    if view.error:
        parts.append(Text(plain(f"{view.error.message} - {view.error.hint}".rstrip(" -")), style="bold red"))
    return Group(*parts)


def operations(views: Sequence[op.OperationView]) -> RenderableType:
    return Group(*(operation(view) for view in views))


def _step_row(step: op.StepView) -> tuple[object, ...]:
    seconds = "-" if step.seconds is None else f"{step.seconds:.1f}s"
    return (step.name, state_text(step.state), seconds, step.detail)


def configs(views: Sequence[op.ConfigView]) -> RenderableType:
    headers = (
        "config",
        "on",
        "games>",
        "fresh>",
        "data>",
        "training",
        "evaluation",
        "champion",
        "elo>",
        "next",
    )
    return table(headers, (_config_row(view) for view in views))


def _config_row(view: op.ConfigView) -> tuple[object, ...]:
    champion = f"{short(view.champion.model)} g{view.champion.generation}" if view.champion else "-"
    following = f"{view.next_action} (blocked: {view.blocker})" if view.blocker else view.next_action
    return (
        view.key,
        state_text("yes" if view.enabled else "off"),
        count(view.games),
        count(view.fresh_positions),
        "-" if view.data_age is None else age(view.data_age),
        view.training,
        view.evaluation,
        champion,
        elo(view.elo),
        following,
    )


def conditions(views: Sequence[op.Condition]) -> Table:
    rows = (
        (state_text("passed" if c.passed else "failed"), c.name, c.value, c.limit, c.reason) for c in views
    )
    return table(("", "condition", "value>", "limit>", "why it matters"), rows)


def why(view: op.WhyView) -> RenderableType:
    parts: list[RenderableType] = [Text(plain(view.sentence), style="bold")]
    if view.conditions:
        parts.append(conditions(view.conditions))
    parts += [Text(f"  · {plain(fact)}") for fact in view.facts]
    if view.next_action:
        parts.append(Text(f"next: {plain(view.next_action)}"))
    return Group(*parts)


def evaluations(views: Sequence[op.EvaluationView]) -> RenderableType:
    headers = (
        "evaluation",
        "config",
        "candidate",
        "against",
        "shows",
        "state",
        "games>",
        "score>",
        "elo",
        "llr>",
        "bounds",
    )
    return table(headers, (_evaluation_row(view) for view in views))


_SHOWS = {"superiority": "better", "non-inferiority": "not worse", "mirror": "even"}


def _against(view: op.EvaluationView) -> str:
    if view.opponent == view.candidate:
        return "itself"
    return short(view.opponent) if len(view.opponent) == 64 else view.opponent


def _evaluation_row(view: op.EvaluationView) -> tuple[object, ...]:
    return (
        short(view.id),
        view.config,
        short(view.candidate),
        _against(view),
        _SHOWS.get(view.purpose, view.purpose),
        state_text(view.state),
        view.games,
        percent(view.score),
        elo(view.elo, view.elo_low, view.elo_high),
        f"{view.llr:+.2f}",
        f"{view.lower:+.2f} .. {view.upper:+.2f}",
    )


def evaluation(view: op.EvaluationView) -> RenderableType:
    test = f"H0 {view.elo0:+g} Elo, H1 {view.elo1:+g} Elo, alpha {view.alpha:g}, beta {view.beta:g}"
    seats = ", ".join(f"seat {seat}: {won}/{games}" for seat, (won, games) in sorted(view.seats.items()))
    return fields(
        [
            ("evaluation", view.id),
            ("config", view.config),
            ("candidate", view.candidate),
            ("against", view.opponent),
            ("state", state_text(view.state)),
            ("games", f"{view.games} in {view.blocks} of at most {view.max_blocks} blocks"),
            ("score", percent(view.score)),
            ("elo", elo(view.elo, view.elo_low, view.elo_high)),
            ("test", f"{view.purpose}: {test}"),
            ("policy", view.policy),
            ("llr", f"{view.llr:+.2f} between {view.lower:+.2f} and {view.upper:+.2f}"),
            ("won by seat", seats or "-"),
            ("age", age(view.age)),
        ]
    )


def models(views: Sequence[op.ModelView]) -> RenderableType:
    headers = ("model", "config", "state", "alias", "gen>", "parent", "positions>", "held-out loss>", "age>")
    return table(headers, (_model_row(view) for view in views))


def _model_row(view: op.ModelView) -> tuple[object, ...]:
    return (
        short(view.model),
        view.config,
        state_text(view.state),
        ", ".join(name for name in view.aliases if name != view.state) or "-",
        "-" if view.generation is None else view.generation,
        short(view.parent),
        count(view.positions),
        "-" if view.holdout_loss is None else f"{view.holdout_loss:.3f}",
        age(view.age),
    )


def model(view: op.ModelView) -> RenderableType:
    pairs: list[tuple[str, object]] = [
        ("model", view.model),
        ("config", view.config),
        ("state", state_text(view.state)),
        ("alias", ", ".join(view.aliases) or "-"),
        ("generation", "-" if view.generation is None else view.generation),
        ("parents", _lineage(view)),
        ("origin", _origin(view.origin)) if view.origin else ("data set", view.dataset or "-"),
        ("positions", "-" if view.positions is None else view.positions),
        ("held-out loss", "-" if view.holdout_loss is None else f"{view.holdout_loss:.4f}"),
        ("age", age(view.age)),
    ]
    parts: list[RenderableType] = [fields(pairs)]
    if view.evaluation:
        parts += [Text(""), evaluation(view.evaluation)]
    return Group(*parts)


def _lineage(view: op.ModelView) -> str:
    """Return the chain of parents, nearest first, down to the model that was trained from scratch."""
    known = [
        f"{short(parent.model)} ({parent.state if parent.generation is None else f'gen {parent.generation}'})"
        for parent in view.lineage
    ]
    if view.parent and not known:
        return f"{view.parent} (unknown here)"
    imported = view.lineage[-1].imported if view.lineage else view.origin is not None
    return " <- ".join([*known, "imported" if imported else "from scratch"])


def _origin(origin: OriginView) -> str:
    told = f"generation {origin.generation} there" if origin.generation else "no champion there"
    parent = f", parent {short(origin.parent)}" if origin.parent else ""
    return f"imported, signed by {origin.signer} ({told}{parent})"


def promotion(view: op.PromotionView) -> RenderableType:
    verb = "promoted" if view.done else "would promote" if view.allowed else "would not promote"
    change = f"{view.config}: {verb} {short(view.model, 'anything')} as generation {view.generation}"
    parts: list[RenderableType] = [
        Text(plain(f"{change}; champion before: {short(view.champion, 'none')}"), style="bold"),
        conditions(view.conditions),
    ]
    if view.evidence:
        parts.append(evaluations(view.evidence))
    if view.targets:
        parts.append(Text(plain(f"served by: {', '.join(view.targets)}")))
    parts.append(Text(plain(f"reversible: {view.reversible}")))
    return Group(*parts)


def targets(views: Sequence[op.TargetView]) -> RenderableType:
    headers = ("target", "host", "port>", "state", "gen>", "serving", "release", "checked>", "issues")
    return table(headers, (_target_row(view) for view in views))


def _target_row(view: op.TargetView) -> tuple[object, ...]:
    right = sum(1 for m in view.models if m.desired and m.desired == m.serving)
    return (
        view.name,
        view.host,
        view.port,
        state_text(view.state),
        "-" if view.generation is None else view.generation,
        f"{right} of {sum(1 for m in view.models if m.desired)} as desired",
        (view.release or "-") + ("" if view.engine == "torch" else f" {view.engine}"),
        age(view.checked_age),
        "; ".join([*view.issues, *_restarted(view)]) or "-",
    )


def _restarted(view: op.TargetView) -> list[str]:
    """Tell a restart for an hour."""
    recent = view.restarted_age is not None and view.restarted_age < 3600.0
    return [f"its service started anew {age(view.restarted_age)} ago"] if recent else []


def target(view: op.TargetView) -> RenderableType:
    rows = ((m.config, short(m.desired), short(m.serving), _same(m)) for m in view.models)
    parts: list[RenderableType] = [
        targets([view]),
        table(("config", "desired", "serving", ""), rows),
    ]
    if view.rollout:
        parts.append(rollout([view.rollout]))
    return Group(*parts)


def rollout(rows: Sequence[op.RolloutTarget]) -> RenderableType:
    cells = ((row.target, row.wave, state_text(row.state), row.deployment, row.reason or "-") for row in rows)
    return table(("target", "wave>", "state", "deployment", "reason"), cells)


def _same(model: op.ServingView) -> Text:
    return state_text("serving" if model.desired and model.desired == model.serving else "change")


def deployment(view: op.DeploymentView) -> RenderableType:
    if view.release is not None:
        return _software(view)
    headers = ("wave>", "target", "release", "config", "model", "serving now", "")
    waves = {row.target: row.wave for row in view.targets}
    releases = {row.target: row.release for row in view.targets}
    rows = (
        (
            waves.get(a.target, "-"),
            a.target,
            releases.get(a.target) or "the present one",
            a.config,
            short(a.model),
            short(a.serving, "nothing"),
            state_text("change" if a.change else "same"),
        )
        for a in sorted(view.actions, key=lambda a: waves.get(a.target, 0))
    )
    return Group(_deployment_head(view), table(headers, rows), Text(plain(f"reversible: {view.reversible}")))


def _software(view: op.DeploymentView) -> RenderableType:
    rows = (
        (row.wave, row.target, row.release or "-", view.release, _moves(row, view)) for row in view.targets
    )
    headers = ("wave>", "target", "release now", "release", "")
    back = Text(plain(f"reversible: {view.reversible}"))
    return Group(_deployment_head(view), table(headers, rows), back)


def _moves(row: op.RolloutTarget, view: op.DeploymentView) -> Text:
    return state_text("same" if row.release == view.release else "change")


def deployed(view: op.DeploymentView) -> RenderableType:
    """What came of a deployment; its plan was shown before."""
    return Group(_deployment_head(view), rollout(view.targets), operations(view.operations))


def _deployment_head(view: op.DeploymentView) -> Text:
    name = f" {view.id}" if view.id else ""
    because = f" ({view.reason})" if view.reason else ""
    what = f" of release {view.release}" if view.release else ""
    stands = f"generation {view.generation}: {view.state}{because}"
    return Text(plain(f"deployment{name}{what}, {stands}"), style="bold")


def jobs(views: Sequence[op.JobView]) -> RenderableType:
    headers = ("job", "kind", "config", "state", "host", "tries>", "done>", "rate>", "age>", "reason")
    return table(headers, (_job_row(view) for view in views))


def _job_row(view: op.JobView) -> tuple[object, ...]:
    rate = "-" if view.rate is None else f"{view.rate:.2g} {view.unit}/s"
    done = f"{view.done}/{view.total} {percent(view.progress)}"
    return (
        short(view.id),
        view.kind,
        view.config,
        state_text(view.state),
        view.host or "-",
        view.attempts,
        done,
        rate,
        age(view.age),
        view.reason or "-",
    )


def events(views: Sequence[op.EventView]) -> RenderableType:
    rows = (
        (e.id, e.at, e.actor, e.action, e.subject, ", ".join(f"{k}={v}" for k, v in e.detail.items()))
        for e in views
    )
    return table(("id>", "at", "who", "what", "subject", "detail"), rows)


def status(view: op.StatusView) -> RenderableType:
    c = view.controller
    head = f"controller {c.version}, pid {c.pid}, {c.database}, up {age(c.uptime)}, home {c.home}"
    jobs_line = ", ".join(f"{number} {state}" for state, number in view.jobs.items() if number) or "none"
    return Group(
        Text(plain(head), style="bold"),
        alerts.summary(view.alerts),
        hosttables.hosts(view.hosts),
        hosttables.cost(view.hourly_cost),
        configs(view.configs),
        Text(plain(f"jobs: {jobs_line}")),
        receipts(view.receipts),
    )


def receipts(view: op.ReceiptCount) -> Text:
    """Return the line that shows promises P1 and P2: nothing lost, nothing counted twice."""
    even = view.games_receipted == view.games_stored
    text = (
        f"receipts: {view.games_receipted} games receipted, {view.games_stored} stored, "
        f"{view.games_ingested} ingested, {view.games_awaiting_ingest} awaiting ingest, "
        f"{view.games_refused} refused: {'nothing lost, nothing twice' if even else 'THE COUNTS DIFFER'}"
    )
    return Text(text, style="" if even else "bold red")
