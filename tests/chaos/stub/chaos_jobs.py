"""Stands in for `ringrift.learning.jobs`: games that nobody played, at the cost of a sleep.

Names of games follow from the job's seed, as those of real games do, so that a unit computed twice is the
same unit. Shards have the structure of real ones; what their frames hold is JSON.
"""

import hashlib
import json
import struct
import sys
import time
import zlib
from pathlib import Path

SECONDS = float((Path(sys.prefix) / "seconds").read_text())
_HEAD = len(b"RRSHARD2") + struct.calcsize("<cII")


def _frame(kind, data):
    return struct.pack("<cII", kind, len(data), zlib.crc32(data, zlib.crc32(kind))) + data


def _games(spec, sequence):
    names = (f"{spec['seed']}/{sequence}/{number}" for number in range(spec["games_per_shard"]))
    return [
        {"game_id": hashlib.sha256(name.encode()).hexdigest(), "winner": 1, "plies": 20, "decisions": 10}
        for name in names
    ]


def _selfplay(spec, outputs, sequence, emit):
    time.sleep(SECONDS)
    games = _games(spec, sequence)
    parts = [b"RRSHARD2", _frame(b"H", json.dumps(games).encode()), _frame(b"G", b"none"), _frame(b"E", b"")]
    data = b"".join(parts)
    name = f"{sequence}.shard"
    (outputs / name).write_bytes(data)
    payload = {"kind": "selfplay", "config": spec["config"], "shard": hashlib.sha256(data).hexdigest()}
    payload |= {"games": games, "seconds": SECONDS}
    emit({"type": "result", "sequence": sequence, "payload": payload, "artifacts": [name]})


def _claimed(path):
    data = path.read_bytes()
    length = struct.unpack_from("<cII", data, 8)[1]
    return json.loads(data[_HEAD : _HEAD + length])


def run_job(kind, spec, inputs, outputs, done, emit):
    """Do what is missing of a self-play job, or agree with a shard."""
    if kind == "selfplay":
        for sequence in range(spec["shards"]):
            if sequence not in done:
                _selfplay(spec, outputs, sequence, emit)
        return
    games = _claimed(inputs / spec["shard"])
    payload = {"kind": kind, "config": spec["config"], "shard": spec["shard"]}
    if kind == "ingest":
        payload |= {"sound": True, "games": games, "soft_target_share": 1.0}
    else:
        payload |= {"same": True, "games": len(spec["games"]) or len(games)}
    emit({"type": "result", "sequence": 0, "payload": payload, "artifacts": []})
