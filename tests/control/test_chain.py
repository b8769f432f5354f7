"""The audit chain notices every kind of tampering."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ringrift.control.domain.chain import GENESIS, Entry, digest, verify
from ringrift.control.store.events import record, verify_chain
from ringrift.control.store.store import Store

ENTRIES = [Entry(number, 1.5 * number, "ann", "act", "thing", {"n": number}) for number in range(1, 6)]


def chained(entries: list[Entry]) -> list[tuple[Entry, str]]:
    rows, previous = [], GENESIS
    for entry in entries:
        previous = digest(previous, entry)
        rows.append((entry, previous))
    return rows


ROWS = chained(ENTRIES)
HEAD = (5, ROWS[-1][1])


def test_an_untouched_chain_is_sound() -> None:
    assert verify(ROWS, HEAD).sound and verify(ROWS, HEAD).rows == 5
    assert verify([], (0, GENESIS)).sound


@pytest.mark.parametrize(
    ("rows", "first_bad"),
    [
        ([*ROWS[:2], (Entry(3, 4.5, "eve", "act", "thing", {"n": 3}), ROWS[2][1]), *ROWS[3:]], 3),
        ([*ROWS[:2], *ROWS[3:]], 3),
        ([ROWS[1], ROWS[0], *ROWS[2:]], 1),
        (ROWS[:4], 5),
        ([], 1),
        ([*ROWS, (Entry(6, 9.0, "eve", "act", "thing", {}), "0" * 64)], 6),
        (chained([*ENTRIES[:4], Entry(5, 7.5, "eve", "act", "thing", {"n": 5})]), 5),
    ],
    ids=["changed", "missing", "reordered", "cut off", "emptied", "added", "rechained to another head"],
)
def test_tampering_is_found_at_its_row(rows, first_bad: int) -> None:
    found = verify(rows, HEAD)
    assert not found.sound and found.first_bad == first_bad


async def test_a_row_changed_in_the_database_is_found(store: Store) -> None:
    for number in range(4):
        await store.write(
            "test", lambda session, n=number: record(session, "ann", "act", "thing", n=n, share=0.1)
        )
    assert (await store.read(verify_chain)).sound
    await store.write(
        "test", lambda session: session.execute(text("UPDATE event SET actor = 'eve' WHERE id = 2"))
    )
    found = await store.read(verify_chain)
    assert not found.sound and found.first_bad == 2


async def test_rows_deleted_at_the_end_are_found(store: Store) -> None:
    for _ in range(3):
        await store.write("test", lambda session: record(session, "ann", "act", "thing"))
    await store.write("test", lambda session: session.execute(text("DELETE FROM event WHERE id = 3")))
    assert (await store.read(verify_chain)).first_bad == 3
