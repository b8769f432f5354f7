"""Hosts: known, trusted, provisioned, changed together, silent, quarantined."""

from __future__ import annotations

import asyncio
from unittest import mock

from ringrift.control.domain.hostkeys import fingerprint
from ringrift.control.reconcile import operations as reconciler
from ringrift.control.store import operations
from ringrift.errors import Unreachable
from tests.control.doubles import HOST_KEY
from tests.failpoints.killing import Scene
from tests.failpoints.stage import Stage, key_text

FILE = """
schema_version: 1
hosts:
  h0: {ssh: {host: 192.0.2.9, user: root, port: 1000}}
  h1: {ssh: {host: 192.0.2.9, user: root, port: 1001}}
"""
known = Scene("hosts are known")


async def add(stage: Stage, name: str) -> None:
    body = {"name": name, "user": "u", "address": "127.0.0.2", "host_key": HOST_KEY}
    await stage.world.post("/hosts", body | {"confirmed_by": "fingerprint"})


@known.act
async def a_host_is_added(stage: Stage) -> None:
    await add(stage, "alpha")


@known.act
async def an_inventory_is_imported(stage: Stage) -> None:
    await stage.world.post("/inventory", {"text": FILE})


@known.act
async def hosts_are_asked_for_their_keys(stage: Stage) -> None:
    stage.fleet.fail("scan", Unreachable("it does not answer"), Unreachable("it does not answer"))
    await stage.world.post("/host-keys/scan", {"names": ["h0", "h1"]})


@known.act
async def a_key_is_trusted(stage: Stage) -> None:
    await stage.world.post("/hosts/h0/trust", {"host_key": key_text(7), "how": "operator"})


@known.act
async def a_key_is_revoked(stage: Stage) -> None:
    wish = {"fingerprint": fingerprint(key_text(7)), "reason": "lost"}
    await stage.world.http.post("/v1/host-keys/revoke", json=wish)


@known.act
async def an_authority_is_added(stage: Stage) -> None:
    await stage.world.http.post("/v1/host-authorities", json={"public_key": key_text(8)})


@known.act
async def an_authority_is_removed(stage: Stage) -> None:
    wish = {"fingerprint": fingerprint(key_text(8))}
    await stage.world.http.post("/v1/host-authorities/remove", json=wish)


@known.act
async def a_host_is_quarantined(stage: Stage) -> None:
    await stage.world.post("/hosts/alpha/quarantine", {"reason": "it smokes", "seconds": 60})


@known.given
async def its_time_passes(stage: Stage) -> None:
    stage.sql("UPDATE host SET quarantined_until = 1.0 WHERE name = 'alpha'")


@known.act
async def its_quarantine_ends(stage: Stage) -> None:
    await stage.world.reconcile("quarantines")


provisioned = Scene("hosts are provisioned")


async def provision(stage: Stage, name: str = "alpha") -> None:
    operation = (await stage.world.post(f"/hosts/{name}/provision"))["id"]

    async def done() -> bool:
        return bool((await stage.world.get(f"/operations/{operation}"))["state"] != "running")

    await stage.until(done, "operations", "tunnels")


async def ready(stage: Stage, name: str = "alpha") -> None:
    """Provision unless it stands already: whoever asked looks first."""
    if (await stage.world.get(f"/hosts/{name}"))["state"] != "ready":
        await provision(stage, name)


@provisioned.given
async def a_host_is_there(stage: Stage) -> None:
    await add(stage, "alpha")


@provisioned.act
async def it_is_provisioned(stage: Stage) -> None:
    await ready(stage)


@provisioned.act
async def its_tunnel_is_cut(stage: Stage) -> None:
    async def tunnel(state: str) -> bool:
        await stage.world.reconcile("tunnels")
        return bool((await stage.world.get("/hosts/alpha"))["tunnel"] == state)

    await stage.until(lambda: tunnel("open"))
    stage.fleet.cuts["alpha"].set()
    closed = ["closed"]

    async def back() -> bool:
        if closed and not stage.fleet.cuts["alpha"].is_set():
            closed.clear()
        return not closed and await tunnel("open")

    await stage.until(back, "tunnels")


@provisioned.act
async def it_is_looked_at(stage: Stage) -> None:
    stage.sql("UPDATE host SET drift_at = NULL")

    async def seen() -> bool:
        return bool(stage.query("SELECT 1 FROM host WHERE drift_at IS NOT NULL"))

    await stage.until(seen, "tunnels", "drift")


async def batch(stage: Stage, kind: str) -> None:
    """Order a batch unless there is one of this kind, and see it through."""
    if all(view["kind"] != kind for view in await stage.world.get("/batches")):
        await stage.world.post("/batches", {"kind": kind, "hosts": ["alpha"]})

    async def done() -> bool:
        return all(view["state"] != "running" for view in await stage.world.get("/batches"))

    await stage.until(done, "batches", "operations", "tunnels")


@provisioned.act
async def a_batch_restarts_its_agent(stage: Stage) -> None:
    await batch(stage, "restart")


@provisioned.act
async def it_is_drained(stage: Stage) -> None:
    if (await stage.world.get("/hosts/alpha"))["state"] != "draining":
        await stage.world.post("/hosts/alpha/drain")


@provisioned.given
async def it_is_resumed(stage: Stage) -> None:
    await stage.world.post("/hosts/alpha/resume")


@provisioned.given
async def it_is_changed_by_hand(stage: Stage) -> None:
    stage.fleet.machine("alpha").plan = "2" * 64


@provisioned.act
async def a_batch_finds_it_changed_since_it_looked(stage: Stage) -> None:
    machine, look = stage.fleet.machine("alpha"), stage.fleet.plan

    async def and_somebody_changes_it(host):
        found = await look(host)
        if machine.plan == "2" * 64:
            machine.plan = "3" * 64
        return found

    with mock.patch.object(stage.fleet, "plan", and_somebody_changes_it):
        await batch(stage, "provision")


@provisioned.act
async def provisioning_takes_long(stage: Stage) -> None:
    """The lock of an operation is renewed while it runs."""
    renewed: list[bool] = []
    renew = operations.renew

    def counted(*words):
        renewed.append(True)
        return renew(*words)

    proper = stage.fleet.agent_enrolled

    async def slowly(host):
        while not renewed:
            await asyncio.sleep(0.01)
        return await proper(host)

    with (
        mock.patch.object(operations, "LOCK_SECONDS", 0.05),
        mock.patch.object(reconciler.operations, "renew", counted),
        mock.patch.object(stage.fleet, "agent_enrolled", slowly),
    ):
        # The first was ordered when the host was new; whoever asks for another looks whether it is done.
        done = "SELECT 1 FROM operation WHERE kind = 'provision' AND batch IS NULL AND state = 'succeeded'"
        if len(stage.query(done)) < 2:
            await provision(stage)


@provisioned.given
async def its_disk_is_full(stage: Stage) -> None:
    stage.fleet.machine("alpha").lost = ["disk full"]


@provisioned.act
async def provisioning_fails(stage: Stage) -> None:
    stage.fleet.machine("alpha").lost = ["disk full"]
    if (await stage.world.get("/hosts/alpha"))["state"] != "quarantined":
        await provision(stage)


@provisioned.given
async def it_is_well_again_but_its_agent_is_silent(stage: Stage) -> None:
    stage.fleet.machine("alpha").lost = []
    await stage.world.post("/hosts/alpha/resume")
    stage.sql(
        "UPDATE host SET state = 'ready', tunnel = 'open'",
        "UPDATE agent SET beat_at = 1.0, enrolled_at = 1.0",
    )


@provisioned.act
async def its_agent_is_restarted(stage: Stage) -> None:
    stage.sql("UPDATE host SET tunnel = 'open'")
    await stage.world.reconcile("recovery")
    await stage.flights("restart:")


SCENES = [known, provisioned]
