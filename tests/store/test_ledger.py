"""Appending to the ledger and reading from it, on both databases."""

import asyncio
import contextlib
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from clearance import InvalidRequest
from clearance.kept import Kept
from clearance.views import Event
from store.ledger import Ledger, LedgerAway, Written, is_ours
from tests.client.records import DAY, START, vote

from .asked import QUEUE, asked, kept, kept_by


def _executed(one: Kept, at: Any = START + DAY) -> Kept:
    events = one.view.events
    ran = Event(sequence=len(events) + 1, at=at, kind="executed", channel="engine")
    return one.model_copy(update={"view": one.view.model_copy(update={"events": [*events, ran]})})


async def test_a_request_is_written_once_and_what_comes_later_is_added(ledger: Ledger) -> None:
    record = asked(audience=("ada", "bob"), quorum=2)
    vote(record, "ada")
    waiting = kept(record)
    assert await ledger.append([]) == 0
    assert await ledger.append([waiting]) == 2
    assert await ledger.view("pay.1") is None
    pair = ("pay.1", "run-of-pay.1")
    assert await ledger.kept_of([pair, ("no", "no")]) == {pair: Written(2, None, False)}

    vote(record, "bob")
    ended = kept(record)
    assert await ledger.append([ended, ended]) == 1
    assert await ledger.append([waiting, ended]) == 0
    assert await ledger.view("pay.1") == ended.view
    assert await ledger.append([_executed(ended)]) == 1
    assert await ledger.view("pay.1") == _executed(ended).view
    told = (await ledger.kept_of([pair]))[pair]
    assert (told, told.ended) == (Written(4, "approved", True), True)
    assert (await ledger.head()).position == 4
    assert (await ledger.verify()).count == 0


async def test_what_is_written_stays_when_a_record_says_otherwise_later(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = kept_by("ada", says={"reason": "fine"}), kept_by("ada", says={"reason": "no!"})
    await ledger.append([first])
    with caplog.at_level(logging.WARNING, "store.ledger"):
        assert await ledger.append([other, kept_by("bob", id="pay.2")]) == 2
    assert await ledger.view("pay.1") == first.view
    assert "request pay.1, execution run-of-pay.1, event 2" in caplog.text
    assert "no!" not in caplog.text


async def test_one_that_is_refused_keeps_all_of_a_batch_out(ledger: Ledger) -> None:
    good = kept_by("ada")
    bad = good.model_copy(update={"view": good.view.model_copy(update={"complete": False})})
    with pytest.raises(InvalidRequest):
        await ledger.append([good, bad])
    assert (await ledger.head()).position == 0


async def test_writers_that_come_together_leave_no_gap_and_write_nothing_twice(
    address: str,
) -> None:
    same = [kept_by("ada", id=f"same.{number}") for number in range(8)]

    async def writer(name: str) -> int:
        async with Ledger.open(address) as mine:
            own = [kept_by("bob", id=f"{name}.{number}") for number in range(8)]
            return sum([await mine.append([*pair]) for pair in zip(own, same, strict=True)])

    written = await asyncio.gather(*map(writer, "abcd"))
    async with Ledger.open(address) as ledger:
        found = await ledger.verify()
        assert (found.rows, found.head.position, found.count) == (80, 80, 0)
        assert sum(written) == 80
        assert await ledger.view("same.3") == same[3].view


async def test_of_two_executions_the_one_asked_last_is_told(ledger: Ledger) -> None:
    new = kept(_approved(at=START + DAY), "second")
    old = kept(_approved(at=START), "first")
    await ledger.append([new])
    await ledger.append([old])
    assert await ledger.view("pay.1") == new.view
    lines = (await ledger.finished(QUEUE, {})).items
    assert [one.requested_at for one in lines] == [START + DAY, START]


def _approved(at: Any) -> Any:
    record = asked(at=at)
    assert vote(record, "ada", now=at) is None
    return record


async def test_the_history_shows_what_ended_and_fits(ledger: Ledger) -> None:
    run: dict[str, Any] = {"run_id": "run.7", "tool": "pay", "requester": "zoe", "risk": "high"}
    await ledger.append(
        [
            kept_by("Zoë", id="run.7.1", checkpoint="big", **run),
            kept_by("ada", id="run.7.x", at=START + DAY, says={"approved": False}, **run),
            kept_by("ada", id="other", queue="elsewhere"),
            kept_by(id="waits"),
        ]
    )
    expired = asked("late", START + 2 * DAY)
    expired.expire(START + 9 * DAY)
    await ledger.append([kept(expired)])

    async def ids(**asked: Any) -> list[str]:
        return [one.id for one in (await ledger.finished(QUEUE, {**asked})).items]  # type: ignore[typeddict-item]

    assert await ids() == ["late", "run.7.x", "run.7.1"]
    assert await ids(run="run.7") == ["run.7.1"]
    assert await ids(requester="zoe") == ["run.7.x", "run.7.1"]
    assert await ids(checkpoint="big", risk="high", tool="pay") == ["run.7.1"]
    assert await ids(reviewer="ZOË") == ["run.7.1"]
    assert await ids(status="rejected") == ["run.7.x"]
    assert await ids(since=START + DAY, until=START + 9 * DAY) == ["run.7.x"]
    assert await ids(tool="' OR 1=1 --") == []
    late, rejected, first = (await ledger.finished(QUEUE, {})).items
    assert (late.status, late.reason, late.decision) == ("expired", "nobody decided in time", None)
    assert (rejected.status, rejected.requester) == ("rejected", "zoe")
    assert first.decision is not None
    assert (first.decision.reviewer, first.risk, first.closed_at) == ("Zoë", "high", START)
    assert [vote.who for vote in first.approvals] == ["Zoë"]
    for bad in ({"status": "pending"}, {"since": START.replace(tzinfo=None)}, {"tool": "a\0"}):
        with pytest.raises(InvalidRequest):
            await ids(**bad)


async def test_pages_of_what_ended_at_once_hold_each_of_them_once(
    ledger: Ledger,
) -> None:
    await ledger.append([kept_by("ada", id=f"pay.{number}") for number in range(150)])
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = await ledger.finished(QUEUE, {"tool": "pay"}, size=22, after=cursor)
        if pages == 2:  # what comes in between moves none of the others
            later = [kept_by("bob", id=f"new.{number}", at=START + DAY) for number in range(20)]
            await ledger.append(later)
        seen += [one.id for one in page.items]
        cursor, pages = page.cursor, pages + 1
        assert cursor is None or is_ours(cursor)
    assert seen == [f"pay.{number}" for number in reversed(range(150))]
    assert pages == 7


async def test_a_cursor_that_is_none_or_of_another_list_is_refused(ledger: Ledger) -> None:
    await ledger.append([kept_by("ada", id=f"pay.{number}") for number in range(3)])
    cursor = (await ledger.finished(QUEUE, {}, size=1)).cursor
    assert cursor
    for bad in ("", "l.", "l.###", cursor[:-2], cursor[2:], cursor + "A", "ü", "l." + "A" * 999):
        with pytest.raises(InvalidRequest, match="not of this list"):
            await ledger.finished(QUEUE, {}, after=bad)
    with pytest.raises(InvalidRequest, match="not of this list"):
        await ledger.finished(QUEUE, {"tool": "pay"}, after=cursor)
    for size in (0, 1_001):
        with pytest.raises(InvalidRequest, match="a page has"):
            await ledger.finished(QUEUE, {}, size=size)


async def test_ids_are_found_by_how_they_begin_or_end(ledger: Ledger) -> None:
    ids = ("pay-7f3k.1", "pay-7f3k.2", "PAY-9.1", "a%b", "50_%", "ärger.1")
    await ledger.append([kept_by("ada", id=id) for id in ids])
    await ledger.append([kept_by(id="pay-waits")])
    assert await ledger.matching("pay-7f3k.1") == ["pay-7f3k.1"]
    assert await ledger.matching("pay") == ["pay-7f3k.1", "pay-7f3k.2"]
    assert await ledger.matching("k.2") == ["pay-7f3k.2"]
    assert await ledger.matching("PAY") == ["PAY-9.1"]
    assert await ledger.matching("%") == ["50_%"]
    assert await ledger.matching("ärg") == ["ärger.1"]
    assert await ledger.matching("%b") == ["a%b"]
    assert await ledger.matching("nothing") == []


async def test_rows_are_exported_in_order_as_far_as_they_fit(ledger: Ledger) -> None:
    await ledger.append([kept_by("ada", id="one", tool="pay")])
    await ledger.append([kept_by("Zoë", id="two", tool="mail", at=START + DAY)])

    async def positions(**narrowed: Any) -> list[int]:
        return [row.position async for row in ledger.rows(**narrowed)]

    assert await positions() == [1, 2, 3, 4]
    assert await positions(tool="mail") == [3, 4]
    assert await positions(reviewer="zoë") == [4]
    assert await positions(id="one", reviewer="ADA") == [2]
    assert await positions(since=START + DAY) == [3, 4]
    assert await positions(until=START + timedelta(seconds=1)) == [1, 2]


async def test_how_far_somebody_is_can_be_noted(ledger: Ledger) -> None:
    assert await ledger.mark("reconciled") is None
    await ledger.set_mark("reconciled", "2026")
    await ledger.set_mark("reconciled", "2027")
    assert await ledger.mark("reconciled") == "2027"


async def test_a_writer_who_is_cut_off_leaves_all_of_it_or_nothing(address: str) -> None:
    whole = [kept_by("ada", id=f"pay.{number}") for number in range(40)]
    async with Ledger.open(address) as ledger:
        for tries in range(12):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(tries / 500):
                    await ledger.append(whole)
            assert (await ledger.head()).position in (0, 80)
        await ledger.append(whole)
        found = await ledger.verify()
        assert (found.rows, found.count) == (80, 0)


async def test_a_disk_that_is_full_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with Ledger.open(address) as ledger:
        await ledger.append([kept_by("ada")])
        before = await ledger.head()
        async with ledger._engine.connect() as connection:
            pages = await connection.scalar(_pragma("page_count"))
            await connection.execute(_pragma(f"max_page_count={pages}"))
        large = [
            kept_by("ada", id=f"large.{number}", details="x" * 60_000, tool=None, arguments={})
            for number in range(5)
        ]
        with pytest.raises(LedgerAway, match="full"):
            await ledger.append(large)
        assert await ledger.head() == before
    async with Ledger.open(address) as ledger:
        assert await ledger.append(large) == 10
        assert (await ledger.verify()).count == 0


def _pragma(words: str) -> Any:
    return text(f"PRAGMA {words}")
