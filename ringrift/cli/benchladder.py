"""`ringrift-ctl bench ladder`: does every level beat the level two below it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, note, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.game.config import GameConfig
    from ringrift.learning.rungs import Net, Rung


def ladder(
    context: typer.Context,
    config: Annotated[list[str] | None, typer.Option(help="A config such as hex8_2p (all twelve).")] = None,
    level: Annotated[
        list[int] | None, typer.Option(min=3, max=10, help="The higher level (3 to 10).")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder with manifest.json, as the service reads it: levels 5 to 10.")
    ] = None,
    games: Annotated[int, typer.Option(min=8, max=100_000, help="Most games of a pair.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="The same seed plays the same games.")] = 1,
    json: Json = False,
) -> None:
    """Test every level against the one two below it: 60 % of the games of two players, 5 % / 5 %.

    Without --models only levels 3 and 4, which need none. Exit status 1 unless every pair is accepted.
    """
    from ringrift.game.config import ALL_CONFIGS, GameConfig
    from ringrift.learning.rungs import STEP, climb
    from ringrift.players.ladder import HIGHEST, LEVELS

    configs = [GameConfig.parse(key) for key in config] if config else list(ALL_CONFIGS)
    free = [difficulty for difficulty, rung in LEVELS.items() if not rung.needs_model]
    levels = level or [step for step in range(1 + STEP, HIGHEST + 1) if models or step in free]
    nets = _nets(models, configs) if models else {}
    rungs = [
        climb(each, higher, nets.get(each.key), most_games=games, seed=seed, report=note)
        for each in configs
        for higher in levels
    ]
    output(context, json).data(rungs, lambda: _drawn(rungs))
    if not all(rung.verdict == "accept" for rung in rungs):
        raise typer.Exit(1)


def _nets(folder: Path, configs: list[GameConfig]) -> dict[str, Net]:
    """Return the nets of these configs in a folder of models; `BadInput` for a config that it lacks."""
    import os

    import torch

    from inference import engine
    from inference.manifest import read_manifest
    from inference.models import load_model
    from ringrift.errors import BadInput

    torch.set_num_threads(1)
    os.environ[engine.VARIABLE] = "torch"  # the arena's players know no other net
    entries = {entry.config.key: entry for entry in read_manifest(folder, None).entries}
    for config in configs:
        if config.key not in entries:
            raise BadInput(f"{folder} has no model of {config.key}", hint=f"it has {', '.join(entries)}")
    loaded = [load_model(entries[config.key]) for config in configs]
    return {model.config.key: (model.sha256, model.net) for model in loaded}


def _drawn(rungs: list[Rung]) -> RenderableType:
    from ringrift.cli.output import table

    headers = ("config", "level>", "against>", "games>", "won>", "asked>", "LLR>", "verdict", "time>")
    rows = [
        (
            rung.config,
            rung.higher,
            rung.lower,
            rung.games,
            f"{rung.share:.0%}",
            f"{rung.wanted:.0%}",
            f"{rung.llr:+.2f}",
            rung.verdict,
            f"{rung.seconds:.0f} s",
        )
        for rung in rungs
    ]
    return table(headers, rows, "5 % / 5 %, decided at an LLR of -2.94 or +2.94")
