"""The inventory: reading it strictly, what importing plans, declared against found, writing it out again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringrift.control.domain.inventory import PlannedRow, declared_differences, plan_import
from ringrift.control.domain.inventory_file import inventory_document
from ringrift.control.domain.inventory_text import read_inventory, write_inventory
from ringrift.errors import BadInput
from tests.control.doubles import HOST_KEY, OTHER_KEY

DATA = Path(__file__).parents[1] / "data" / "inventory.yaml"
SAMPLE = Path(__file__).parents[2].parent / "shared" / "requirements" / "hosts_sample.yaml"
LOGIN = {"host": "192.0.2.9", "user": "root"}
HOSTILE = [
    "; reboot",
    "$(reboot)",
    "`reboot`",
    "a\nb",
    "-oProxyCommand=reboot",
    "\x1b[2Jred",
    "a\x00b",
    "\u202eabc",
    "a b;c|d",
]


def text_of(*entries: dict[str, Any], **sections: Any) -> str:
    """Return an inventory of hosts h0, h1, ... that have at least a login."""
    hosts = {
        f"h{number}": {"ssh": LOGIN | {"port": 1000 + number}} | entry for number, entry in enumerate(entries)
    }
    return write_inventory({"schema_version": 1, "hosts": hosts} | sections)


def rows_of(text: str, known: dict[str, Any] | None = None) -> dict[str, PlannedRow]:
    return {row.name: row for row in plan_import(read_inventory(text), known or {})}


def row_of(**entry: Any) -> PlannedRow:
    return rows_of(text_of(entry))["h0"]


def stored(rows: dict[str, PlannedRow]) -> dict[str, dict[str, Any]]:
    """Return rows as they stand in the store after an import."""
    return {
        name: {
            "identity": None,
            **row.columns,
            "state": row.state,
            "reason": row.reason,
            "host_key": row.host_key or "",
        }
        for name, row in rows.items()
        if not row.errors
    }


def test_every_kind_of_host_is_read_into_its_columns() -> None:
    rows = rows_of(DATA.read_text())
    assert [row.errors for row in rows.values()] == [()] * 6
    gh, spot = rows["gh200-01"].columns, rows["spot-5090x2-01"].columns
    assert (gh["gpu"], gh["vram_gb"], gh["ram_gb"], gh["slots"], gh["arch"]) == (
        "GH200",
        96,
        432,
        4,
        "aarch64",
    )
    assert gh["python"] == "/home/ubuntu/ringrift/venv/bin/python" and gh["port"] == 22
    assert gh["labels"] == {"rack": "b-12", "owner": "team a"}
    assert (spot["gpu_count"], spot["spot"], spot["reachability"], spot["hourly_cost"]) == (
        2,
        True,
        "gateway",
        1.6,
    )
    assert rows["cpu-01"].columns["jump"] == "gh200-01" and rows["cpu-01"].columns["draining"]


def test_nothing_is_believed_ready_and_a_host_without_a_key_says_so() -> None:
    rows = rows_of(DATA.read_text())
    assert {name: row.state for name, row in rows.items()} == {
        "gh200-01": "new",
        "spot-5090x2-01": "new",
        "pod-a100-01": "unreachable",
        "cpu-01": "new",
        "mac-desktop-01": "new",
        "spot-3060-01": "retired",
    }
    assert rows["gh200-01"].reason == "" and rows["gh200-01"].host_key == HOST_KEY
    assert rows["cpu-01"].reason == "no host key is pinned, so nothing connects to it"


@pytest.mark.skipif(not SAMPLE.exists(), reason="the reference inventory ../shared is not here")
def test_the_sample_inventory_is_read_whole() -> None:
    rows = rows_of(SAMPLE.read_text())
    assert len(rows) == 41 and not any(row.errors or row.warnings for row in rows.values())
    states = [row.state for row in rows.values()]
    assert (states.count("new"), states.count("unreachable"), states.count("retired")) == (32, 5, 4)
    wrong = [
        name for name, row in rows.items() if "reports exited" in (row.columns["declared"]["note"] or "")
    ]
    assert len(wrong) == 2 and all(rows[name].outcome == "added" for name in wrong)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"kind": "toaster"}, "kind: 'toaster' is not allowed"),
        ({"memory_gb": "16"}, "memory_gb: '16' is not allowed"),
        ({"cpus": 1.5}, "cpus: 1.5 is not allowed"),
        ({"cpus": True}, "cpus: True is not allowed"),
        ({"spot": "no"}, "spot: 'no' is not allowed"),
        ({"disk_gb": -1}, "disk_gb: -1 is not allowed"),
        ({"disk_gb": float("nan")}, "disk_gb: nan is not allowed"),
        ({"cost_per_hour_usd": 1001}, "cost_per_hour_usd: 1001 is not allowed"),
        ({"max_parallel_jobs": 0}, "max_parallel_jobs: 0 is not allowed"),
        ({"memroy_gb": 16}, "memroy_gb: there is no such field"),
        ({"gpu": {"model": "A40", "vram_gb_each": 46, "vram_gb_total": 48}}, "gpu: vram_gb_total is not"),
        ({"ssh": {"user": "root"}}, "ssh.host: it is missing"),
        ({"ssh": {**LOGIN, "port": 0}}, "ssh.port: 0 is not allowed"),
        ({"ssh": {**LOGIN, "credential": "key"}}, "ssh.credential: 'key' is not in `credentials`"),
        ({"ssh": {**LOGIN, "host_key": "ssh-ed25519 AAAA"}}, "ssh.host_key:"),
        ({"ssh": {**LOGIN, "fingerprint": "MD5:00:11"}}, "ssh.fingerprint: 'MD5:00:11' is not allowed"),
        ({"ssh": {**LOGIN, "host_key": HOST_KEY, "fingerprint": "SHA256:" + "A" * 43}}, "ssh: host_key has"),
        ({"install": {"path": "/a", "venv": "/b", "python": "/c"}}, "install: give venv or python"),
        ({"install": {"path": "/a/../../etc"}}, "install.path:"),
        ({"install": {"path": "/"}}, "install.path:"),
        ({"network": {"reachability": "jump"}}, "network: reachability `jump` and the name"),
        ({"network": {"reachability": "jump", "jump": "ghost"}}, "network.jump: there is no host ghost"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(entry: dict[str, Any], where: str) -> None:
    row = row_of(**entry)
    assert row.outcome == "refused" and row.errors[0].startswith(where)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_where_a_command_a_path_or_a_name_is_meant(text: str) -> None:
    entries = [
        {"ssh": LOGIN | {"host": text}},
        {"ssh": LOGIN | {"user": text}},
        {"labels": {"rack": text}},
        {"labels": {text: "a"}},
        {"provider": text},
        {"region": text},
        {"gpu": {"model": text, "vram_gb_each": 8}},
        {"network": {"reachability": "jump", "jump": text}},
    ]
    rows = rows_of(text_of(*entries))
    assert all(row.errors for row in rows.values())
    [named] = rows_of(write_inventory({"schema_version": 1, "hosts": {text: {"ssh": LOGIN}}})).values()
    assert named.errors[0].startswith("name:")
    told = "".join(error for row in [*rows.values(), named] for error in row.errors)
    assert told.isascii() and told.isprintable()


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2Jred", "\u202eabc", "-oProxyCommand=reboot", "a\x7f"])
def test_notes_and_folders_are_visible_text(text: str) -> None:
    for entry in ({"note": text}, {"install": {"path": text}}, {"install": {"python": text}}):
        assert row_of(**entry).outcome == "refused"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it must be YAML with"),
        ("- a", "it must be YAML with"),
        ("a: [", "line 2"),
        ("schema_version: 2\nhosts: {a: {}}", "schema_version must be 1"),
        ("schema_version: true\nhosts: {a: {}}", "schema_version must be 1"),
        ("schema_version: 1", "`hosts` must name"),
        ("schema_version: 1\nhosts: {}", "`hosts` must name"),
        ("schema_version: 1\nhost: {}", "unknown section 'host'"),
        ("schema_version: 1\nhosts:\n  a: {}\n  a: {}", "line 4: 'a' is there twice"),
        ("schema_version: 1\nhosts:\n  yes: {}", "a name must be text"),
        ("schema_version: 1\nhosts: {a: &x {}, b: *x}", "aliases"),
        ("a: !!python/object/apply:os.system [reboot]", "could not determine a constructor"),
        ("schema_version: 1\ncredentials: {k: {kind: token}}\nhosts: {a: {}}", "credentials.k.kind"),
        ("\x1b", "control characters are not allowed"),
        ("[" * 5000, "inventory:"),
    ],
)
def test_what_is_no_inventory_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_inventory(text)
    assert told in caught.value.line() and caught.value.line().startswith("inventory:")


def test_two_hosts_at_one_address_are_refused_and_a_retired_one_does_not_count() -> None:
    twin = {"ssh": LOGIN}
    rows = rows_of(text_of(twin, twin))
    assert rows["h0"].outcome == "added" and rows["h1"].errors[0].endswith("is h0's already")
    rows = rows_of(text_of(twin | {"status": "retired"}, twin))
    assert not rows["h1"].errors
    known = stored(rows_of(text_of(twin)))
    assert rows_of(text_of({}, twin), {"old": known["h0"]})["h1"].errors[0].endswith("is old's already")


def test_hosts_that_are_reached_through_each_other_are_refused() -> None:
    def through(name: str) -> dict[str, Any]:
        return {"network": {"reachability": "jump", "jump": name}}

    rows = rows_of(text_of(through("h1"), through("h2"), through("h0"), {}))
    assert [bool(row.errors) for row in rows.values()] == [True, True, True, False]
    assert "h0 -> h1 -> h2 -> h0" in rows["h0"].errors[0]
    deep = rows_of(text_of({}, *(through(f"h{number}") for number in range(4))))
    assert [bool(row.errors) for row in deep.values()] == [False, False, False, False, True]


def test_a_host_behind_a_refused_one_is_refused_too() -> None:
    rows = rows_of(text_of({"cpus": 0}, {"network": {"reachability": "jump", "jump": "h0"}}))
    assert "there is no host h0" in rows["h1"].errors[0]


def test_importing_again_changes_nothing_and_tells_what_did_change() -> None:
    first = rows_of(DATA.read_text())
    assert {row.outcome for row in rows_of(DATA.read_text(), stored(first)).values()} == {"unchanged"}
    changed = DATA.read_text().replace("memory_gb: 432", "memory_gb: 440")
    again = rows_of(changed, stored(first))
    assert again["gh200-01"].outcome == "changed" and again["gh200-01"].changes == ("ram_gb",)


def test_another_key_than_the_pinned_one_is_refused_with_the_command_that_mends_it() -> None:
    first = stored(rows_of(DATA.read_text()))
    text = DATA.read_text().replace(HOST_KEY, OTHER_KEY)
    [error] = rows_of(text, first)["gh200-01"].errors
    assert error.startswith("ssh.host_key: SHA256:") and "ringrift-ctl hosts trust gh200-01" in error
    assert first["gh200-01"]["fingerprint"] in error


def test_doubts_are_told_and_do_not_stop_an_import() -> None:
    assert row_of().warnings == ("kind: it is not said",)
    assert "without one" in row_of(kind="gpu_pod").warnings[0]
    odd = row_of(kind="cpu_server", status="ready", network={"reachability": "unreachable"})
    assert odd.outcome == "added" and "yet it is called ready" in odd.warnings[0]
    known = stored(rows_of(text_of({"kind": "cpu_server"})))
    told = rows_of(text_of({"kind": "cpu_server", "status": "retired"}), known)["h0"]
    assert "hosts remove" in told.warnings[0] and told.state == "new"


def test_an_export_without_addresses_can_be_imported_over_what_is_known() -> None:
    known = stored(rows_of(DATA.read_text()))
    text = write_inventory(inventory_document(known, with_addresses=False))
    for secret in ("192.0.2.1", "203.0.113", "198.51.100", "10.0.0.5", "mac.example", "AAAAC3", "SHA256"):
        assert secret not in text
    again = rows_of(text, known)
    assert not any(row.errors for row in again.values())
    assert {row.outcome for row in again.values()} == {"unchanged"}
    alone = rows_of(text)
    assert all("redacted" in row.errors[0] for row in alone.values())


def test_no_export_tells_where_a_private_key_lies() -> None:
    secret = {"key": {"kind": "ssh-private-key", "source": "file", "path": "/secret/id"}}
    rows = rows_of(text_of({"ssh": LOGIN | {"credential": "key"}}, credentials=secret))
    assert rows["h0"].columns["identity"] == "/secret/id"
    text = write_inventory(inventory_document(stored(rows), with_addresses=True))
    assert "/secret" not in text and "credential: key" in text
    kept = rows_of(text, stored(rows))["h0"]
    assert "identity" not in kept.columns and not kept.errors


WORDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,20}\Z")
SIZES = st.integers(1, 10**6) | st.floats(0.5, 1e6, allow_nan=False)
GPUS = st.builds(
    lambda model, count, each: {"model": model, "count": count, "vram_gb_each": each},
    WORDS,
    st.integers(1, 64),
    SIZES,
)
ENTRIES = st.fixed_dictionaries(
    {
        "ssh": st.fixed_dictionaries(
            {"host": st.from_regex(r"\A[a-z0-9]([a-z0-9.:-]{0,20}[a-z0-9])?\Z"), "user": st.just("root")},
            optional={
                "port": st.integers(1, 65535),
                "host_key": st.sampled_from([HOST_KEY, OTHER_KEY, None]),
            },
        )
    },
    optional={
        "provider": WORDS,
        "region": WORDS,
        "kind": st.sampled_from(["cpu_server", "gpu_container", "gpu_pod", "gpu_vm", "mac"]),
        "status": st.sampled_from(["new", "offline", "retired", "quarantined"]),
        "gpu": GPUS | st.none(),
        "memory_gb": SIZES,
        "cpus": st.integers(1, 4096),
        "disk_gb": SIZES,
        "cost_per_hour_usd": st.floats(0, 1000) | st.none(),
        "max_parallel_jobs": st.integers(1, 256),
        "spot": st.booleans(),
        "container": st.booleans(),
        "allow": st.fixed_dictionaries({"training": st.booleans(), "selfplay": st.booleans()}),
        "install": st.sampled_from([{"path": "/r", "venv": "/v"}, {"path": "~/x y", "python": "/p/python3"}]),
        "labels": st.dictionaries(
            st.from_regex(r"\A[a-z][a-z0-9]{0,5}\Z"), st.sampled_from(["", "1", "a b"])
        ),
        "note": st.text(max_size=40),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ENTRIES, min_size=1, max_size=3))
def test_whatever_is_imported_comes_back_from_an_export(entries: list[dict[str, Any]]) -> None:
    known = stored(rows_of(text_of(*entries)))
    if known:
        text = write_inventory(inventory_document(known, with_addresses=True))
        again = rows_of(text)
        assert stored(again) == known
        assert write_inventory(inventory_document(stored(again), with_addresses=True)) == text


GIB = 1 << 30


def machine(**changes: Any) -> dict[str, Any]:
    """Return the facts of a machine that is as `declared` says."""
    gpu = {"name": "NVIDIA GeForce RTX 5090", "vram_bytes": 32607 << 20}
    fits = {
        "os": "Linux",
        "arch": "x86_64",
        "cpus": 192,
        "ram_bytes": 432 * GIB,
        "gpus": [gpu],
        "disk_total_bytes": 236_000_000_000,
    }
    return fits | changes


def declared(**changes: Any) -> Any:
    fields = {"kind": "gpu_container", "arch": "x86_64", "gpu": "RTX 5090", "gpu_count": 1, "vram_gb": 32.0}
    sizes = {"ram_gb": 440.0, "cpus": 192, "disk_gb": 220.0}
    return SimpleNamespace(**(fields | sizes | changes))


def test_a_machine_as_declared_has_no_differences_and_unknown_facts_are_none() -> None:
    assert declared_differences(declared(), machine()) == ()
    assert declared_differences(declared(), {}) == ()
    assert declared_differences(declared(), machine(gpus=None, ram_bytes=None, cpus=None)) == ()
    nothing = {"kind": "", "arch": "", "gpu": "", "gpu_count": 0, "vram_gb": 0.0, "ram_gb": 0.0}
    assert declared_differences(declared(**nothing, cpus=0, disk_gb=0.0), machine()) == ()
    assert declared_differences(declared(arch="arm64", kind="mac"), machine(arch="aarch64")) == ()


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"arch": "aarch64"}, "arch: declared x86_64, found aarch64"),
        ({"cpus": 96}, "cpus: declared 192, found 96"),
        ({"ram_bytes": 256 * GIB}, "ram_gb: declared 440, found 275"),
        ({"disk_total_bytes": 100e9}, "disk_gb: declared 220, found 100"),
        ({"gpus": []}, "gpu: declared 1 x RTX 5090, found none"),
        (
            {"gpus": [{"name": "NVIDIA GeForce RTX 5080"}]},
            "gpu: declared RTX 5090, found NVIDIA GeForce RTX 5080",
        ),
        (
            {"gpus": [{"name": "NVIDIA GeForce RTX 5090", "vram_bytes": 16 * GIB}]},
            "vram_gb: declared 32, found 17",
        ),
    ],
)
def test_each_difference_is_one_line_with_both_values(facts: dict[str, Any], line: str) -> None:
    assert declared_differences(declared(), machine(**facts)) == (line,)


@pytest.mark.parametrize(
    ("model", "name", "same"),
    [
        ("GH200", "NVIDIA GH200 480GB", True),
        ("H100 SXM", "NVIDIA H100 80GB HBM3", True),
        ("A100 vGPU slice", "GRID A100D-20C", True),
        ("L40S", "NVIDIA L40S", True),
        ("L40S", "NVIDIA L40", False),
        ("RTX 3060", "NVIDIA GeForce RTX 3060 Ti", False),
        ("RTX 2080 Ti", "NVIDIA GeForce RTX 2080 Ti", True),
        ("Apple M-class (MPS)", "Apple M2 Max", True),
    ],
)
def test_names_of_drivers_are_matched_with_declared_models(model: str, name: str, same: bool) -> None:
    host = declared(gpu=model, vram_gb=0.0)
    assert (declared_differences(host, {"gpus": [{"name": name}]}) == ()) == same
