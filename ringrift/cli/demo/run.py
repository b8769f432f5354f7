"""The story of `make demo`: start, join, learn, judge, promote, deploy, ask.

Every act is a `ringrift-ctl` command that is shown, and every act finds what an earlier run has done, so an
interrupted demo is simply run again.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from importlib.resources import files
from pathlib import Path

import ringrift
from hosts.layout import numba_cache
from ringrift.cli.demo import sshd
from ringrift.cli.demo.ask import Answer, ask, position
from ringrift.cli.demo.loop import await_acceptance
from ringrift.cli.demo.place import HOSTS, TARGET, TARGET_HOST, Place, open_place
from ringrift.cli.demo.shell import console, ctl
from ringrift.cli.demo.stop import stop_everything
from ringrift.client import routes
from ringrift.client.access import find_access
from ringrift.client.http import Client
from ringrift.control.settings import load_settings
from ringrift.errors import RingRiftError
from ringrift.protocol.operator import StatusView


def main(*, keep: bool = False, clean: bool = False, folder: Path | None = None) -> None:
    """Run the demo in `folder` (default `.demo` here). `keep` leaves it running, `clean` removes it.

    Raises `RingRiftError` when any act fails; what was reached stays for the next run.
    """
    root = (folder or Path(".demo")).resolve()
    if clean:
        clean_up(root)
        return
    place = open_place(root)
    _use(place)
    began = time.monotonic()
    try:
        answer = _acts(place)
        _summary(place, answer, time.monotonic() - began, keep)
    finally:
        if not keep:
            stop_everything(place)
            console.print("[dim]stopped every process of the demo[/]")


def clean_up(root: Path) -> None:
    """Stop what a demo in `root` started and remove the folder."""
    if not root.exists():
        console.print(f"nothing to clean: {root} does not exist")
        return
    if not (root / "demo.json").exists():
        raise RingRiftError(f"{root} is not a folder of the demo", hint="remove it yourself if it should go")
    place = open_place(root)
    _use(place)
    stop_everything(place)
    shutil.rmtree(root)
    console.print(f"stopped every process of the demo and removed {root}")


def _use(place: Place) -> None:
    """Point this process at the demo's controller and at no other."""
    for name in ("RINGRIFT_URL", "RINGRIFT_TOKEN"):
        os.environ.pop(name, None)
    os.environ["RINGRIFT_HOME"] = str(place.home)


def _acts(place: Place) -> Answer:
    board, seats = position()["boardType"], len(position()["players"])
    config = f"{board}_{seats}p"
    _act(1, "a controller on this machine")
    _controller(place)
    _act(2, "two hosts over SSH, their keys pinned, an agent on each")
    _hosts(place)
    _act(3, f"{config} learns: self-play, training, evaluation")
    _learn(place, config)
    _act(4, "the champion")
    champion = _promote(place, config)
    _act(5, f"an inference target on host {TARGET_HOST}")
    _deploy(place)
    _act(6, "a move in a mid-game position")
    return ask(f"http://127.0.0.1:{place.ports[TARGET]}", champion)


def _act(number: int, title: str) -> None:
    console.print(f"\n[bold]{number}/6 {title}[/]")


def _controller(place: Place) -> None:
    place.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = (files(__package__) / "config.toml").read_text()
    (place.home / "config.toml").write_text(settings)
    ctl(place, "up", "--detach", "--port", str(place.ports["controller"]))


def _hosts(place: Place) -> None:
    public = (place.home / "ssh" / "id_ed25519.pub").read_text()
    with Client(find_access()) as client:
        known = {host.name: host for host in client.send(routes.hosts())}
    for name in HOSTS:
        server = sshd.start(place.host_folder(name) / "sshd", place.address(name), place.ports[name], public)
        console.print(f"  {name}: {server.kind} sshd on {server.address}:{server.port}")
        if name not in known:
            _share_kernels(Path(numba_cache(str(place.install_root(name)))))
            ctl(place, "hosts", "add", name, "--ssh", place.login(name), "--fingerprint", server.fingerprint,
                "--root", str(place.install_root(name)), "--python", sys.executable)  # fmt: skip
    ctl(place, "hosts", "provision", *HOSTS, live=True)


def _share_kernels(cache: Path) -> None:
    """Give a new host the kernels that were compiled for this checkout, and keep here what it compiles.

    The hosts are this machine, and a kernel's folder is named by the digest of its sources.
    """
    package = Path(ringrift.__file__).parent
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "ringrift").exists() and os.access(package, os.W_OK):
        compiled = package / "__pycache__" / "jit"
        compiled.mkdir(parents=True, exist_ok=True)
        (cache / "ringrift").symlink_to(compiled)


def _learn(place: Place, config: str) -> None:
    with Client(find_access()) as client:
        view = client.send(routes.config(config))
        if view.champion is not None:
            console.print(f"  {config} has a champion already: generation {view.champion.generation}")
            return
        if not view.enabled:
            ctl(place, "configs", "enable", config)
        wanted = load_settings(place.home).training.min_positions
        verdict = await_acceptance(client, config, wanted, console)
    console.print(
        f"  accepted after {verdict.games} games: score {verdict.score:.2f}, LLR {verdict.llr:.2f}"
        f" > {verdict.upper:.2f}"
    )


def _promote(place: Place, config: str) -> str:
    with Client(find_access()) as client:
        if client.send(routes.config(config)).champion is None:
            ctl(place, "promote", config, "--yes", "--reason", "first champion of the demo")
            ctl(place, "configs", "disable", config)
        champion = client.send(routes.config(config)).champion
    if champion is None:
        raise RingRiftError(f"{config} has no champion after the promotion")
    console.print(f"  champion of {config}: {champion.model[:12]}, generation {champion.generation}")
    return champion.model


def _deploy(place: Place) -> None:
    with Client(find_access()) as client:
        targets = {target.name for target in client.send(routes.targets())}
    if TARGET not in targets:
        port = str(place.ports[TARGET])
        ctl(place, "targets", "add", TARGET, "--host", TARGET_HOST, "--port", port)
    ctl(place, "deploy-inference", TARGET, "--yes", live=True)


def _summary(place: Place, answer: Answer, seconds: float, keep: bool) -> None:
    with Client(find_access()) as client:
        status: StatusView = client.send(routes.status())
    games, program = status.receipts, Path(sys.executable).parent / "ringrift-ctl"
    lines = {
        "games": f"{games.games_receipted} receipted, {games.games_stored} stored, {games.games_ingested}"
        f" replayed through the rules, {games.games_refused} refused",
        "move": f"{answer.key}, one of {answer.legal} legal, in {answer.milliseconds} ms,"
        f" value {answer.evaluation:+.2f}, by model {answer.model[:12]}",
        "service": f"http://127.0.0.1:{place.ports[TARGET]}/health" if keep else "stopped; KEEP=1 keeps it",
        "terminal": f"RINGRIFT_HOME={place.home} {program} tui --operate",
    }
    console.print(f"\n[bold green]done[/] in {seconds:.0f} s")
    for name, text in lines.items():
        console.print(f"  {name:<9} {text}", soft_wrap=True, markup=False)
