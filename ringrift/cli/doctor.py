"""`doctor`: is this machine as it has to be? Every line is ok or says what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ringrift.cli.output import Json, output

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer()
NEEDED = (
    "typer",
    "rich",
    "textual",
    "httpx",
    "pydantic",
    "fastapi",
    "uvicorn",
    "asyncssh",
    "sqlmodel",
    "alembic",
)
FREE_BYTES = 2 * 1024**3
"""Room that a small fleet's shards and models of one day need; below it the controller may stop."""


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is well, what was found, what to do."""

    name: str
    ok: bool
    found: str
    advice: str = ""


@app.command()
def doctor(context: typer.Context, json: Json = False) -> None:
    """Check python, packages, home, settings, port, controller, database, SSH and disk."""
    from ringrift.errors import EnvironmentProblem

    findings = [_checked(check) for check in CHECKS]
    output(context, json).data(findings, lambda: _drawn(findings))
    wrong = [finding.name for finding in findings if not finding.ok]
    if wrong:
        raise EnvironmentProblem(f"not as needed: {', '.join(wrong)}", hint="the table says what to do")


def _checked(check: Callable[[], Finding]) -> Finding:
    """Run one check; what it stumbles over is its finding, and the others still run."""
    from ringrift.errors import RingRiftError

    try:
        return check()
    except RingRiftError as error:
        return Finding(check.__name__, False, error.message, error.hint)
    except OSError as error:
        return Finding(check.__name__, False, f"{error.filename}: {error.strerror}", "check RINGRIFT_HOME")


def _drawn(findings: list[Finding]) -> Table:
    from ringrift.cli.output import state_text, table

    rows = ((state_text("ok" if f.ok else "no"), f.name, f.found, f.advice) for f in findings)
    return table(("", "check", "found", "what to do"), rows)


def python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Finding(
        "python", sys.version_info >= (3, 11), found, "" if sys.version_info >= (3, 11) else "use 3.11+"
    )


def packages() -> Finding:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}", "pip install 'ringrift[control]'")
    return Finding("packages", True, f"{len(NEEDED)} present")


def home_folder() -> Finding:
    from ringrift.client.home import home

    folder = home()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Finding("home", False, f"{nearest} is not writable", "set RINGRIFT_HOME to a folder of yours")
    return Finding("home", True, f"{folder}{'' if folder.exists() else ' (made by `ringrift-ctl up`)'}")


def token() -> Finding:
    from ringrift.client.home import home

    path = home() / "operator.token"
    if not path.exists():
        return Finding("token", True, "none yet (made by `ringrift-ctl up`)")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding("token", False, f"{path} can be read by others ({mode:o})", f"chmod 600 {path}")
    return Finding("token", True, f"{path} (600)")


def settings() -> Finding:
    from ringrift.client.home import home
    from ringrift.control.settings import load_settings

    gate = load_settings(home()).gate
    return Finding("settings", True, f"sound; the gate's policy is {gate.name} {gate.sha256[:12]}")


def port() -> Finding:
    import socket

    from ringrift.cli.process import running_controller
    from ringrift.client.home import DEFAULT_PORT

    if running_controller():
        return Finding("port", True, "held by the running controller")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError as problem:
            advice = "stop what listens there, or use `ringrift-ctl up --port 0`"
            return Finding("port", False, f"{DEFAULT_PORT}: {problem.strerror}", advice)
    return Finding("port", True, f"{DEFAULT_PORT} is free")


def controller() -> Finding:
    from ringrift.client import routes
    from ringrift.client.access import find_access
    from ringrift.client.http import Client
    from ringrift.errors import RingRiftError

    try:
        with Client(find_access()) as client:
            view = client.send(routes.status()).controller
    except RingRiftError as error:
        return Finding("controller", False, error.message, error.hint)
    return Finding("controller", True, f"version {view.version}, pid {view.pid}, on {view.database}")


def database() -> Finding:
    from ringrift.client.home import home

    url = os.environ.get("RINGRIFT_DATABASE_URL")
    path = home() / "ringrift.db"
    if url:
        kind = url.partition(":")[0]
        if kind.partition("+")[0] not in ("sqlite", "postgresql", "postgres"):
            return Finding("database", False, f"{kind} by RINGRIFT_DATABASE_URL", "use sqlite or postgresql")
        return _schema(f"{kind} by RINGRIFT_DATABASE_URL")
    if not path.exists():
        return Finding("database", True, f"{path} (made by `ringrift-ctl up`)")
    with path.open("rb") as stream:
        start = stream.read(15)
    if start not in (b"SQLite format 3", b""):
        return Finding("database", False, str(path), "this is no SQLite file: restore it from a backup")
    return _schema(str(path)) if start else Finding("database", True, f"{path} (empty)")


def _schema(where: str) -> Finding:
    """Look at the revision of a database, which `up` would migrate, or refuse when it is newer."""
    from sqlalchemy.exc import SQLAlchemyError

    from ringrift.client.home import home
    from ringrift.control.store import migrate
    from ringrift.control.store.engine import database_url, environment_problem, open_engines

    engines = open_engines(database_url(home(), os.environ.get("RINGRIFT_DATABASE_URL")))
    try:
        found = migrate.revision(engines.reader)
    except SQLAlchemyError as error:
        problem = environment_problem(error)
        return Finding("database", False, problem.message, problem.hint)
    finally:
        engines.dispose()
    if migrate.newer_than_code(found):
        return Finding(
            "database",
            False,
            f"{where}: schema {found}, newer than this code",
            "use the newer release, or restore a backup made by this one",
        )
    return Finding("database", True, f"{where}: schema {found or 'none yet'}")


def ssh() -> Finding:
    from ringrift.client.home import home

    key = home() / "ssh" / "id_ed25519"
    server = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    told = f"sshd {server}" if server else "no sshd here (only the demo would use it)"
    if key.exists() and key.stat().st_mode & 0o077:
        return Finding("ssh", False, f"{key} can be read by others", f"chmod 600 {key}")
    return Finding(
        "ssh", True, f"{'key ' + str(key) if key.exists() else 'key made by `ringrift-ctl up`'}; {told}"
    )


def disk() -> Finding:
    from ringrift.client.display import size
    from ringrift.client.home import home

    folder = home()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    advice = "" if free >= FREE_BYTES else f"free at least {size(FREE_BYTES)}"
    return Finding("disk", free >= FREE_BYTES, f"{size(free)} free at {nearest}", advice)


CHECKS: tuple[Callable[[], Finding], ...] = (
    python, packages, home_folder, settings, token, port, database, ssh, disk, controller,
)  # fmt: skip
