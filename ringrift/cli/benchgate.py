"""`ringrift-ctl bench gate`: how often the promotion gate's registered tests decide wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, note, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.learning.gates import OperatingPoint
    from ringrift.learning.sprt import Test

_STEPS = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Strengths of the candidate, as shares of the way from elo0 to elo1."""


@dataclass(frozen=True)
class Curve:
    """The operating curve of one test. `kept` tells whether both error rates lie within their bounds."""

    purpose: str
    players: int
    elo0: float
    elo1: float
    alpha: float
    beta: float
    max_blocks: int
    points: list[OperatingPoint]
    kept: bool


def gate(
    context: typer.Context,
    gates: Annotated[int, typer.Option(min=100, max=1_000_000, help="Gates of each figure.")] = 10_000,
    players: Annotated[list[int] | None, typer.Option(min=2, max=4, help="Seats (2, 3 and 4).")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="The 0.1 % tests instead of the 5 % ones.")
    ] = False,
    policy: Annotated[Path | None, typer.Option(help="A policy file instead of the packaged one.")] = None,
    ends: Annotated[bool, typer.Option("--ends", help="Only the two strengths that have a bound.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    json: Json = False,
) -> None:
    """Simulate promotion gates with candidates of known strength: the operating curves of the gate's tests.

    One against the champion, one that a model is not worse than a former champion, and the mirror test.
    Exit status 1 when more than the registered share of gates decides wrongly (beyond chance).
    """
    from ringrift.control.domain.policy import MIRROR
    from ringrift.learning.gates import WORLDS, operating_point

    curves = []
    for count in players or (2, 3, 4):
        for purpose, test in _registered(count, strict, policy).items():
            note(f"{count} players, {purpose}: {gates:,} gates at each strength")
            steps = (0.0, 1.0) if ends else _STEPS
            strengths = [test.elo0 + step * (test.elo1 - test.elo0) for step in steps]
            even = purpose == MIRROR
            points = [
                operating_point(test, world, elo, gates, seed, even=even)
                for world in WORLDS
                for elo in strengths
            ]
            curves.append(_curve(purpose, test, points))
    output(context, json).data(curves, lambda: _drawn(curves))
    if not all(curve.kept for curve in curves):
        raise typer.Exit(1)


def _registered(players: int, strict: bool, file: Path | None = None) -> dict[str, Test]:
    """Return the tests against champions and the mirror test that a policy orders, by purpose."""
    from ringrift.control.domain.policy import MIRROR, NON_INFERIORITY, SUPERIORITY
    from ringrift.control.policy import packaged_policy, read_policy

    policy = read_policy(file) if file else packaged_policy()
    if strict:
        policy = policy.with_errors("strict")
    return {
        purpose: policy.test(players, purpose, "a model")
        for purpose in (SUPERIORITY, NON_INFERIORITY, MIRROR)
    }


def _curve(purpose: str, test: Test, points: list[OperatingPoint]) -> Curve:
    at0 = [point for point in points if point.elo == test.elo0]
    at1 = [point for point in points if point.elo == test.elo1]
    if purpose == "mirror":  # accepts at elo0; alpha holds for either side
        wrong = [1 - point.share - point.error <= 2 * test.alpha for point in at0]
        missed = [point.share - point.error <= test.beta for point in at1]
    else:
        wrong = [point.share - point.error <= test.alpha for point in at0]
        missed = [1 - point.share - point.error <= test.beta for point in at1]
    return Curve(
        purpose=purpose,
        players=test.players,
        elo0=test.elo0,
        elo1=test.elo1,
        alpha=test.alpha,
        beta=test.beta,
        max_blocks=test.max_blocks,
        points=points,
        kept=all(wrong + missed),
    )


def _drawn(curves: list[Curve]) -> RenderableType:
    from rich.console import Group

    from ringrift.cli.output import table

    headers = ("games", "strength>", "accepted>", "+-95 %>", "undecided>", "blocks>", "p95>")
    return Group(
        *(
            table(
                headers,
                (
                    (
                        point.world,
                        f"{point.elo:+.1f}",
                        f"{point.share:.2%}",
                        f"{point.error:.2%}",
                        point.undecided,
                        f"{point.mean_blocks:.0f}",
                        f"{point.p95_blocks:.0f}",
                    )
                    for point in curve.points
                ),
                f"{curve.players} players, {curve.purpose}: {curve.elo0:g} against {curve.elo1:g} normalised "
                f"Elo, {curve.alpha:.1%}/{curve.beta:.1%}, at most {curve.max_blocks} blocks: "
                f"{'within its bounds' if curve.kept else 'NOT within its bounds'}",
            )
            for curve in curves
        )
    )
