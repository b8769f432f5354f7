"""Whatever happens in whatever order: the gate opens exactly when all was shown, and every name is true."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, col, select

from ringrift.control.store.engine import database_url
from ringrift.control.store.tables import Alias, Artifact, Evaluation, Model, Promotion
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, World, small_settings

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("attempt"), st.sampled_from([2, 8, 8, 8]), st.integers(0, 5)),
        st.tuples(st.just("attempt"), st.just(8), st.just(5)),
        st.tuples(st.just("promote")),
        st.tuples(st.just("override")),
        st.tuples(st.just("rollback")),
        st.tuples(st.just("weights_go"), st.integers(0, 3)),
        st.tuples(st.just("reject")),
        st.tuples(st.just("restart")),
    ),
    min_size=3,
    max_size=8,
)
THREE_CHAMPIONS = [("attempt", 8, 5)] * 3
RECONCILED = ("evaluation verdicts", "evaluation tests", "aliases")


def champions(session: Session) -> list[str]:
    """Return the models that were champion, the newest first; one may be there more than once."""
    query = select(Promotion.model).where(Promotion.config == CONFIG)
    return list(session.exec(query.order_by(col(Promotion.generation).desc())).all())


def candidate(session: Session) -> str | None:
    query = select(Model.sha256).where(Model.state == "candidate").order_by(col(Model.made_at).desc())
    return session.exec(query.limit(1)).first()


def is_proven(session: Session, model: str) -> bool:
    """Tell from the rows, without the code of the gate, whether a model has shown all that is asked."""
    stood = champions(session)
    stored = set(session.exec(select(Artifact.sha256).where(col(Artifact.deleted_at).is_(None))).all())
    former = [name for name in dict.fromkeys(stood) if name in stored and name not in (stood[0], model)]
    rows = session.exec(select(Evaluation).where(Evaluation.candidate == model)).all()
    passed = {(row.registration["purpose"], row.opponent) for row in rows if row.state == "accepted"}
    beaten = ("superiority", stood[0] if stood else "random") in passed
    return beaten and {"random", *former[:3]} <= {opponent for _, opponent in passed}


class Play:
    """Carries random steps out, as operators and agents do."""

    def __init__(self, world: World) -> None:
        self.world, self.made = world, 0

    async def attempt(self, blocks: int, tests: int) -> None:
        """Promote a new candidate with so many of its tests, each of so many won blocks; 2 decide nothing."""
        self.made += 1
        parent = next(iter(await self.world.read(champions)), None)
        await with_candidates(self.world, f"m{self.made}", blocks=blocks, champion=parent, tests=tests)
        await self.promote()

    async def promote(self) -> None:
        model = await self.world.read(candidate)
        if model is None:
            return
        expected = await self.world.read(lambda s: is_proven(s, model))
        wish = {"config": CONFIG, "model": model}
        answers = await asyncio.gather(*(self.world.http.post("/v1/promotions", json=wish) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == ([200, 409] if expected else [409, 409])

    async def override(self) -> None:
        model = await self.world.read(candidate)
        if model is not None:
            wish = {"config": CONFIG, "model": model, "override": True, "reason": "it must be"}
            await self.world.post("/promotions", wish)

    async def rollback(self) -> None:
        await self.world.http.post(f"/v1/rollback/{CONFIG}")

    async def weights_go(self, age: int) -> None:
        stood = list(dict.fromkeys(await self.world.read(champions)))[1:]
        gone = text("UPDATE artifact SET deleted_at = 1.0 WHERE sha256 = :name")
        for name in stood[age : age + 1]:
            await self.world.write(lambda s, name=name: s.execute(gone, {"name": name}))

    async def reject(self) -> None:
        await self.world.write(
            lambda s: s.execute(text("UPDATE model SET state = 'rejected' WHERE state = 'candidate'"))
        )

    async def restart(self) -> None:
        await self.world.restart()

    async def check(self) -> None:
        """Hold the names against the rows, after every step and after what the reconcilers make of it."""
        said, rows, waiting = await self.world.read(_contents)
        last = rows[-1] if rows else None
        assert said.get("champion") == (last.model if last else None)
        assert said.get("previous") == (last.previous if last else None)
        if "challenger" in said:
            assert said["challenger"] in waiting


def _contents(session: Session) -> tuple[dict[str, str], list[Promotion], set[str]]:
    said = {row.name: row.model for row in session.exec(select(Alias)).all()}
    rows = session.exec(select(Promotion).order_by(col(Promotion.generation))).all()
    query = (
        select(Model.sha256)
        .join(Evaluation, col(Evaluation.candidate) == col(Model.sha256))
        .where(Model.state == "candidate", Evaluation.opponent == said.get("champion", "random"))
        .where(col(Evaluation.state).in_(("running", "accepted")))
    )
    return said, list(rows), set(session.exec(query).all())


async def play(home: Path, steps: list[tuple[Any, ...]]) -> None:
    world = World(database_url(home, None), home, small_settings())
    game = Play(world)
    try:
        for name, *arguments in [*THREE_CHAMPIONS, *steps]:
            await getattr(game, name)(*arguments)
            await world.reconcile(*RECONCILED)
            await game.check()
        assert (await world.get("/audit/verify"))["sound"]
    finally:
        await world.close()


@given(steps=STEPS)
@example(steps=[("attempt", 8, number) for number in (1, 2, 3, 4)])
@example(steps=[("attempt", 8, 5), ("attempt", 8, 4), ("weights_go", 2), ("promote",)])
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_gate_opens_exactly_when_all_was_shown_and_every_name_says_the_truth(
    steps, migrated_sqlite: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated_sqlite, Path(folder) / "ringrift.db")
        asyncio.run(play(Path(folder), steps))
