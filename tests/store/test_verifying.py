"""Whatever somebody does to the ledger behind its back is found, and said where."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from store.ledger import Head, Ledger, Verified, heads
from store.ledger.rows import hash_of

from .asked import kept_by
from .tampering import change

KEY = Ed25519PrivateKey.generate()


async def _verify(path: Path, *signed: heads.SignedHead) -> Verified:
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        return await ledger.verify(signed)


def _rows(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM ledger ORDER BY position")]


def _body(path: Path, position: int, **event: Any) -> str:
    plain = json.loads(_rows(path)[position - 1]["body"])
    plain["event"] |= event
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _swapped(path: Path, one: int, other: int) -> None:
    for was, now in ((one, -1), (other, one), (-1, other)):
        change(path, "UPDATE ledger SET position = ? WHERE position = ?", now, was)


def _inserted(path: Path) -> None:
    """One more event of the first request, between two others, hashed as it should be."""
    change(path, "UPDATE ledger SET position = position + 100 WHERE position > 4")
    change(path, "UPDATE ledger SET position = position - 99 WHERE position > 100")
    row = _rows(path)[3]
    body = _body(path, 2, sequence=3, who="mallory").replace('"sequence":2', '"sequence":3')
    row |= {"position": 5, "sequence": 3, "request": "pay.1", "execution": "run-of-pay.1"}
    row |= {"body": body, "previous": row["hash"], "hash": hash_of(row["hash"], 5, body)}
    marks = ", ".join("?" * len(row))
    change(path, f"INSERT INTO ledger ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608


def _rehashed(path: Path, position: int) -> None:
    """Another reviewer, with a hash of its own that fits."""
    body = _body(path, position, who="mallory")
    hash = hash_of(_rows(path)[position - 1]["previous"], position, body)
    statement = "UPDATE ledger SET body = ?, hash = ?, who = 'mallory' WHERE position = ?"
    change(path, statement, body, hash, position)


async def test_what_nobody_touched_has_no_fault(file: Path) -> None:
    found = await _verify(file)
    assert (found.rows, found.head.position, found.faults, found.count) == (7, 7, [], 0)
    assert found.head.hash == _rows(file)[-1]["hash"]


_SWAPPED = ("does not continue", "hash")
SET = "UPDATE ledger SET {} WHERE position = {}".format
TAMPERED: dict[str, tuple[Callable[[Path], None], list[tuple[int | str | None, str]]]] = {
    "a body": (
        lambda path: change(path, SET("body = ?", 2), _body(path, 2, who="mallory")),
        [(2, "it was changed"), (2, "columns to search by differ from the row itself: who")],
    ),
    "a body that is no JSON": (
        lambda path: change(path, SET("body = 'gone'", 2)),
        [(2, "it was changed"), (2, "its body is none")],
    ),
    "what a row is searched by": (
        lambda path: change(path, SET("status = 'rejected', reviewer = 'eve'", 2)),
        [(2, "columns to search by differ from the row itself: status, reviewer")],
    ),
    "a body and its hash": (
        lambda path: _rehashed(path, 2),
        [(3, "it does not continue the row before")],
    ),
    "two rows exchanged": (
        lambda path: _swapped(path, 2, 4),
        [(at, word) for at in (2, 3, 4, 5) for word in _SWAPPED if at in (2, 4) or word != "hash"],
    ),
    "one taken out of the middle": (
        lambda path: change(path, "DELETE FROM ledger WHERE position = 2"),
        [(3, "row 2 is missing")],
    ),
    "the beginning": (
        lambda path: change(path, "DELETE FROM ledger WHERE position <= 3"),
        [(4, "rows 1 to 3 are missing"), (None, "1 events are here, and the last is number 2")],
    ),
    "one put in": (
        _inserted,
        [
            (5, "differ from the row itself: who"),
            (6, "does not continue"),
            (6, "moved"),
            (7, "moved"),
            (8, "moved"),
        ],
    ),
    "text that is none": (
        lambda path: change(path, SET("who = CAST(x'ff' AS TEXT)", 2)),
        [(2, "columns to search by differ from the row itself: who")],
    ),
    "a body that is no text": (
        lambda path: change(path, SET("body = CAST(body AS BLOB)", 2)),
        [(2, "body can't be read"), (3, "row 2 is missing")],
    ),
    "a position that is none": (
        lambda path: change(path, SET("position = 'last'", 7)),
        [("last", "position can't be read")],
    ),
    "a position below the first": (
        lambda path: change(path, SET("position = 0", 1)),
        [(0, "its position is none"), (0, "moved"), (2, "row 1 is missing")],
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_done_to_it_is_found_and_said_where(file: Path, what: str) -> None:
    tamper, said = TAMPERED[what]
    tamper(file)
    found = await _verify(file)
    assert [one.position for one in found.faults] == [position for position, _ in said]
    for fault, (_, words) in zip(found.faults, said, strict=True):
        assert words in fault.text
    named = [one for one in found.faults if one.sequence is not None]
    assert all(one.request in ("pay.1", "pay.2", "pay.3") for one in named)


async def test_only_a_signed_head_tells_that_the_end_was_cut_off(file: Path) -> None:
    async with Ledger.open(f"sqlite:///{file}") as ledger:
        early = heads.sign(Head(4, await ledger.hash_at(4) or ""), KEY)
        last = heads.sign(await ledger.head(), KEY)
    change(file, "DELETE FROM ledger WHERE position > 4")
    assert (await _verify(file)).count == 0
    found = await _verify(file, early, last)
    assert found.heads == 2
    (fault,) = found.faults
    assert fault.text == (
        f"the ledger ends at 4, and a head signed at {last.at} says 7: its end was cut off"
    )


async def test_only_a_signed_head_tells_that_all_of_it_was_written_anew(file: Path) -> None:
    async with Ledger.open(f"sqlite:///{file}") as ledger:
        last = heads.sign(await ledger.head(), KEY)
    other = file.with_name("other.db")
    async with Ledger.open(f"sqlite:///{other}") as ledger:
        await ledger.append([kept_by("eve", id=f"pay.{number}") for number in range(4)])
    assert (await _verify(other)).count == 0
    (fault,) = (await _verify(other, last)).faults
    assert (fault.position, fault.request) == (7, "pay.3")
    assert f"signed at {last.at}" in fault.text


async def test_of_many_faults_twenty_are_told_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        await ledger.append([kept_by("ada", id=f"pay.{number}") for number in range(20)])
    change(path, "DROP TRIGGER ledger_not_changed")
    change(path, "UPDATE ledger SET who = 'eve'")
    found = await _verify(path)
    assert (len(found.faults), found.count, found.rows) == (20, 40, 40)


async def test_what_the_owner_of_a_postgresql_does_is_found_as_well(on_postgresql: str) -> None:
    async with Ledger.open(on_postgresql) as ledger:
        await ledger.append([kept_by("ada"), kept_by("bob", id="pay.2")])
        async with ledger._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE ledger DISABLE TRIGGER ledger_is_kept"))
            await connection.execute(text("UPDATE ledger SET who = 'eve' WHERE position = 2"))
            await connection.execute(text("DELETE FROM ledger WHERE position = 3"))
        found = await ledger.verify()
    assert [(one.position, one.request) for one in found.faults] == [
        (2, "pay.1"),
        (4, "pay.2"),
        (None, "pay.2"),
    ]
    assert [one.text for one in found.faults] == [
        "columns to search by differ from the row itself: who",
        "row 3 is missing before it",
        "1 events are here, and the last is number 2",
    ]
