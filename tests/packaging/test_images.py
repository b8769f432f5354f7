"""The Dockerfile and the compose files say what the code reads, and lock down what production runs.

No image is built here: the linter reads the Dockerfile, and the points that matter are checked one by one.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from inference.__main__ import _parse
from ringrift.game.config import ALL_CONFIGS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LINES = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
DEVELOPMENT = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PRODUCTION = yaml.safe_load((ROOT / "docker-compose.production.yml").read_text())
SERVED = PRODUCTION["services"]["inference"]
GAME_SERVER = {
    *("AI_SERVICE_URL", "AI_SERVICE_REQUEST_TIMEOUT_MS", "AI_RULES_REQUEST_TIMEOUT_MS"),
    "AI_MAX_CONCURRENT_REQUESTS",
}
"""What the Node game server reads (API contract, section 9)."""


def stages():
    """Return stage -> its instructions as (verb, rest)."""
    found, name = {}, None
    for line in LINES:
        verb, _, rest = line.strip().partition(" ")
        if verb == "FROM":
            name = rest.split(" AS ")[1]
        if name and verb and not verb.startswith("#"):
            found.setdefault(name, []).append((verb, rest.strip()))
    return found


def rest_of(stage, verb):
    return [rest for found, rest in stages()[stage] if found == verb]


def test_the_linter_finds_nothing():
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint comes with the dev extra on Linux x86-64 only")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_everything_that_is_copied_is_there_and_sent():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for rest in rest_of("source", "COPY") for name in shlex.split(rest)[:-1]}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_everything_that_the_wheel_is_made_of_is_copied():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]}
    copied = {name for rest in rest_of("source", "COPY") for name in shlex.split(rest)[:-1]}
    assert needed | {project["project"]["readme"], "pyproject.toml", "constraints.txt"} == copied
    asked = re.findall(r"'\.\[(\w+)\]'", DOCKERFILE)
    assert set(asked) <= set(project["project"]["optional-dependencies"])


def test_every_stage_and_folder_that_is_copied_from_exists():
    for stage, instructions in stages().items():
        for verb, rest in instructions:
            if verb == "COPY" and rest.startswith("--from="):
                assert rest.split()[0].removeprefix("--from=") in stages(), stage
    built = {
        service["build"]["target"]
        for compose in (DEVELOPMENT, PRODUCTION)
        for service in compose["services"].values()
        if "build" in service
    }
    assert built <= set(stages())


def test_the_last_stage_is_the_service_without_root_and_with_a_health_check():
    assert list(stages())[-1] == "inference"
    assert rest_of("inference", "USER") == ["10001:10001"]
    assert len(rest_of("inference", "HEALTHCHECK")) == 1
    assert "/health" in rest_of("inference", "HEALTHCHECK")[0]
    assert not rest_of("inference", "RUN"), "what is built is built in the stage before"


def test_the_kernels_are_compiled_in_the_build_and_found_at_the_start():
    (warmed,) = [rest for rest in rest_of("built-inference", "RUN") if "warmup" in rest]
    assert "ringrift.players.warmup" in warmed
    folder = "NUMBA_CACHE_DIR=/opt/ringrift/kernels"
    assert rest_of("built-inference", "ENV") == [folder]
    assert folder in rest_of("inference", "ENV")[0].split()


@pytest.mark.parametrize("compose", [DEVELOPMENT, PRODUCTION], ids=["development", "production"])
def test_the_service_is_locked_down_and_its_arguments_are_its_own(compose, monkeypatch):
    service = compose["services"]["inference"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert any(str(place).startswith("/tmp") for place in service["tmpfs"])
    assert not service.get("privileged")
    monkeypatch.setenv("RINGRIFT_MODELS_PATH", "/models")
    monkeypatch.setenv("PORT", "8600")
    options = _parse(service["command"])
    assert (options.host, str(options.models), options.port) == ("0.0.0.0", "/models", 8600)


def test_production_asks_for_signatures_has_limits_and_ends_in_time(monkeypatch):
    assert _parse([*SERVED["command"], "--models", "/models"]).unsigned is False
    assert SERVED["user"] == "10001:10001"
    assert SERVED["security_opt"] == ["no-new-privileges:true"]
    assert set(SERVED["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert all(volume["read_only"] for volume in SERVED["volumes"])
    assert "ports" not in SERVED, "only the game server's network reaches it"
    assert int(SERVED["stop_grace_period"].removesuffix("s")) > 32, "2 s for idle clients, 30 s for searches"
    assert SERVED["restart"] == "unless-stopped"


def test_every_variable_is_one_that_the_code_reads():
    sources = "".join(
        path.read_text() for room in ("inference", "ringrift") for path in (ROOT / room).rglob("*.py")
    )
    for compose in (DEVELOPMENT, PRODUCTION):
        for name, service in compose["services"].items():
            if name in ("inference", "controller"):
                unread = {key for key in service.get("environment", {}) if f'"{key}"' not in sources}
                assert not unread, name


def test_every_variable_of_the_service_is_documented():
    page = (ROOT / "docs" / "INFERENCE.md").read_text()
    for key in {*SERVED["environment"], *GAME_SERVER}:
        assert f"`{key}`" in page, key
    assert set(PRODUCTION["x-game-server"]) == GAME_SERVER


def test_the_game_server_waits_longer_than_any_answer_takes():
    from inference.answer import ANSWER_SECONDS
    from ringrift.players.ladder import LEVELS, level

    assert int(PRODUCTION["x-game-server"]["AI_SERVICE_REQUEST_TIMEOUT_MS"]) > ANSWER_SECONDS * 1000
    assert max(level(rung, config).think_ms for rung in LEVELS for config in ALL_CONFIGS) < 25_000
    url = PRODUCTION["x-game-server"]["AI_SERVICE_URL"]
    assert url == f"http://inference:{SERVED['environment']['PORT']}"
    assert SERVED["expose"] == [SERVED["environment"]["PORT"]]
