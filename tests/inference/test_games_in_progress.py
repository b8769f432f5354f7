"""A game in progress stays on the model that it began with, until that one is withdrawn or too old."""

from __future__ import annotations

from typing import cast

from inference.games import Games
from inference.models import Model, ModelSet
from ringrift.game.config import GameConfig
from ringrift.nets.network import RingRiftNet

CONFIG, OTHER = GameConfig.parse("hex8_2p"), GameConfig.parse("square8_2p")
NO_NET = cast(RingRiftNet, None)


def serving(generation: int, **models: str) -> ModelSet:
    """Return a set of models by config key, named by their first letter."""
    made = {key: Model(GameConfig.parse(key), name * 64, generation, NO_NET) for key, name in models.items()}
    return ModelSet(made, generation)


def name(model: Model | None) -> str:
    assert model is not None
    return model.sha256[0]


def ask(games: Games, game: object, config: GameConfig, models: ModelSet) -> Model | None:
    """Ask for a game's model by a request that comes while `models` are served."""
    return games.model(game, config, games.follow(models))


FIRST, SECOND = serving(1, hex8_2p="a"), serving(2, hex8_2p="b")


def test_a_game_that_began_before_a_promotion_goes_on_with_its_model_and_a_new_one_does_not() -> None:
    games = Games()
    assert name(ask(games, "g1", CONFIG, FIRST)) == "a"
    assert name(ask(games, "g1", CONFIG, SECOND)) == "a"
    assert name(ask(games, "g2", CONFIG, SECOND)) == "b"
    assert [name(ask(games, game, CONFIG, SECOND)) for game in ("g1", "g2")] == ["a", "b"]


def test_a_position_without_an_id_is_of_no_game() -> None:
    games = Games()
    for game in ("", None, 7):
        assert name(ask(games, game, CONFIG, FIRST)) == "a"
        assert name(ask(games, game, CONFIG, SECOND)) == "b"
        games = Games()


def test_a_rollback_withdraws_the_model_in_between_from_its_games_too() -> None:
    games = Games()
    ask(games, "old", CONFIG, FIRST)
    assert name(ask(games, "new", CONFIG, SECOND)) == "b"
    back = serving(3, hex8_2p="a")
    assert name(ask(games, "new", CONFIG, back)) == "a"
    third = serving(4, hex8_2p="c")
    assert name(ask(games, "new", CONFIG, third)) == "a", "it began anew with what was served then"
    assert name(ask(games, "old", CONFIG, third)) == "a"


def test_a_set_that_was_on_trial_and_taken_back_leaves_nothing_behind() -> None:
    games = Games()
    for models, served in ((SECOND, "b"), (serving(3, hex8_2p="x"), "x"), (SECOND, "b")):
        assert name(ask(games, f"at {models.generation}", CONFIG, models)) == served
    assert name(ask(games, "at 2", CONFIG, serving(4, hex8_2p="c"))) == "b"
    assert name(ask(games, "at 3", CONFIG, serving(4, hex8_2p="c"))) == "c"


def test_two_promotions_later_the_first_model_is_gone_and_its_games_go_on_with_the_present_one() -> None:
    games = Games()
    ask(games, "g1", CONFIG, FIRST)
    ask(games, "g2", CONFIG, SECOND)
    third = serving(3, hex8_2p="c")
    assert [name(ask(games, game, CONFIG, third)) for game in ("g1", "g2", "g3")] == ["c", "b", "c"]
    assert name(ask(games, "g1", CONFIG, third)) == "c", "and stays on that"


def test_a_request_that_came_before_a_swap_and_is_answered_after_it_does_not_turn_it_back() -> None:
    games = Games()
    ask(games, "g1", CONFIG, FIRST)
    ask(games, "g2", CONFIG, SECOND)
    assert name(games.model("late", CONFIG, FIRST)) == "a"
    assert name(ask(games, "g3", CONFIG, SECOND)) == "b"
    assert name(ask(games, "late", CONFIG, SECOND)) == "a"


def test_configs_are_apart_and_one_that_is_no_longer_served_has_no_model() -> None:
    games = Games()
    both = serving(1, hex8_2p="a", square8_2p="s")
    assert name(ask(games, "g1", CONFIG, both)) == "a"
    assert name(ask(games, "g1", OTHER, both)) == "s"
    less = serving(2, hex8_2p="b")
    assert name(ask(games, "g1", CONFIG, less)) == "a"
    assert ask(games, "g1", OTHER, less) is None
    again = serving(3, hex8_2p="b", square8_2p="t")
    assert name(ask(games, "g1", OTHER, again)) == "t"


def test_of_too_many_games_those_are_forgotten_that_asked_longest_ago() -> None:
    games = Games(most=2)
    for game in ("g1", "g2"):
        ask(games, game, CONFIG, FIRST)
    ask(games, "g1", CONFIG, FIRST)
    ask(games, "g3", CONFIG, SECOND)
    assert name(ask(games, "g1", CONFIG, SECOND)) == "a"
    assert name(ask(games, "g2", CONFIG, SECOND)) == "b"


def test_an_id_may_be_long_and_hold_half_a_surrogate_pair() -> None:
    games, strange = Games(), "\ud800" * 100_000
    ask(games, strange, CONFIG, FIRST)
    assert name(ask(games, strange, CONFIG, SECOND)) == "a"
    assert name(ask(games, strange + "x", CONFIG, SECOND)) == "b"
