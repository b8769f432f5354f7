"""`POST /ai/choice/*`: which of the options that a game server lists is taken.

The option is returned as it came, because the client compares it with its own list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inference.request import AiType, Difficulty, Malformed, Request, Seat, either, read_request
from ringrift.errors import RingRiftError
from ringrift.players.ladder import level

Option = dict[str, Any]
Score = Callable[[Option, int], tuple[float, ...]]
FEWEST_MARKERS = "option_2_min_collapse_no_elimination"
_REWARDS = ("option_1_collapse_all_and_eliminate", FEWEST_MARKERS)
_NO_REGION = {"regionId": "0", "size": 0, "representativePosition": {"x": 0, "y": 0}}


class NoOptions(RingRiftError):
    """There is nothing to choose from."""

    code = "no_options"


class ChoiceRequest(Request):
    """A choice of a seat; `game_state` may come along and decides nothing."""

    player_number: Seat = either("player_number", "playerNumber")
    difficulty: Difficulty = 5
    ai_type: AiType | None = either("ai_type", "aiType", default=None)
    options: list[Any]


def answer_choice(choice: str, body: bytes) -> dict[str, Any]:
    """Answer the body of a choice of `CHOICES`; raise `Malformed`, or `NoOptions` where none is an error."""
    request = read_request(ChoiceRequest, body)
    moved_by = level(request.difficulty, ai_type=request.ai_type).ai_type
    return {
        "selectedOption": _selected(choice, request.options),
        "aiType": moved_by,
        "difficulty": request.difficulty,
    }


def _selected(choice: str, options: list[Any]) -> Any:
    if choice == "line_reward_option":
        return _reward(options)
    if not options and choice == "region_order":
        return _NO_REGION
    if not options:
        raise NoOptions(f"{choice} choice has no options")
    score = CHOICES[choice]
    assert score is not None
    for index, option in enumerate(options):
        if not isinstance(option, dict):
            raise Malformed(f"options.{index}: an object is needed", ("options", index))
    best = min(range(len(options)), key=lambda index: score(options[index], index))
    return options[best]


def _reward(options: list[Any]) -> str:
    for index, option in enumerate(options):
        if option not in _REWARDS:
            raise Malformed(f"options.{index}: use one of {', '.join(_REWARDS)}", ("options", index))
    return FEWEST_MARKERS if not options or FEWEST_MARKERS in options else str(options[0])


def _number(option: Option, index: int, name: str) -> float:
    value = option.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(f"options.{index}.{name}: a number is needed", ("options", index, name))
    return value


def _smallest_loss(option: Option, index: int) -> tuple[float, ...]:
    return _number(option, index, "capHeight"), _number(option, index, "totalHeight")


def _largest_region(option: Option, index: int) -> tuple[float, ...]:
    return (-_number(option, index, "size"),)


def _longest_line(option: Option, index: int) -> tuple[float, ...]:
    markers = option.get("markerPositions")
    if not isinstance(markers, list):
        raise Malformed(
            f"options.{index}.markerPositions: a list is needed", ("options", index, "markerPositions")
        )
    return (-len(markers),)


def _highest_cap(option: Option, index: int) -> tuple[float, ...]:
    return (-_number(option, index, "capturedCapHeight"),)


CHOICES: dict[str, Score | None] = {
    "line_reward_option": None,
    "ring_elimination": _smallest_loss,
    "region_order": _largest_region,
    "line_order": _longest_line,
    "capture_direction": _highest_cap,
}
"""Choice -> what makes an option better; less is better, the first of equals is taken."""
