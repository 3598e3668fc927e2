"""Deciding from a service, with a worker there and without."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from clearance import (
    AlreadyDecided,
    ApprovalClient,
    ApprovalRequest,
    InvalidRequest,
    Receipt,
    Refused,
    contract,
)
from cli.settings import Settings
from tests.conftest import Serve
from tests.raw import decision

ADA = {"reviewer": "ada@example.com"}
SECONDS = timedelta(seconds=60)
"""For what comes at once: longer than any machine should need."""

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def alone(temporal: Client, settings: Settings) -> ApprovalClient:
    """For tests without a worker: doesn't wait long for an answer that can't come."""
    return ApprovalClient(
        temporal,
        task_queue=settings.approvals_queue,
        answer_timeout=timedelta(milliseconds=200),
    )


async def terminate(approvals: ApprovalClient, id: str) -> None:
    await approvals.temporal.get_workflow_handle(id).terminate()


@with_a_worker
@pytest.mark.parametrize("approved", [True, False])
async def test_a_decision_is_answered_with_a_receipt(
    approvals: ApprovalClient, approved: bool
) -> None:
    asked = await approvals.request("Deploy")
    decide = approvals.approve if approved else approvals.reject

    receipt = await decide(asked.id, reason="because", decision_id="one", channel="cli", **ADA)

    outcome = await approvals.wait(asked.id, SECONDS)
    status = "approved" if approved else "rejected"
    assert (receipt.approval_id, receipt.decision_id) == (asked.id, "one")
    assert receipt.status == outcome.status == status
    assert receipt.in_effect
    assert outcome.approved is approved
    assert outcome.reason == "because"
    assert outcome.decision is not None
    assert outcome.decision.at == receipt.recorded_at
    assert outcome.decision.channel == "cli"


async def test_without_a_worker_a_decision_is_stored_and_takes_effect_later(
    alone: ApprovalClient, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await alone.request("Deploy")

    first = await alone.approve(asked.id, decision_id="one", **ADA)
    again = await alone.approve(asked.id, decision_id="one", **ADA)
    second = await alone.reject(asked.id, reviewer="bob@example.com")

    assert {first.in_effect, again.in_effect, second.in_effect} == {False}
    assert first.recorded_at is None
    assert (await alone.get(asked.id)).status == "pending"
    async with serve():
        outcome = await approvals.wait(asked.id, SECONDS)
    assert outcome.decision is not None
    assert (outcome.approved, outcome.decision.decision_id) == (True, "one")


@with_a_worker
async def test_a_decision_that_came_by_another_way_first_is_the_same_one(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request("Deploy")
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal(contract.SIGNAL_DECIDE, decision("Deploy", decision_id="one"))
    outcome = await approvals.wait(asked.id, SECONDS)

    receipt = await approvals.approve(asked.id, decision_id="one", **ADA)

    assert (receipt.status, receipt.decision_id) == ("approved", "one")
    assert receipt.recorded_at == (outcome.decision and outcome.decision.at)
    for changed in (
        approvals.reject(asked.id, decision_id="one", **ADA),
        approvals.approve(asked.id, decision_id="one", reviewer="bob@example.com"),
    ):
        with pytest.raises(AlreadyDecided):
            await changed


async def test_a_late_decision_carries_the_one_that_counted(
    alone: ApprovalClient, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await alone.request("Deploy")
    async with serve():
        await approvals.reject(asked.id, **ADA)
        outcome = await approvals.wait(asked.id, SECONDS)

    with pytest.raises(AlreadyDecided) as caught:
        await alone.approve(asked.id, reviewer="bob@example.com")

    assert caught.value.status == "rejected"
    assert caught.value.decision == outcome.decision
    assert f"{asked.id} is already decided: rejected by ada@example.com at " in str(caught.value)


async def test_a_decision_on_a_withdrawn_request_has_nobody_to_name(alone: ApprovalClient) -> None:
    asked = await alone.request("Deploy")
    await terminate(alone, asked.id)

    with pytest.raises(AlreadyDecided) as caught:
        await alone.approve(asked.id, **ADA)

    assert (caught.value.status, caught.value.decision) == ("withdrawn", None)
    assert str(caught.value) == f"{asked.id} is already withdrawn: nobody can decide it any more"


@with_a_worker
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({**ADA, "digest": "0" * 64}, "the request changed since you read it"),
        ({"reviewer": "mallory"}, "mallory is not in the audience (ada@example.com)"),
    ],
)
async def test_a_refused_decision_leaves_the_gate_shut(
    approvals: ApprovalClient, how: dict[str, str], said: str
) -> None:
    asked = await approvals.request(ApprovalRequest(action="Deploy", audience=("ada@example.com",)))

    with pytest.raises(Refused) as caught:
        await approvals.approve(asked.id, **how)

    assert not isinstance(caught.value, AlreadyDecided)
    assert str(caught.value).startswith(said)
    assert [event.kind for event in (await approvals.get(asked.id)).events] == [
        "created",
        "refused",
    ]
    assert (await approvals.approve(asked.id, digest=asked.digest, **ADA)).in_effect


@with_a_worker
@pytest.mark.parametrize(
    "how",
    [
        {"approved": 1},
        {"approved": "yes"},
        {"approved": None},
        {"reviewer": ""},
        {"reviewer": "a\nb"},
        {"reason": "x" * 4_001},
        {"digest": "abc"},
        {"decision_id": "a b"},
        {"channel": "fax"},
    ],
)
async def test_a_malformed_decision_is_not_sent(
    approvals: ApprovalClient, how: dict[str, Any]
) -> None:
    asked = await approvals.request("Deploy")

    with pytest.raises(InvalidRequest, match=next(iter(how))):
        await approvals.decide(asked.id, **{"approved": True, **ADA, **how})

    view = await approvals.get(asked.id)
    assert (view.status, len(view.events)) == ("pending", 1)


@with_a_worker
async def test_of_forty_at_once_one_decides_and_all_are_answered(approvals: ApprovalClient) -> None:
    """The server takes ten updates at a time for one workflow and refuses the others."""
    asked = await approvals.request("Deploy")

    async def answer(number: int) -> Receipt | AlreadyDecided:
        try:
            return await approvals.decide(
                asked.id, approved=number % 2 == 0, reviewer=f"r{number}", decision_id=f"d{number}"
            )
        except AlreadyDecided as error:
            return error

    answers = await asyncio.gather(*(answer(number) for number in range(40)))

    decided = (await approvals.wait(asked.id, SECONDS)).decision
    assert decided is not None
    counted = [one for one in answers if isinstance(one, Receipt) and one.in_effect]
    assert [one.decision_id for one in counted] in ([], [decided.decision_id])
    refused: Sequence[AlreadyDecided] = [one for one in answers if isinstance(one, AlreadyDecided)]
    assert all(error.decision == decided for error in refused)
    assert decided.reviewer == f"r{(decided.decision_id or '')[1:]}"
    assert decided.approved is (int((decided.decision_id or "")[1:]) % 2 == 0)
