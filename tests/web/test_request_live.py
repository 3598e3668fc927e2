"""What an open page of a request is told, as it happens."""

import json

import httpx
import pytest

from clearance import ApprovalClient, ApprovalRequest
from cli.settings import Settings
from tests.agent_runs import Start
from tests.directory import ADA, BOB
from tests.office import policed
from tests.support import call, unique
from web.context import Context
from web.pages.request_live import live_path, stamp

from .conftest import SignedIn

STAGED = ApprovalRequest(action="Pay", audience=(ADA, BOB), quorum=2)

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, 'default = "gate"')


class Stream:
    """The events of one stream, in order."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, str] | None:
        """Kind and data of the next; None at the end."""
        kind = ""
        async for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return kind, line.removeprefix("data: ")
        return None


@with_a_worker
async def test_whatever_a_reader_would_see_is_told_and_the_end_ends_it(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(STAGED)
    client = await signed_in(ADA)

    where = live_path(await approvals.get(asked.id))
    async with client.stream("GET", where, timeout=30) as answer:
        stream = Stream(answer)
        assert answer.headers["content-type"].startswith("text/event-stream")
        await approvals.viewed(asked.id, who=BOB)  # tells nobody anything to decide by
        await approvals.comment(asked.id, "Hm", who=BOB)
        said = stamp(await approvals.get(asked.id))
        assert await stream.next() == ("changed", said)
        await approvals.approve(asked.id, reviewer=BOB)
        voted = stamp(await approvals.get(asked.id))
        assert await stream.next() == ("changed", voted)
        await approvals.reject(asked.id, reviewer=ADA)
        over = stamp(await approvals.get(asked.id))
        assert await stream.next() == ("changed", over)
        assert await stream.next() == ("settled", over)
        assert await stream.next() is None
    assert len({said, voted, over}) == 3


@with_a_worker
async def test_a_page_that_is_behind_is_told_at_once(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(STAGED)
    where = live_path(await approvals.get(asked.id))
    await approvals.comment(asked.id, "Hm", who=ADA)
    client = await signed_in(ADA)

    async with client.stream("GET", where, timeout=30) as answer:
        first = await Stream(answer).next()

    assert first == ("changed", stamp(await approvals.get(asked.id)))


async def test_an_approval_is_settled_once_the_run_that_asked_has_ended(
    play: Start, approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    arguments = json.dumps({"to": "Kim", "cents": 5})
    async with play([call("pay", arguments)], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        where = live_path(await approvals.get(waiting.id))
        client = await signed_in(ADA)
        async with client.stream("GET", where, timeout=30) as answer:
            stream = Stream(answer)
            await approvals.approve(waiting.id, reviewer=ADA)
            told = []
            while event := await stream.next():
                told.append(event)
        events = [one.kind for one in (await approvals.get(waiting.id)).events]

    assert [kind for kind, _ in told][-2:] == ["changed", "settled"]
    assert events[-1] == "executed"


@with_a_worker
async def test_it_is_told_only_to_who_is_signed_in_and_of_what_there_is(
    approvals: ApprovalClient, browser: httpx.AsyncClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(STAGED)
    client = await signed_in(ADA)

    stranger = await browser.get(f"/live/requests/{asked.id}", headers={"HX-Request": "true"})
    stranger_anywhere = await browser.get(f"/live/requests/{unique('no')}")
    nothing = await client.get(f"/live/requests/{unique('no')}")

    assert (stranger.status_code, stranger_anywhere.status_code) == (401, 303)
    assert nothing.status_code == 404


@with_a_worker
async def test_the_inbox_stops_while_somebody_listens_and_does_not_say_that_it_is_settled(
    approvals: ApprovalClient, signed_in: SignedIn, inbox: Context
) -> None:
    asked = await approvals.request(STAGED)
    client = await signed_in(ADA)

    async with client.stream("GET", f"/live/requests/{asked.id}?seen=x", timeout=30) as answer:
        stream = Stream(answer)
        assert (await stream.next() or ("", ""))[0] == "changed"
        inbox.stopping.set()
        inbox.live.close()
        assert await stream.next() is None
