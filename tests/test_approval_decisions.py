"""The first decision wins, a repeated one is the same one, everybody else learns who was first."""

import asyncio
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from clearance import AlreadyDecided, ApprovalClient, ApprovalRequest, Receipt, Refused, contract

from .conftest import Serve
from .raw import Handle, ask, decision, is_admitted, refusals
from .support import eventually

ASKED = "Deploy?"
NAMED = ApprovalRequest(action=ASKED, audience=("Ada@Example.com", "grace@example.com"))


async def updated(handle: Handle, sent: dict[str, Any], update_id: str) -> Receipt:
    receipt: Receipt = await handle.execute_update(
        "decide", sent, id=update_id, result_type=Receipt
    )
    return receipt


@pytest.mark.usefixtures("served")
async def test_the_same_decision_sent_again_returns_the_stored_receipt(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)
    how = {"reviewer": "ada@example.com", "decision_id": "one"}

    first = await approvals.approve(handle.id, **how)
    await handle.result()

    assert first.in_effect
    assert await approvals.approve(handle.id, **how) == first


async def waiting(handle: Handle, *sent: dict[str, Any]) -> list[asyncio.Task[Receipt]]:
    """Updates that the server holds, so that the first workflow task brings all of them at once."""
    calls = []
    for number, one in enumerate(sent):
        calls.append(asyncio.create_task(updated(handle, one, f"update-{number}")))
        await eventually(partial(is_admitted, handle, f"update-{number}"))
    return calls


async def test_the_same_decision_under_another_update_id_gets_the_same_receipt(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, ASKED)
    sent = decision(ASKED, decision_id="one")
    calls = await waiting(handle, sent, sent)

    async with serve():
        first, second = await asyncio.gather(*calls)

        assert first.status == "approved"
        assert first == second
        assert await refusals(approvals, handle.id) == []


async def test_another_decision_is_told_by_the_running_workflow_who_was_first(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, ASKED)
    calls = await waiting(
        handle,
        decision(ASKED, reviewer="ada@example.com"),
        decision(ASKED, reviewer="bob@example.com", approved=False),
    )

    async with serve():
        answers = await asyncio.gather(*calls, return_exceptions=True)
        kept = await refusals(approvals, handle.id)

    [receipt] = [answer for answer in answers if isinstance(answer, Receipt)]
    [refused] = [one for one in answers if isinstance(one, WorkflowUpdateFailedError)]
    assert isinstance(refused.cause, ApplicationError)
    assert refused.cause.type == contract.ERROR_ALREADY_DECIDED
    by = "ada" if receipt.status == "approved" else "bob"
    assert refused.cause.message.startswith(
        f"already decided: {receipt.status} by {by}@example.com at 20"
    )
    assert kept == [refused.cause.message]


async def test_a_stored_decision_sent_again_as_an_update_gets_its_receipt(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, ASKED)
    sent = decision(ASKED, decision_id="one")

    await handle.signal("record_decision", sent)
    call = asyncio.create_task(updated(handle, sent, "one"))
    await eventually(lambda: is_admitted(handle, "one"))
    async with serve():
        receipt = await call

        assert (receipt.status, receipt.decision_id) == ("approved", "one")
        assert await refusals(approvals, handle.id) == []


async def test_of_several_stored_decisions_the_first_counts_and_the_others_are_kept_as_refused(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, ASKED)
    first = decision(ASKED, reviewer="ada@example.com", decision_id="one")
    await handle.signal("record_decision", first)
    await handle.signal("record_decision", first)
    await handle.signal("record_decision", decision(ASKED, reviewer="bob", approved=False))
    await handle.signal("approve", False)

    async with serve():
        outcome = await approvals.wait(handle.id)
        assert outcome.approved
        assert outcome.decision is not None
        assert (outcome.decision.reviewer, outcome.decision.decision_id) == (
            "ada@example.com",
            "one",
        )
        later = await refusals(approvals, handle.id)
    assert len(later) == 2
    assert all(text.startswith("already decided: approved by ada@example.com") for text in later)


@pytest.mark.usefixtures("served")
async def test_a_decision_after_the_end_is_told_who_decided_and_when(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)
    receipt = await approvals.reject(handle.id, reviewer="ada@example.com", reason="Not today")
    await handle.result()

    with pytest.raises(
        AlreadyDecided, match=r"already decided: rejected by ada@example\.com at 20"
    ) as refused:
        await approvals.approve(handle.id, reviewer="bob@example.com")

    assert refused.value.status == "rejected"
    assert refused.value.decision is not None
    assert refused.value.decision.reviewer == "ada@example.com"
    assert refused.value.decision.reason == "Not today"
    assert refused.value.decision.at == receipt.recorded_at
    assert (await approvals.wait(handle.id)).status == "rejected"


@pytest.mark.usefixtures("served")
async def test_another_verdict_under_a_used_decision_id_is_not_told_that_it_counted(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)
    await approvals.approve(handle.id, reviewer="ada@example.com", decision_id="one")
    await handle.result()

    with pytest.raises(AlreadyDecided, match=r"approved by ada@example\.com"):
        await approvals.reject(handle.id, reviewer="bob@example.com", decision_id="one")


@pytest.mark.usefixtures("served")
async def test_of_twenty_decisions_at_once_exactly_one_counts_and_all_others_learn_whose(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)

    async def decide(number: int) -> Receipt | AlreadyDecided:
        try:
            return await approvals.decide(
                handle.id, approved=number % 2 == 0, reviewer=f"reviewer-{number}"
            )
        except AlreadyDecided as error:
            return error

    answers = await asyncio.gather(*(decide(number) for number in range(20)))

    outcome = await approvals.wait(handle.id)
    assert outcome.decision is not None
    [(winner, receipt)] = [
        (number, one) for number, one in enumerate(answers) if isinstance(one, Receipt)
    ]
    assert outcome.decision.reviewer == f"reviewer-{winner}"
    assert (receipt.status, receipt.recorded_at) == (outcome.status, outcome.decision.at)
    told = [one.decision for one in answers if isinstance(one, AlreadyDecided)]
    assert told == [outcome.decision] * 19


@pytest.mark.usefixtures("served")
async def test_a_bare_signal_does_not_count_where_an_audience_is_named_and_is_kept(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, NAMED)

    await handle.signal("approve", True)
    await handle.signal("approve", False)

    reason = "an audience is named, and a bare signal says nothing about who sent it"
    assert await refusals(approvals, handle.id) == [reason, reason]
    assert (await approvals.get(handle.id)).status == "pending"


@pytest.mark.parametrize("outsider", ["bob@example.com", "ada@example.com.evil", "ada"])
@pytest.mark.usefixtures("served")
async def test_somebody_outside_the_audience_is_refused_and_kept_with_the_name(
    approvals: ApprovalClient, outsider: str
) -> None:
    handle = await ask(approvals, NAMED)

    with pytest.raises(Refused, match="is not in the audience") as refused:
        await approvals.approve(handle.id, reviewer=outsider)
    await handle.signal("record_decision", decision(NAMED, reviewer=outsider))

    assert not isinstance(refused.value, AlreadyDecided)
    kept = [event for event in (await approvals.get(handle.id)).events if event.kind == "refused"]
    assert [event.who for event in kept] == [outsider, outsider]
    assert (await approvals.get(handle.id)).status == "pending"


@pytest.mark.parametrize("insider", ["ada@example.com", "ADA@EXAMPLE.COM", " Grace@Example.com "])
@pytest.mark.usefixtures("served")
async def test_somebody_in_the_audience_counts_however_the_name_is_capitalised(
    approvals: ApprovalClient, insider: str
) -> None:
    handle = await ask(approvals, NAMED)

    receipt = await approvals.approve(handle.id, reviewer=insider)

    assert receipt.status == "approved"
    decided = (await approvals.wait(handle.id)).decision
    assert decided is not None
    assert decided.reviewer == insider.strip()
