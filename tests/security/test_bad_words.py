"""Ten bad words for each verb that takes one: one harmless line, a documented status, and nothing changed."""

from __future__ import annotations

import pytest

from tests.cli.conftest import address as address
from tests.cli.conftest import own_home as own_home
from tests.cli.conftest import run as run
from tests.cli.conftest import world as world
from tests.security.test_hostile_views import harmless

WORDS = {
    "empty": "",
    "option": "-oProxyCommand=touch owned",
    "command": "; touch owned",
    "substitution": "$(touch owned)`touch owned`",
    "parent": "..",
    "path": "../../etc/passwd",
    "line break": "a\nerror: all is well",
    "escapes": "\x1b]0;owned\x07\x9b2J",
    "right to left": "\u202etxt.exe",
    "long": "x" * 5000,
    "percent": "%2e%2e%2ftokens",
}
LINES = (
    "hosts import {}", "hosts trust {}", "hosts quarantine {} --reason x",
    "hosts quarantine cpu-01 --reason {} --for y",
    "hosts quarantine cpu-01 --reason x --for {}", "hosts history {}", "hosts keys {}",
    "hosts revoke-key {} --yes",
    "hosts plan {}", "hosts converge {} --yes", "hosts update {} --yes", "hosts restart {} --yes",
    "hosts provision {}", "hosts drain {}", "hosts remove {}", "batches show {}", "batches resume {}",
    "batches cancel {}", "batches retry {}", "jobs show {}", "jobs logs {}", "jobs retry {}",
    "jobs cancel {}",
    "shares set {} 0.3", "shares set kind:train {}", "shares reset {}", "alerts show {}", "alerts ack {}",
    "token new --role {}", "token new --role viewer --for {}", "token revoke {}",
    "token new --role viewer --name {}",
    "restore {} --home {}", "retention {}", "backup --to s3:/{}",
    "rollback {} --yes", "configs enable {}", "deploy-inference {} --yes",
)  # fmt: skip
DOCUMENTED = range(2, 10)


@pytest.mark.parametrize("line", LINES)
def test_bad_words_end_in_one_harmless_line(line: str, run, world, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for what, word in WORDS.items():
        words = [word if part == "{}" else part.replace("{}", word) for part in line.split()]
        found = run(*words)
        assert found.exit_code in DOCUMENTED, (what, found.exit_code, found.stdout, found.exception)
        assert harmless(found.stderr), (what, found.stderr)
        assert found.stderr.count("\n") == 1 and found.stderr.startswith("error: "), (what, found.stderr)
        assert found.stdout == "" and len(found.stderr) < 3000, (what, len(found.stderr))
    assert [path for path in tmp_path.rglob("*") if path.name not in ("home", "logs", "run")] == []
