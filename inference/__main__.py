"""`python -m inference --models DIR [--host H] [--port N]`: serve the models that DIR names.

Exit statuses are those of `ringrift.errors`; 9 means that the port is in use. SIGTERM drains and ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from inference import engine, footprint, logs
from inference.listening import inherited, listen
from inference.server import Server
from inference.trust import add_trust, trust_of
from ringrift.errors import BadInput, EnvironmentProblem, RingRiftError
from ringrift.game.config import GameConfig

if TYPE_CHECKING:
    from inference.watch import Watcher

_DEFAULT_PORT = 8600
_STOP_SECONDS = 2.0
_FIRST_LOOK_SECONDS = 10.0
"""How long whoever asks at an inherited socket waits for the models rather than for a weaker move."""
_PROOF_SECONDS = 140.0
_MODELS_VARIABLE = "RINGRIFT_MODELS_PATH"
_EXPECTED_VARIABLE = "RINGRIFT_EXPECTED_CONFIGS"


def main(arguments: list[str]) -> int:
    """Serve until stopped; return the exit status, with one line on stderr for an error."""
    try:
        _serve(_parse(arguments))
    except RingRiftError as error:
        sys.stderr.write(f"error: {error.line()}\n")
        return error.exit_status
    return 0


class _Arguments(argparse.ArgumentParser):
    """Raises `BadInput` for wrong arguments, so that they end in one line like every other error."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(message, hint=f"see {self.prog} --help")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Arguments(prog="python -m inference", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", type=Path, help=f"folder with manifest.json or current/ ({_MODELS_VARIABLE})"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help=f"default {_DEFAULT_PORT}, or the variable PORT")
    parser.add_argument("--fd", type=int, help="serve on this inherited listening socket instead")
    parser.add_argument("--ready-fd", type=int, help="write the health report there once it accepts")
    parser.add_argument("--successor", action="store_true", help="accept only when every model is proven")
    parser.add_argument(
        "--workers", type=int, default=max(1, min(8, os.cpu_count() or 1)), help="searches at once"
    )
    parser.add_argument("--waiting", type=int, default=64, help="requests that may wait for a worker")
    parser.add_argument(
        "--expect", help=f"configs that the manifest must name, separated by commas ({_EXPECTED_VARIABLE})"
    )
    parser.add_argument(
        "--engine", choices=engine.ENGINES, help=f"what computes the nets, default torch ({engine.VARIABLE})"
    )
    add_trust(parser, "DIR")
    options = parser.parse_args(arguments)
    options.models = options.models or _from_environment(_MODELS_VARIABLE, Path)
    if options.models is None:
        raise BadInput("no folder of models", hint=f"give --models DIR or set {_MODELS_VARIABLE}")
    if options.port is None:
        options.port = _from_environment("PORT", int) or _DEFAULT_PORT
    options.engine = options.engine or engine.chosen()
    if options.workers < 1 or options.waiting < 0:
        raise BadInput("--workers must be at least 1 and --waiting at least 0")
    named = options.expect if options.expect is not None else os.environ.get(_EXPECTED_VARIABLE, "")
    keys = named.replace(",", " ").split()
    options.expect = frozenset(GameConfig.parse(key).key for key in keys)
    return options


def _serve(options: argparse.Namespace) -> None:
    logs.set_up()
    # The address is taken before the slow imports, so that a port in use is told at once.
    found = listen(options.host, options.port) if options.fd is None else inherited(options.fd)
    footprint.rest()
    os.environ[engine.VARIABLE] = options.engine

    from inference.app import build_app
    from inference.pool import SearchPool
    from inference.watch import Watcher
    from ringrift.players.warmup import warm_up

    def prepare() -> None:
        warm_up()
        footprint.settle()

    engine.prepare()
    watcher = Watcher(options.models, trust_of(options, options.models), options.expect, prepare)
    pool = SearchPool(options.workers, options.waiting)
    watcher.start()
    address, port = found.getsockname()[:2]
    logs.log.info("listening", extra=logs.fields(address=address, port=port, pid=os.getpid()))
    if options.fd is not None:
        _await_models(watcher, options)
    try:
        Server(build_app(watcher, pool)).run(sockets=[found])
    finally:
        pool.close()
        if not watcher.stop(_STOP_SECONDS):
            # A compiler or a loader at work cannot be interrupted, and nothing of it is needed any more.
            os._exit(0)


def _await_models(watcher: Watcher, options: argparse.Namespace) -> None:
    """Let the socket's holder keep who asks until the first look at the models is over, and tell it then.

    Raises `EnvironmentProblem` for a successor with anything wrong: what serves goes on alone.
    """
    from inference.probes import health_report

    watcher.first_look(_PROOF_SECONDS if options.successor else _FIRST_LOOK_SECONDS)
    report = health_report(watcher)
    if options.ready_fd is not None:
        with os.fdopen(options.ready_fd, "w") as holder:
            json.dump(report, holder)
    if options.successor and report["issues"]:
        raise EnvironmentProblem(f"this release cannot take over: {report['issues'][0]}")


def _from_environment(name: str, kind: type) -> object:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"{name} is {text!r}", hint=f"mend or unset {name}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
