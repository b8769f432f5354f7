"""The service as a process: start, swap, overload, end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from inference.app import build_app
from inference.listening import inherited, listen
from inference.pool import SearchPool
from inference.watch import Watcher
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game
from tests.security.listening import listening

pytestmark = pytest.mark.timeout(1200)

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "square8_2p"


def opening(key=KEY, **fields):
    return {"game_state": dump_game(Game.new(GameConfig.parse(key))), "player_number": 1, **fields}


def run_to_end(*arguments, environment=None):
    return subprocess.run(
        [sys.executable, "-m", "inference", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_replies_on_a_connection_that_stays_open_are_not_held_back():
    """Asyncio sets TCP_NODELAY where a socket names its protocol; both ways to one must lead there."""
    with listen("127.0.0.1", 0) as found:
        assert found.proto == socket.IPPROTO_TCP
        with inherited(os.dup(found.fileno())) as again:
            assert again.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_one_clear_line_and_status_9(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_to_end("--models", str(tmp_path), "--port", str(port))
    assert done.returncode == 9
    assert (
        done.stderr
        == f"error: port {port} of 127.0.0.1 is in use - stop what listens there or choose another port\n"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        ([], {}, "RINGRIFT_MODELS_PATH"),
        (["--models", "x", "--port", "70000"], {}, "70000 is no port"),
        (["--models", "x"], {"PORT": "http"}, "PORT is 'http'"),
        (["--models", "x", "--expect", "chess_2p"], {}, "unknown config 'chess_2p'"),
        (["--models", "x", "--workers", "0"], {}, "--workers"),
        (["--models", "x", "--port", "0"], {"RINGRIFT_LOG_LEVEL": "loud"}, "RINGRIFT_LOG_LEVEL"),
        (["--models", "x", "--port", "0"], {"RINGRIFT_LOG_FORMAT": "xml"}, "RINGRIFT_LOG_FORMAT"),
        (["--models", "x", "--fd", "0"], {}, "descriptor 0 is no listening socket"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(arguments, environment, says):
    done = run_to_end(*arguments, environment={"RINGRIFT_MODELS_PATH": "", **environment})
    assert done.returncode in (2, 9)
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_without_models_the_service_runs_unhealthy_and_levels_without_a_net_answer(start_service, tmp_path):
    service = start_service(tmp_path / "nothing", "--unsigned")
    service.wait_for(lambda: "manifest" in service.health()["issues"][0], "the first look")
    assert listening(service.process.pid) == {f"tcp {service.url.removeprefix('http://')}"}
    answer = httpx.get(f"{service.url}/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["models_loaded"] == 0
    assert httpx.get(f"{service.url}/ready").status_code == 503
    assert httpx.get(f"{service.url}/live").status_code == 200
    assert service.move(opening(difficulty=1)).json()["move"] is not None
    reply = service.move(opening(difficulty=6)).json()
    assert (reply["ai_type"], reply["model"]) == ("mcts", None), "a weaker move, and it says so"
    labels = 'ai_type="gumbel_mcts",fallback_method="mcts",board_type="square8"'
    assert f"ringrift_ai_fallbacks_total{{{labels}}} 1" in httpx.get(f"{service.url}/metrics").text


def test_a_bad_model_is_named_while_the_others_serve(start_service, deployment):
    deployment.deploy({KEY: 1, "hex8_2p": 1}, hex8_2p={"sha256": "0" * 64})
    service = start_service(deployment.folder)
    service.wait_for(lambda: service.health()["models_loaded"] == 1, "the good model")
    assert "canonical_hex8_2p.pth" in service.health()["issues"][0]
    assert service.move(opening(difficulty=6)).json()["model"] == deployment.sha256(KEY, 1)
    assert service.move(opening("hex8_2p", difficulty=6)).json()["model"] is None


def test_a_swap_while_requests_are_in_flight_loses_none_of_them(start_service, deployment):
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder).wait_until_healthy()
    hashes = [deployment.sha256(KEY, seed) for seed in (1, 2)]
    seen = []
    enough = threading.Event()

    def ask():
        with httpx.Client(timeout=60) as client:
            while not enough.is_set():
                answer = client.post(f"{service.url}/move", json=opening(difficulty=6, seed=1))
                seen.append((answer.status_code, answer.json().get("model")))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        service.wait_for(lambda: len(seen) >= 5, "answers of the first model")
        deployment.deploy({KEY: 2})
        service.wait_for(lambda: service.health()["models"][KEY]["sha256"] == hashes[1], "the swap")
        swapped = len(seen)
        service.wait_for(lambda: len(seen) >= swapped + 10, "answers of the second model")
    finally:
        enough.set()
        for asker in askers:
            asker.join()
    assert {status for status, _ in seen} == {200}
    assert seen[0][1] == hashes[0]
    assert seen[-1][1] == hashes[1]
    assert {model for _, model in seen} == set(hashes)


def test_sigterm_answers_what_was_asked_and_ends_with_status_0(start_service, deployment):
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder, "--workers", "1").wait_until_healthy()
    answers = []

    def ask():
        answers.append(service.move(opening(difficulty=10, seed=1)))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    connections = f"/proc/{service.process.pid}/net/tcp"
    service.wait_for(lambda: _established(connections, service.url) >= 3, "three open requests")
    assert service.stop() == 0
    for asker in askers:
        asker.join()
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def _established(table, url):
    """Count the connections to the service's port; 01 is the state ESTABLISHED of Linux's table."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    if not Path(table).exists():
        pytest.skip("needs /proc/net/tcp to see that requests are open")
    rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


def test_a_successor_on_the_same_socket_takes_over_without_losing_a_request(start_service, deployment):
    deployment.deploy({KEY: 1})
    with socket.socket() as shared:
        shared.bind(("127.0.0.1", 0))
        shared.listen(128)
        descriptor = shared.fileno()
        url = f"http://127.0.0.1:{shared.getsockname()[1]}"
        first = _inherit(start_service, deployment, descriptor, url)
        statuses = []
        enough = threading.Event()

        def ask():
            while not enough.is_set():
                statuses.append(httpx.post(f"{url}/move", json=opening(difficulty=1), timeout=60).status_code)

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            second = _inherit(start_service, deployment, descriptor, url)
            assert first.stop() == 0
            after = len(statuses)
            second.wait_for(lambda: len(statuses) >= after + 10, "answers of the successor")
        finally:
            enough.set()
            asker.join()
    assert set(statuses) == {200}


def _inherit(start_service, deployment, descriptor, url):
    service = start_service(deployment.folder, "--fd", str(descriptor), descriptors=(descriptor,), url=url)
    pid = service.process.pid
    service.wait_for(lambda: (service.health() or {}).get("pid") == pid, "an answer by the new process")
    return service


def test_health_answers_while_every_worker_searches_and_overload_is_a_503(deployment):
    """In one process, with a search that waits: what the pool does must not depend on luck."""
    pool = SearchPool(workers=1, waiting=1)
    release, searching = threading.Event(), threading.Event()
    app = build_app(Watcher(deployment.folder, deployment.trusted), pool)

    async def scene():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            held = asyncio.ensure_future(pool.run(lambda: (searching.set(), release.wait())))
            await asyncio.to_thread(searching.wait)
            waiting = asyncio.ensure_future(client.post("/move", json=opening(difficulty=1)))
            while pool.present < 2:
                await asyncio.sleep(0)
            health = await client.get("/health")
            refused = await client.post("/move", json=opening(difficulty=1))
            release.set()
            await held
            return health, refused, await waiting

    health, refused, waited = asyncio.run(scene())
    pool.close()
    assert health.json()["status"] == "unhealthy"
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "2 requests are being answered already" in refused.json()["detail"]
    assert waited.status_code == 200


def test_a_defect_is_a_500_with_a_detail_and_not_a_crash(deployment, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("inference.app.answer_move", broken)
    app = build_app(Watcher(deployment.folder, deployment.trusted), pool := SearchPool(1, 1))

    async def scene():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post("/move", json=opening())

    answer = asyncio.run(scene())
    pool.close()
    assert answer.status_code == 500
    assert answer.json() == {"detail": "internal error: ZeroDivisionError"}


def test_the_service_imports_nothing_of_the_other_rooms():
    code = (
        "import sys, json, inference.__main__, inference.app, inference.watch\n"
        "print(json.dumps(sorted(name for name in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    ours = {name for name in found if name.split(".")[0] in ("control", "hosts", "agents", "tui")}
    ours |= {
        name for name in found if name.startswith(("ringrift.control", "ringrift.learning", "ringrift.cli"))
    }
    foreign = {
        "sqlmodel",
        "sqlalchemy",
        "asyncssh",
        "textual",
        "httpx",
        "zstandard",
        "cryptography",
        "psutil",
    }
    assert ours == set()
    assert foreign & set(found) == set()


def test_the_command_line_tells_a_port_in_use_before_it_imports_torch():
    code = "import sys, inference.__main__; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_second_sigterm_does_not_wait_for_clients(start_service, deployment):
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder).wait_until_healthy()
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))):
        service.process.send_signal(signal.SIGTERM)
        service.wait_for(lambda: b"draining" in service.log.read_bytes(), "the drain")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0


def test_a_client_that_leaves_frees_its_worker(start_service, deployment):
    """One worker, and a search of seconds that nobody waits for: the next one gets its turn."""
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder, "--workers", "1").wait_until_healthy()
    service.move(opening(difficulty=10))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/move", json=opening(difficulty=10), timeout=0.1)
    answered = service.move(opening(difficulty=1))
    assert answered.status_code == 200
    metrics = httpx.get(f"{service.url}/metrics").text
    assert 'ai_move_requests_total{ai_type="random",difficulty="1",outcome="success"} 1' in metrics
