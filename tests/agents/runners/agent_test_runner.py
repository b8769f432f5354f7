"""Stands in for `ringrift.learning.jobs` where a test needs a job that waits, fails or fills the disk.

What a job does is told by files in the folder `RINGRIFT_TEST_FOLDER`: `computed.log` gets one line per
computed sequence; a FIFO `gate-<n>` makes the job wait before sequence n until the test opens it.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringrift.errors import IncompatibleModel

FOLDER = Path(os.environ["RINGRIFT_TEST_FOLDER"])


def _unit(spec, outputs, sequence, emit):
    with (FOLDER / "computed.log").open("a") as log:
        log.write(f"{sequence}\n")
    name = f"{sequence}.shard"
    (outputs / name).write_bytes(f"{spec['seed']}/{sequence}".encode() * 1000)
    emit({"type": "result", "sequence": sequence, "payload": {"n": sequence}, "artifacts": [name]})


def count(kind, spec, inputs, outputs, done, emit):
    """Compute every sequence that is not done; wait at gates."""
    for sequence in range(spec["shards"]):
        gate = FOLDER / f"gate-{sequence}"
        if gate.exists():
            with gate.open() as opened:
                opened.read()
        if sequence not in done:
            _unit(spec, outputs, sequence, emit)
        emit(
            {"type": "progress", "done": sequence + 1, "total": spec["shards"], "unit": "games", "rate": 2.0}
        )


def check_input(kind, spec, inputs, outputs, done, emit):
    """Compute only if the model lies among the inputs."""
    (FOLDER / "input").write_bytes((inputs / spec["player"]["model"]).read_bytes())
    count(kind, spec, inputs, outputs, done, emit)


def refuse(kind, spec, inputs, outputs, done, emit):
    print("loading the model")
    raise IncompatibleModel("model 1234 is for hex8_2p", hint="use one for square8_2p")


def crash(kind, spec, inputs, outputs, done, emit):
    raise ZeroDivisionError("the net is empty")


def die(kind, spec, inputs, outputs, done, emit):
    print("about to die", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def forget(kind, spec, inputs, outputs, done, emit):
    """End well with only the first sequence done."""
    _unit(spec, outputs, 0, emit)


def fill_disk(kind, spec, inputs, outputs, done, emit):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(outputs / "0.shard"))


def write_until_full(kind, spec, inputs, outputs, done, emit):
    """Write a shard that is larger than the disk, unless the test's marker says that it fits now."""
    if (FOLDER / "fits").exists():
        count(kind, spec, inputs, outputs, done, emit)
        return
    with (outputs / "0.shard").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def hang(kind, spec, inputs, outputs, done, emit):
    """Start a grandchild, tell both process ids, and wait for ever."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    (FOLDER / "pids.new").write_text(f"{os.getpid()} {grandchild.pid}")
    (FOLDER / "pids.new").rename(FOLDER / "pids")
    grandchild.wait()


def hoard(kind, spec, inputs, outputs, done, emit):
    """Take memory in a process of the job's own group until somebody ends it."""
    code = "import time; held = [b'x' * (16 << 20) for _ in range(40)]; time.sleep(3600)"
    subprocess.run([sys.executable, "-c", code], check=False)


def refuse_memory(kind, spec, inputs, outputs, done, emit):
    raise MemoryError


def litter(kind, spec, inputs, outputs, done, emit):
    """Fill the job's folder with files that no result names, and wait for ever."""
    (outputs / "rubbish").write_bytes(bytes(4 << 20))
    time.sleep(3600)


def write_much(kind, spec, inputs, outputs, done, emit):
    """One unit whose artifact goes over in several chunks."""
    (outputs / "model").write_bytes(b"much".ljust(17 << 20, b"."))
    emit({"type": "result", "sequence": 0, "payload": {}, "artifacts": ["model"]})


def tell_nonsense(kind, spec, inputs, outputs, done, emit):
    """Break the agent's own reading of what its job told, once; then work as usual."""
    if (FOLDER / "told").exists():
        count(kind, spec, inputs, outputs, done, emit)
        return
    (FOLDER / "told").touch()
    (outputs.parent / "events.jsonl").write_text('{"type":"result","sequence":0}\n')
    time.sleep(3600)


def say_nothing(kind, spec, inputs, outputs, done, emit):
    os._exit(3)


def report_modules(kind, spec, inputs, outputs, done, emit):
    """Tell what of the agent's own process was imported before the job began."""
    (FOLDER / "threads").write_text(os.environ["OMP_NUM_THREADS"])
    count(kind, spec, inputs, outputs, done, emit)


def print_nul(kind, spec, inputs, outputs, done, emit):
    raise ValueError("a b\0cd")
