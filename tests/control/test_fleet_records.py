"""The records of hosts over the operators' API: import, keys with their history, authorities, quarantines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import update
from sqlmodel import Session

from ringrift.control.store import fleet, hostkeys
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Debt, Host, Throughput
from ringrift.errors import Refused, Unreachable
from tests.control.doubles import HOST_KEY, OTHER_KEY
from tests.control.test_operators_api import HOST
from tests.control.world import CONFIG, World

SAMPLE = Path(__file__).parents[2].parent / "shared" / "requirements" / "hosts_sample.yaml"
TEXT = (Path(__file__).parents[1] / "data" / "inventory.yaml").read_text()
WRONG = TEXT.replace("cpus: 8\n", "cpus: 0\n")
REVOKED = {"reason": "the disk was stolen"}


async def import_(world: World, text: str = TEXT, **options: bool) -> dict[str, Any]:
    """Import a file; return whether it was done and the rows by host."""
    view = await world.post("/inventory", {"text": text, **options})
    return {"done": view["done"], **{row["name"]: row for row in view["rows"]}}


async def audit(world: World) -> list[str]:
    return [event["action"] for event in await world.get("/events?limit=1000")]


async def test_an_inventory_becomes_hosts_with_typed_columns(world: World) -> None:
    assert (await import_(world))["done"]
    view = await world.get("/hosts/spot-5090x2-01")
    wanted = {"kind": "gpu_container", "gpu": "RTX 5090", "gpu_count": 2, "vram_gb": 32.0, "ram_gb": 645.0}
    rest = {"reachability": "gateway", "spot": True, "hourly_cost": 1.6, "pinned": False, "state": "new"}
    assert {key: view[key] for key in wanted | rest} == wanted | rest
    assert "no host key is pinned" in view["reason"]
    pinned = await world.get("/hosts/gh200-01")
    assert pinned["pinned"] and pinned["key_how"] == "operator" and pinned["reason"] == ""
    assert "spot-3060-01" not in {view["name"] for view in await world.get("/hosts")}
    assert [view["name"] for view in await world.get("/hosts?state=retired")] == ["spot-3060-01"]
    assert [view["name"] for view in await world.get("/hosts?kind=gpu_pod&spot=false")] == ["pod-a100-01"]


async def test_a_file_with_a_wrong_entry_changes_nothing_unless_the_rest_is_asked_for(world: World) -> None:
    report = await import_(world, WRONG)
    assert not report["done"] and report["cpu-01"]["errors"][0].startswith("cpus: 0 is not allowed")
    assert report["gh200-01"]["outcome"] == "added"
    assert await world.get("/hosts") == [] and await audit(world) == []
    assert (await import_(world, WRONG, partial=True))["done"]
    assert len(await world.get("/hosts")) == 4
    await world.get("/hosts/gh200-01")


async def test_a_dry_run_reports_and_writes_nothing(world: World) -> None:
    report = await import_(world, dry_run=True)
    assert not report["done"] and report["gh200-01"]["outcome"] == "added"
    assert await world.get("/hosts") == [] and await audit(world) == []


async def test_importing_again_writes_nothing_and_one_change_one_row(world: World) -> None:
    await import_(world)
    before = await audit(world)
    assert {row["outcome"] for row in list((await import_(world)).values())[1:]} == {"unchanged"}
    assert await audit(world) == before
    report = await import_(world, TEXT.replace("memory_gb: 432", "memory_gb: 440"))
    assert report["gh200-01"]["changes"] == ["ram_gb"]
    assert await audit(world) == [*before, "host.changed", "host.imported"]
    assert (await world.get("/hosts/gh200-01"))["ram_gb"] == 440.0


async def test_an_export_is_imported_again_without_a_change(world: World) -> None:
    await import_(world)
    for query in ("", "?with_addresses=true"):
        text = (await world.get(f"/inventory{query}"))["text"]
        report = await import_(world, text)
        assert {row["outcome"] for row in list(report.values())[1:]} == {"unchanged"}
    assert "192.0.2.1" in text and set(yaml.safe_load(text)["hosts"]) == set(report) - {"done"}


async def test_what_is_no_inventory_is_bad_input(world: World) -> None:
    answer = await world.post("/inventory", {"text": "a: ["}, status=422)
    assert answer["error"]["code"] == "bad_input" and "line 2" in answer["error"]["message"]


async def test_nothing_connects_to_a_host_before_its_key_is_pinned(world: World) -> None:
    await import_(world)
    refused = await world.post("/hosts/mac-desktop-01/provision", status=409)
    assert refused["error"]["message"] == "no host key of mac-desktop-01 is pinned"
    assert refused["error"]["hint"] == "ringrift-ctl hosts trust mac-desktop-01"
    assert "no host key is pinned" in (await world.get("/why/mac-desktop-01"))["sentence"]
    await world.post("/hosts/mac-desktop-01/trust", {"host_key": OTHER_KEY})
    assert (await world.get("/hosts/mac-desktop-01"))["reason"] == ""
    await world.post("/hosts/mac-desktop-01/provision")


async def test_new_hosts_are_asked_for_their_keys_and_the_silent_ones_become_unreachable(
    world: World,
) -> None:
    await import_(world)
    world.fleet.fail("scan", Unreachable("it does not answer"), subject="mac.example.net:22")
    found = {row["name"]: row for row in await world.post("/host-keys/scan", {})}
    assert set(found) == {"cpu-01", "mac-desktop-01", "pod-a100-01", "spot-5090x2-01"}
    assert found["spot-5090x2-01"]["expected"].startswith("SHA256:n4bQ")
    assert found["mac-desktop-01"]["error"] == "it does not answer"
    silent = await world.get("/hosts/mac-desktop-01")
    assert (silent["state"], silent["reason"]) == ("unreachable", "declared ready, but it does not answer")
    await world.post("/hosts/pod-a100-01/trust", {"host_key": OTHER_KEY})
    assert (await world.get("/hosts/pod-a100-01"))["state"] == "new"


async def test_a_first_contact_that_differs_from_the_inventory_pins_nothing(world: World) -> None:
    await import_(world)
    refused = await world.post("/hosts/spot-5090x2-01/trust", {"host_key": HOST_KEY}, status=401)
    assert refused["error"]["code"] == "host_key_changed" and "SHA256:n4bQ" in refused["error"]["message"]
    assert await world.get("/hosts/spot-5090x2-01/keys") == []
    compared = {"host_key": HOST_KEY, "how": "operator"}
    assert (await world.post("/hosts/spot-5090x2-01/trust", compared))["pinned"]


async def test_pinned_keys_are_kept_with_who_when_and_how(world: World) -> None:
    await world.post("/hosts", HOST)
    for _ in range(2):
        await world.post("/hosts/alpha/trust", {"host_key": OTHER_KEY, "how": "first-contact"})
    rows = await world.get("/hosts/alpha/keys")
    assert [(row["how"], row["actor"], row["in_force"]) for row in rows] == [
        ("first-contact", "operator", True),
        ("operator", "operator", False),
    ]
    assert all(row["age"] >= 0 and row["type"] == "ssh-ed25519" for row in rows)


async def test_a_revoked_key_blocks_its_hosts_and_is_never_pinned_again(world: World) -> None:
    await import_(world)
    print_ = (await world.get("/hosts/gh200-01"))["fingerprint"]
    for _ in range(2):
        view = await world.post("/host-keys/revoke", {"fingerprint": print_, **REVOKED})
        assert view["hosts"] == ["gh200-01"]
    host = await world.get("/hosts/gh200-01")
    assert host["state"] == "unreachable" and host["blocked"] and "stolen" in host["reason"]
    assert "stolen" in (await world.get("/why/gh200-01"))["sentence"]
    refused = await world.post("/hosts/gh200-01/trust", {"host_key": HOST_KEY}, status=409)
    assert "is revoked" in refused["error"]["message"]
    await world.post("/hosts/gh200-01/provision", status=409)
    assert [row["fingerprint"] for row in await world.get("/host-keys/revoked")] == [print_]
    assert (await world.get("/hosts/gh200-01/keys"))[0]["revoked"] == "the disk was stolen"
    host = await world.post("/hosts/gh200-01/trust", {"host_key": OTHER_KEY})
    assert not host["blocked"] and host["state"] == "new"
    assert (await audit(world)).count("host.key-revoked") == 1


async def test_specs_carry_the_way_the_authorities_the_revoked_keys_and_the_labels(world: World) -> None:
    await import_(world)
    await world.post("/hosts/cpu-01/trust", {"host_key": OTHER_KEY})
    [authority] = await world.post("/host-authorities", {"public_key": f"{OTHER_KEY} ca@example"})
    await world.post("/host-keys/revoke", {"fingerprint": "SHA256:" + "A" * 43, **REVOKED})
    spec = await world.read(lambda s: host_spec(s, fleet.get_host(s, "cpu-01")))
    assert spec.jump is not None and spec.jump.name == "gh200-01" and spec.jump.host_key == HOST_KEY
    assert spec.authorities == spec.jump.authorities == (OTHER_KEY,)
    assert spec.revoked == ("SHA256:" + "A" * 43,)
    assert dict(spec.jump.labels) == {"rack": "b-12", "owner": "team a"}
    assert await world.post("/host-authorities", {"public_key": OTHER_KEY}) == [
        {**authority, "age": pytest.approx(authority["age"], abs=60)}
    ]
    body = {"fingerprint": authority["fingerprint"]}
    assert await world.post("/host-authorities/remove", body) == []
    await world.post("/host-authorities/remove", body, status=404)


async def test_an_authority_stands_in_for_a_pinned_key(world: World) -> None:
    await import_(world)
    with pytest.raises(Refused):
        await world.read(lambda s: host_spec(s, fleet.get_host(s, "mac-desktop-01")))
    await world.post("/host-authorities", {"public_key": OTHER_KEY})
    spec = await world.read(lambda s: host_spec(s, fleet.get_host(s, "mac-desktop-01")))
    assert spec.host_key == "" and spec.authorities == (OTHER_KEY,)
    for _ in range(2):
        await world.write(lambda s: hostkeys.vouched(s, fleet.get_host(s, "mac-desktop-01")))
    view = await world.get("/hosts/mac-desktop-01")
    assert (view["pinned"], view["key_how"]) == (True, "ca")
    assert (await audit(world)).count("host.vouched") == 1
    assert "mac-desktop-01" not in {row["name"] for row in await world.post("/host-keys/scan", {})}


async def test_a_host_that_others_are_reached_through_is_not_removed(world: World) -> None:
    await import_(world)
    refused = await world.post("/hosts/gh200-01/remove", status=409)
    assert refused["error"]["message"] == "host cpu-01 is reached through gh200-01"
    await world.post("/hosts/cpu-01/remove")
    assert (await world.post("/hosts/gh200-01/remove"))["state"] == "retired"


@pytest.mark.skipif(not SAMPLE.exists(), reason="the reference inventory ../shared is not here")
async def test_the_two_wrong_rows_of_the_sample_are_caught_by_asking_the_machines(world: World) -> None:
    assert (await import_(world, SAMPLE.read_text()))["done"]
    exited = {"spot-2080ti-01": "203.0.113.10:13106", "spot-5080-01": "203.0.113.15:15721"}
    for place in exited.values():
        world.fleet.fail("scan", Unreachable("it does not answer"), subject=place)
    await world.post("/host-keys/scan", {})
    wrong = await world.get("/hosts?state=unreachable")
    told = {view["name"]: view["reason"] for view in wrong if view["reason"].startswith("declared ready")}
    assert told == dict.fromkeys(exited, "declared ready, but it does not answer")


async def test_a_circle_of_jump_hosts_is_refused_also_where_rows_say_it(world: World) -> None:
    await import_(world)
    await world.post("/host-authorities", {"public_key": OTHER_KEY})
    await world.write(lambda s: s.execute(update(Host).where(Host.name == "gh200-01").values(jump="cpu-01")))
    with pytest.raises(Refused, match="in a circle"):
        await world.read(lambda s: host_spec(s, fleet.get_host(s, "cpu-01")))


async def test_a_quarantine_ends_by_itself_or_by_a_person_and_keeps_its_history(world: World) -> None:
    await world.agent("alpha")
    view = await world.post("/hosts/alpha/quarantine", {"reason": "odd results", "seconds": 3600})
    assert view["state"] == "quarantined" and 3500 < view["quarantined_for"] <= 3600
    await world.reconcile("quarantines")
    assert (await world.get("/hosts/alpha"))["state"] == "quarantined"
    await world.write(lambda s: s.execute(update(Host).values(quarantined_until=1.0)))
    await world.reconcile("quarantines")
    assert (await world.get("/hosts/alpha"))["state"] == "ready"
    await world.post("/hosts/alpha/quarantine", {"reason": "again"})
    await world.reconcile("quarantines")
    assert (await world.get("/hosts/alpha"))["quarantined_for"] is None
    assert (await world.post("/hosts/alpha/resume"))["state"] == "ready"
    rows = await world.get("/hosts/alpha/history")
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("ready", ""),
        ("quarantined", "again"),
        ("ready", "its quarantine is over"),
        ("quarantined", "odd results"),
    ]


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": "a\nb"}, {"reason": "x", "seconds": 0}])
async def test_a_quarantine_needs_a_reason_on_one_line_and_a_time(world: World, body: dict) -> None:
    await world.agent("alpha")
    await world.post("/hosts/alpha/quarantine", body, status=422)


async def test_the_cost_of_what_is_up_is_shown(world: World) -> None:
    await world.agent("alpha")
    await world.agent("beta")
    await world.write(lambda s: s.execute(update(Host).where(Host.name == "alpha").values(hourly_cost=0.7)))
    await import_(world)
    assert (await world.get("/status"))["hourly_cost"] == pytest.approx(0.7)


async def test_drift_is_shown_with_its_age_and_in_why(world: World) -> None:
    await world.agent("alpha")
    line = "ram_gb: declared 432, found 96"
    await world.write(lambda s: s.execute(update(Host).values(drift=[line], drift_at=1.0)))
    view = await world.get("/hosts/alpha")
    assert view["drift"] == [line] and view["drift_age"] > 1e6
    assert f"drift: {line}" in (await world.get("/why/alpha"))["facts"]


async def test_a_host_tells_what_it_owes_and_what_its_work_should_yield(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await world.reconcile("selfplay")
    assert (await agent.lease("selfplay")).assignment is not None

    def more(session: Session) -> None:
        time = now(session)
        session.add(Throughput(host="alpha", kind="selfplay", config=CONFIG, per_hour=120.0, at=time))
        session.add(Debt(id="debt_1", host="alpha", kind="update", made_at=time))

    await world.write(more)
    view = await world.get("/hosts/alpha")
    assert (view["owed"], view["expected_per_hour"]) == (1, 120.0)
    [listed] = await world.get("/hosts")
    assert (listed["owed"], listed["expected_per_hour"]) == (1, 120.0)
