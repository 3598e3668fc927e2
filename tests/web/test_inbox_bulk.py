"""Deciding several at once: what goes together, and what comes of each."""

import re
from typing import Any

import httpx
import pytest

from clearance import ApprovalClient
from tests.directory import ADA, BOB
from tests.raw import impatient
from tests.support import unique
from web.config import Rates, WebConfig

from . import shared
from .asking import ask, titles, words
from .conftest import SignedIn

LOW = {"risk": "low", "checkpoint": "small-refunds", "tool": "refund"}


def form(page: httpx.Response, verdict: str = "approve", **fields: Any) -> dict[str, Any]:
    """What a browser sends with every box of the page ticked."""
    hidden = dict(re.findall(r'name="(csrf|batch)" value="([^"]*)"', page.text))
    picks = re.findall(r'name="pick" value="([^"]*)"', page.text)
    return {**hidden, "pick": picks, "verdict": verdict, **fields}


def titles_of(page: httpx.Response) -> list[str]:
    """What the rows of a page say that tells of an error, too."""
    return re.findall(r'<a class="title"[^>]*>(.*?)</a>', page.text)


async def statuses(approvals: ApprovalClient, *ids: str) -> list[str]:
    return [(await approvals.get(id)).status for id in ids]


@pytest.mark.parametrize(("verdict", "status"), [("approve", "approved"), ("reject", "rejected")])
async def test_each_of_what_was_selected_gets_a_decision_of_its_own(
    approvals: ApprovalClient,
    signed_in: SignedIn,
    worker_running: None,
    verdict: str,
    status: str,
) -> None:
    ids = [await ask(approvals, f"Refund {n}", arguments={"n": n}, **LOW) for n in range(3)]
    client = await signed_in(ADA)

    page = await client.post("/bulk", data=form(await client.get("/"), verdict, reason="All fine"))

    assert page.status_code == 200, page.text
    assert "All 3 decisions counted." in words(page)
    views = [await approvals.get(id) for id in ids]
    decisions = [view.decision for view in views if view.decision]
    assert [view.status for view in views] == [status] * 3
    assert {(one.reviewer, one.channel, one.reason) for one in decisions} == {
        (ADA, "inbox", "All fine")
    }
    assert len({one.decision_id for one in decisions}) == 3


async def test_a_form_sent_twice_decides_once(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, **LOW, audience=(ADA, BOB), quorum=2)
    client = await signed_in(ADA)
    sent = form(await client.get("/"))

    first = await client.post("/bulk", data=sent)
    again = await client.post("/bulk", data=sent)

    assert "counted: 1 of 2 so far" in words(first)
    assert "counted: 1 of 2 so far" in words(again)
    assert [one.kind for one in (await approvals.get(id)).events].count("approved") == 1


async def test_what_does_not_go_together_is_refused_and_nothing_decided(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    fine = await ask(approvals, "Refund", **LOW)
    client = await signed_in(ADA)
    sent = form(await client.get("/"))
    others: list[tuple[dict[str, Any], str]] = [
        ({"checkpoint": "mails"}, "These are of 2 checkpoints, mails and small-refunds"),
        ({"risk": "medium"}, "is of medium risk"),
        ({"checkpoint": None}, "stopped by no checkpoint"),
        ({"confirm_phrase": "yes, all of it"}, "asks for a phrase"),
        ({"response_schema": {"type": "string"}}, "asks for an answer"),
    ]
    for other, said in others:
        odd = await ask(approvals, "Odd one", **{**LOW, **other})
        digest = (await approvals.get(odd)).digest
        picks = [*sent["pick"], f"{digest}:1:{odd}"]

        page = await client.post("/bulk", data={**sent, "pick": picks})

        assert page.status_code == 422
        assert said in words(page)
        assert "othing was decided" in words(page)
        assert odd not in words(page)
        assert await statuses(approvals, fine, odd) == ["pending", "pending"]
        # It is told in the inbox, with what was selected still selected.
        assert {"Refund", "Odd one"} == set(titles_of(page))
        assert re.search(rf'value="[^"]*:{fine}"[^>]* checked', page.text)


async def test_a_refused_selection_is_shown_in_the_view_that_it_came_from(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    await ask(approvals, "Refund", audience=(BOB,), **LOW)
    await ask(approvals, "Mail")
    client = await signed_in(ADA)
    sent = form(await client.get("/?view=all&q=refund"), "reject", asked="/?view=all&q=refund")

    page = await client.post("/bulk", data=sent)

    assert page.status_code == 422
    assert titles_of(page) == ["Refund"]
    assert 'name="asked" value="/?view=all&amp;q=refund"' in page.text


async def test_where_it_came_from_leads_nowhere_else(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    for _ in range(3):
        await ask(approvals, "Refund", **LOW)
    client = await signed_in(ADA)
    sent = form(await client.get("/"))
    froms = ("//[", "https://elsewhere.example/?view=all", "?view=no&page=x")
    for asked, pick in zip(froms, sent["pick"], strict=True):
        page = await client.post("/bulk", data={**sent, "pick": [pick], "asked": asked})

        assert "counted" in words(page)
        assert re.search(r'class="button primary" href="/(\?view=all)?">Back', page.text)


async def test_only_rows_of_low_risk_and_a_checkpoint_can_be_selected(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    await ask(approvals, "high", risk="high", checkpoint="c")
    await ask(approvals, "no checkpoint", risk="low")
    client = await signed_in()

    page = await client.get("/")

    assert len(titles(page)) == 2
    assert 'name="pick"' not in page.text
    assert "/bulk" in page.text
    assert 'name="verdict"' not in page.text


async def test_what_somebody_else_has_decided_says_so_and_the_others_count(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    taken = await ask(approvals, "Refund a", **LOW)
    left = await ask(approvals, "Refund b", **LOW)
    client = await signed_in(ADA)
    sent = form(await client.get("/"))
    await approvals.reject(taken, reviewer=BOB)

    page = await client.post("/bulk", data=sent)

    assert "1 of 2 counted" in words(page)
    assert f"Not counted: {taken} is already decided: rejected by {BOB}" in words(page)
    assert await statuses(approvals, taken, left) == ["rejected", "approved"]


async def test_what_is_another_one_than_the_row_showed_is_not_decided(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    fields = {**LOW, "audience": (ADA, BOB, "cfo@example.com"), "quorum": 2, "editable": True}
    id = await ask(approvals, "Refund", arguments={"cents": 1}, **fields)
    client = await signed_in(ADA)
    sent = form(await client.get("/"))
    await approvals.approve(id, reviewer=BOB, changes={"cents": 900})

    page = await client.post("/bulk", data=sent)

    assert "0 of 1 counted" in words(page)
    assert "changed since" in words(page)
    assert await statuses(approvals, id) == ["pending"]


async def test_who_may_not_decide_it_is_refused_by_the_gate(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, "Refund", audience=(BOB,), **LOW)
    client = await signed_in(ADA)

    page = await client.post("/bulk", data=form(await client.get("/?view=all")))

    assert "Not counted" in words(page)
    assert await statuses(approvals, id) == ["pending"]


async def test_without_a_worker_the_decisions_are_kept(
    approvals: ApprovalClient, signed_in: SignedIn, inbox: Any, settings: Any, serve: Any
) -> None:
    object.__setattr__(inbox, "approvals", impatient(approvals.temporal, settings))
    id = await ask(approvals, "Refund", **LOW)
    client = await signed_in(ADA)

    page = await client.post("/bulk", data=form(await client.get("/")))

    assert "takes effect when a worker is back" in words(page)
    async with serve():
        assert (await approvals.wait(id)).approved


class TestRefused(shared.Own):
    """Forms that decide nothing, all about one request."""

    @pytest.fixture(scope="class")
    @classmethod
    async def id(cls, approvals: ApprovalClient, worker_running: object) -> str:
        return await ask(approvals, "Refund", id=unique("whole-id"), **LOW)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"pick": []}, "Nothing was selected"),
            ({"pick": ["nonsense"]}, "select anew"),
            ({"pick": ["0:x:id"]}, "select anew"),
            ({"pick": [f"{'0' * 64}:1:{n}" for n in range(51)]}, "At most 50"),
            ({"verdict": "maybe"}, "Choose Approve or Reject"),
            ({"verdict": ""}, "Choose Approve or Reject"),
            ({"verdict": "reject"}, "To reject, say why"),
            ({"verdict": "reject", "reason": " \n"}, "To reject, say why"),
            ({"reason": "x" * 4_001}, "more than 4,000 characters"),
        ],
    )
    async def test_a_form_that_is_none_is_refused_with_what_to_do(
        self,
        approvals: ApprovalClient,
        signed_in: SignedIn,
        id: str,
        changed: dict[str, Any],
        said: str,
    ) -> None:
        client = await signed_in()

        page = await client.post("/bulk", data=form(await client.get("/"), **changed))

        assert page.status_code == 422
        assert said in words(page)
        assert await statuses(approvals, id) == ["pending"]

    async def test_a_part_of_an_id_selects_nothing(
        self, approvals: ApprovalClient, signed_in: SignedIn, id: str
    ) -> None:
        client = await signed_in()
        sent = form(await client.get("/"))
        sent["pick"] = [one[:-2] for one in sent["pick"]]

        page = await client.post("/bulk", data=sent)

        assert page.status_code in (404, 422)
        assert await statuses(approvals, id) == ["pending"]

    async def test_another_sites_form_and_a_forged_one_decide_nothing(
        self, approvals: ApprovalClient, signed_in: SignedIn, id: str
    ) -> None:
        client = await signed_in()
        sent = form(await client.get("/"))

        forged = await client.post("/bulk", data={**sent, "csrf": "made up"})
        cross = await client.post("/bulk", data=sent, headers={"Sec-Fetch-Site": "cross-site"})

        assert (forged.status_code, cross.status_code) == (403, 403)
        assert await statuses(approvals, id) == ["pending"]


class TestOften:
    """Somebody who may do little at once."""

    @pytest.fixture
    def web_config(self, web_config: WebConfig) -> WebConfig:
        return web_config.model_copy(update={"rates": Rates(act="3/minute")})

    async def test_each_decision_counts_towards_how_many_somebody_may_take(
        self, approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
    ) -> None:
        ids = [await ask(approvals, f"Refund {n}", **LOW) for n in range(4)]
        client = await signed_in(ADA)

        page = await client.post("/bulk", data=form(await client.get("/")))

        assert page.status_code == 429
        assert "too often" in words(page)
        assert await statuses(approvals, *ids) == ["pending"] * 4
