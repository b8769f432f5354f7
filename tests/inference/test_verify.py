from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference import verify as verify_module
from inference.models import midgame
from inference.verify import main, verify
from ringrift.errors import CorruptData, IncompatibleModel, NotFound
from ringrift.game.config import GameConfig
from ringrift.notation.keys import legal_keys

pytestmark = pytest.mark.timeout(1200)

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_model_of_a_folder_plays_a_legal_move(deployment):
    place = deployment.deploy({"square8_2p": 1, "hex8_3p": 1})
    moves = verify(place, deployment.trusted)
    assert sorted(moves) == ["hex8_3p", "square8_2p"]
    for key, move in moves.items():
        assert move.partition("@")[0] in legal_keys(midgame(GameConfig.parse(key)))


def test_a_file_with_another_hash_fails_the_folder_by_name(deployment):
    place = deployment.deploy({"square8_2p": 1, "hex8_3p": 1}, square8_2p={"sha256": "0" * 64})
    with pytest.raises(CorruptData, match=r"canonical_square8_2p\.pth: "):
        verify(place, deployment.trusted)


def test_a_model_of_another_board_fails_the_folder_by_name(deployment):
    foreign = deployment.shelf.checkpoint("hex8_2p", 1)
    place = deployment.deploy({"square8_2p": 1}, square8_2p={"sha256": foreign.name})
    (place / "canonical_square8_2p.pth").write_bytes(foreign.read_bytes())
    with pytest.raises(IncompatibleModel, match="is for hex8_2p"):
        verify(place, deployment.trusted)


def test_a_missing_file_fails_the_folder_by_name(deployment):
    place = deployment.deploy({"square8_2p": 1})
    (place / "canonical_square8_2p.pth").unlink()
    with pytest.raises(NotFound, match=r"canonical_square8_2p\.pth"):
        verify(place, deployment.trusted)


def test_a_level_that_plays_an_illegal_move_fails_the_folder(deployment, monkeypatch):
    place = deployment.deploy({"square8_2p": 1})

    class Cheat:
        def choose(self, states, seeds, *, deadline):
            return np.zeros(1, np.int64)

    monkeypatch.setattr(verify_module.engine, "player_of", lambda *_: Cheat())
    with pytest.raises(CorruptData, match="level 1 plays an illegal move on square8_2p"):
        verify(place, deployment.trusted)


def test_the_last_line_is_the_verdict_and_the_exit_status_that_of_the_error(deployment, capsys):
    place = deployment.deploy({"square8_2p": 1})
    assert main([str(place), "--trust", str(deployment.trusted)]) == 0
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])["moves"]) == ["square8_2p"]
    (place / "canonical_square8_2p.pth").write_bytes(b"")
    assert main([str(place), "--trust", str(deployment.trusted)]) == CorruptData.exit_status
    verdict = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert verdict["ok"] is False
    assert verdict["error"]["code"] == "corrupt_data"
    assert "canonical_square8_2p.pth" in verdict["error"]["message"]


def test_the_command_runs_as_a_deployment_calls_it(tmp_path):
    command = [sys.executable, "-m", "inference.verify", str(tmp_path), "--unsigned"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == NotFound.exit_status
    assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "not_found"
