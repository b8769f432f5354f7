"""Facts of a host: typed, validated, frozen. What cannot be read is an error, never a guess."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hosts.fact_script import BEGIN, END, SCRIPT, probe
from hosts.layout import FOLDERS
from hosts.remote import Remote
from ringrift.errors import CorruptData, EnvironmentProblem

PROBE_SECONDS = 120.0


class _Fact(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Interpreter(_Fact):
    """The interpreter that looked: the named one, else the one of `env`, else the base interpreter."""

    python: str
    version: str
    markers: dict[str, str]
    """The environment of PEP 508 markers."""
    packages: dict[str, str | None]
    """Installed versions of the packages that were asked for; None where not installed."""


class AgentFacts(_Fact):
    """The agent's folder; secrets appear as their SHA-256 only."""

    enrolled: bool = False
    identity_token: str | None = None
    """SHA-256 of the token by which the agent was enrolled."""
    host: str | None = None
    release: str | None = None
    python: str | None = None
    token: str | None = None
    """SHA-256 of the token that waits in `agent.json`."""
    mode: int | None = None
    settings: str | None = None
    """Hash of `agent.json` without the token; an agent that was started with this file tells the same."""


class UnitFacts(_Fact):
    """A unit of systemd or a property list of launchd: its file, and `active` while its program runs."""

    text: str
    state: str


class Gpu(_Fact):
    """One graphics card, as its driver names it; None where it does not tell the memory."""

    name: str
    vram_bytes: int | None = None


class SupervisedFacts(_Fact):
    """What `agents.supervisor` recorded; `stopped` where it does not live."""

    state: str
    argv: tuple[str, ...] = ()
    last_exit: int | None = None


class StagedFacts(_Fact):
    """The folder of a model that waits on a target: its manifest, and what it was found to be able to do."""

    manifest: str | None = None
    signature: str | None = None
    proof: str | None = None
    files: dict[str, str | None] = {}
    """Model file -> SHA-256 as computed there."""


class TargetFacts(_Fact):
    """An inference target's folder; `manifest`, `signature` and `files` are of the wished generation."""

    generations: tuple[str, ...] = ()
    current: str | None = None
    """Where the `current` link points, relative to the target's folder."""
    previous: str | None = None
    """Where it pointed before, while what it points to now has not been seen serving."""
    served: dict[str, Any] | None = None
    """The manifest behind `current`."""
    serving: dict[str, str | None] = {}
    """Model file behind `current` -> SHA-256 as computed there."""
    manifest: str | None = None
    signature: str | None = None
    """Of the manifest."""
    trusted: str | None = None
    """The target's `trusted_keys`."""
    software: str | None = None
    """Where the wished generation's link to our software points, relative to its folder."""
    front: dict[str, Any] | None = None
    """What the holder of its port says (`inference/front.py`)."""
    files: dict[str, str | None] = {}
    """Model file -> SHA-256 as computed there; None where there is no such file."""
    staged: dict[str, StagedFacts] = {}
    """Folders of models that wait for their deployment; each is named by its model's SHA-256."""

    def served_models(self) -> dict[str, str]:
        """Return config -> SHA-256 as the manifest behind `current` gives them, as far as it is one."""
        models = (self.served or {}).get("models")
        entries = models.items() if isinstance(models, dict) else ()
        return {key: str(entry.get("sha256")) for key, entry in entries if isinstance(entry, dict)}

    def holds(self, config: str, served_as: str, sha256: str) -> bool:
        """Tell whether this model is behind `current`, undamaged."""
        return self.served_models().get(config) == self.serving.get(served_as) == sha256


class Facts(_Fact):
    """One look at a host. Without an interpreter there is nothing beyond the first six fields."""

    os: str
    """`Linux` or `Darwin`."""
    arch: str
    """`x86_64`, `aarch64` or `arm64`."""
    user: str
    uid: int
    home: str
    root: str
    """Absolute."""
    disk_free_kib: int = Field(0, ge=0)
    disk_total_bytes: int | None = None
    writable: bool = True
    cpus: int | None = None
    """Cores that this machine or container may use."""
    ram_bytes: int | None = None
    gpus: tuple[Gpu, ...] | None = None
    """Empty: there are none; None: unknown (a driver that does not answer, or a Mac)."""
    boot: str | None = None
    """Another value after a reboot, or after a container was started anew."""
    systemd: Literal["system", "user", "none"] = "none"
    """Which systemd can keep programs running: the system's for root, the user's where linger is on."""
    cron: tuple[str, ...] | None = None
    """Our lines in the login user's crontab; None where there is no crontab."""
    base_python: str = ""
    """Absolute path of a Python >= 3.11 found on the PATH; looked for where no other interpreter serves."""
    base_venv: bool = False
    own_python: bool = False
    """Whether `env/` under the root has a Python >= 3.11."""
    named_python: bool = False
    """Whether the interpreter that the host's spec names runs and is Python >= 3.11."""
    interpreter: Interpreter | None = None
    releases: tuple[str, ...] = ()
    """The one that was made last at the end."""
    previous_release: str | None = None
    """The release that the agent ran before its present one."""
    used: tuple[tuple[str, str], ...] = ()
    """Service or unit, and the release that it runs."""
    release_intact: bool = False
    """Every file of the wished release is there with its recorded hash."""
    modes: dict[str, int | None] = {}
    """Folders below the root -> permission bits; None where missing."""
    warm: dict[str, Any] | None = None
    agent: AgentFacts = AgentFacts()
    unit: UnitFacts | None = None
    supervised: SupervisedFacts | None = None
    boot_script: str | None = None
    """What starts the service at a reboot where our supervisor keeps it running."""
    target: TargetFacts | None = None
    applied: str = ""
    """Names the last change of the host; another one in between means that it must be looked at anew."""


class Question(_Fact):
    """What to look at; the answer is a `Facts`."""

    root: str
    python: str = ""
    release: str = ""
    record: str = ""
    """The release's RECORD file, relative to its folder."""
    kernels: str = ""
    packages: tuple[str, ...] = ()
    service: str = ""
    unit: str = ""
    target: str = ""
    generation: int = 0
    model_files: tuple[str, ...] = ()


async def gather(remote: Remote, question: Question) -> Facts:
    """Look at a host; raises EnvironmentProblem when it cannot be looked at, CorruptData for garbage."""
    nonce = secrets.token_hex(8)
    wish = {**question.model_dump(), "folders": FOLDERS}
    argv = ["sh", "-s", "--", nonce, question.root, question.python, json.dumps(wish), probe()]
    done = await remote.run(argv, stdin=SCRIPT.encode(), seconds=PROBE_SECONDS)
    values = extract(done.stdout, nonce)
    if values is None:
        raise EnvironmentProblem(
            f"{remote.name}: looking at the host failed: {done.last_words() or 'it printed nothing'}",
            hint="is its login shell able to run sh?",
        )
    return parse(remote.name, values)


def extract(output: str, nonce: str) -> dict[str, str] | None:
    """Return the `name=value` lines between the markers, or None when either marker is missing."""
    _, begun, rest = output.partition(f"{BEGIN} {nonce}\n")
    body, ended, _ = rest.partition(f"{END} {nonce}\n")
    if not begun or not ended:
        return None
    pairs = (line.partition("=") for line in body.splitlines())
    return {name: value for name, sign, value in pairs if sign}


def parse(host: str, values: Mapping[str, str]) -> Facts:
    """Validate what the script printed; raises CorruptData naming the first field that is wrong."""
    data: dict[str, Any] = dict(values)
    text = data.pop("probe", "").strip()
    try:
        seen = json.loads(text) if text else {}
        if not isinstance(seen, dict):
            raise ValueError("probe is no JSON object")
        data.update(seen)
        data["interpreter"] = seen or None
        return Facts.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CorruptData(f"facts of {host} cannot be used: {field}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"facts of {host} cannot be used: {error}") from None
