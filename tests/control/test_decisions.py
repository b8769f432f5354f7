"""The pure decisions: trigger, gate, evaluations, self-play, health, state machines, result checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.control.domain import states
from ringrift.control.domain.check import check_result, claims_differ
from ringrift.control.domain.evaluations import (
    Registration,
    Wanted,
    blocks_to_hand_out,
    register,
    registration_id,
    verdict_in_order,
)
from ringrift.control.domain.gate import (
    EvaluationFacts,
    GateFacts,
    TestFacts,
    allowed,
    gate_conditions,
    overridable,
)
from ringrift.control.domain.health import age_text, beat_pause, host_health
from ringrift.control.domain.selfplay import SelfplayNeed, waits_for_data, wanted_jobs
from ringrift.control.domain.trigger import TrainingFacts, TrainingLimits, first_failed, training_conditions
from ringrift.control.policy import packaged_policy
from ringrift.errors import BadInput, Conflict, UsageError
from ringrift.learning.sprt import Test as SequentialTest
from ringrift.protocol.jobs import EvaluateSpec, GameResult, PlayerSpec, RepeatSpec, SelfplaySpec, TrainSpec
from tests.control.doubles import Fabrication, sha, vectors

LIMITS = TrainingLimits(min_positions=1000, max_data_age=3600.0, min_soft_target_share=0.1)
READY = TrainingFacts(enabled=True, fresh_positions=1000, data_age=3600.0, soft_target_share=0.1)


def failing(facts: TrainingFacts) -> str | None:
    found = first_failed(training_conditions(facts, LIMITS))
    return found.name if found else None


def test_training_starts_exactly_at_the_limits() -> None:
    assert failing(READY) is None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"enabled": False}, "enabled"),
        ({"fresh_positions": 999}, "fresh positions"),
        ({"data_age": 3600.1}, "data age"),
        ({"data_age": None}, "data age"),
        ({"soft_target_share": 0.0999}, "search targets"),
        ({"training": "job_1"}, "no training under way"),
        ({"candidate": "abc"}, "no candidate waiting"),
        ({"fruitless": 10}, "runs without gain"),
    ],
)
def test_each_training_condition_blocks_alone_and_is_named(change: dict, name: str) -> None:
    assert failing(replace(READY, **change)) == name


EVIDENCE = EvaluationFacts(
    id=sha("e"),
    id_matches=True,
    fits_policy=True,
    policy="of now",
    config="hex8_3p",
    candidate=sha("m"),
    opponent="random",
    state="accepted",
    verdict="accept",
    blocks=10,
    complete_blocks=10,
    games=30,
    players=3,
    unverified=0,
)
FORMER = replace(EVIDENCE, opponent=sha("f"))
CASE = GateFacts(
    config="hex8_3p",
    model=sha("m"),
    champion=None,
    model_config="hex8_3p",
    model_state="candidate",
    dataset_config="hex8_3p",
    architecture="blocks=4",
    parent_architecture=None,
    parents=(),
    evaluation=EVIDENCE,
    policy="of now",
    others=(TestFacts("former champion 1", sha("f"), FORMER),),
)


def other(evidence: EvaluationFacts | None) -> dict:
    return {"others": (replace(CASE.others[0], evaluation=evidence),)}


def test_the_gate_opens_when_every_condition_holds() -> None:
    assert allowed(gate_conditions(CASE))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"evaluation": None}, "evaluation"),
        ({"model_config": "hex8_2p"}, "model"),
        ({"model_config": None}, "model"),
        ({"model_state": "rejected"}, "model state"),
        ({"dataset_config": None}, "data set"),
        ({"parent_architecture": "blocks=8"}, "architecture"),
        ({"parents": ("hex8_3p", None)}, "parent chain"),
        ({"parents": ("hex8_2p",)}, "parent chain"),
        ({"champion": sha("c")}, "opponent"),
        ({"evaluation": replace(EVIDENCE, id_matches=False)}, "registered test"),
        ({"evaluation": replace(EVIDENCE, candidate=sha("x"))}, "evaluation"),
        ({"evaluation": replace(EVIDENCE, config="hex8_2p")}, "evaluation"),
        ({"evaluation": replace(EVIDENCE, state="running")}, "verdict"),
        ({"evaluation": replace(EVIDENCE, verdict="continue")}, "verdict"),
        ({"evaluation": replace(EVIDENCE, games=29)}, "games"),
        ({"evaluation": replace(EVIDENCE, games=0, blocks=0, complete_blocks=0)}, "games"),
        ({"evaluation": replace(EVIDENCE, complete_blocks=9)}, "blocks"),
        ({"evaluation": replace(EVIDENCE, unverified=1)}, "replayed"),
        ({"evaluation": replace(EVIDENCE, policy="of then")}, "policy"),
        ({"evaluation": replace(EVIDENCE, fits_policy=False)}, "registered test"),
        (other(None), "former champion 1"),
        (other(replace(FORMER, opponent=sha("x"))), "former champion 1"),
        (other(replace(FORMER, candidate=sha("x"))), "former champion 1"),
        (other(replace(FORMER, id_matches=False)), "former champion 1"),
        (other(replace(FORMER, fits_policy=False)), "former champion 1"),
        (other(replace(FORMER, policy="of then")), "former champion 1"),
        (other(replace(FORMER, state="running")), "former champion 1"),
        (other(replace(FORMER, verdict="reject")), "former champion 1"),
        (other(replace(FORMER, complete_blocks=9)), "former champion 1"),
        (other(replace(FORMER, games=0)), "former champion 1"),
        (other(replace(FORMER, unverified=1)), "former champion 1"),
    ],
)
def test_each_missing_piece_of_evidence_closes_the_gate_and_is_named(change: dict, name: str) -> None:
    conditions = gate_conditions(replace(CASE, **change))
    assert not allowed(conditions)
    assert name in [condition.name for condition in conditions if not condition.passed]
    assert overridable(conditions) == (name in EVIDENCE_NAMES)


EVIDENCE_NAMES = {
    *("evaluation", "opponent", "policy", "registered test", "verdict", "games", "blocks", "replayed"),
    "former champion 1",
}


def test_a_gate_without_conditions_is_closed() -> None:
    assert not allowed([])


TEST = SequentialTest(elo0=0, elo1=200, alpha=0.05, beta=0.05, players=2, max_blocks=40)


def test_a_verdict_counts_only_the_unbroken_run_of_blocks_from_the_first() -> None:
    wins = {number: 2 for number in range(30) if number != 3}
    assert verdict_in_order(TEST, wins).verdict == "continue"
    assert verdict_in_order(TEST, wins).blocks == 3
    assert verdict_in_order(TEST, {**wins, 3: 2}).verdict == "accept"


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_a_verdict_never_changes_once_it_fell(wins: list[int], random) -> None:
    verdicts = [verdict_in_order(TEST, dict(enumerate(wins[:seen]))) for seen in range(len(wins) + 1)]
    decided = [verdict for verdict in verdicts if verdict.verdict != "continue"]
    assert all(verdict == decided[0] for verdict in decided)
    shuffled = list(enumerate(wins))
    random.shuffle(shuffled)
    assert verdict_in_order(TEST, dict(shuffled)) == verdicts[-1]


@given(
    covered=st.sets(st.integers(0, 30)),
    open_jobs=st.integers(0, 5),
    ahead=st.integers(1, 6),
    size=st.integers(1, 5),
    most=st.integers(4, 30),
)
def test_blocks_are_handed_out_once_in_order_and_never_beyond_the_test(
    covered: set[int], open_jobs: int, ahead: int, size: int, most: int
) -> None:
    jobs = blocks_to_hand_out(covered, most, open_jobs, jobs_ahead=ahead, blocks_per_job=size)
    blocks = [block for first, count in jobs for block in range(first, first + count)]
    assert len(jobs) <= max(0, ahead - open_jobs)
    assert blocks == sorted(set(blocks)) and not covered & set(blocks)
    assert all(block < most for block in blocks)
    left = set(range(most)) - covered - set(blocks)
    assert not left or open_jobs + len(jobs) >= ahead or min(left) > max(blocks, default=-1)


def test_a_registration_is_named_by_everything_that_it_fixes() -> None:
    player = PlayerSpec(kind="gumbel", model=sha("m"), simulations=16)
    policy, wanted = packaged_policy(), Wanted("champion", "superiority", "random")
    first = register(policy, "hex8_3p", player, wanted, 4)
    assert first.opponent_name == "random" and first.test.players == 3
    assert first.policy["sha256"] == policy.sha256
    anchor = register(policy, "hex8_3p", player, replace(wanted, opponent="heuristic"), 4)
    assert (anchor.opponent.kind, anchor.opponent.model, anchor.opponent_name) == (
        "heuristic", None, "heuristic",
    )  # fmt: skip
    against = register(policy, "hex8_3p", player, replace(wanted, opponent=sha("c")), 4).opponent
    assert against == player.model_copy(update={"model": sha("c")}), "both search alike"
    assert Registration.read(first.document()) == first
    others = [
        register(policy, "hex8_2p", player, wanted, 4),
        register(policy, "hex8_3p", player.model_copy(update={"simulations": 17}), wanted, 4),
        register(policy, "hex8_3p", player, replace(wanted, opponent=sha("c")), 4),
        register(policy, "hex8_3p", player, replace(wanted, purpose="non-inferiority"), 4),
        register(policy.with_errors("strict"), "hex8_3p", player, wanted, 4),
        register(policy.model_copy(update={"sha256": sha("p")}), "hex8_3p", player, wanted, 4),
        register(policy, "hex8_3p", player, wanted, 5),
    ]
    names = {registration_id(item.document()) for item in (first, *others)}
    assert len(names) == 8
    assert 0 <= first.seed < 2**53


@pytest.mark.parametrize(
    ("need", "wanted"),
    [
        (SelfplayNeed(False, 0, 0, 8, 1), 0),
        (SelfplayNeed(True, 0, 0, 0, 1), 1),
        (SelfplayNeed(True, 0, 0, 8, 2), 4),
        (SelfplayNeed(True, 3, 0, 8, 2), 1),
        (SelfplayNeed(True, 9, 0, 8, 2), 0),
        (SelfplayNeed(True, 0, 0, 800, 1), 6),
        (SelfplayNeed(True, 0, 3999, 8, 1), 6),
        (SelfplayNeed(True, 0, 4000, 8, 1), 0),
        (SelfplayNeed(True, 0, 0, 0, 1, drained=0.5), 3),
        (SelfplayNeed(True, 0, 0, 0, 1, drained=50.0), 6),
        (SelfplayNeed(True, 2, 0, 1, 1, drained=0.5), 1),
        (SelfplayNeed(True, 0, 4000, 8, 1, drained=50.0), 0),
        (SelfplayNeed(True, 0, 4000, 8, 1, blocked=True), 6),
        (SelfplayNeed(True, 0, 0, 8, 1, blocked=True, unreplayed=3999), 6),
        (SelfplayNeed(True, 0, 0, 8, 1, blocked=True, unreplayed=4000), 0),
    ],
)
def test_self_play_keeps_what_drains_in_five_minutes_waiting_and_never_more_than_the_bound(
    need: SelfplayNeed, wanted: int
) -> None:
    assert wanted_jobs(need, queue_limit=6, minutes=5.0, min_positions=1000, ahead=4.0) == wanted


def test_self_play_goes_on_while_a_training_waits_for_better_data_and_for_nothing_else() -> None:
    limits = TrainingLimits(1000, 3600.0, 0.05)

    def waits(**facts: object) -> bool:
        given = {"enabled": True, "fresh_positions": 9000, "data_age": 5.0, "soft_target_share": 0.5, **facts}
        return waits_for_data(training_conditions(TrainingFacts(**given), limits))

    assert waits(soft_target_share=0.01) and waits(data_age=1e6)
    assert not waits()
    assert not waits(candidate="abc") and not waits(soft_target_share=0.01, candidate="abc")


@pytest.mark.parametrize(
    ("age", "health"),
    [(None, "unknown"), (0, "up"), (44.9, "up"), (45, "stale"), (90, "stale"), (90.1, "down"), (1e9, "down")],
)
def test_silence_is_unknown_stale_or_down_but_never_dead(age: float | None, health: str) -> None:
    assert host_health(age, 45, 90) == health


@pytest.mark.parametrize(
    ("agents", "pause"), [(0, 15.0), (41, 15.0), (6750, 15.0), (9000, 20.0), (10_000, 22.222), (99_999, 22.5)]
)
def test_a_large_fleet_beats_less_often_and_still_twice_before_it_is_stale(agents: int, pause: float) -> None:
    assert beat_pause(agents, 15.0, 450.0, 22.5) == pytest.approx(pause, abs=0.001)
    assert beat_pause(agents, 15.0, 450.0, 5.0) == 15.0, "never more often than asked for"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0, "0 s"), (119, "119 s"), (180, "3 min"), (9000, "2.5 h"), (345600, "4.0 d")],
)
def test_ages_are_told_as_people_say_them(seconds: float | None, text: str) -> None:
    assert age_text(seconds) == text


def test_state_machines_refuse_what_may_not_follow() -> None:
    assert states.advance(states.JOB, "job_1", "queued", "leased") == "leased"
    with pytest.raises(Conflict, match="job_1 is succeeded and cannot become queued"):
        states.advance(states.JOB, "job_1", "succeeded", "queued")
    for machine in (states.JOB, states.ASSIGNMENT, states.SHARD, states.MODEL, states.OPERATION, states.HOST):
        named = set(machine) | {state for following in machine.values() for state in following}
        assert named == set(machine)


SPECS = {
    "selfplay": SelfplaySpec(
        config="hex8_2p", player=PlayerSpec(kind="random"), shards=2, games_per_shard=3, seed=1
    ),
    "evaluate": EvaluateSpec(
        config="hex8_3p",
        evaluation=sha("e"),
        candidate=PlayerSpec(kind="gumbel", model=sha("m")),
        opponent=PlayerSpec(kind="random"),
        first_block=4,
        blocks=2,
        seed=1,
    ),
    "train": TrainSpec(
        config="hex8_2p",
        dataset=sha("d"),
        shards=[sha("s")],
        parent=None,
        seed=1,
        architecture={"blocks": 2, "channels": 8},
        recipe={"steps": 1, "batch_size": 1, "learning_rate": 0.1},
    ),
}
REPEATED = RepeatSpec(config="hex8_2p", origin=SPECS["selfplay"], sequence=1, shard=sha("s"), games=[0, 2])


def answer(kind: str, sequence: int) -> tuple[dict, list[str]]:
    payload, _ = Fabrication().unit(SPECS[kind].model_dump(), sequence)
    return payload, [payload.get("shard") or payload["model"]]


@pytest.mark.parametrize(("kind", "sequence"), [("selfplay", 1), ("evaluate", 5), ("train", 0)])
def test_a_result_that_answers_its_spec_is_taken(kind: str, sequence: int) -> None:
    payload, artifacts = answer(kind, sequence)
    assert check_result(SPECS[kind], sequence, payload, artifacts).kind == kind


def game(**change: object) -> dict:
    return {"game_id": sha("g"), "winner": 1, "plies": 10, "decisions": 5, **change}


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("selfplay", {"kind": "ingest"}, "ingest.sound"),
        ("selfplay", {"config": "hex8_3p"}, "config"),
        ("selfplay", {"config": "hex9_2p"}, "unknown config"),
        ("selfplay", {"shard": sha("other")}, "shard"),
        ("selfplay", {"shard": "../../etc/passwd"}, "shard"),
        ("selfplay", {"games": []}, "games"),
        ("selfplay", {"games": [game()] * 3}, "twice"),
        ("selfplay", {"games": [game(game_id=sha(n)) for n in range(2)]}, "games"),
        ("selfplay", {"games": [game(game_id=sha(n), winner=3) for n in range(3)]}, "winner"),
        ("selfplay", {"games": [game(game_id=sha(n), decisions=11) for n in range(3)]}, "decisions"),
        ("selfplay", {"seconds": -1}, "seconds"),
        ("selfplay", {"more": 1}, "more"),
        ("evaluate", {"evaluation": sha("x")}, "evaluation"),
        ("evaluate", {"block": 4}, "block"),
        ("evaluate", {"candidate_seats": [1, 1, 2]}, "seats"),
        ("evaluate", {"candidate_seats": [1, 2]}, "seats"),
        ("evaluate", {"games": [game(game_id=sha(n), winner=None) for n in range(3)]}, "winner"),
        ("train", {"dataset": sha("x")}, "dataset"),
        ("train", {"architecture": {"blocks": 3, "channels": 8}}, "architecture"),
        ("train", {"holdout_loss": float("nan")}, "holdout_loss"),
        ("train", {"parent_holdout_loss": 1.0}, "parent_holdout_loss"),
        ("train", {"positions": 0}, "positions"),
        ("train", {"model": sha("x")}, "model"),
        ("train", {"golden": {}}, "golden.version"),
        ("train", {"golden": vectors("hex8_2p") | {"version": 2}}, "golden.version"),
        ("train", {"golden": vectors("hex8_2p") | {"positions": "x"}}, "golden.positions"),
        ("train", {"golden": vectors("hex8_2p") | {"moves": [[-1.0]] * 7}}, "golden.moves"),
        ("train", {"golden": vectors("hex8_2p") | {"moves": [[0.5]] * 8}}, "golden.moves"),
        ("train", {"golden": vectors("hex8_3p")}, "golden.values.0: these are not the chances of 2 seats"),
        ("train", {"golden": vectors("hex8_2p") | {"values": [[0.5, 0.6]] * 8}}, "golden.values.0"),
    ],
)
def test_an_impossible_result_is_refused_with_its_field(kind: str, change: dict, field: str) -> None:
    sequence = {"selfplay": 1, "evaluate": 5, "train": 0}[kind]
    payload, artifacts = answer(kind, sequence)
    with pytest.raises(UsageError, match=field):
        check_result(SPECS[kind], sequence, {**payload, **change}, artifacts)


def repeated(**change: object) -> dict:
    whole = {"kind": "repeat", "config": "hex8_2p", "shard": sha("s"), "same": True, "games": 2}
    return whole | change


@pytest.mark.parametrize(
    "change", [{}, {"same": False, "reason": "game 0 differs at decision 3", "games": 1}]
)
def test_a_repetition_tells_that_the_games_are_the_same_or_where_they_differ(change: dict) -> None:
    assert check_result(REPEATED, 0, repeated(**change), []).kind == "repeat"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shard": sha("x")}, "shard"),
        ({"reason": "but"}, "reason"),
        ({"same": False}, "reason"),
        ({"games": 1}, "games"),
        ({"same": False, "reason": "game 0 differs", "games": 3}, "games"),
    ],
)
def test_an_impossible_repetition_is_refused_with_its_field(change: dict, field: str) -> None:
    with pytest.raises(BadInput, match=f"^{field}"):
        check_result(REPEATED, 0, repeated(**change), [])


def test_a_sequence_outside_the_spec_is_refused() -> None:
    payload, artifacts = answer("evaluate", 5)
    with pytest.raises(BadInput, match="sequence"):
        check_result(SPECS["evaluate"], 6, payload, artifacts)


def test_a_replay_that_differs_from_the_claim_is_told() -> None:
    claim = [GameResult(**game(game_id=sha(n))) for n in range(3)]
    assert claims_differ(claim, list(reversed(claim))) == ""
    assert "1 reported games are not in the shard" in claims_differ(claim, claim[:2])
    assert "1 are in it unreported" in claims_differ(claim[:2], claim)
    other = claim[2].model_copy(update={"winner": 2})
    assert "reported otherwise" in claims_differ(claim, [*claim[:2], other])
