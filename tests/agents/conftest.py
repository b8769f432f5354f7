"""A small real HTTP server that speaks the agents' API, and agents as real processes against it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ringrift.protocol import agent as wire

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNERS = Path(__file__).resolve().parent / "runners"
TOKEN = "token-of-alpha-0123456789"
PATIENCE = 240.0


class Conversation(BaseHTTPRequestHandler):
    """One request; the state lives in `self.server.controller`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "agent"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != wire.ENROL and not self._is_signed(wire.signing_text("POST", self.path, body)):
            return self._refuse(401, "access_refused", "bad signature")
        return self._answer(*self.server.controller.post(self.path, json.loads(body), self._agent()))

    def do_PUT(self):
        where = urlsplit(self.path)
        sha256 = where.path.rpartition("/")[2]
        chunk = dict(parse_qsl(where.query))
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = self.headers[wire.CHUNK_HEADER] if chunk else sha256
        if not self._is_signed(wire.streaming_signing_text("PUT", self.path, signed)) or not self._has_pass():
            return self._refuse(401, "access_refused", "bad signature")
        if chunk and hashlib.sha256(body).hexdigest() != signed:
            return self._refuse(422, "corrupt_data", "other bytes than were signed")
        if chunk:
            return self._answer(*self.server.controller.put_chunk(sha256, body, **chunk))
        return self._answer(*self.server.controller.put(sha256, body))

    def do_GET(self):
        sha256 = self.path.rpartition("/")[2]
        if not self._is_signed(wire.signing_text("GET", self.path, b"")) or not self._has_pass():
            return self._refuse(401, "access_refused", "bad signature")
        if sha256 == "partial":
            sha256 = self.path.split("/")[-2]
            return self._answer(200, {"received": len(self.server.controller.partial.get(sha256, b""))})
        if sha256 == "url?method=get" or sha256 == "url?method=put":
            return self._answer(200, {"url": None, "seconds": 900})
        start = int((self.headers.get("range") or "bytes=0-")[6:-1])
        return self._send_artifact(sha256, start)

    def _send_artifact(self, sha256, start):
        controller = self.server.controller
        data = controller.artifacts.get(sha256)
        controller.ranges.append(start)
        if data is None:
            return self._refuse(404, "not_found", f"no artifact {sha256[:12]}")
        if start >= len(data):
            return self._refuse(416, "bad_input", "nothing there")
        sent = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        cut, controller.cut_after = controller.cut_after, None
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(sent[:cut])
        if cut is not None:
            self.close_connection = True
        return None

    def _agent(self):
        return self.headers.get(wire.AGENT_HEADER, "")

    def _has_pass(self):
        """Whether the request names an assignment that was given away, with its credential."""
        name, _, credential = self.headers.get(wire.ASSIGNMENT_HEADER, "").partition(":")
        return self.server.controller.credentials.get(name) == credential

    def _is_signed(self, text):
        key = self.server.controller.keys.get(self._agent())
        if key is None:
            return False
        with contextlib.suppress(InvalidSignature):
            signature = base64.b64decode(self.headers[wire.SIGNATURE_HEADER])
            Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(signature, text)
            return True
        return False

    def _refuse(self, status, code, message):
        self._answer(status, {"error": {"code": code, "message": message, "hint": ""}})

    def _answer(self, status, value):
        if value is None:
            self.close_connection = True
            return
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_):
        """An agent that was killed leaves its connections broken."""

    request_queue_size = 32


class TestController:
    """A controller in memory. `wait` waits for something that an agent has to bring about."""

    __test__ = False

    def __init__(self, folder):
        self.folder = folder
        self.tokens = {TOKEN: None}
        self.keys = {}
        self.assignments = []
        self.artifacts = {}
        self.ranges = []
        self.cut_after = None
        self.credentials = {}
        self.partial = {}
        self.chunks = []
        self.failing_chunks = 0
        self.replaced = False
        self.results = {}
        self.finished = {}
        self.beats = []
        self.beat_seconds = 0.2
        self.leases = 0
        self.superseded = set()
        self.overtaken = set()
        self.refuse_finish = False
        self.draining = False
        self.lose_enrol_replies = 0
        self.generation = 0
        self.changed = threading.Condition()
        self.server = None

    def open(self):
        """Listen on a fresh socket; return what belongs into `run/controller.json`."""
        self.generation += 1
        path = self.folder / f"c{self.generation}.sock"
        self.server = _UnixServer(str(path), Conversation)
        self.server.controller = self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return {"uds": str(path)}

    def close(self):
        """Stop listening; the socket's file stays, as after a cut tunnel."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def wait(self, condition, what="it"):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"waited in vain for {what}"

    def add(self, name, *, done=(), deadline=600.0, memory_limit=None, disk_limit=None, **spec):
        """Put one assignment on offer; `spec` fields replace those of a small selfplay job."""
        whole = {
            "kind": "selfplay",
            "config": "square8_2p",
            "player": {"kind": "random"},
            "shards": 3,
            "games_per_shard": 1,
            "seed": 5,
        }
        self.credentials[name] = f"credential of {name}"
        self.assignments.append(
            {
                "assignment": name,
                "job": f"job-{name}",
                "epoch": 1,
                "spec": {**whole, **spec},
                "done": list(done),
                "lease_seconds": 60.0,
                "deadline_seconds": deadline,
                "memory_limit": memory_limit,
                "disk_limit": disk_limit,
                "credential": self.credentials[name],
            }
        )

    def store(self, data):
        sha256 = hashlib.sha256(data).hexdigest()
        self.artifacts[sha256] = data
        return sha256

    def sequences(self, name):
        return sorted(sequence for assignment, sequence in self.results if assignment == name)

    def put(self, sha256, body):
        if hashlib.sha256(body).hexdigest() != sha256:
            return 422, {"error": {"code": "corrupt_data", "message": "other hash", "hint": ""}}
        with self.changed:
            self.artifacts[sha256] = body
            self.changed.notify_all()
        return 200, {"sha256": sha256, "size": len(body)}

    def put_chunk(self, sha256, body, offset, last="0"):
        self.chunks.append(int(offset))
        if self.failing_chunks and len(self.chunks) == self.failing_chunks:
            return 503, {"error": {"code": "environment", "message": "not now", "hint": ""}}
        held = self.partial.get(sha256, b"")
        if int(offset) > len(held):
            return 409, {"error": {"code": "conflict", "message": "a gap", "hint": ""}}
        self.partial[sha256] = held[: int(offset)] + body
        if last != "1":
            return 200, {"received": len(self.partial[sha256])}
        return self.put(sha256, self.partial.pop(sha256))

    def post(self, path, body, agent):
        with self.changed:
            answer = getattr(self, "_" + path.rpartition("/")[2])(body, agent)
            self.changed.notify_all()
            return answer

    def _enrol(self, body, _):
        wire.EnrolRequest.model_validate(body)
        owner = self.tokens.get(body["token"], "unknown")
        if owner not in (None, body["public_key"]):
            return 401, {"error": {"code": "access_refused", "message": "unknown token", "hint": ""}}
        self.tokens[body["token"]] = body["public_key"]
        self.keys["agent-1"] = body["public_key"]
        if self.lose_enrol_replies:
            self.lose_enrol_replies -= 1
            return 0, None
        return 200, {"agent": "agent-1"}

    def _session(self, body, _):
        """A controller of the version before sessions."""
        return 404, {"error": {"code": "not_found", "message": "no such path", "hint": ""}}

    _batch = _session

    def _beat(self, body, _):
        if self.replaced:
            return 401, {"error": {"code": "replaced", "message": "a later start took its place", "hint": ""}}
        beat = wire.BeatRequest.model_validate(body)
        self.beats.append(beat)
        standing = [
            {"assignment": run.assignment, "epoch": run.epoch, "alive": run.assignment not in self.superseded}
            for run in beat.running
        ]
        return 200, {"standing": standing, "next_beat_seconds": self.beat_seconds, "stop": self.draining}

    def _lease(self, body, _):
        wire.LeaseRequest.model_validate(body)
        self.leases += 1
        assignment = self.assignments.pop(0) if self.assignments else None
        return 200, {
            "assignment": assignment,
            "retry_seconds": 0.1,
            "reason": "" if assignment else "no work",
        }

    def _results(self, body, _):
        result = wire.ResultRequest.model_validate(body)
        assert result.credential == self.credentials[result.assignment]
        key = (result.assignment, result.sequence)
        if result.assignment in self.superseded:
            return 200, {"accepted": False, "alive": False, "reason": "superseded"}
        if result.assignment in self.overtaken:
            return 200, {"accepted": True, "duplicate": True, "alive": False}
        if any(sha256 not in self.artifacts for sha256 in result.artifacts):
            return 409, {"error": {"code": "conflict", "message": "artifact missing", "hint": ""}}
        duplicate = key in self.results
        self.results[key] = result
        return 200, {"accepted": True, "duplicate": duplicate}

    def _finish(self, body, _):
        finish = wire.FinishRequest.model_validate(body)
        assert finish.credential == self.credentials[finish.assignment]
        if self.refuse_finish:
            return 422, {"error": {"code": "bad_input", "message": "no such end", "hint": ""}}
        self.finished[finish.assignment] = finish
        return 200, {"accepted": True}


class HostFolder:
    """A provisioned host's root, and agents started on it."""

    def __init__(self, root, scratch):
        self.root = root
        self.scratch = scratch
        self.processes = []
        (root / "agent").mkdir()
        (root / "run").mkdir()
        self.write_settings(token=TOKEN)

    def write_settings(self, mode=0o600, **changes):
        path = self.root / "agent" / "agent.json"
        settings = {"host": "alpha", "release": "0" * 12, "python": sys.executable, "disk_floor_bytes": 0}
        path.write_text(json.dumps({**settings, **changes}))
        path.chmod(mode)

    def point_to(self, address):
        fresh = self.root / "run" / "controller.json.new"
        fresh.write_text(json.dumps(address))
        fresh.replace(self.root / "run" / "controller.json")

    def start(self, runner="count", slots=1, wild_clock=False, **environment):
        """Start an agent; `runner` names a function of the test runner, None the production one."""
        module = [str(RUNNERS / "wild_clock.py")] if wild_clock else ["-m", "agents"]
        command = [sys.executable, *module, "run", "--root", str(self.root), "--slots", str(slots)]
        if runner:
            command += ["--runner", f"agent_test_runner:{runner}"]
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{RUNNERS}",
                "RINGRIFT_TEST_FOLDER": str(self.scratch),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def close_gate(self, sequence):
        os.mkfifo(self.scratch / f"gate-{sequence}")

    def open_gate(self, sequence):
        """Let the job pass; returns once it stood at the gate."""
        gate = self.scratch / f"gate-{sequence}"
        with gate.open("w"):
            gate.unlink()

    def computed(self):
        log = self.scratch / "computed.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def spooled(self):
        return sorted(path.name for path in (self.root / "agent" / "spool").iterdir())

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture
def folder():
    """A short folder name: a unix socket's path holds about a hundred bytes."""
    path = Path(tempfile.mkdtemp(prefix="rr"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def controller(folder):
    made = TestController(folder)
    yield made
    made.close()


@pytest.fixture
def host(folder, tmp_path):
    root = folder / "root"
    root.mkdir()
    made = HostFolder(root, tmp_path)
    yield made
    made.end()


@pytest.fixture
def connected(host, controller):
    """A host whose tunnel leads to the controller."""
    host.point_to(controller.open())
    return host


@pytest.fixture
def eventually():
    """Wait until a condition that no event tells of holds, such as the end of another process."""

    def wait(condition, what="it"):
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, f"waited in vain for {what}"
            time.sleep(0.02)

    return wait
