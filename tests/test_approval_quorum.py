"""Two people, and a phrase to type: what one decision alone does not open."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from clearance import (
    AlreadyDecided,
    ApprovalClient,
    ApprovalRequest,
    GrantTerms,
    InvalidRequest,
    Refused,
)
from cli.settings import Settings

from .conftest import Serve
from .raw import ask, decision, impatient, refusals
from .support import eventually

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"

TWO = ApprovalRequest(action="Trade", quorum=2, audience=(ADA, BOB, EVE))
PHRASE = ApprovalRequest(
    action="Sell", tool="trade", arguments={"symbol": "AAPL"}, confirm_phrase="sell {symbol}"
)

with_a_worker = pytest.mark.usefixtures("served")


@with_a_worker
async def test_it_takes_two_people(approvals: ApprovalClient) -> None:
    asked = await approvals.request(TWO)

    first = await approvals.approve(asked.id, reviewer=ADA)
    between = await approvals.get(asked.id)
    second = await approvals.approve(asked.id, reviewer=BOB)

    assert (first.status, first.approvals, first.quorum) == ("pending", 1, 2)
    assert first.in_effect
    assert (between.status, [one.reviewer for one in between.approvals]) == ("pending", [ADA])
    assert (second.status, second.approvals, second.quorum) == ("approved", 2, 2)
    assert (await approvals.wait(asked.id)).approved


@with_a_worker
@pytest.mark.parametrize("again", [ADA, ADA.upper(), f" {ADA} "])
async def test_one_person_twice_is_one_person(approvals: ApprovalClient, again: str) -> None:
    asked = await approvals.request(TWO)
    await approvals.approve(asked.id, reviewer=ADA)

    with pytest.raises(Refused, match="has approved already"):
        await approvals.approve(asked.id, reviewer=again)

    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_the_first_approval_sent_again_is_the_same_one_also_after_the_end(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(TWO)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal("record_decision", decision(TWO, reviewer=ADA, decision_id="one"))
    first = await approvals.approve(asked.id, reviewer=ADA, decision_id="one")
    await approvals.approve(asked.id, reviewer=BOB)
    await approvals.wait(asked.id)

    # Under another update id, so that the server has no stored answer to it.
    late = await approvals.approve(asked.id, reviewer=ADA, decision_id="one", reason="sure")

    assert (late.status, late.recorded_at) == ("approved", first.recorded_at)
    assert (late.approvals, late.quorum) == (2, 2)
    with pytest.raises(AlreadyDecided, match="approved by bob"):
        await approvals.approve(asked.id, reviewer=EVE)


@with_a_worker
async def test_one_rejection_ends_it(approvals: ApprovalClient) -> None:
    asked = await approvals.request(TWO)
    await approvals.approve(asked.id, reviewer=ADA)

    receipt = await approvals.reject(asked.id, reviewer=BOB, reason="too risky")

    assert receipt.status == "rejected"
    outcome = await approvals.wait(asked.id)
    assert (outcome.status, outcome.reason) == ("rejected", "too risky")


@with_a_worker
async def test_one_approval_until_the_deadline_is_not_enough(approvals: ApprovalClient) -> None:
    asked = await approvals.request(TWO.model_copy(update={"expires_in": timedelta(seconds=2)}))
    await approvals.approve(asked.id, reviewer=ADA)

    assert (await approvals.wait(asked.id)).status == "expired"


async def test_approvals_that_the_server_stored_are_counted_when_a_worker_is_back(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    """Each person once; and none without its phrase."""
    alone = impatient(temporal, settings)
    asked, phrased = await alone.request(TWO), await alone.request(PHRASE)
    first = await alone.approve(asked.id, reviewer=ADA)
    further = await asyncio.gather(
        *(alone.approve(asked.id, reviewer=who) for who in (ADA, "ADA@example.com")),
        alone.approve(phrased.id, reviewer=ADA),
    )
    assert not any(one.in_effect for one in (first, *further))

    async with serve():
        view = await approvals.get(asked.id)
        assert (view.status, len(view.approvals)) == ("pending", 1)
        said = {
            one.partition(" has approved already") for one in await refusals(approvals, asked.id)
        }
        assert {(who, bool(why)) for who, why, _ in said} == {
            (ADA, True),
            ("ADA@example.com", True),
        }
        await approvals.approve(asked.id, reviewer=BOB)
        assert (await approvals.wait(asked.id)).approved
        assert set(await refusals(approvals, phrased.id)) == {"type 'sell AAPL' to confirm"}
        assert (await approvals.get(phrased.id)).status == "pending"


@with_a_worker
async def test_of_twenty_approvals_at_once_exactly_two_count(approvals: ApprovalClient) -> None:
    people = tuple(f"reviewer-{number}" for number in range(20))
    asked = await approvals.request(ApprovalRequest(action="Trade", quorum=2, audience=people))

    answers = await asyncio.gather(
        *(approvals.approve(asked.id, reviewer=name) for name in people),
        return_exceptions=True,
    )

    assert sum(not isinstance(one, BaseException) for one in answers) == 2
    assert sum(isinstance(one, AlreadyDecided) for one in answers) == 18
    view = await approvals.get(asked.id)
    assert len({one.reviewer for one in view.approvals}) == 2


PAY = ApprovalRequest(
    action="Pay",
    tool="pay",
    arguments={"amount": 100},
    editable=True,
    audience=(ADA, BOB, EVE),
    quorum=2,
)


@with_a_worker
async def test_the_approval_of_what_was_changed_since_does_not_count_any_more(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    await approvals.approve(asked.id, reviewer=ADA)

    edited = await approvals.approve(asked.id, reviewer=BOB, changes={"amount": 80})

    assert (edited.status, edited.approvals, edited.counted) == ("pending", 0, False)
    assert (await approvals.approve(asked.id, reviewer=ADA)).approvals == 1
    assert (await approvals.approve(asked.id, reviewer=EVE)).status == "approved"


@with_a_worker
async def test_where_their_own_changes_may_be_approved_the_editor_is_one_of_them(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"self_approval": ("editor",)}))
    await approvals.approve(asked.id, reviewer=ADA)

    edited = await approvals.approve(asked.id, reviewer=BOB, changes={"amount": 80})

    assert (edited.status, edited.approvals, edited.counted) == ("pending", 1, True)
    assert (await approvals.approve(asked.id, reviewer=ADA)).status == "approved"


@with_a_worker
async def test_an_approval_that_names_what_was_read_is_not_taken_for_what_it_became(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    await approvals.approve(asked.id, reviewer=BOB, changes={"amount": 80})

    with pytest.raises(Refused, match="the request changed since you read it"):
        await approvals.approve(asked.id, reviewer=ADA, digest=asked.digest)

    assert (await approvals.get(asked.id)).approvals == []


async def test_a_quorum_without_an_audience_is_not_asked(approvals: ApprovalClient) -> None:
    with pytest.raises(InvalidRequest, match="a quorum of 2 needs an audience"):
        await approvals.request(ApprovalRequest(action="Trade", quorum=2))

    assert [one async for one in approvals.pending()] == []


@with_a_worker
@pytest.mark.parametrize("typed", [None, "", "sell", "SELL AAPL", "sell {symbol}", "sell AAPL!"])
async def test_without_the_phrase_an_approval_does_not_count(
    approvals: ApprovalClient, typed: str | None
) -> None:
    asked = await approvals.request(PHRASE)

    with pytest.raises(Refused, match="type 'sell AAPL' to confirm"):
        await approvals.approve(asked.id, reviewer=ADA, confirmation=typed)

    assert (await approvals.get(asked.id)).status == "pending"
    assert (await approvals.approve(asked.id, reviewer=ADA, confirmation="sell AAPL")).in_effect


@with_a_worker
async def test_a_rejection_needs_no_phrase(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PHRASE)

    assert (await approvals.reject(asked.id, reviewer=ADA)).status == "rejected"


@with_a_worker
@pytest.mark.parametrize("request_", [TWO, PHRASE])
async def test_a_bare_true_opens_neither(
    approvals: ApprovalClient, request_: ApprovalRequest
) -> None:
    handle = await ask(approvals, request_)

    await handle.signal("approve", True)

    async def told() -> list[str]:
        return await refusals(approvals, handle.id)

    [why] = await eventually(told)
    assert "a bare signal" in why
    assert (await approvals.get(handle.id)).status == "pending"


@with_a_worker
@pytest.mark.parametrize(
    "fields", [{"quorum": 2, "audience": (ADA, BOB)}, {"confirm_phrase": "go"}]
)
async def test_neither_can_be_given_in_advance(
    approvals: ApprovalClient, fields: dict[str, Any]
) -> None:
    asked = await approvals.request(
        ApprovalRequest(action="Pay", tool="pay", grantable=True, **fields)
    )

    with pytest.raises(Refused, match="can't stand for a second person, or for a phrase"):
        await approvals.approve(
            asked.id, reviewer=ADA, confirmation="go", grant=GrantTerms(condition="true")
        )
