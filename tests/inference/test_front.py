"""The service is replaced behind its socket: real processes, and somebody who asks all the time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game
from tests.inference.conftest import free_port

pytestmark = pytest.mark.timeout(1200)
REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "square8_2p"
PATIENCE = 300.0
BROKEN = {
    "ends": "import sys; sys.exit('this release does not run')\n",
    "lies": (
        "import json, os, sys\n"
        "fd = int(sys.argv[sys.argv.index('--ready-fd') + 1])\n"
        "os.write(fd, json.dumps({'issues': ['a golden vector differs']}).encode())\n"
    ),
}


class Fronted:
    """A service folder, releases beside it, and the front as a process of its own."""

    def __init__(self, root, deployment):
        self.root, self.deployment = root, deployment
        cache = root / "cache"
        cache.mkdir()
        (cache / "ringrift").symlink_to(REPOSITORY / "ringrift" / "__pycache__" / "jit")
        for name in ("first", "second"):
            self.release(name)
        for name, program in BROKEN.items():
            package = self.release(name, "ringrift") / "inference"
            package.mkdir()
            (package / "__init__.py").touch()
            (package / "__main__.py").write_text(program)
        self.models = {KEY: 1}
        self.generation("first")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "inference.front", "--models", str(deployment.folder)]
        self.process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "2"],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(cache)},
            stderr=(root / "front.log").open("ab"),
        )

    def release(self, name, *packages):
        folder = self.root / "releases" / name
        folder.mkdir(parents=True)
        for package in packages or ("ringrift", "inference"):
            (folder / package).symlink_to(REPOSITORY / package)
        return folder

    def generation(self, release):
        """Make a generation of the same models current, served by a release."""
        before = self.deployment.swap
        self.deployment.swap = lambda place: None
        place = self.deployment.deploy(self.models)
        self.deployment.swap = before
        (place / "software").symlink_to(self.root / "releases" / release)
        self.deployment.swap(place)
        return str(place)

    def status(self):
        try:
            return json.loads((self.deployment.folder / "front.json").read_text())
        except FileNotFoundError:
            return {"seen": None}

    def health(self):
        return httpx.get(f"{self.url}/health", timeout=60).json()

    def wait_for(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            log = (self.root / "front.log").read_text
            assert self.process.poll() is None, f"the front ended: {log()}"
            assert time.monotonic() < until, f"waited in vain for {what}: {log()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def front(tmp_path_factory, shelf):
    from tests.inference.conftest import Deployment

    root = tmp_path_factory.mktemp("fronted")
    made = Fronted(root, Deployment(root / "target", shelf))
    made.wait_for(lambda: made.status()["seen"], "the first process")
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
    made.process.wait(60)


@pytest.fixture
def asked(front):
    """Ask without a pause from two connections; yields what came back."""
    body = {"game_state": dump_game(Game.new(GameConfig.parse(KEY))), "player_number": 1, "difficulty": 5}
    seen, enough = [], threading.Event()

    def ask():
        with httpx.Client(timeout=60) as client:
            while not enough.is_set():
                try:
                    answer = client.post(f"{front.url}/move", json=body)
                    seen.append((answer.status_code, answer.json().get("model")))
                except httpx.TransportError as error:
                    seen.append((0, repr(error)))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    yield seen
    enough.set()
    for asker in askers:
        asker.join()


def test_a_new_release_takes_over_without_a_lost_request_or_a_weaker_move(front, asked):
    before = front.health()
    assert before["release"] == "first"
    place = front.generation("second")
    front.wait_for(lambda: front.status()["seen"] == place, "the new release")
    now = len(asked)
    front.wait_for(lambda: len(asked) >= now + 10, "answers of the new release")
    after = front.health()
    assert (after["release"], after["models"]) == ("second", before["models"])
    assert after["pid"] != before["pid"]
    assert set(asked) == {(200, front.deployment.sha256(KEY, 1))}


@pytest.mark.parametrize(("release", "why"), [("ends", "ended with 1"), ("lies", "a golden vector differs")])
def test_a_release_that_does_not_get_ready_replaces_nothing_and_says_why(front, asked, release, why):
    before = front.health()
    place = front.generation(release)
    front.wait_for(lambda: front.status()["seen"] == place, "its refusal")
    assert why in front.status()["refused"]
    assert front.health()["pid"] == before["pid"]
    back = front.generation(before["release"])
    front.wait_for(lambda: front.status()["seen"] == back, "the way back")
    assert front.status()["refused"] is None
    assert front.health()["pid"] == before["pid"]
    assert set(asked) == {(200, front.deployment.sha256(KEY, 1))}


def test_a_service_that_is_killed_starts_anew_behind_the_same_socket(front):
    before = front.health()["pid"]
    os.kill(before, signal.SIGKILL)
    assert front.health()["pid"] != before


def test_at_its_end_nothing_is_left_of_it(front):
    child = front.health()["pid"]
    front.process.send_signal(signal.SIGTERM)
    assert front.process.wait(60) == 0
    assert not Path(f"/proc/{child}").exists()
    with pytest.raises(httpx.ConnectError):
        front.health()
