"""The compile wrapper: one specialisation each, a cache that notices edits, plain Python as a way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import NumbaError

from ringrift.game import _jit
from ringrift.game.warmup import warm_up

ROOT = Path(_jit.PACKAGE).parent

CALL_SOLE_SURVIVOR = """
from ringrift.game.state import new_positions
from ringrift.game.victory import sole_survivor
states = new_positions(1)
states[0]["players"] = 2
states[0]["hand"][1] = 1
states[0]["stacks"][1] = 1
print(sole_survivor(states, 0))
"""

REPLAY = """
import sys
from pathlib import Path
from ringrift.notation.replay import read_records, replay_record
record = min(read_records(Path(sys.argv[1])), key=lambda record: record["n"])
print(replay_record(record))
"""


def run_python(code: str, *arguments: str, root: Path = ROOT, **environment: str) -> str:
    """Run code in a fresh interpreter that imports ringrift from `root`; return its output."""
    variables = {**os.environ, "PYTHONPATH": str(root), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=variables, capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """A copy of the engine's sources, without its compile cache."""
    for name in ("__init__.py", "errors.py", "text.py"):
        (tmp_path / "ringrift").mkdir(exist_ok=True)
        shutil.copy(ROOT / "ringrift" / name, tmp_path / "ringrift" / name)
    for layer in _jit.LAYERS:
        source = ROOT / "ringrift" / layer
        shutil.copytree(source, tmp_path / "ringrift" / layer, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_callers_notice_an_edit_in_another_file(copied_package: Path):
    environment = {"NUMBA_CACHE_DIR": ""}
    assert run_python(CALL_SOLE_SURVIVOR, root=copied_package, **environment) == "1"
    cached = list((copied_package / "ringrift" / "__pycache__" / "jit").glob("game-*/*sole_survivor*.nbc"))
    assert cached
    board = copied_package / "ringrift" / "game" / "board.py"
    edited = board.read_text().replace('s["on_board"][seat] > 0', 's["on_board"][seat] > 99')
    assert edited != board.read_text()
    board.write_text(edited)
    assert run_python(CALL_SOLE_SURVIVOR, root=copied_package, **environment) == "0"


def test_the_stamp_covers_packages_below_and_the_bounds_check_flag(copied_package: Path):
    code = "from ringrift.game._jit import *; print(*(cache_stamp(layer) for layer in LAYERS))"
    game, nets, players = run_python(code, root=copied_package, NUMBA_BOUNDSCHECK="0").split()
    checked = run_python(code, root=copied_package, NUMBA_BOUNDSCHECK="1").split()
    assert not {game, nets, players} & set(checked)
    (copied_package / "ringrift" / "nets" / "added.py").write_text("")
    after = run_python(code, root=copied_package, NUMBA_BOUNDSCHECK="0").split()
    assert after[0] == game
    assert not {nets, players} & set(after)


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off (NUMBA_DISABLE_JIT)")
def test_a_function_that_allocates_does_not_compile():
    @_jit.jit
    def allocates(length):
        return np.zeros(length)[0]

    with pytest.raises(NumbaError):
        allocates(3)


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off (NUMBA_DISABLE_JIT)")
def test_the_allocator_is_compiled_for_functions_of_others_only():
    warm_up()
    code = """
import numba
import numpy as np
from ringrift.game import _jit, moves
moves.move_type(5)
allocator = numba.core.runtime.rtsys.library
print("_library" in vars(allocator))
print(numba.njit(lambda length: np.ones(length).sum())(3))
print("_library" in vars(allocator))
"""
    assert run_python(code).split() == ["False", "3.0", "True"]


def test_code_is_made_for_the_generic_cpu():
    code = "from ringrift.game import _jit; import numba; print(numba.config.CPU_NAME)"
    assert run_python(code) == "generic"


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off (NUMBA_DISABLE_JIT)")
def test_every_function_has_exactly_one_specialisation():
    warm_up()
    specialisations = Counter(
        path.name.rpartition(".py")[0] for path in _jit.cache_folder("game").glob("*.nbc")
    )
    assert specialisations
    assert {name: count for name, count in specialisations.items() if count > 1} == {}
    in_memory = [d for d in _jit.compiled if d.__module__.startswith("ringrift.game")]
    assert [d.__name__ for d in in_memory if len(d.signatures) > 1] == []


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off (NUMBA_DISABLE_JIT)")
def test_after_disable_compile_a_new_specialisation_is_an_error():
    code = """
import numpy as np
from ringrift.game import _jit, moves
moves.move_type(5)
_jit.disable_compile()
print(moves.move_type(5))
try:
    moves.move_type(np.array([5]))
except TypeError as error:
    print("refused")
"""
    assert run_python(code).split() == ["5", "refused"]


def test_the_same_functions_run_as_plain_python():
    sample = Path(__file__).parent.parent / "data" / "traces" / "hex8-4p.jsonl.gz"
    assert run_python(REPLAY, str(sample), NUMBA_DISABLE_JIT="1") == "(78, '')"


def test_a_cache_folder_that_cannot_be_made_beside_the_source_goes_to_the_user(copied_package, tmp_path):
    blocker = copied_package / "ringrift" / "__pycache__"
    blocker.write_text("in the way")
    code = "from ringrift.game._jit import cache_folder; print(cache_folder('game'))"
    user = str(tmp_path / "user")
    found = run_python(code, root=copied_package, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=user)
    assert found.startswith(user)
