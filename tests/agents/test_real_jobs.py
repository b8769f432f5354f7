"""Agents with the production job runner: what arrives is what the specification means, crash or not."""

from __future__ import annotations

import hashlib

import pytest

from ringrift.learning.jobs import run_job
from ringrift.protocol.jobs import parse_result, parse_spec

pytestmark = pytest.mark.timeout(900)

SELFPLAY = {"player": {"kind": "random"}, "shards": 5, "games_per_shard": 2, "seed": 11}
EVALUATE = {
    "kind": "evaluate",
    "config": "hex8_2p",
    "evaluation": "ab" * 32,
    "candidate": {"kind": "random"},
    "opponent": {"kind": "random"},
    "first_block": 3,
    "blocks": 4,
    "seed": 7,
}


def expected_shards(spec, folder):
    """Compute the same specification here; return its shards by sequence."""
    results = {}

    def emit(event):
        if event["type"] == "result":
            results[event["sequence"]] = event["payload"]["shard"]

    whole = parse_spec(spec).model_dump(mode="json")
    (folder / "in").mkdir()
    run_job(spec["kind"], whole, folder / "in", folder / "out", set(), emit)
    return results


def delivered_shards(controller, name):
    """Return the shards that arrived, after checking that each is whole and named truthfully."""
    shards = {}
    for (assignment, sequence), result in controller.results.items():
        if assignment == name:
            shard = parse_result(result.payload).shard
            assert result.artifacts == [shard]
            assert hashlib.sha256(controller.artifacts[shard]).hexdigest() == shard
            shards[sequence] = shard
    return shards


@pytest.mark.parametrize("fields", [SELFPLAY, EVALUATE], ids=["selfplay", "evaluate"])
def test_an_agent_killed_in_the_middle_delivers_exactly_the_specified_shards(
    connected, controller, tmp_path, fields
):
    controller.add("real", **fields)
    spec = controller.assignments[0]["spec"]
    if spec["kind"] == "evaluate":
        spec = controller.assignments[0]["spec"] = EVALUATE
    agent = connected.start(runner=None)
    controller.wait(lambda: controller.sequences("real"), "the first result")
    agent.kill()
    agent.wait()
    connected.start(runner=None)
    controller.wait(lambda: "real" in controller.finished, "the end of the job")
    assert controller.finished["real"].outcome == "succeeded", controller.finished["real"]
    assert delivered_shards(controller, "real") == expected_shards(spec, tmp_path)


def test_a_job_that_cannot_be_done_fails_with_the_reason_of_the_library(connected, controller):
    data = b"no checkpoint"
    model = controller.store(data)
    controller.add("real", player={"kind": "gumbel", "model": model, "simulations": 4})
    connected.start(runner=None)
    controller.wait(lambda: "real" in controller.finished, "the end of the job")
    finish = controller.finished["real"]
    assert finish.outcome == "failed"
    assert finish.exit_code == 8
    assert "is not a checkpoint" in finish.reason
