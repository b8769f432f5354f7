"""What several tests of hosts share, and a small release for them.

The release has the real supervisor and the real holder of the port, and stand-ins for the agent and for the
inference service. The latter follows the same manifest and answers the same `/health`, in the standard
library.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.control.domain.ports import StepEvent

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = (
    "agents/__init__.py",
    "agents/files.py",
    "agents/processes.py",
    "agents/supervision.py",
    "agents/supervisor.py",
    "inference/front.py",
    "inference/listening.py",
    "inference/logs.py",
    "ringrift/__init__.py",
    "ringrift/errors.py",
    "ringrift/text.py",
)
PROJECT = """
[project]
name = "ringrift"
[project.optional-dependencies]
agent = ["numpy>=1", "pydantic>=2,<3; python_version >= '3'", "never-there>=9; sys_platform == 'plan9'"]
inference = ["numpy>=1"]
dev = ["ringrift[agent]"]
"""
AGENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(60)
"""
WARMUP = """
import os, pathlib
folder = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
with open(folder / "compiled", "a") as file:
    file.write("once\\n")
"""
LOAD = """
import hashlib, json, pathlib
def load(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    models = {}
    for key, entry in manifest["models"].items():
        data = (folder / entry["file"]).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != entry["sha256"]:
            raise ValueError(f"{entry['file']} has another hash")
        if data.startswith(b"unplayable"):
            raise ValueError(f"{entry['file']} plays an illegal move")
        surprise, answers = data.startswith(b"surprise"), not data.startswith(b"mute")
        models[key] = {"sha256": found, "generation": entry["generation"]}
        models[key] |= {"surprise": surprise, "answers": answers}
    return manifest["generation"], models
"""
VERIFY = """
import json, pathlib, sys
from inference.load import load
try:
    _, models = load(pathlib.Path(sys.argv[1]))
except Exception as error:
    print(json.dumps({"ok": False, "error": {"code": "corrupt_data", "message": str(error)}}))
    sys.exit(8)
print("noise of a library")
print(json.dumps({"ok": True, "moves": {key: "a move" for key in models}}))
"""
SERVICE = """
import argparse, http.server, json, os, pathlib, signal, socket, threading
from inference.load import load
parser = argparse.ArgumentParser()
parser.add_argument("--models", type=pathlib.Path)
parser.add_argument("--fd", type=int)
parser.add_argument("--ready-fd", type=int)
parser.add_argument("--successor", action="store_true")
options = parser.parse_args()
served = {"generation": None, "models": {}, "issues": ["nothing loaded"]}
def report():
    try:
        generation, models = load((options.models / "current").resolve())
        if any(model["surprise"] for model in models.values()):
            raise ValueError("a model that verified cannot be loaded here")
        served.update(generation=generation, models=models, issues=[])
    except Exception as error:
        served["issues"] = [str(error)]
    release = pathlib.Path(__file__).parents[1].name
    state = "unhealthy" if served["issues"] else "healthy"
    return json.dumps({**served, "status": state, "release": release, "pid": os.getpid()}).encode()
class Health(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        self.say(503 if served["issues"] else 200, report())
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/rules/evaluate_move":
            return self.say(200, b'{"valid": true}')
        state = asked["game_state"]
        model = served["models"].get(f"{state['boardType']}_{len(state['players'])}p", {})
        answers = model.get("answers", True)
        move = {"move": {"type": "place_ring"} if answers else None, "model": model.get("sha256")}
        self.say(200, json.dumps(move).encode())
    def say(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    def server_bind(self):
        self.socket.close()
        self.socket = socket.socket(fileno=options.fd)
        self.socket.setblocking(False)  # a successor may have taken what the selector showed
    def server_activate(self):
        os.write(options.ready_fd, report())
        os.close(options.ready_fd)
server = Server(("127.0.0.1", 0), Health)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
server.server_close()  # answers what is open
"""
WRITTEN = {
    "pyproject.toml": PROJECT,
    "agents/__main__.py": AGENT,
    "ringrift/players/__init__.py": "",
    "ringrift/players/warmup.py": WARMUP,
    "inference/__init__.py": "",
    "inference/__main__.py": SERVICE,
    "inference/load.py": LOAD,
    "inference/verify.py": VERIFY,
}


@dataclass
class Report:
    """Collects the events of an operation."""

    events: list[StepEvent] = field(default_factory=list)

    async def __call__(self, event: StepEvent) -> None:
        self.events.append(event)

    @property
    def ended(self) -> dict[str, str]:
        """Step -> state in which it ended."""
        return {event.name: event.state for event in self.events if event.state != "running"}


class StoppedHere(Exception):
    """Raised by a report to stand for the controller's end at that moment."""


class Ending(Report):
    """Ends the operation at one event of a step."""

    def __init__(self, step: str, state: str) -> None:
        super().__init__()
        self.moment = (step, state)

    async def __call__(self, event: StepEvent) -> None:
        await super().__call__(event)
        if (event.name, event.state) == self.moment:
            raise StoppedHere


def write_source(folder: Path) -> Path:
    """Write the sources of the release into `folder`."""
    for name in COPIED:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, path)
    for name, text in WRITTEN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
