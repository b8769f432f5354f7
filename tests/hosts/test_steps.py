"""Every step as data: `cases/<step>/<case>.json` holds facts, wish and the commands that must come out.

A case overrides parts of `cases/base.json`, which describes a host where everything is right already.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hosts.facts import Facts
from hosts.steps import agent_config, agent_service, clean_up, environment, folders, release, target, warmup
from hosts.steps.commands import describe
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.signing import manifest_text
from ringrift.errors import RingRiftError

CASES = Path(__file__).parent / "cases"
SIGNATURE = "0123456789abcdef signed\n"
TRUSTED = "A" * 43 + "=\n"
BASE = json.loads((CASES / "base.json").read_text())
PLANS = {
    "folders": lambda case: folders.plan(case.facts, case.wish),
    "release": lambda case: release.plan(case.facts, case.wish),
    "environment": lambda case: environment.plan(case.facts, case.wish),
    "warmup": lambda case: warmup.plan(case.facts, case.wish),
    "agent_config": lambda case: agent_config.plan(case.facts, case.wish),
    "agent_service": lambda case: agent_service.plan(case.facts, case.wish),
    "clean_up": lambda case: clean_up.plan(case.facts, case.wish),
    "models": lambda case: target.plan_models(case.facts, case.order),
    "swap": lambda case: target.plan_swap(case.facts, case.order),
    "target_service": lambda case: target.plan_service(case.facts, case.wish, case.order),
    "restore": lambda case: target.plan_restore(case.facts, case.before, case.order, case.wish.host),
    "retention": lambda case: target.plan_retention(case.facts, case.order),
}
ALL = sorted(path.relative_to(CASES).with_suffix("").as_posix() for path in CASES.glob("*/*.json"))


class Case:
    """One case file over the base."""

    def __init__(self, name: str) -> None:
        self.content: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
        assert set(self.content) <= {"facts", "before", "wish", "order", "commands", "error"}
        facts = merged(BASE["facts"], self.content.get("facts", {}))
        self.facts = Facts.model_validate(facts)
        self.before = Facts.model_validate(merged(facts, self.content.get("before", {})))
        wish = merged(BASE["wish"], self.content.get("wish", {}))
        self.wish = Wish(**{**wish, "requirements": tuple(wish["requirements"])})
        order = merged(BASE["order"], self.content.get("order", {}))
        models = tuple(ModelFile(**{**model, "path": Path(model["path"])}) for model in order.pop("models"))
        text = manifest_text(order["deployment"], order["generation"], models)
        self.order = DeployOrder(models=models, manifest=text, signature=SIGNATURE, trusted=TRUSTED, **order)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it, objects within objects likewise."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if nested else value
    return result


@pytest.mark.parametrize("name", ALL)
def test_the_step_asks_for_exactly_these_commands(name):
    case = Case(name)
    plan = PLANS[name.split("/")[0]]
    if "error" in case.content:
        with pytest.raises(RingRiftError) as caught:
            plan(case)
        assert caught.value.code == case.content["error"]["code"]
        for text in case.content["error"]["says"]:
            assert text in caught.value.line()
    else:
        described = [describe(command) for command in plan(case)]
        assert json.loads(json.dumps(described)) == case.content["commands"]


@pytest.mark.parametrize("step", PLANS)
def test_every_step_has_ten_cases_and_one_where_nothing_is_to_do(step):
    cases = [name for name in ALL if name.startswith(f"{step}/")]
    assert len(cases) >= 10
    assert f"{step}/already_right" in cases
    assert Case(f"{step}/already_right").content["commands"] == []


def test_every_case_file_belongs_to_a_step():
    assert {name.split("/")[0] for name in ALL} == set(PLANS)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("agent_config/")])
def test_no_description_shows_a_token(name):
    case = Case(name)
    if case.wish.token is not None:
        described = json.dumps([describe(command) for command in PLANS["agent_config"](case)])
        assert case.wish.token not in described
