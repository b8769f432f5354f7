"""Every bad input ends in one clear line on stderr and a documented exit status, never in a traceback."""

from __future__ import annotations

import pytest

F = "SHA256:" + "A" * 43
BAD = (
    ("promote hex9_2p", 2, "unknown config 'hex9_2p'"),
    ("promote hex8_5p --yes", 2, "use one of square8_2p"),
    ("promote hex8_2p zz --yes", 2, "is no model"),
    ("promote hex8_2p ../../etc/passwd", 2, "is no model"),
    ("rollback nothing", 2, "unknown config"),
    ("configs enable", 2, "Missing argument"),
    ("configs disable hexagonal", 2, "unknown config"),
    ("models list --config x", 2, "unknown config"),
    ("models show abc", 2, "is no model"),
    (f"models show {'f' * 64}", 5, "nothing at"),
    ("models show champion", 2, "is no model"),
    ("models show hex8_2p@best", 2, "is no model"),
    ("models show hex9_2p@champion", 2, "unknown config 'hex9_2p'"),
    ("models show hex8_3p@previous", 5, "nothing at"),
    ("hosts add Bad_Name --ssh u@h", 2, "name: 'Bad_Name' is not allowed"),
    ("hosts add ok --ssh nobody", 2, "is no SSH login"),
    ("hosts add ok --ssh u@h:99999", 2, "is no SSH login"),
    ("hosts add ok --ssh u@h;reboot", 2, "is no SSH login"),
    ("hosts add ok --ssh u@-oProxyCommand=x", 2, "is no SSH login"),
    ("hosts add ok --ssh u@h --slots 0", 2, "slots: 0 is not allowed"),
    ("hosts add ok --ssh u@h --fingerprint MD5:aa", 2, "is no fingerprint"),
    (f"hosts add ok --ssh u@h --fingerprint {F}", 7, "nothing was pinned"),
    ("hosts show ghost", 5, "nothing at /v1/hosts/ghost"),
    ("hosts show ..", 2, "is no name of a host"),
    ("hosts provision ghost", 5, "nothing at"),
    ("hosts frobnicate", 2, "frobnicate"),
    ("hosts", 2, "Missing command"),
    ("jobs list --state dead", 2, "use one of queued"),
    ("jobs list --kind cook", 2, "use one of selfplay"),
    ("jobs list --limit 0", 2, "--limit"),
    ("jobs list --limit many", 2, "--limit"),
    ("evaluate list --state maybe", 2, "does not exist"),
    ("evaluate show nope", 5, "nothing at"),
    ("targets add t --host h --port 70000", 2, "port: 70000 is not allowed"),
    ("targets add T! --host h --port 80", 2, "name: 'T!' is not allowed"),
    ("targets add t --host h --port 80 --config hex", 2, "unknown config"),
    ("targets add t --host h --port 80 --engine tpu", 2, "engine: 'tpu' is not allowed"),
    ("deploy-inference --config nope", 2, "unknown config"),
    ("deploy-inference Not/A/Name", 2, "is not allowed"),
    ("deploy-inference --software --release ../x", 2, "is not allowed"),
    ("events --after -1", 2, "--after"),
    ("up --port 70000", 2, "--port"),
    ("status --no-such-option", 2, "--no-such-option"),
    ("nonsense", 2, "nonsense"),
)


@pytest.mark.parametrize(("line", "status", "told"), BAD, ids=[line for line, _, _ in BAD])
def test_bad_input_is_one_line_and_a_documented_status(line: str, status: int, told: str, run, world) -> None:
    result = run(*line.split())
    assert result.exit_code == status, (result.stdout, result.stderr)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert result.stdout == ""


def test_an_empty_model_is_not_taken_for_the_newest_candidate(run) -> None:
    result = run("promote", "hex8_2p", "", "--yes")
    assert result.exit_code == 2
    assert "'' is no model" in result.stderr


def test_a_reason_with_control_characters_is_refused_before_anything_is_asked(run, world) -> None:
    result = run("promote", "hex8_2p", "--yes", "--reason", "fine\x1b[2J")
    assert result.exit_code == 2
    assert "reason" in result.stderr
    assert world.requests == []


@pytest.mark.parametrize(
    ("code", "http", "status"),
    [
        ("missing_evidence", 409, 4),
        ("conflict", 409, 4),
        ("incompatible_model", 409, 4),
        ("host_key_changed", 401, 7),
        ("corrupt_data", 422, 8),
        ("environment", 503, 9),
        ("unreachable", 502, 6),
        ("partial_failure", 502, 3),
        ("some_later_code", 404, 5),
        ("some_later_code", 418, 1),
    ],
)
def test_an_error_of_the_controller_keeps_its_words_and_gets_its_status(
    code: str, http: int, status: int, run, world
) -> None:
    world.fail("GET", "/v1/status", http, code, "the thing is so", "do this")
    result = run("status")
    assert (result.exit_code, result.stderr) == (status, "error: the thing is so - do this\n")


def test_an_answer_that_is_no_json_is_corrupt_data(run, world) -> None:
    world.failures["GET", "/v1/status"] = (200, b"<html>hello</html>")
    result = run("status")
    assert result.exit_code == 8
    assert "cannot read the answer to GET /v1/status" in result.stderr


def test_a_failure_without_our_error_body_is_told_by_its_http_status(run, world) -> None:
    world.failures["GET", "/v1/hosts"] = (500, b"Internal Server Error")
    result = run("hosts", "list")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "HTTP 500" in result.stderr
