"""The history: what has ended, narrowed and by the page."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from clearance import ApprovalClient
from tests.directory import ADA, BOB

from . import shared
from .asking import ask, ask_many, link, over, titles, words
from .conftest import SignedIn


class TestPast(shared.Own):
    """One approved, one rejected, one withdrawn."""

    @pytest.fixture(scope="class")
    @classmethod
    async def past(cls, approvals: ApprovalClient, worker_running: object) -> datetime:
        begun = datetime.now(UTC)
        yes = await ask(approvals, "Pay", tool="pay", requester="grace@example.com")
        no = await ask(approvals, "Mail", tool="mail")
        gone = await ask(approvals, "Trade", tool="trade")
        await approvals.approve(yes, reviewer=ADA, reason="<b>fine</b>")
        await over(approvals, yes)
        await approvals.reject(no, reviewer=BOB, reason="Not like this")
        await over(approvals, no)
        await approvals.temporal.get_workflow_handle(gone).terminate(reason="The run was stopped")
        await over(approvals, gone)
        return begun

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["Trade", "Mail", "Pay"]),
            ("?status=approved", ["Pay"]),
            ("?status=withdrawn", ["Trade"]),
            ("?status=expired", []),
            ("?tool=mail", ["Mail"]),
            ("?reviewer=BOB@example.com", ["Mail"]),
            ("?requester=grace@example.com", ["Pay"]),
            ("?since={today}&until={tomorrow}", ["Trade", "Mail", "Pay"]),
            ("?until={yesterday}", []),
            ("?since={tomorrow}", []),
        ],
    )
    async def test_it_narrows_to_what_is_asked_for(
        self, signed_in: SignedIn, past: datetime, query: str, expected: list[str]
    ) -> None:
        client, day = await signed_in(), timedelta(days=1)
        days = {"yesterday": past - day, "today": past, "tomorrow": past + day}

        page = await client.get(
            "/history" + query.format(**{name: f"{at:%Y-%m-%d}" for name, at in days.items()})
        )

        # Midnight may pass between asking and looking.
        assert titles(page) == expected or datetime.now(UTC).date() != past.date()

    async def test_each_row_tells_how_it_ended_who_decided_and_why(
        self, signed_in: SignedIn, past: datetime
    ) -> None:
        client = await signed_in()

        page = await client.get("/history")

        said = words(page)
        assert "Approved Pay “<b>fine</b>” pay asked by grace@example.com" in said
        assert "Rejected Mail “Not like this”" in said
        assert "Withdrawn Trade The run was stopped" in said
        assert ADA in said
        assert "<b>fine" not in page.text

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("status=pending", "choose of approved, rejected, expired, withdrawn"),
            ("since=tomorrow", "write a day as 2026-11-01"),
            ("until=9999-12-31", "write a day as 2026-11-01"),
            ("since=2026-11-02&until=2026-11-01", "exchange the two"),
            ("cursor=made-up", "this is the first one"),
            ("cursor=%00", "it has control characters"),
        ],
    )
    async def test_what_it_cannot_be_asked_for_is_left_out_and_told_with_what_can_be(
        self, signed_in: SignedIn, past: datetime, query: str, said: str
    ) -> None:
        client = await signed_in()

        page = await client.get(f"/history?tool=&{query}")

        assert titles(page) == ["Trade", "Mail", "Pay"]
        assert said in words(page)


async def test_that_nobody_decided_is_said_once_and_as_nobodys_words(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, "Late", expires_in=timedelta(seconds=1))
    await over(approvals, id)
    client = await signed_in()

    said = words(await client.get("/history?status=expired"))

    assert said.count("nobody") == 1
    assert "“" not in said


async def test_it_goes_on_page_by_page(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    ids = await ask_many(approvals, 60)
    await asyncio.gather(*(approvals.approve(id, reviewer=ADA) for id in ids))
    await over(approvals, *ids)
    client = await signed_in()

    first = await client.get("/history?status=approved")
    second = await client.get(link(first, "Older"))

    assert [len(titles(first)), len(titles(second))] == [50, 10]
    assert len(set(titles(first) + titles(second))) == 60
    assert titles(await client.get(link(second, "Latest"))) == titles(first)


async def test_an_empty_history_says_what_will_be_there(signed_in: SignedIn) -> None:
    client = await signed_in()

    assert "Nothing has ended yet" in words(await client.get("/history"))
    assert "Clear the filters" in words(await client.get("/history?tool=pay"))
