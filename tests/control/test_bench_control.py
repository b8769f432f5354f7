"""The measurement of the controller notices when what it measures with is gone."""

import asyncio
import sys
from pathlib import Path

import pytest

from ringrift.control.bench.measure import needing
from ringrift.errors import EnvironmentProblem


async def test_a_load_process_that_dies_ends_the_measurement_with_one_line(tmp_path: Path) -> None:
    with (tmp_path / "load.err").open("wb") as log:
        dying = "import sys; print('no room', file=sys.stderr); sys.stdin.read(1); sys.exit(3)"
        load = await asyncio.create_subprocess_exec(
            sys.executable, "-c", dying, stdin=asyncio.subprocess.PIPE, stderr=log
        )
    answered = asyncio.Event()

    async def ask() -> None:
        assert load.stdin is not None
        load.stdin.write(b"x")
        await answered.wait()

    with pytest.raises(EnvironmentProblem) as problem:
        await needing(tmp_path, ask(), load=load)
    assert problem.value.exit_status == 9
    assert problem.value.line().startswith("the load's process ended with status 3: no room")
