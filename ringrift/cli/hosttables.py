"""How hosts, their inventory and their keys look in the shell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ringrift.cli.output import STYLES, fields, one_line, state_text, table
from ringrift.client.display import age, count, percent, plain, share, size
from ringrift.client.marks import mark
from ringrift.protocol import hosts as hw
from ringrift.protocol import operator as op


def hosts(views: Sequence[op.HostView]) -> RenderableType:
    """How the hosts stand, on one line each also in 80 columns."""
    headers = ("host", "state", "beat>", "cpu>", "ram>", "disk>", "gpu>", "games/h>", "doing")
    return table(headers, (_host_row(view) for view in views), whole=8)


def _host_row(view: op.HostView) -> tuple[object, ...]:
    seen = view.telemetry
    cpu = seen.cpu_percent if seen else None
    return (
        view.name,
        state_text(view.state),
        _beat(view),
        "-" if cpu is None else f"{cpu:.0f}%",
        percent(share(seen.memory_used, seen.memory_total)) if seen else "-",
        percent(share(seen.disk_used, seen.disk_total)) if seen else "-",
        "-" if seen is None or seen.gpu_percent is None else f"{seen.gpu_percent:.0f}%",
        count(view.games_per_hour),
        one_line(running(view)),
    )


def _beat(view: op.HostView) -> Text:
    """Return the heartbeat's age with the glyph of the health that it means."""
    look = mark(view.health)
    known = view.heartbeat_age is not None
    return Text(f"{look.glyph} {age(view.heartbeat_age)}" if known else look.glyph, style=STYLES[look.tone])


def wide(views: Sequence[op.HostView]) -> RenderableType:
    """What the hosts are, what they cost and in what they differ from what was declared."""
    headers = ("host", "state", "$/h>", "drift", "machine")
    up = sum(view.hourly_cost or 0.0 for view in views if view.health in ("up", "stale"))
    return Group(table(headers, (_wide_row(view) for view in views), whole=3), cost(up))


def cost(hourly: float) -> Text:
    return Text(f"cost of what is up: ${hourly:.2f} an hour")


def _wide_row(view: op.HostView) -> tuple[object, ...]:
    price = "-" if view.hourly_cost is None else f"{view.hourly_cost:.2f}"
    return (
        view.name,
        state_text(view.state),
        f"{price} spot" if view.spot else price,
        one_line("; ".join(view.drift) or "-"),
        one_line(machine(view)),
    )


def machine(view: op.HostView) -> str:
    """Return what a host is declared to be, in words; what is not declared is left out."""
    words = (
        gpus(view) if view.gpu_count else "",
        view.arch,
        f"{view.cpus} cpus" if view.cpus else "",
        f"{view.ram_gb:g} GB RAM" if view.ram_gb else "",
        f"{view.disk_gb:g} GB disk" if view.disk_gb else "",
        view.kind,
        view.role,
        view.provider,
        view.region,
        f"through {view.jump}" if view.jump else view.reachability,
    )
    return ", ".join(word for word in words if word)


def gpus(view: op.HostView) -> str:
    """Return the declared GPUs: `8 x RTX 3090 24 GB`."""
    many = f"{view.gpu_count} x " if view.gpu_count > 1 else ""
    return f"{many}{view.gpu} {view.vram_gb:g} GB"


def running(view: op.HostView) -> str:
    """Return what a host does now, or why nothing."""
    if not view.running:
        return view.idle_reason or view.reason or "-"
    first = view.running[0]
    more = f" +{len(view.running) - 1}" if len(view.running) > 1 else ""
    return f"{first.kind} {first.config} {percent(share(first.done, first.total))}{more}"


def host(view: op.HostView) -> RenderableType:
    seen = view.telemetry
    pairs: list[tuple[str, object]] = [
        ("host", view.name),
        ("state", state_text(view.state)),
        ("reason", view.reason or "-"),
        ("health", state_text(view.health)),
        ("heartbeat", age(view.heartbeat_age)),
        ("login", view.login + (f" through {view.jump}" if view.jump else "")),
        ("fingerprint", _key(view)),
        ("root", view.root),
        ("python", view.python or "our own environment"),
        ("tunnel", state_text(view.tunnel)),
        ("release", view.release or "-"),
        ("job", running(view)),
        ("results without receipt", "-" if view.spooled is None else view.spooled),
        ("operation", view.operation or "-"),
    ]
    if view.quarantined_for is not None:
        pairs.append(("quarantine ends in", age(view.quarantined_for)))
    if seen:
        pairs += [
            ("cpu", f"{seen.cpus or '-'} cores, load {seen.load if seen.load is not None else '-'}"),
            ("memory", f"{size(seen.memory_used)} of {size(seen.memory_total)}"),
            ("disk", f"{size(seen.disk_used)} of {size(seen.disk_total)}"),
            ("gpu", seen.gpu or "none seen"),
        ]
    return fields([*pairs, *_declared(view)])


def _key(view: op.HostView) -> str:
    if view.key_how == "ca" and not view.blocked:
        return f"none pinned, known by its certificate since {age(view.key_age)}"
    if not view.pinned:
        return f"none pinned{f', expected {view.fingerprint}' if view.fingerprint else ''}"
    how = f" ({view.key_how}, {view.confirmed_by}, {age(view.key_age)} ago)" if view.key_how else ""
    return f"{view.fingerprint}{how}{', BLOCKED' if view.blocked else ''}"


def _declared(view: op.HostView) -> list[tuple[str, object]]:
    """Return what an inventory said, and what a look found to be otherwise."""
    pairs: list[tuple[str, object]] = [("declared", machine(view))] if view.kind else []
    if view.hourly_cost is not None:
        pairs.append(("cost", f"${view.hourly_cost:.2f} an hour{', spot' if view.spot else ''}"))
    if view.labels:
        pairs.append(("labels", ", ".join(f"{name}={value}" for name, value in sorted(view.labels.items()))))
    if view.note:
        pairs.append(("note", view.note))
    return pairs + [("drift", Text(plain(line), style="yellow")) for line in view.drift]


def history(views: Sequence[hw.HostStateView]) -> RenderableType:
    rows = ((view.at, age(view.age), state_text(view.state), view.reason or "-") for view in views)
    return table(("since", "ago>", "state", "reason"), rows)


def imported(view: hw.ImportView) -> RenderableType:
    """The report of an import: a line per host, and one per warning or error."""
    rows = [line for row in view.rows for line in _import_rows(row)]
    counts = {what: sum(row.outcome == what for row in view.rows) for what in _OUTCOMES}
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    verb = "imported" if view.done else "planned, nothing was written"
    return Group(table(("host", "", "state", "what"), rows), Text(f"{verb}: {told}"))


_OUTCOMES = ("added", "changed", "unchanged", "refused")


def _import_rows(row: hw.ImportRow) -> list[tuple[object, ...]]:
    said = row.reason or (f"changes: {', '.join(row.changes)}" if row.changes else "-")
    first = row.errors[0] if row.errors else said
    state = state_text(row.state) if row.state else "-"
    lines: list[tuple[object, ...]] = [(row.name, state_text(row.outcome), state, first)]
    lines += [("", "", "", error) for error in row.errors[1:]]
    return lines + [("", state_text("warning"), "", warning) for warning in row.warnings]


def scanned(views: Sequence[hw.ScannedHost]) -> RenderableType:
    """The fingerprints that hosts show, before they are pinned."""
    rows = ((view.name, view.login, _shown(view)) for view in views)
    return table(("host", "login", "shows"), rows)


def _shown(view: hw.ScannedHost) -> str:
    if not view.keys:
        return view.error or "no host key"
    key = view.keys[0]
    if not view.expected:
        return f"{key.fingerprint} {key.type}"
    as_said = "as the inventory says" if key.fingerprint == view.expected else f"NOT {view.expected}"
    return f"{key.fingerprint} {key.type}, {as_said}"


def pinned(views: Sequence[hw.PinnedKeyView]) -> RenderableType:
    rows = ((view.fingerprint, view.type, view.how, view.actor, view.at, _standing(view)) for view in views)
    return table(("fingerprint", "type", "how", "who", "when", ""), rows)


def _standing(view: hw.PinnedKeyView) -> str:
    if view.revoked is not None:
        return f"revoked: {view.revoked}"
    return "in force" if view.in_force else "-"


def revoked(views: Sequence[hw.RevokedKeyView]) -> RenderableType:
    rows = ((v.fingerprint, v.actor, v.at, ", ".join(v.hosts) or "-", v.reason) for v in views)
    return table(("fingerprint", "who", "when", "hosts", "reason"), rows)


def authorities(views: Sequence[hw.AuthorityView]) -> RenderableType:
    rows = ((view.fingerprint, view.public_key.split()[0], view.actor, view.at) for view in views)
    return table(("fingerprint", "type", "who", "when"), rows)
