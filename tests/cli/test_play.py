"""`ringrift-ctl play`: line mode to the end of a game, the table with a cursor, and what is refused."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest

from ringrift.cli.boards import lines
from ringrift.cli.boards.choosing import Choice, following, middle, neighbour, stages
from ringrift.cli.boards.match import Match
from ringrift.cli.boards.table import Table
from ringrift.cli.play import play
from ringrift.errors import BadInput, EnvironmentProblem, IllegalMove
from ringrift.game.config import ALL_CONFIGS, BOARDS, GameConfig
from ringrift.game.geometry import cell_index
from ringrift.game.play import Game
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import key_of, legal_keys, move_of
from ringrift.protocol import operator as op
from tests.game.conftest import make_position

SQUARE = GameConfig("square8", 2)
FIRST = "1\n" * 4000
"""Answers that always take the first legal move."""


def first_legal(game: Game) -> int:
    return int(np.sort(game.legal())[0])


def match(config: GameConfig = SQUARE, seat: int = 1) -> Match:
    return Match(Game.new(config), seat, "somebody")


@pytest.mark.parametrize("options", [("--seat", "1"), ("--board", "hex8", "--players", "3", "--seat", "3")])
def test_a_game_is_played_to_its_end_line_by_line(options: tuple[str, ...], run, tmp_path: Path) -> None:
    out = tmp_path / "game.json"
    found = run("play", "--level", "1", "--seed", "5", *options, "--save", str(out), answer=FIRST)
    assert found.exit_code == 0, found.stderr
    assert "GAME OVER" in found.stdout and "wins: " in found.stdout
    assert ("You win." in found.stdout) != ("You lose." in found.stdout)
    assert "level 1, random, seed 5" in found.stderr and "ringrift-ctl replay" in found.stderr
    game = load_game(json.loads(out.read_text()))
    assert game.over and game.winner
    shown = run("replay", str(out)).stdout
    assert "wins: " in shown and f"ply {len(game.earlier)} of {len(game.earlier)}" in shown


def test_the_same_seed_and_answers_give_the_same_game(run) -> None:
    first, second = (run("play", "--level", "1", "--seed", "8", answer="1\n" * 30) for _ in range(2))
    assert first.stdout == second.stdout
    assert "left before the end" in first.stdout


def test_a_line_takes_a_key_its_beginning_a_number_and_words(run) -> None:
    script = "list\nP:3,3*9\nxyz\nM:0,0>0,1\nP:3\nP:3,3*2\nundo\nundo\n999\nP:7,7*3\nboard\nquit\n"
    found = run("play", "--level", "1", "--seed", "1", answer=script)
    assert found.exit_code == 0
    lines = [line.removeprefix("A> ") for line in found.stdout.splitlines()]
    told = [line[4:24] for line in lines if line.startswith("no: ")]
    assert told == [
        "not a move key: 'P:3", "not a move key: 'xyz", "M:0,0>0,1 is not leg",
        "'P:3' begins 24 move", "there is nothing to ", "there is no move num",
    ]  # fmt: skip
    assert "    1 P:0,0*1  places 1 ring on 0,0" in found.stdout.replace("A> ", "")
    assert "A3³" in found.stdout and "left before the end" in found.stdout


def test_what_no_person_types_is_refused_and_the_game_goes_on(run) -> None:
    answers = ["9" * 5000, "x" * 200_000, "\x1b[2J", "quit"]
    found = run("play", "--level", "1", "--seed", "1", answer="\n".join(answers) + "\n")
    assert found.exit_code == 0, found.stderr
    told = [line.removeprefix("A> ")[:23] for line in found.stdout.splitlines() if "no: " in line]
    assert told == ["no: there is no move nu", "no: the line is too lon", "no: not a move key: '\\x"]


def test_bytes_that_are_no_text_are_refused_and_the_game_goes_on() -> None:
    stdin = TextIOWrapper(BytesIO(b"\xff\xfe\nquit\n"), encoding="utf-8")
    stdout = StringIO()
    lines.play_lines(match(), first_legal, first_legal, stdin, stdout)
    assert "no: not a move key: '\ufffd" in stdout.getvalue() and "left before the end" in stdout.getvalue()


def test_a_hint_is_a_legal_move_and_changes_nothing(run) -> None:
    found = run("play", "--board", "hex8", "--level", "1", "--seed", "1", answer="hint\nquit\n")
    key = found.stdout.partition("hint: ")[2].split()[0]
    assert key in legal_keys(Game.new(GameConfig("hex8", 2)))


BAD = [
    (("--board", "hex9"), 2, "unknown board 'hex9'"),
    (("--players", "5"), 2, "--players"),
    (("--level", "11"), 2, "--level"),
    (("--seat", "3"), 2, "there is no seat 3"),
    (("--seed", "-1"), 2, "--seed"),
    (("--level", "2", "--model", "x.pth"), 2, "level 2 uses no model"),
    (("--level", "5", "--model", "x.pth"), 5, "cannot read model x.pth"),
    (("--level", "5", "--model", __file__), 8, "is not a checkpoint"),
    (("--level", "6"), 6, "give --model FILE, or play a level from 1 to 4"),
    (("--save", "missing/game.json"), 5, "there is no folder missing"),
    (("--save", "."), 2, ". is a folder"),
    (("--save", "old.json"), 4, "old.json is there already - give another name"),
]


@pytest.mark.parametrize(("options", "status", "told"), BAD)
def test_what_cannot_be_played_is_refused_in_one_line(
    options: tuple[str, ...], status: int, told: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text("an older game")
    found = run("play", *options)
    assert found.exit_code == status, found.stderr
    assert told in found.stderr and found.stderr.count("\n") == 1 and found.stdout == ""
    assert Path("old.json").read_text() == "an older game"


def test_without_a_standard_input_nothing_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(EnvironmentProblem, match="the standard input is closed"):
        play(level=1, seed=1)


@pytest.mark.parametrize("saves", [True, False])
def test_a_game_that_fails_is_saved_and_tells_its_own_failure(
    saves: bool, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(match: Match, *rest: object) -> None:
        match.decide(first_legal(match.game))
        if not saves:
            out.mkdir()
        raise BadInput("no such search")

    out = tmp_path / "game.json"
    monkeypatch.setattr(lines, "play_lines", fail)
    found = run("play", "--level", "1", "--seed", "1", "--save", str(out))
    assert found.exit_code == 2 and found.stderr.endswith("error: no such search\n")
    assert ("the game is not saved" in found.stderr) != saves
    if saves:
        assert load_game(json.loads(out.read_text())).earlier


def test_a_config_without_a_champion_says_what_to_do(run, world) -> None:
    bare = next(each for each in world.status.configs if each.champion is None)
    board, players = bare.key.split("_")
    found = run("play", "--board", board, "--players", players[0], "--level", "7")
    assert (found.exit_code, found.stderr.count("\n")) == (5, 1)
    assert "has no champion yet - give --model FILE" in found.stderr


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained net for square8 with two players."""
    from ringrift.nets.checkpoint import save_checkpoint
    from ringrift.nets.network import ArchConfig, RingRiftNet

    path = tmp_path_factory.mktemp("models") / "tiny.pth"
    facts = {"config": "square8_2p", "parent": None, "dataset": None, "recipe": {}}
    save_checkpoint(path, RingRiftNet(ArchConfig(blocks=1, channels=8)), facts)
    return path


def test_a_level_with_a_model_plays_from_a_file_or_with_the_champion(run, world, checkpoint: Path) -> None:
    script = ("play", "--level", "5", "--seed", "1", "--seat", "2")
    found = run(*script, "--model", str(checkpoint), answer="quit\n")
    assert found.exit_code == 0, found.stderr
    assert "level 5, gumbel_mcts " in found.stderr and "A moves" in found.stdout
    data = checkpoint.read_bytes()
    sha = hashlib.sha256(data).hexdigest()
    world.files[sha] = data
    champion = op.ChampionView(model=sha, generation=1, age=5.0)
    configs = [each.model_copy(update={"champion": champion}) for each in world.status.configs]
    world.status = world.status.model_copy(update={"configs": configs})
    found = run(*script, answer="quit\n")
    assert found.exit_code == 0, found.stderr
    assert sha[:8] in found.stderr and "A moves" in found.stdout
    found = run("play", "--board", "hex8", "--level", "5", "--model", str(checkpoint))
    assert (found.exit_code, found.stderr.count("\n")) == (4, 1)


# A match.


def test_forced_plies_are_played_at_once_and_undo_goes_back_to_the_last_decision() -> None:
    played = match()
    opening = played.game.copy()
    played.decide(move_of(played.game, "P:3,3*2"))
    after = played.game.copy()
    played.decide(move_of(played.game, "M:3,3>3,6"))
    assert played.waits_for_opponent and played.game.player == 2
    played.undo()
    assert legal_keys(played.game) == legal_keys(after)
    played.undo()
    assert legal_keys(played.game) == legal_keys(opening)
    with pytest.raises(BadInput, match="nothing to take back"):
        played.undo()


def test_after_a_swap_the_person_plays_the_other_colour() -> None:
    played = match(seat=2)
    while "SW" not in legal_keys(played.game):
        played.play(first_legal(played.game))
    assert played.waits_for_person
    played.decide(played.find("SW"))
    assert played.person == 1 and played.waits_for_opponent and played.game.player == 2


def test_an_illegal_move_changes_nothing() -> None:
    played = match()
    with pytest.raises(IllegalMove):
        played.decide(1 << 40)
    assert played.past == [] and played.game.played == []


# Choosing by cells.


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_legal_move_can_be_chosen_by_cells(config: GameConfig) -> None:
    game = Game.new(config)
    dice = np.random.default_rng(config.cells + config.players)
    while not game.over and len(game.played) < 160:
        legal = game.legal().tolist()
        move = legal[dice.integers(len(legal))]
        choice = Choice(game)
        for step in stages(game, move)[len(choice.picked) :]:
            assert step <= choice.cells(), key_of(game, move)
            choice.pick(min(step))
        assert move in (*choice.fitting(), *choice.plain())
        game.apply(move)


def test_a_stack_that_must_move_is_picked_already() -> None:
    game = Game.new(SQUARE)
    game.apply(move_of(game, "P:3,3*2"))
    choice = Choice(game)
    assert choice.picked == [cell_index("square8", 3, 3)]
    landing = cell_index("square8", 3, 6)
    assert key_of(game, choice.pick(landing) or 0) == "M:3,3>3,6"


def test_a_cell_that_fits_nothing_leaves_the_choice_as_at_the_beginning() -> None:
    game = make_position(stacks={(0, 0): [1], (5, 5): [1, 1], (7, 7): [2]})
    choice = Choice(game)
    assert choice.pick(cell_index("square8", 5, 5)) is None
    assert choice.pick(cell_index("square8", 7, 7)) is None
    assert choice.picked == []


@pytest.mark.parametrize("board", BOARDS)
def test_the_arrows_reach_every_cell_and_stop_at_the_rim(board: str) -> None:
    seen, edge = {middle(GameConfig(board, 2))}, [middle(GameConfig(board, 2))]
    while edge:
        cell = edge.pop()
        for direction in ("left", "right", "up", "down"):
            found = neighbour(board, cell, direction)
            edge += [found] if found not in seen else []
            seen.add(found)
    assert len(seen) == GameConfig(board, 2).cells
    assert neighbour(board, 0, "up") == neighbour(board, 0, "left") == 0


def test_the_next_cell_goes_round() -> None:
    assert [following((2, 5, 9), cell) for cell in (0, 2, 9)] == [2, 5, 2]
    assert following((), 4) == 4


# The table.


async def until(pilot, seen) -> None:
    """Let the players think until something is so."""
    for _ in range(600):
        await pilot.pause(0.02)
        if seen():
            return
    raise AssertionError("never seen")


@pytest.mark.parametrize("board", BOARDS)
async def test_a_turn_is_played_with_cursor_and_figures(board: str) -> None:
    table = Table(match(GameConfig(board, 3)), first_legal, first_legal)
    async with table.run_test(size=(80, 24)) as pilot:
        await pilot.press("left", "enter")
        assert len(table.listed()) == 3
        await pilot.press("2")
        assert table.choice.picked and int(table.match.game.states[0]["hand"][1]) % 2 == 0
        await pilot.press("tab", "enter")
        await until(pilot, lambda: table.match.waits_for_person)
        assert len(table.match.past) == 2
        assert "you are A" in table.side._shown.plain


async def test_a_move_is_typed_by_the_beginning_of_its_key() -> None:
    table = Table(match(), first_legal, first_legal)
    async with table.run_test(size=(120, 40)) as pilot:
        await pilot.press("colon", *"P:3,4*2", "enter")
        assert table.choice.picked == [cell_index("square8", 3, 4)]
        await pilot.press("colon", *"nonsense", "enter")
        await pilot.pause()
        assert "not a move key" in table.side._shown.plain
        await pilot.press("u")
        assert legal_keys(table.match.game) == legal_keys(Game.new(SQUARE))


async def test_the_screen_answers_while_the_opponent_thinks_and_keeps_its_moves_back() -> None:
    go_on = threading.Event()

    def slow(game: Game) -> int:
        go_on.wait(20)
        return first_legal(game)

    table = Table(match(seat=2), slow, first_legal)
    async with table.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "A thinks" in table.top._shown.plain)
        await pilot.press("enter", "u", "1")
        assert table.match.game.played == [] and "wait for the opponent" not in table.top._shown.plain
        await pilot.press("question_mark")
        assert "keys" in table.side._shown.plain
        go_on.set()
        await until(pilot, lambda: table.match.waits_for_person)
        assert table.match.game.player == 2


async def test_a_hint_is_shown_and_not_played() -> None:
    table = Table(match(), first_legal, first_legal)
    async with table.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await until(pilot, lambda: "hint:" in table.side._shown.plain)
        assert table.match.game.played == [] and table.last_move().to is not None


async def test_the_end_of_the_game_is_told_with_its_reason() -> None:
    played = match()
    while not played.game.over:
        played.play(first_legal(played.game))
    table = Table(played, first_legal, first_legal)
    async with table.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "tab", "i")
        await pilot.pause()
        shown = table.side._shown.plain
        assert "GAME OVER" in shown and "wins: " in shown and played.result() in shown
        assert "game over" in table.top._shown.plain


async def test_a_player_that_fails_ends_the_terminal_with_its_reason() -> None:
    def broken(game: Game) -> int:
        raise BadInput("no such search")

    table = Table(match(seat=2), broken, first_legal)
    async with table.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table.failure is not None)
    assert str(table.failure) == "no such search"
