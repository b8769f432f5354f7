"""`make image`: build the images of the Dockerfile without registry or daemon, and serve from the first.

buildah (with chroot in the place of containers) builds; the base image is made of Debian's packages by
mmdebstrap; pip finds in a folder what this machine's pip finds. The service then runs from the image's own
files as production runs it: uid 10001, no capability, a read-only root. Needs root on Debian; the packages
`buildah` and `mmdebstrap` are installed where they are missing. About 3 GB below the temporary folder.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from inference.bench.load import bodies
from inference.bench.process import write_models
from ringrift.errors import EnvironmentProblem, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.nets.network import ArchConfig

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("buildah", "mmdebstrap")
TARGETS = {"inference": "inference", "controller": "control", "host": None}
"""Stage of the Dockerfile -> the extra that its build installs."""
BASE = "localhost/ringrift-base"
PATIENCE = 120.0
"""Seconds until the service is healthy."""
APART = ("unshare", "--mount", "--pid", "--fork")
INSIDE = """
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/models"
mount --bind "$models" "$root/models"
mount -o remount,ro,bind "$root/models"
mount -o remount,ro,bind "$root"
exec chroot "$root" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all "$@"
"""


def run(*command: str | Path, **more: Any) -> str:
    """Return what a command prints; `EnvironmentProblem` with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **more)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise EnvironmentProblem(f"{command[0]} ended with {done.returncode}: {' | '.join(words)}")
    return done.stdout


def have_tools() -> None:
    """Install what is missing, or say what this needs."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EnvironmentProblem("an image is built here by root on Debian", hint="or use `docker build .`")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-qy", "--no-install-recommends", *missing)


class Builder:
    """buildah with a store of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # vfs works everywhere, and copies an image's files for each step.
        known = "overlay" in Path("/proc/filesystems").read_text()
        layered = known and run("stat", "-f", "-c", "%T", folder).strip() != "overlayfs"
        driver = "overlay" if layered else "vfs"
        self._store = ("--root", folder / "store", "--runroot", folder / "run", "--storage-driver", driver)

    def buildah(self, *command: str | Path) -> str:
        return run("buildah", *self._store, *command).strip()

    def make_base(self) -> None:
        """Make the image that stands for `python:3.11-slim`, of the release that this machine runs."""
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.*"))]
        archive = self.folder / "base.tar"
        link = 'chroot "$1" ln -s python3 /usr/bin/python'
        packages = "--include=python3,python3-venv,ca-certificates"
        found = [path for path in sources if path.exists()]
        run("mmdebstrap", "--variant=minbase", packages, f"--customize-hook={link}", release, archive, *found)
        container = self.buildah("from", "scratch")
        self.buildah("add", container, archive, "/")
        self.buildah("commit", "--rm", container, BASE)
        archive.unlink()

    def collect_packages(self) -> None:
        """Put the packages that pip would install into a folder, and a `pip.conf` that names only it."""
        extras = ",".join(extra for extra in TARGETS.values() if extra)
        builds = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        pip = (sys.executable, "-m", "pip", "download", "-q", "-c", "constraints.txt")
        run(*pip, "-d", self.folder / "wheels", f".[{extras}]", *builds)
        (self.folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")

    def build(self, target: str) -> str:
        """Build a stage of the Dockerfile; return the image's name."""
        image = f"localhost/ringrift-{target}"
        offline = (f"{self.folder}/wheels:/wheels:ro", f"{self.folder}/pip.conf:/etc/pip.conf:ro")
        volumes = [word for volume in offline for word in ("--volume", volume)]
        how = ("--isolation", "chroot", "--format", "docker", "--pull-never")
        args = ("--build-arg", f"BASE={BASE}", "--target", target)
        self.buildah("bud", *how, *volumes, *args, "--tag", image, ".")
        return image

    @contextlib.contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """Mount an image's files."""
        container = self.buildah("from", "--pull-never", image)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)

    def described(self, image: str) -> dict[str, Any]:
        """Return the configuration that a container is started with."""
        found = json.loads(self.buildah("inspect", "--type", "image", image))
        config: dict[str, Any] = found["Docker"]["config"]
        return config


def inside(root: Path, models: Path, config: dict[str, Any], argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a command in the image's files as production does, with the image's variables only."""
    directory = config["WorkingDir"] or "/"
    return subprocess.Popen(
        [*APART, "sh", "-euc", INSIDE, "sh", "env", "-i", *config["Env"], f"--chdir={directory}", *argv],
        env={"PATH": os.environ["PATH"], "root": str(root), "models": str(models)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return exit status and output of a command that ends by itself."""
    output = process.communicate(timeout=PATIENCE)[0]
    return process.returncode, output.strip()


def demand(condition: bool, what: str) -> None:
    if not condition:
        raise EnvironmentProblem(what)


def healthy(port: int, service: subprocess.Popen[str]) -> float:
    """Wait until the service is; return the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE and service.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return time.monotonic() - began
        time.sleep(0.05)
    if service.poll() is None:
        stop(service, signal.SIGKILL)
    raise EnvironmentProblem(f"the service did not become healthy: {ended(service)[1][-500:]}")


def move(port: int, body: bytes) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/move", body)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


def serve(root: Path, models: Path, config: dict[str, Any]) -> None:
    """Start the service from its image, ask it, check what it may not do, and end it."""
    check = config["Healthcheck"]["Test"][1:]
    demand(config["User"] == "10001:10001", f"the image runs as {config['User']!r}")
    demand(ended(inside(root, models, config, ["id", "-u"])) == (0, "10001"), "the uid is another")
    status, said = ended(inside(root, models, config, ["touch", "/opt/ringrift/kernels/new"]))
    demand(status != 0 and "Read-only file system" in said, f"the root can be written: {status} {said}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {**config, "Env": [*config["Env"], f"PORT={port}"]}
    argv = [*config["Entrypoint"], "--host", "127.0.0.1", "--unsigned"]
    demand(ended(inside(root, models, config, check))[0] != 0, "the health check passes without a service")
    service = inside(root, models, config, argv)
    try:
        print(f"healthy after {healthy(port, service):.1f} s on a read-only root as uid 10001")
        demand(ended(inside(root, models, config, check))[0] == 0, "the health check fails")
        for level in (1, 2, 3, 4, 5, 6):
            for key in ("square8_2p", "hexagonal_4p"):
                answer = move(port, bodies(GameConfig.parse(key), level)[0])
                demand(bool(answer.get("move")), f"level {level} of {key} gave no move: {answer}")
                demand((answer["model"] is not None) == (level >= 5), f"level {level} asked no net")
        stop(service, signal.SIGTERM)
        demand(ended(service)[0] == 0, f"the service ended with {service.returncode}")
    finally:
        if service.poll() is None:
            stop(service, signal.SIGKILL)
            service.communicate(timeout=PATIENCE)
    print("levels 1 to 6 answered; the health check told both states; nothing was writable; SIGTERM ended it")


def stop(service: subprocess.Popen[str], by: signal.Signals) -> None:
    """Signal the container's first process, as a runtime does; `unshare` itself passes nothing on.

    Its option --kill-child would be of no use: a process that gives up root loses its parent-death signal.
    """
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), by)


def main() -> int:
    """Build all stages and serve from the first; 0 when everything held."""
    try:
        have_tools()
        with tempfile.TemporaryDirectory(prefix="ringrift-image-") as name:
            folder = Path(name)
            builder = Builder(folder)
            print("base image", flush=True)
            builder.make_base()
            builder.collect_packages()
            for target in TARGETS:
                began = time.monotonic()
                image = builder.build(target)
                size = json.loads(builder.buildah("images", "--json", image))[0]["size"]
                print(f"{image}: {size}, built in {time.monotonic() - began:.0f} s", flush=True)
            models = folder / "models"
            models.mkdir()
            write_models(models, ArchConfig())
            models.chmod(0o755)
            for path in models.iterdir():
                path.chmod(0o644)  # whoever deploys, uid 10001 reads
            with builder.files("localhost/ringrift-inference") as root:
                serve(root, models, builder.described("localhost/ringrift-inference"))
    except RingRiftError as error:
        print(error.line(), file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
