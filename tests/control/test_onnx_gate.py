"""Where the policy asks for it, a champion must say the same in onnxruntime as in torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringrift.control.domain.gate import allowed, gate_conditions, overridable
from ringrift.control.store.tables import Model
from ringrift.errors import BadInput
from tests.control.stage import with_candidates
from tests.control.test_decisions import CASE
from tests.control.world import CONFIG, World, small_policy

ASKING = small_policy("[onnx]\nrequired = true\ntolerance = 0.001\n")


def test_the_condition_stands_only_where_the_policy_asks_and_missing_evidence_fails() -> None:
    assert "onnx" not in {item.name for item in gate_conditions(CASE)}
    for difference, passed, value in (
        (None, False, "not compared"),
        (0.0, True, "off by 0"),
        (0.001, True, "off by 0.001"),
        (0.0011, False, "off by 0.0011"),
        (1e9, False, "off by 1e+09"),
    ):
        conditions = gate_conditions(replace(CASE, onnx_tolerance=0.001, onnx_difference=difference))
        (found,) = (item for item in conditions if item.name == "onnx")
        assert (found.value, found.passed, found.limit) == (value, passed, "off by at most 0.001")
        assert allowed(conditions) is overridable(conditions) is passed, "what a model is no person overrides"


@pytest.mark.parametrize("text", ["required = 1", "tolerance = 0", "tolerance = 2.0", "nearly = true"])
def test_a_wrong_section_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="onnx"):
        small_policy(f"[onnx]\n{text}\n")


async def test_a_model_that_nobody_compared_is_not_promoted(world: World) -> None:
    world.context.settings = world.settings = replace(world.settings, gate=ASKING)
    (model,) = await with_candidates(world, "a")

    async def condition() -> dict[str, Any]:
        plan = await world.get(f"/promotions/{CONFIG}?model={model}")
        return next(item for item in plan["conditions"] if item["name"] == "onnx")

    assert (await condition())["value"] == "not compared"

    def compare(session: Any) -> None:
        session.get(Model, model).onnx_difference = 1e-05

    await world.write(compare)
    found = await condition()
    assert found["passed"] and found["value"] == "off by 1e-05"
