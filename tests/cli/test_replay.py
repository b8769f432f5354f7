"""`ringrift-ctl replay`: every form of a recorded game, exports that load again, the viewer, bad inputs."""

from __future__ import annotations

import errno
import gzip
import json
import os
import sys
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from textual.app import App
from textual.widgets import Input

from ringrift.cli.boards import formats
from ringrift.cli.boards.beside import recorded
from ringrift.cli.boards.formats import LARGEST_TEXT, read_recording
from ringrift.cli.boards.viewer import LEAP, Viewer
from ringrift.cli.engine import EngineSession
from ringrift.cli.replay import replay
from ringrift.cli.textfile import write_file
from ringrift.errors import BadInput, EnvironmentProblem
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.notation.canonical import canonical_state
from ringrift.notation.keys import legal_keys
from ringrift.protocol import operator as op

TRACES = Path(__file__).parents[1] / "data" / "traces"
SQUARE = str(TRACES / "square8-2p.jsonl.gz")
HEX = str(TRACES / "hex8-3p.jsonl.gz")


def first_record(path: str) -> dict:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return json.loads(next(lines))


def test_into_a_pipe_the_last_position_is_printed_as_text(run) -> None:
    found = run("replay", SQUARE)
    record = first_record(SQUARE)
    assert found.exit_code == 0
    assert f"square8_2p, ply {record['n']} of {record['n']}" in found.stdout
    assert "├───┼───┼" in found.stdout and "hand elim terr" in found.stdout
    assert record["mv"][-1][:20] in found.stdout


def test_a_ply_is_counted_from_the_beginning_or_the_end(run) -> None:
    plies = first_record(HEX)["n"]
    assert run("replay", HEX, "--ply", "-1").stdout == run("replay", HEX, "--ply", str(plies)).stdout
    assert "the beginning" in run("replay", HEX, "--ply", "0").stdout


def test_the_move_list_has_every_move_with_key_and_words(run) -> None:
    record = first_record(SQUARE)
    lines = run("replay", SQUARE, "--moves").stdout.splitlines()
    assert len(lines) == record["n"]
    assert lines[0].split()[2] == record["mv"][0] and "places" in lines[0]


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_an_exported_position_is_loaded_by_the_engine_and_goes_on_the_same(
    config: GameConfig, run, tmp_path: Path
) -> None:
    path = TRACES / f"{config.board}-{config.players}p.jsonl.gz"
    recording = read_recording(path, 1)
    for ply in (recording.plies // 3, recording.plies // 2 + 1):
        out = tmp_path / f"{ply}.json"
        assert run("replay", str(path), "--ply", str(ply), "--export", "json", "-o", str(out)).exit_code == 0
        session = EngineSession()
        request = {"op": "load", "state": json.loads(out.read_text())}
        assert session.answer(json.dumps(request).encode()) == {"ok": True}
        whole = recording.whole(ply)
        assert session.answer(b'{"op":"state"}')["state"] == canonical_state(whole)
        assert session.answer(b'{"op":"legal"}')["keys"] == legal_keys(whole)
        again = read_recording(out, None)
        assert (again.plies, again.moves) == (ply, recording.moves[:ply])


def test_a_state_whose_history_does_not_begin_with_the_opening_is_shown_alone(run, tmp_path: Path) -> None:
    state = json.loads(run("replay", SQUARE, "--ply", "40", "--export", "json").stdout)
    state["moveHistory"] = state["moveHistory"][-3:]
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"state": state}))
    found = run("replay", str(path))
    assert found.exit_code == 0
    assert "ply 0 of 0" in found.stdout and "its history of 3 moves" in found.stdout


def test_a_position_is_exported_as_a_vector_picture(run, tmp_path: Path) -> None:
    out = tmp_path / "board.svg"
    found = run("replay", HEX, "--ply", "30", "--export", "svg", "-o", str(out))
    assert (found.exit_code, found.stdout) == (0, "")
    drawn = ET.parse(out).getroot()
    title = drawn.findtext("{http://www.w3.org/2000/svg}title")
    assert title == f"hex8_3p, ply 30 of {first_record(HEX)['n']}"
    assert [each.name for each in tmp_path.iterdir()] == ["board.svg"]


def test_plain_json_lines_are_read_like_gzipped_ones(run, tmp_path: Path) -> None:
    path = tmp_path / "games.jsonl"
    path.write_bytes(gzip.decompress(Path(SQUARE).read_bytes()))
    assert "game 1 of" in run("replay", str(path), "--game", "1").stdout


@pytest.mark.parametrize("name", ["board.txt", "old.txt", "link.txt"])
def test_a_file_is_written_whole_and_nothing_else_is_left(name: str, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("old.txt")
    write_file(tmp_path / name, "new \udc80\n")
    assert (tmp_path / name).read_bytes() == b"new \\udc80\n"
    assert {each.name for each in tmp_path.iterdir()} == {"old.txt", "link.txt", name}
    assert (tmp_path / "link.txt").is_symlink()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.txt"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        write_file(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_file(path, "text")
    assert os.read(reading, 99) == b"text" and path.is_fifo()
    os.close(reading)


BAD = [
    ("nowhere.jsonl", (), 5, "is no file here and no game's id"),
    ("folder", (), 2, "is a folder"),
    ("empty", (), 8, "is not a shard"),
    ("noise.bin", (), 8, "is not a shard"),
    ("torn.jsonl.gz", (), 8, "is a damaged gzip file"),
    ("torn.json", (), 8, "is no JSON"),
    ("list.jsonl", ("--game", "2"), 8, "game 2 of 3 is no JSON object"),
    ("list.jsonl", ("--game", "3"), 8, "game 3 of 3 is no JSON: "),
    ("twice.jsonl", (), 8, "'mv' stands twice in one object"),
    ("twice.json", (), 8, "'mv' stands twice in one object"),
    ("infinite.jsonl", (), 8, "Infinity is no number"),
    ("many.jsonl.gz", ("--game", "300000"), 2, "board: missing"),
    ("half.jsonl", (), 8, "players is no whole number"),
    ("true.jsonl", (), 8, "players is no whole number"),
    ("word.jsonl", (), 8, "mv is no list of move keys"),
    ("\x1b[2J.jsonl", ("--game", "1"), 8, "game 1 of 2 is no trace"),
    ("large.json", (), 2, "more than 32 MiB of text"),
    ("large.json.gz", (), 2, "more than 32 MiB of text"),
    ("other.json", (), 2, "board: missing"),
    ("illegal.jsonl", (), 8, "ply 0: M:0,0>0,1 is not legal here"),
    ("nonsense.jsonl", (), 8, "ply 0: not a move key"),
    ("hex9.jsonl", (), 8, "unknown board 'hex9'"),
    (SQUARE, ("--game", "99"), 5, "has no game 99"),
    (SQUARE, ("--game", "0"), 2, "--game"),
    (SQUARE, ("--ply", "100000"), 2, "there is no ply 100000"),
    (SQUARE, ("--export", "gif"), 2, "gif"),
    (SQUARE, ("--moves", "--export", "svg"), 2, "--moves is a text"),
    (SQUARE, ("-o", "missing/x.txt"), 5, "there is no folder missing"),
    (SQUARE, ("-o", "folder"), 2, "is a folder"),
    ("deadbeef", ("--game", "2"), 2, "an id names one game already"),
    ("deadbeef", (), 6, "no controller runs"),
]


@pytest.fixture(scope="module")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files that are no recorded games."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "folder").mkdir()
    trace = {"board": "square8", "players": 2, "swapRule": True}
    contents = {
        "empty": b"",
        "noise.bin": bytes(range(256)),
        "torn.jsonl.gz": Path(SQUARE).read_bytes()[:500],
        "torn.json": b'{"board": {"type": "squ',
        "list.jsonl": b'{"mv": []}\n[1]\nx',
        "other.json": b'{"hello": 1}',
        "illegal.jsonl": json.dumps({**trace, "mv": ["M:0,0>0,1"]}).encode(),
        "nonsense.jsonl": json.dumps({**trace, "mv": ["\x1b[2J"]}).encode(),
        "hex9.jsonl": json.dumps({**trace, "board": "hex9", "mv": []}).encode(),
    }
    contents |= {
        "twice.jsonl": b'{"mv": [], "mv": []}\n{}\n',
        "twice.json": b'{\n"mv": [],\n"mv": []}\n',
        "infinite.jsonl": b'{"mv": [], "players": Infinity}\n',
        "many.jsonl.gz": gzip.compress(b"{}\n" * 300_000),
        "half.jsonl": json.dumps({**trace, "players": 2.0, "mv": []}).encode(),
        "true.jsonl": json.dumps({**trace, "players": True, "mv": []}).encode(),
        "word.jsonl": json.dumps({**trace, "mv": "SP"}).encode(),
        "\x1b[2J.jsonl": b'{"mv": []}\n{}\n',
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    with (folder / "large.json").open("wb") as file:
        file.write(b"{")
        file.truncate(LARGEST_TEXT + 1)
    (folder / "large.json.gz").write_bytes(gzip.compress(b"{" + bytes(LARGEST_TEXT), 1))
    return folder


@pytest.fixture
def broken(broken_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, to work in."""
    monkeypatch.chdir(broken_files)
    return broken_files


@pytest.mark.parametrize(("name", "options", "status", "told"), BAD)
def test_a_bad_request_is_one_line_and_a_documented_status(
    name: str, options: tuple[str, ...], status: int, told: str, run, broken
) -> None:
    found = run("replay", name, *options)
    assert found.exit_code == status, found.stderr
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
    assert told in found.stderr and "\x1b" not in found.stderr
    assert found.stdout == ""


def test_only_the_chosen_line_of_many_is_kept_in_memory(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "LARGEST_TEXT", 1 << 20)  # as much is set aside for reading
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            read_recording(broken / "many.jsonl.gz", 77)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("square8-4p", (80, 24)),
        ("hex8-2p", (80, 24)),
        ("square19-2p", (80, 24)),
        ("hexagonal-3p", (80, 24)),
        ("hexagonal-3p", (120, 40)),
    ],
)
async def test_the_viewer_steps_through_a_game(name: str, size: tuple[int, int]) -> None:
    recording = read_recording(TRACES / f"{name}.jsonl.gz", 1)
    app = Viewer(recording, 20)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for keys, ply in [
            (("right",), 21), (("l", "l"), 23), (("left", "h"), 21),
            (("down",), 21 + LEAP), (("up", "k"), 11), (("home",), 0), (("left",), 0),
            (("n",), recording.events()[0]), (("p",), 0),
            (("end",), recording.plies), (("right",), recording.plies), (("g", "1", "2", "enter"), 12),
            (("g", "escape"), 12),
        ]:  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause()
            assert app.ply == ply, keys
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert f"ply 12 of {recording.plies}" in text and "q quit" in text and "hand elim terr" in text


@pytest.mark.parametrize("size", [(30, 8), (60, 12), (200, 60)])
async def test_the_viewer_draws_in_terminals_of_any_size(size: tuple[int, int]) -> None:
    app = Viewer(read_recording(TRACES / "hexagonal-2p.jsonl.gz", 1), 300)
    async with app.run_test(size=size) as pilot:
        await pilot.press("right", "question_mark", "right")
        await pilot.pause()
        assert app.ply == 302 and any("RingRift" in s.text for s in app.screen._compositor.render_strips())


def test_without_the_packages_of_the_rules_it_says_what_to_install(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    found = run("replay", SQUARE)
    assert (found.exit_code, found.stderr.count("\n")) == (9, 1)
    assert "pip install 'ringrift[agent,control]'" in found.stderr


@pytest.mark.parametrize("typed", ["9999", "9" * 5000], ids=["large", "long"])
async def test_the_viewer_shows_its_keys_and_refuses_a_ply_that_does_not_exist(typed: str) -> None:
    recording = read_recording(Path(HEX), 1)
    app = Viewer(recording, 5)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "one ply forward" in app.side._shown.plain
        await pilot.press("question_mark", "g")
        app.query_one(Input).value = typed
        await pilot.press("enter")
        await pilot.pause()
        assert app.ply == 5 and f"there is no ply {typed[:12]!r}" in app.side._shown.plain


def test_a_terminal_that_fails_raises_what_happened_and_prints_no_traceback(capfd) -> None:
    class Broken(Viewer):
        def beside(self) -> list:
            raise ZeroDivisionError("nothing beside")

        def run(self) -> None:
            App.run(self, headless=True)

    with pytest.raises(ZeroDivisionError, match="nothing beside"):
        Broken(read_recording(Path(HEX), 1)).show()
    assert "Traceback" not in "".join(capfd.readouterr())


def test_without_a_standard_input_the_position_is_printed(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    replay(SQUARE, None, 3, None, False, None)
    assert "square8_2p, ply 3" in capsys.readouterr().out


def test_beside_the_board_stands_the_last_move_in_words_and_as_a_key() -> None:
    recording = read_recording(Path(SQUARE), 1)
    lines = [line for line, _ in recorded(recording, 1)]
    assert recording.key(1) in lines and recording.words(1) in lines


# Shards, from files and from the controller.


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A shard of two games of hex8 with a search, and the ids of its games."""
    from ringrift.learning.selfplay import play_shard
    from ringrift.learning.shards import read_shard, write_shard
    from ringrift.players.base import PlayerSpec, build_player
    from tests.learning.conftest import selfplay_spec

    spec = selfplay_spec("hex8_2p", games_per_shard=2, full_share=0.5)
    player = build_player(PlayerSpec.from_dict(spec.player.model_dump()), GameConfig("hex8", 2))
    path, _ = write_shard(tmp_path_factory.mktemp("shards"), play_shard(spec, 0, player, lambda done: None))
    return path, [record.id for record in read_shard(path)]


def test_a_game_of_a_shard_has_root_values_and_search_targets(run, shard) -> None:
    recording = read_recording(shard[0], 2)
    assert recording.at(recording.plies).over and "game 2 of 2" in recording.title
    note = next(note for note in recording.notes.values() if len(note.target) > 1)
    ply = next(ply for ply, each in recording.notes.items() if each is note)
    legal = legal_keys(recording.at(ply))
    assert all(key in legal and 0 < share <= 1 for key, share in note.target)
    assert [share for _, share in note.target] == sorted((share for _, share in note.target), reverse=True)
    assert len(note.values) == 2 and sum(note.values) == pytest.approx(1, abs=0.02)
    page = run("replay", str(shard[0]), "--game", "2", "--ply", str(ply)).stdout
    assert "root value" in page and note.target[0][0] in page and "A gumbel" in page


def test_a_game_is_fetched_from_the_controller_by_its_id(run, world, shard) -> None:
    path, ids = shard
    sha = path.stem
    world.games = {
        game: op.GameView(
            game_id=game, shard=sha, config="hex8_2p", purpose="selfplay", winner=1, plies=1, decisions=1
        )
        for game in ids
    }
    world.files[sha] = path.read_bytes()
    listed = run("games", "list", "--config", "hex8_2p").stdout
    assert all(game[:8] in listed for game in ids)
    found = run("replay", ids[1][:12])
    assert found.exit_code == 0, found.stderr
    assert found.stdout.splitlines()[2:] == run("replay", str(path), "--game", "2").stdout.splitlines()[2:]
    world.files[sha] = b"other bytes"
    found = run("replay", ids[1])
    assert (found.exit_code, found.stderr.count("\n")) == (8, 1)
    assert "arrived with other bytes" in found.stderr
    assert run("replay", "0" * 12).exit_code == 5


def test_a_damaged_shard_is_corrupt_data(run, shard, tmp_path: Path) -> None:
    data = bytearray(shard[0].read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "damaged.shard"
    path.write_bytes(data)
    found = run("replay", str(path))
    assert (found.exit_code, found.stderr.count("\n")) == (8, 1)
    assert "damaged" in found.stderr
