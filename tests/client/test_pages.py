"""Lists a page at a time, for readers who keep nothing between two pages; and how many there are."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from clearance import (
    ApprovalClient,
    ApprovalRequest,
    ApprovalSummary,
    InvalidRequest,
    Page,
    filters,
)
from clearance.cursors import make_cursor, read_cursor
from cli.settings import Settings
from tests.support import eventually, unique

ADA: dict[str, Any] = {"reviewer": "ada@example.com"}
FOREIGN = "that cursor is not of this list: start again without"


async def listed(approvals: ApprovalClient, *asked: ApprovalRequest | str) -> list[str]:
    """Ask for these and wait until the listing has them; their ids, newest first."""
    found = [(await approvals.request(one)).id for one in asked]

    async def all_there() -> bool:
        return {one.id async for one in approvals.pending()} >= set(found)

    await eventually(all_there)
    return found[::-1]


def ids(page: Page[Any]) -> list[str]:
    return [one.id for one in page.items]


def tools(*names: str) -> list[ApprovalRequest]:
    return [ApprovalRequest(action="Deploy", tool=name) for name in names]


async def test_the_pages_together_are_the_list(approvals: ApprovalClient) -> None:
    every = await listed(approvals, *(f"Deploy {n}" for n in range(7)))
    whole = [one async for one in approvals.pending()]

    cursor: str | None = None
    pages: list[Page[ApprovalSummary]] = []
    while not pages or cursor:
        page = await approvals.page(size=3, cursor=cursor)
        cursor = page.cursor
        pages.append(page)

    assert [ids(page) for page in pages] == [every[:3], every[3:6], every[6:]]
    assert [one for page in pages for one in page.items] == whole
    assert (await approvals.page(size=1_000)).items == tuple(whole)


async def test_what_comes_and_goes_between_two_pages_moves_nothing_else(
    approvals: ApprovalClient,
) -> None:
    every = await listed(approvals, *(f"Deploy {n}" for n in range(4)))
    first = await approvals.page(size=2)
    [newest] = await listed(approvals, "Roll back")
    await approvals.temporal.get_workflow_handle(every[0]).terminate()

    async def changed() -> bool:
        return ids(await approvals.page()) == [newest, *every[1:]]

    await eventually(changed)
    assert ids(await approvals.page(size=2, cursor=first.cursor)) == every[2:]


async def test_a_list_of_nothing_is_one_page_of_nothing(approvals: ApprovalClient) -> None:
    page = await approvals.page()

    assert (page.items, page.cursor) == ((), None)
    assert await approvals.count() == 0


async def test_a_page_goes_on_until_something_fits(approvals: ApprovalClient) -> None:
    odd = 'a"b'  # only the client can tell
    every = await listed(approvals, *tools(odd, *["x"] * 5, odd, "x"))

    first = await approvals.page(size=1, tool=odd)
    second = await approvals.page(size=1, tool=odd, cursor=first.cursor)
    both = await approvals.page(size=2, tool=odd)

    assert ids(first) == [every[1]]
    assert ids(second) == [every[7]]
    assert (ids(both), both.cursor) == ([every[1], every[7]], None)
    rest = await approvals.page(size=2, tool="nothing", cursor=None)
    assert (rest.items, rest.cursor) == ((), None)


async def test_what_nobody_has_is_looked_for_a_little_at_a_time(
    approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = 'a"b'
    every = await listed(approvals, *tools(odd, *["x"] * 13))
    monkeypatch.setattr("clearance.listing._WIDE", 2)
    calls: list[int] = []
    lists = approvals.temporal.list_workflows

    def counted(query: str, **how: Any) -> Any:
        calls.append(how["page_size"])
        return lists(query, **how)

    monkeypatch.setattr(approvals.temporal, "list_workflows", counted)

    first = await approvals.page(size=1, tool=odd)
    assert (first.items, calls) == ((), [2] * 5)
    assert first.cursor is not None
    second = await approvals.page(size=1, tool=odd, cursor=first.cursor)

    assert ids(second) == [every[13]]
    assert calls == [2] * 7


@pytest.mark.parametrize("name", ["tool", "run", "risk", "requester", "checkpoint"])
@pytest.mark.parametrize("odd", ["\0", "a\nb", "a\x1b[2J", "\x7f", "\ud800"])
async def test_a_control_character_in_a_filter_is_refused_before_the_server_is_asked(
    approvals: ApprovalClient, name: str, odd: str
) -> None:
    narrowed: dict[str, Any] = {name: odd}
    message = f"{name}: write it without control characters"

    for asked in (
        approvals.page(**narrowed),
        approvals.count(**narrowed),
        approvals.history_page(**narrowed),
        anext(approvals.pending(**narrowed)),
        anext(approvals.history(**narrowed)),
    ):
        with pytest.raises(InvalidRequest, match=message):
            await asked


async def test_a_control_character_in_a_name_is_refused_too(approvals: ApprovalClient) -> None:
    for name, value in [("audience", "\0"), ("reviewer", "a\0"), ("also", ["group:x", "\0"])]:
        narrowed: dict[str, Any] = {name: value}
        with pytest.raises(InvalidRequest, match=f"{name}: write it without control characters"):
            await approvals.page(**narrowed)
    with pytest.raises(InvalidRequest, match="reviewer: write it without control characters"):
        await approvals.history_page(reviewer="\0")


async def test_a_cursor_is_text_for_a_url(approvals: ApprovalClient) -> None:
    await listed(approvals, *tools("pay", "pay", "pay"))

    cursor = (await approvals.page(size=1, tool="pay", **ADA)).cursor

    assert cursor is not None
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(cursor) < 1_000


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cursor: "",
        lambda cursor: "x",
        lambda cursor: "ä" * 40,
        lambda cursor: "A" * 22,
        lambda cursor: cursor[:-2],
        lambda cursor: cursor + "AAAA",
        lambda cursor: ("B" if cursor[0] == "A" else "A") + cursor[1:],
        lambda cursor: f" {cursor}",
        lambda cursor: cursor + "\x00",
        lambda cursor: "%" * 5_000,
    ],
)
async def test_a_cursor_that_is_none_is_refused(approvals: ApprovalClient, spoil: Any) -> None:
    await listed(approvals, "Deploy", "Deploy")
    cursor = (await approvals.page(size=1)).cursor

    with pytest.raises(InvalidRequest) as caught:
        await approvals.page(size=1, cursor=spoil(cursor))

    assert str(caught.value) == FOREIGN


async def test_a_cursor_of_another_list_is_refused(approvals: ApprovalClient) -> None:
    await listed(approvals, *tools("a", "a", "b", "b"))
    cursor = (await approvals.page(size=1, tool="a")).cursor

    others: list[dict[str, Any]] = [{"tool": "b"}, {}, {"tool": "a", "risk": "low"}]
    for other in others:
        with pytest.raises(InvalidRequest, match=FOREIGN):
            await approvals.page(size=1, cursor=cursor, **other)
    with pytest.raises(InvalidRequest, match=FOREIGN):
        await approvals.history_page(size=1, cursor=cursor, tool="a")
    assert len((await approvals.page(size=5, tool="a", cursor=cursor)).items) == 1


REAL = {
    "CloseTime": "9999-12-31T23:59:59Z",
    "StartTime": "2026-11-21T21:11:51.26319Z",
    "RunID": "01a1fff3-82df-72e5-9897-ea99563180fc",
}


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"x",
        b"{}",
        b"null",
        b"[]",
        b"\x00" * 100,
        b"{" * 1_500,
        b"[" * 1_900,
        b'{"CloseTime": 5}',
        json.dumps({**REAL, "RunID": "'"}).encode(),
        json.dumps({**REAL, "RunID": 'x"y'}).encode(),
        json.dumps({**REAL, "RunID": None}).encode(),
        json.dumps({**REAL, "StartTime": "soon"}).encode(),
        json.dumps({**REAL, "StartTime": "2026-99-21T21:11:51Z"}).encode(),
        json.dumps({**REAL, "CloseTime": 5}).encode(),
        json.dumps({**REAL, "runid": 5}).encode(),
        json.dumps({**REAL, "More": "x' OR 1=1"}).encode(),
        json.dumps({**REAL, "More": "x" * 2_000}).encode(),
        json.dumps({**REAL, "More": {}}).encode(),
        b'{"SearchAfter": 5}',
        b'{"SearchAfter": [[1]]}',
        b'{"SearchAfter": ["\'"]}',
    ],
)
async def test_a_cursor_that_temporal_cannot_have_made_is_not_sent_to_it(
    approvals: ApprovalClient, settings: Settings, token: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = filters.pending_query(queue=settings.approvals_queue)
    made_up = make_cursor(token, f"{approvals.temporal.namespace} {query}")
    monkeypatch.setattr(approvals.temporal, "list_workflows", None)  # not even called

    with pytest.raises(InvalidRequest, match=FOREIGN):
        await approvals.page(cursor=made_up)


@pytest.mark.parametrize(
    "token",
    [
        json.dumps(REAL).encode(),
        json.dumps({**REAL, "Later": 5, "StartTime": "2026-11-21T21:11:51+02:00"}).encode(),
        b'{"SearchAfter":[1795295511263190000,"01a1fff3-82df-72e5-9897-ea99563180fc",null,1.5]}',
    ],
)
def test_a_cursor_of_any_store_of_temporals_is_taken(token: bytes) -> None:
    assert read_cursor(make_cursor(token, "a list"), "a list") == token


@pytest.mark.parametrize("size", [0, -1, 1_001])
async def test_a_page_of_no_or_too_many_lines_is_refused(
    approvals: ApprovalClient, size: int
) -> None:
    for page in (approvals.page(size=size), approvals.history_page(size=size)):
        with pytest.raises(InvalidRequest, match="size: a page has 1 to 1,000 lines"):
            await page


async def test_the_count_is_of_what_the_filters_let_through(approvals: ApprovalClient) -> None:
    requests = [
        *tools("a", "a", "b"),
        ApprovalRequest(action="Deploy", audience=("Ada@example.com",)),
        ApprovalRequest(action="Deploy", audience=("bob",)),
    ]
    await listed(approvals, *requests)

    assert await approvals.count() == 5
    assert await approvals.count(tool="a") == 2
    assert await approvals.count(tool="nothing") == 0
    assert await approvals.count(**ADA) == 4
    assert await approvals.count(audience="ada@example.com") == 1


async def test_what_is_due_before_a_time_is_listed_and_counted(
    approvals: ApprovalClient,
) -> None:
    now = datetime.now(UTC)
    days = [timedelta(days=1), timedelta(days=3), None]
    never, later, soon = await listed(
        approvals, *(ApprovalRequest(action="Deploy", expires_in=one) for one in days)
    )
    for ahead, expected in [(0, []), (2, [soon]), (4, [later, soon])]:
        due = now + timedelta(days=ahead)
        local = due.astimezone()
        assert [one.id async for one in approvals.pending(due_before=due)] == expected
        assert ids(await approvals.page(due_before=local)) == expected
        assert await approvals.count(due_before=local) == len(expected)
    assert ids(await approvals.page(due_before=None)) == [never, later, soon]


async def test_a_time_without_its_zone_is_refused(approvals: ApprovalClient) -> None:
    naive = datetime(2026, 12, 1)  # noqa: DTZ001 - what is refused
    for asked in (approvals.page(due_before=naive), approvals.count(due_before=naive)):
        with pytest.raises(InvalidRequest, match="due_before: say the time zone"):
            await asked
    with pytest.raises(InvalidRequest, match="due_before: say the time zone"):
        _ = [one async for one in approvals.pending(limit=0, due_before=naive)]
    with pytest.raises(InvalidRequest, match="since: say the time zone"):
        await approvals.history_page(since=naive)
    with pytest.raises(InvalidRequest, match="status: a request ends approved"):
        await approvals.history_page(status="pending")


@pytest.mark.parametrize(
    "at",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
)
async def test_a_time_in_no_year_of_the_calendar_is_refused(
    approvals: ApprovalClient, at: datetime
) -> None:
    for name, asked in (
        ("due_before", approvals.page(due_before=at)),
        ("due_before", approvals.count(due_before=at)),
        ("since", approvals.history_page(since=at)),
        ("until", approvals.history_page(until=at)),
    ):
        with pytest.raises(InvalidRequest, match=f"{name}: the years go from 1 to 9999"):
            await asked


@pytest.mark.usefixtures("worker_running")
async def test_what_has_ended_comes_by_the_page_too(approvals: ApprovalClient) -> None:
    run = unique("run")
    every = [f"{run}.{n}" for n in range(1, 6)]
    for number, id in enumerate(every):
        await approvals.request("Deploy", id=id)
        await approvals.reject(id, reviewer="ada" if number % 2 else "bob", reason=str(number))
        await approvals.wait(id)

    async def all_there() -> bool:
        return ids(await approvals.history_page()) == every[::-1]

    await eventually(all_there)
    first = await approvals.history_page(size=3)
    second = await approvals.history_page(size=3, cursor=first.cursor)

    assert ids(first) + ids(second) == every[::-1]
    assert [one.reason for one in first.items] == ["4", "3", "2"]
    assert second.cursor is None
    assert ids(await approvals.history_page(reviewer="ADA")) == [every[3], every[1]]


async def test_many_readers_turn_pages_at_the_same_time(approvals: ApprovalClient) -> None:
    every = await listed(approvals, *(f"Deploy {n}" for n in range(6)))

    async def read() -> list[str]:
        page = await approvals.page(size=2)
        found = ids(page)
        while page.cursor:
            page = await approvals.page(size=2, cursor=page.cursor)
            found += ids(page)
        return found

    assert await asyncio.gather(*(read() for _ in range(5))) == [every] * 5
