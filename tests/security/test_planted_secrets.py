"""Secrets stay where they belong: a real controller is used for a while, then what it left is searched."""

from __future__ import annotations

import http.server
import json
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session, select
from typer.testing import CliRunner

from ringrift.client.access import Access
from ringrift.client.http import AsyncClient
from ringrift.control.signing import signing_key
from ringrift.control.store import fleet
from ringrift.control.store.engine import database_url, open_engines
from ringrift.control.store.tables import Assignment
from tests.control.doubles import HOST_KEY, client
from tests.control.world import TOKEN, World
from tests.security.listening import listening
from tests.security.test_matrix import EXPECTED, filled, rows
from tui.app import RingRiftApp

CTL = [sys.executable, "-m", "ringrift.cli.main"]
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-bucket-secret",
    "PGPASSWORD": "planted-database-secret",
}


class Listener(http.server.BaseHTTPRequestHandler):
    """A webhook that keeps what it is told."""

    def do_POST(self) -> None:
        told = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append(told.decode() + str(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Place:
    """A home with its controller, an agent beside it, a webhook, and all that was printed or told."""

    def __init__(self, home: Path) -> None:
        self.home, self.said, self.root = home, "", home.with_name("root")
        self.hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        self.hook.told = []  # type: ignore[attr-defined]
        threading.Thread(target=self.hook.serve_forever, daemon=True).start()
        hook = f"http://127.0.0.1:{self.hook.server_port}/hook/planted-webhook-secret"
        given = {**PLANTED, "RINGRIFT_WEBHOOK_URL": hook, "RINGRIFT_HOME": str(home)}
        self.environment = {**os.environ, **given}
        self.agent: subprocess.Popen[bytes] | None = None
        self.token = ""

    def start_agent(self) -> None:
        """Enrol an agent of the host alpha and wait until it knows its name."""
        engines = open_engines(database_url(self.home, None))
        with Session(engines.writer) as session:
            self.token = fleet.mint_token(session, "alpha", 900.0)
            session.commit()
        engines.dispose()
        (self.root / "run").mkdir(parents=True)
        (self.root / "agent").mkdir()
        address = {"uds": str(self.home / "run" / "agents.sock")}
        (self.root / "run" / "controller.json").write_text(json.dumps(address))
        settings = self.root / "agent" / "agent.json"
        settings.write_text(json.dumps({"host": "alpha", "token": self.token, "kinds": []}))
        settings.chmod(0o600)
        command = [sys.executable, "-m", "agents", "run", "--root", str(self.root)]
        self.agent = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.token not in settings.read_text(), "the agent to be enrolled")

    def end(self) -> None:
        self.ctl("down")
        if self.agent is not None:
            self.agent.terminate()
            self.agent.wait(30)
        self.hook.shutdown()
        self.hook.server_close()

    def up(self, **more: str) -> str:
        """Start the controller as a process of its own; return what it says."""
        command = [*CTL, "up", "--detach", "--port", "0", "--json"]
        done = subprocess.run(
            command, env={**self.environment, **more}, capture_output=True, text=True, timeout=120
        )
        self.said += done.stdout + done.stderr
        return done.stdout

    def ctl(self, *words: str, **more: str) -> str:
        from ringrift.cli.main import app

        given = {**self.environment, **more}
        done = CliRunner().invoke(app, list(words), prog_name="ringrift-ctl", env=given)
        self.said += done.stdout + done.stderr
        return done.stdout


def wait_for(happened: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def used() -> Iterator[tuple[Place, int, str, str]]:
    """A controller that was asked for much: place, process id, the owner's token, a viewer's token."""
    folder = Path(tempfile.mkdtemp(prefix="rr-secrets-"))
    place = Place(folder / "home")
    try:
        place.home.mkdir(mode=0o700)
        (place.home / "config.toml").write_text("[alerts]\nevery_seconds = 0.5\ndisk_share = 0.01\n")
        (place.home / "config.toml").chmod(0o600)
        signing_key(place.home)
        told = json.loads(place.up())
        owner = (place.home / "operator.token").read_text().strip()
        place.said = ""
        made = json.loads(place.ctl("token", "new", "--role", "viewer", "--name", "guest", "--json"))
        place.said = ""
        api = httpx.Client(base_url=told["url"], headers={"authorization": f"Bearer {owner}"})
        host = {"name": "alpha", "user": "u", "address": "127.0.0.2", "host_key": HOST_KEY}
        assert api.post("/v1/hosts", json=host | {"confirmed_by": "fingerprint"}).status_code == 200
        place.start_agent()
        wait_for(lambda: place.hook.told, "an alert")
        place.said += "".join(place.hook.told)
        place.ctl("backup", "--to", str(folder / "backups"))
        place.ctl("events", "--json")
        place.ctl("doctor", "--json")
        place.ctl("token", "list")
        place.ctl("status", RINGRIFT_URL=told["url"], RINGRIFT_TOKEN="planted-wrong-token-0123456789")
        for method, path in sorted(EXPECTED):
            if method == "GET":
                for token in (made["token"], owner):
                    answer = httpx.get(
                        told["url"] + filled(path), headers={"authorization": f"Bearer {token}"}, timeout=30
                    )
                    place.said += answer.text + str(answer.headers)
        yield place, told["pid"], owner, made["token"]
    finally:
        place.end()
        shutil.rmtree(folder, ignore_errors=True)


def private_key(home: Path) -> str:
    """Return a line from the middle of the controller's SSH key."""
    return (home / "ssh" / "id_ed25519").read_text().splitlines()[2]


def test_no_planted_secret_is_found_in_what_was_written_printed_answered_or_shown(used) -> None:
    place, pid, owner, guest = used
    secrets = {**{value.rpartition("/")[2]: "" for value in PLANTED.values()}, guest: ""}
    secrets |= {owner: "operator.token", private_key(place.home): "ssh/id_ed25519"}
    secrets[(place.home / "signing.key").read_text().strip()] = "signing.key"
    secrets |= {"planted-wrong-token-0123456789": "", "planted-webhook-secret": "", place.token: ""}
    secrets[(place.root / "agent" / "key").read_text().strip()] = "../root/agent/key"
    files = [path for path in place.home.parent.rglob("*") if path.is_file()]
    logs = {path.relative_to(place.home.parent).parts[0] for path in files if ".log" in path.name}
    assert logs == {"home", "root"}
    assert any("backups" in path.parts for path in files) and len(place.said) > 5000
    argv = " ".join(psutil.Process(pid).cmdline())
    with sqlite3.connect(f"file:{place.home / 'ringrift.db'}?mode=ro", uri=True) as database:
        dump = "\n".join(database.iterdump())
    assert "token.new" in dump, "the dump is of the right database"
    for secret, allowed in secrets.items():
        found = [str(path) for path in files if secret.encode() in path.read_bytes()]
        assert found == ([os.path.normpath(place.home / allowed)] if allowed else []), secret[:12]
        assert secret not in place.said + argv + dump, secret[:12]


def test_nobody_else_on_the_machine_can_read_or_write_the_home(used) -> None:
    place, *_ = used
    every = [place.home, *place.home.rglob("*")]
    assert any(stat.S_ISSOCK(path.lstat().st_mode) for path in every)
    assert stat.S_IMODE(place.home.stat().st_mode) == 0o700
    open_to_others = [
        (str(path.relative_to(place.home)), oct(path.lstat().st_mode))
        for path in every
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    assert open_to_others == []


def test_the_controller_listens_on_loopback_and_on_its_socket_only(used) -> None:
    place, pid, *_ = used
    record = json.loads((place.home / "run" / "controller.json").read_text())
    address = record["url"].removeprefix("http://")
    assert address.startswith("127.0.0.1:")
    assert listening(pid) == {f"tcp {address}", f"unix {place.home / 'run' / 'agents.sock'}"}


def test_an_agent_listens_nowhere(used) -> None:
    place, *_ = used
    assert place.agent is not None and place.agent.poll() is None
    assert listening(place.agent.pid) == set()


async def test_no_secret_is_in_a_picture_of_a_screen(used, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _, owner, guest = used
    record = json.loads((place.home / "run" / "controller.json").read_text())
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    app = RingRiftApp(operate=True, connect=lambda: AsyncClient(Access(record["url"], owner, True)))
    shown = ""
    async with app.run_test(size=(160, 50)) as pilot:
        for key in ("1", "enter", "escape", "2", "3", "4", "question_mark"):
            await pilot.press(key)
            await app.feed.round()
            await pilot.pause()
            shown += app.export_screenshot()
    assert "alpha" in shown and shown.count("</svg>") == 7
    hidden = [owner, guest, place.token, (place.root / "agent" / "key").read_text().strip()]
    hidden += [*PLANTED.values(), "planted-webhook-secret", private_key(place.home)]
    assert [secret[:12] for secret in hidden if secret in shown] == []


def test_a_password_in_the_address_of_the_database_is_not_told(tmp_path: Path) -> None:
    place = Place(tmp_path / "home")
    url = "postgresql://ann:planted-database-secret@127.0.0.1:9/none"
    assert place.up(RINGRIFT_DATABASE_URL=url) == ""
    place.ctl("doctor", RINGRIFT_DATABASE_URL=url)
    assert "127.0.0.1" in place.said and "planted-database-secret" not in place.said
    for path in place.home.rglob("*"):
        assert not path.is_file() or b"planted-database-secret" not in path.read_bytes(), path


async def test_secrets_of_agents_are_in_no_row_no_log_and_no_answer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    alpha = await world.agent("alpha")
    token = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    await world.enable()
    await world.reconcile("selfplay")
    leased = (await alpha.lease()).assignment
    known = world.context.sessions
    session = known.open(alpha.id, known.challenge(alpha.id), alpha.incarnation)
    assert leased is not None and leased.credential
    assert isinstance(alpha.key, Ed25519PrivateKey)
    secrets = [token, leased.credential, session.key, alpha.key.private_bytes_raw().hex(), TOKEN]
    said = str(await world.read(rows)) + caplog.text
    async with client(world.operators_app, authorization=f"Bearer {TOKEN}") as http:
        for method, path in sorted(EXPECTED):
            if method == "GET":
                said += (await http.get(filled(path))).text
        said += (await http.get(f"/v1/jobs/{leased.job}")).text + (await http.get("/v1/why/alpha")).text
    assert leased.job in said
    assert [secret[:12] for secret in secrets if secret in said] == []
    stored = await world.read(lambda s: s.exec(select(Assignment.credential)).all())
    assert len(stored[0]) == 64, "its hash only"
