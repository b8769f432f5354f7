"""Requests that mean harm, from a seed: number n of a seed is always the same bytes.

Each is what one connection sends. `whole` tells that it is a complete, well-formed HTTP request, so that
silence is no answer to it.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass

from inference.models import midgame
from ringrift.game.config import GameConfig
from ringrift.notation.gamestate import dump_game

ROUTES = (
    *("/move", "/move", "/ai/move", "/ai/move"),
    *("/ai/evaluate", "/ai/evaluate_position", "/rules/evaluate_move"),
    *("/ai/choice/line_reward_option", "/ai/choice/ring_elimination", "/ai/choice/region_order"),
    *("/ai/choice/line_order", "/ai/choice/capture_direction"),
)
BOARDS = ("square8_2p", "square8_3p", "hex8_2p", "hex8_4p")
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 7, 255, 256, 65536, 2**31, 2**63, 2**64, -(2**63), 10**40),
    *(1.5, -0.0, 1e308, "", " ", "0", "2", "x" * 300, "\x00", "\ud800", "\u202e", "🂡" * 20),
    *("__proto__", "../../etc/passwd", "NaN"),
    *([], {}, [[]], [{}] * 5, {"": ""}, {"x": 0, "y": 0}, {"x": -1, "y": 99, "z": 1e9}, [None] * 3),
)
PHASES = ("capture", "chain_capture", "territory_processing", "game_over")
OTHERS = ("hex8", "square19", "hexagonal")
METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "BREW", "post")
PATHS = (
    *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//move", "/move/", "/move/..", "/./move"),
    *("/move%00", "/move;x=1", "/MOVE", "/move?" + "a=b&" * 500, "/" + "a" * 8000, "/%ff%fe", "/%", "/%zz"),
    *("/internal/ladder/health?difficulty=%00", "/internal/ladder/health?num_players=" + "9" * 5000),
    *("/internal/ladder/health?board_type=%F0%9F%82%A1", "/ai/choice/", "/ai/choice/..%2fmove"),
    *("*", "http://x/move", "/docs/../move"),
)


@dataclass(frozen=True)
class Hostile:
    """`kind` names the family; `data` is sent at once, after which the sender may `hold` the line open."""

    kind: str
    data: bytes
    whole: bool
    hold: bool = False


def request(seed: int, number: int) -> Hostile:
    """Return one request of a seed."""
    rng = random.Random(f"{seed}-{number}")
    kind = rng.choices(tuple(FAMILIES), [weight for _, weight in FAMILIES.values()])[0]
    return FAMILIES[kind][0](rng, kind)


def http(method: str, path: str, body: bytes, *headers: bytes) -> bytes:
    """Return a request that ends its connection."""
    lines = [
        f"{method} {path} HTTP/1.1".encode("utf-8", "surrogatepass"),
        b"host: x",
        b"connection: close",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def post(kind: str, rng: random.Random, body: bytes) -> Hostile:
    return Hostile(kind, http("POST", rng.choice(ROUTES), body), whole=True)


_positions: list[dict] = []


def sound(rng: random.Random) -> dict:
    """Return a body that any of the routes could be asked with; its level is cheap."""
    if not _positions:
        _positions.extend(dump_game(midgame(GameConfig.parse(key))) for key in BOARDS)
    state = copy.deepcopy(rng.choice(_positions))
    option = {"size": 1, "capHeight": 1, "totalHeight": 1, "markerPositions": [], "capturedCapHeight": 1}
    return {
        "game_state": state,
        "player_number": rng.choice([1, 2, state["currentPlayer"]]),
        "difficulty": rng.choice([1, 1, 1, 2]),
        "seed": rng.randrange(100),
        "move": {"type": "move_stack", "player": 1, "from": {"x": 1, "y": 1}, "to": {"x": 2, "y": 2}},
        "options": [option],
    }


def places(value, found):
    """Collect (container, key) of everything inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        found.append((value, key))
        places(inner, found)
    return found


def mangled(rng: random.Random, kind: str) -> Hostile:
    """A real position with a few values replaced, removed, doubled or renamed."""
    body = sound(rng)
    for _ in range(rng.choice([1, 1, 2, 5])):
        container, key = rng.choice(places(body, []))
        what = rng.randrange(5)
        if what == 0 and isinstance(container, dict):
            container.pop(key, None)
        elif what == 1 and isinstance(container, dict):
            container[str(rng.choice(VALUES))] = container.get(key)
        elif what == 2 and isinstance(container, list):
            container.extend(container[:20])
        elif key != "difficulty":
            container[key] = copy.deepcopy(rng.choice(VALUES + PHASES + OTHERS))
    return post(kind, rng, json.dumps(body).encode())


def impossible(rng: random.Random, kind: str) -> Hostile:
    """A position of the right shape that no game leads to."""
    body = sound(rng)
    state = body["game_state"]
    for _ in range(rng.randrange(1, 4)):
        what = rng.randrange(6)
        if what == 0:
            state["currentPhase"] = rng.choice(PHASES)
        elif what == 1:
            state["currentPlayer"] = rng.randrange(-1, 6)
        elif what == 2:
            rng.choice(state["players"])["ringsInHand"] = rng.choice([-1, 0, 1, 99, 10**9])
        elif what == 3:
            state["board"]["type"] = state["boardType"] = rng.choice(OTHERS)
        elif what == 4:
            cell = f"{rng.randrange(-2, 10)},{rng.randrange(-2, 10)}"
            state["board"].setdefault("markers", {})[cell] = {"player": rng.randrange(6), "type": "regular"}
        else:
            stacks = state["board"].setdefault("stacks", {})
            for stack in stacks.values():
                stack["rings"] = [rng.randrange(1, 4)] * rng.choice([0, 1, 30, 300])
    return post(kind, rng, json.dumps(body).encode())


def sized(rng: random.Random, kind: str) -> Hostile:
    """Bodies of every size, some of them beyond the limit; noise, or JSON around noise."""
    size = rng.choice([0, 1, 2, 100, 5_000, 70_000, 300_000])
    if rng.randrange(400) == 0:
        size = 33 << 20
        return Hostile(kind, http("POST", "/move", b" " * size), whole=False)
    noise = rng.randbytes(size) if rng.random() < 0.5 else b'{"game_state":"' + b"a" * size
    return post(kind, rng, noise)


def deep(rng: random.Random, kind: str) -> Hostile:
    depth = rng.choice([10, 300, 900, 980, 1000, 3000, 60_000])
    left, right = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"options":', "}]")])
    inner = left * depth + "1" + right * depth * rng.randrange(2)
    field = rng.choice(["game_state", "options", "move", "x"])
    around = rng.choice(["%s", f'{{"player_number":1,"{field}":%s}}', '{"player_number":1,"options":[%s]}'])
    return post(kind, rng, (around % inner).encode())


def unicode(rng: random.Random, kind: str) -> Hostile:
    text = json.dumps(sound(rng), ensure_ascii=False)
    bad = rng.choice(["\\ud800", "\\u0000", "\u202e", "é" * 50, "\\udfff\\ud800", "\ufeff", "🂡"])
    at = rng.randrange(len(text))
    data = (text[:at] + bad + text[at:]).encode(rng.choice(["utf-8", "utf-8", "utf-16", "utf-7"]), "replace")
    if rng.random() < 0.3:
        data = data[:at] + rng.randbytes(3) + data[at:]
    return post(kind, rng, data)


def path(rng: random.Random, kind: str) -> Hostile:
    wild = rng.choice([*PATHS, "/" + "".join(chr(rng.randrange(33, 0x3000)) for _ in range(20))])
    method = rng.choice(METHODS)
    return Hostile(kind, http(method, wild, rng.choice([b"", b"{}"])), whole=False)


def headers(rng: random.Random, kind: str) -> Hostile:
    flood = rng.choice(
        [
            [b"x-%d: y" % number for number in range(rng.choice([10, 300, 3000]))],
            [b"x: " + b"y" * rng.choice([1000, 60_000, 200_000])],
            [b"content-length: 5"],
            [b"content-length: -1"],
            [b"transfer-encoding: chunked"],
            [b"transfer-encoding: chunked", b"transfer-encoding: identity"],
            [b"expect: 100-continue"],
            [b"upgrade: websocket", b"connection: upgrade", b"sec-websocket-version: 13"],
            [b"x\x00: y"],
            [b"x: \xff\xfe"],
            [b"content-encoding: gzip", b"content-type: application/\xf0\x9f"],
            [b" folded: x", b"\tmore"],
        ]
    )
    return Hostile(kind, http("POST", rng.choice(ROUTES), b"{}", *flood), whole=False)


def slow(rng: random.Random, kind: str) -> Hostile:
    """A request that stops in the middle: of its first line, its headers, its body, or a chunk of it."""
    full = http("POST", rng.choice(ROUTES), json.dumps(sound(rng)).encode())
    if rng.random() < 0.3:
        full = b"POST /move HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n{"
        full += b"x" * 40_000
    return Hostile(kind, full[: rng.randrange(1, len(full))], whole=False, hold=rng.random() < 0.5)


FAMILIES = {
    "mangled": (mangled, 42),
    "impossible": (impossible, 16),
    "sizes": (sized, 8),
    "depth": (deep, 6),
    "unicode": (unicode, 10),
    "paths": (path, 8),
    "headers": (headers, 6),
    "slow": (slow, 4),
}
"""Name -> what makes one, and its share in hundredths."""
