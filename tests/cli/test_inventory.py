"""The inventory and host keys from the shell: reports, exit codes, one question for many keys."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ringrift.protocol import hosts as hw
from tests.cli import sample

ADDED = hw.ImportRow(name="cpu-09", outcome="added", state="new", reason="no host key is pinned")
WRONG = hw.ImportRow(name="gpu-09", outcome="refused", errors=["cpus: 0 is not allowed", "kind: 'x'"])
DOUBTED = hw.ImportRow(
    name="odd-09", outcome="changed", changes=["ram_gb"], warnings=["kind: it is not said"]
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text("schema_version: 1\n")
    return path


def scanned(name: str, expected: str = "", error: str = "") -> hw.ScannedHost:
    key = hw.HostKey(type="ssh-ed25519", fingerprint=sample.FINGERPRINT, public_key=sample.PUBLIC_KEY)
    return hw.ScannedHost(
        name=name,
        login=f"root@{name}:22",
        keys=[] if error else [key],
        expected=expected,
        error=error,
    )


def test_an_import_reports_on_every_host(run, world, file: Path) -> None:
    world.inventory = hw.ImportView(done=True, rows=[ADDED, DOUBTED])
    result = run("hosts", "import", str(file))
    assert result.exit_code == 0
    for word in ("cpu-09", "added", "no host key is pinned", "changes: ram_gb", "kind: it is not said"):
        assert word in result.stdout
    assert "imported: 1 added, 1 changed" in result.stdout
    sent = {"text": "schema_version: 1\n", "dry_run": False, "partial": False}
    assert world.sent("POST", "/v1/inventory") == [sent]


def test_wrong_entries_end_with_2_and_with_3_where_the_rest_was_written(run, world, file: Path) -> None:
    world.inventory = hw.ImportView(done=False, rows=[ADDED, WRONG])
    result = run("hosts", "import", str(file), "--dry-run")
    assert result.exit_code == 2 and "nothing was written" in result.stderr and "gpu-09" in result.stderr
    assert "cpus: 0 is not allowed" in result.stdout and "kind: 'x'" in result.stdout
    world.inventory = hw.ImportView(done=True, rows=[ADDED, WRONG])
    result = run("hosts", "import", str(file), "--partial", "--json")
    assert result.exit_code == 3
    assert [row["outcome"] for row in json.loads(result.stdout)["rows"]] == ["added", "refused"]


def test_a_file_that_is_none_is_one_line(run, world, tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * ((4 << 20) + 1))
    for path, code in ((tmp_path / "none", 5), (binary, 2), (large, 2), (tmp_path, 9)):
        result = run("hosts", "import", str(path))
        assert result.exit_code == code and result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
    assert world.requests == []


def test_an_export_goes_to_stdout_or_into_a_file(run, world, tmp_path: Path) -> None:
    assert run("hosts", "export").stdout == "schema_version: 1\n"
    assert json.loads(run("hosts", "export", "--json").stdout) == {"text": "schema_version: 1\n"}
    to = tmp_path / "out.yaml"
    assert run("hosts", "export", "-o", str(to)).stdout == ""
    assert to.read_text() == "schema_version: 1\n"


def test_all_new_keys_are_shown_once_and_pinned_after_one_yes(run, world) -> None:
    world.scanned = [scanned("cpu-01"), scanned("cpu-02", expected=sample.FINGERPRINT)]
    result = run("hosts", "trust", "--all-new", answer="y\n")
    assert result.exit_code == 0
    assert result.stderr.count("[y/N]") == 1 and result.stderr.count(sample.FINGERPRINT) == 2
    assert [world.sent("POST", f"/v1/hosts/{name}/trust")[0]["how"] for name in ("cpu-01", "cpu-02")] == [
        "first-contact",
        "operator",
    ]


def test_without_a_yes_no_key_is_pinned(run, world) -> None:
    world.scanned = [scanned("cpu-01")]
    assert run("hosts", "trust", "--all-new", answer="\n").exit_code == 4
    assert world.sent("POST", "/v1/hosts/cpu-01/trust") == []


def test_silent_hosts_and_unexpected_keys_are_left_out_with_3(run, world) -> None:
    odd = scanned("cpu-03", expected=sample.OTHER_FINGERPRINT)
    world.scanned = [scanned("cpu-01"), scanned("cpu-02", error="it does not answer"), odd]
    result = run("hosts", "trust", "--all-new", "--yes")
    assert result.exit_code == 3
    assert "2 of 3 hosts have no pinned key: cpu-02, cpu-03" in result.stderr
    assert "it does not answer" in result.stderr and f"NOT {sample.OTHER_FINGERPRINT}" in result.stderr
    assert len(world.sent("POST", "/v1/hosts/cpu-01/trust")) == 1
    assert world.sent("POST", "/v1/hosts/cpu-03/trust") == []


def test_nothing_new_asks_nothing(run, world) -> None:
    world.scanned = []
    assert run("hosts", "trust", "--all-new").exit_code == 0


def test_trust_takes_one_host_or_all_new_ones(run, world) -> None:
    for arguments in ((), ("cpu-01", "--all-new"), ("--all-new", "--fingerprint", sample.FINGERPRINT)):
        assert run("hosts", "trust", *arguments).exit_code == 2
    assert world.requests == []


def test_a_first_contact_with_the_fingerprint_of_the_inventory_asks_nothing(run, world) -> None:
    world.scanned = [scanned("cpu-01", expected=sample.FINGERPRINT)]
    assert run("hosts", "trust", "cpu-01").exit_code == 0
    assert world.sent("POST", "/v1/hosts/cpu-01/trust")[0]["how"] == "operator"
    world.scanned = [scanned("cpu-01", expected=sample.OTHER_FINGERPRINT)]
    assert run("hosts", "trust", "cpu-01").exit_code == 7


def test_trusting_a_silent_host_ends_with_6(run, world) -> None:
    world.scanned = [scanned("cpu-01", error="cpu-01:22 does not answer")]
    result = run("hosts", "trust", "cpu-01")
    assert result.exit_code == 6 and "does not answer" in result.stderr


def test_a_quarantine_is_for_a_time_or_until_resume(run, world) -> None:
    assert run("hosts", "quarantine", "cpu-01", "--reason", "odd results", "--for", "2h").exit_code == 0
    assert run("hosts", "quarantine", "cpu-01", "--reason", "odd results").exit_code == 0
    sent = world.sent("POST", "/v1/hosts/cpu-01/quarantine")
    assert sent == [{"reason": "odd results", "seconds": 7200.0}, {"reason": "odd results", "seconds": None}]


@pytest.mark.parametrize("words", ["2", "2w", "-1h", "0h", "1h30m", "", "1e3s"])
def test_what_is_no_duration_is_refused(run, world, words: str) -> None:
    assert run("hosts", "quarantine", "cpu-01", "--reason", "x", f"--for={words}").exit_code == 2
    assert world.requests == []


def test_history_and_keys_tell_when_and_why(run, world) -> None:
    shown = run("hosts", "history", "cpu-01").stdout
    assert "unreachable" in shown and "connection refused" in shown
    assert "operator" in run("hosts", "keys", "cpu-01").stdout
    assert "stolen disk" in run("hosts", "keys").stdout
    assert run("hosts", "history", "ghost").exit_code == 5


def test_revoking_a_key_names_its_hosts_and_asks(run, world) -> None:
    command = ("hosts", "revoke-key", sample.FINGERPRINT, "--reason", "stolen disk")
    result = run(*command, answer="\n")
    assert result.exit_code == 4 and "block gh200-01" in result.stderr
    assert world.sent("POST", "/v1/host-keys/revoke") == []
    assert run(*command, "--yes").exit_code == 0
    sent = {"fingerprint": sample.FINGERPRINT, "reason": "stolen disk"}
    assert world.sent("POST", "/v1/host-keys/revoke") == [sent]
    assert run("hosts", "revoke-key", "MD5:00", "--reason", "x", "--yes").exit_code == 2


def test_authorities_are_added_from_a_key_or_a_file(run, world, tmp_path: Path) -> None:
    from tests.control.doubles import HOST_KEY

    pub = tmp_path / "ca.pub"
    pub.write_text(f"{HOST_KEY} ca@example\n")
    for given in (str(pub), HOST_KEY):
        assert run("hosts", "authorities", "add", given, "--yes").exit_code == 0
    keys = [sent["public_key"].split()[1] for sent in world.sent("POST", "/v1/host-authorities")]
    assert keys == [HOST_KEY.split()[1]] * 2
    assert run("hosts", "authorities", "add", "no-such-file", "--yes").exit_code == 2
    assert sample.FINGERPRINT in run("hosts", "authorities", "list").stdout
    assert run("hosts", "authorities", "remove", sample.FINGERPRINT).exit_code == 0


def test_filters_are_sent_and_wide_shows_cost_and_drift(run, world) -> None:
    changes = {"kind": "gpu_pod", "gpu": "A100", "gpu_count": 2, "vram_gb": 80.0, "hourly_cost": 1.8}
    drifted = sample.host("pod-1", drift=["cpus: declared 24, found 8"], spot=True, **changes)
    world.status = world.status.model_copy(update={"hosts": [drifted]})
    shown = run("hosts", "list", "--wide", "--kind", "gpu_pod", "--spot").stdout
    for word in ("2 x A100 80 GB", "1.80 spot", "cpus: declared 24, found 8", "$1.80 an hour"):
        assert word in shown
    assert "declared" in run("hosts", "show", "pod-1").stdout
    assert "drift" not in run("hosts", "list").stdout


def test_hostile_words_of_an_inventory_reach_no_terminal(run, world, file: Path) -> None:
    bad = hw.ImportRow(name="\x1b[2J; reboot", outcome="refused", errors=["note: \x1b]0;x\x07 $(reboot)"])
    world.inventory = hw.ImportView(done=False, rows=[bad])
    result = run("hosts", "import", str(file))
    noted = sample.host("cpu-01", note="\x1b[31mred\u202e", labels={"rack": "\x1b[2J"}, kind="mac")
    world.status = world.status.model_copy(update={"hosts": [noted]})
    for text in (result.stdout, result.stderr, run("hosts", "show", "cpu-01").stdout):
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text


def test_hosts_are_one_line_each_in_80_columns_with_their_names_and_states_whole() -> None:
    from rich.console import Console

    from ringrift.cli import hosttables

    shown = Console(width=80, file=io.StringIO())
    for draw in (hosttables.hosts, hosttables.wide):
        shown.print(draw(sample.hosts()))
        lines = shown.file.getvalue().splitlines()
        for host in sample.hosts():
            [line] = [line for line in lines if host.name in line]
            assert host.state in line and len(line) <= 80
        shown.file = io.StringIO()


def test_a_probe_of_a_blocked_host_is_refused_with_the_reason(run, world) -> None:
    blocked = sample.host(
        "cpu-01", "unreachable", blocked=True, reason="its host key is revoked: stolen disk"
    )
    world.status = world.status.model_copy(update={"hosts": [blocked]})
    result = run("hosts", "probe", "cpu-01")
    assert result.exit_code == 7 and "revoked: stolen disk" in result.stderr
    assert "hosts trust cpu-01" in result.stderr
