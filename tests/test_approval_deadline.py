"""What the deadline ends, and what was decided in time although no worker was there to take it."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

from clearance import AlreadyDecided, ApprovalClient, ApprovalRequest, attributes

from .conftest import Serve
from .raw import Handle, ask, decision, history, is_admitted, is_taken, only
from .support import eventually

SHORT = timedelta(seconds=4)
"""Long enough for a worker to take requests, and to stop, before they expire."""

SOON = ApprovalRequest(action="Deploy?", expires_in=SHORT)


async def passed(handle: Handle) -> None:
    """Wait for the moment in which the deadline is over, by the clock that the server uses too."""
    end = (await handle.describe()).start_time + SHORT + timedelta(milliseconds=50)

    async def over() -> bool:
        return datetime.now(UTC) > end

    await eventually(over)


async def asked(approvals: ApprovalClient, count: int) -> list[Handle]:
    return await asyncio.gather(*(ask(approvals, SOON) for _ in range(count)))


async def test_a_request_nobody_decides_expires(approvals: ApprovalClient, serve: Serve) -> None:
    async with serve():
        handle = await ask(approvals, SOON.model_copy(update={"expires_in": timedelta(seconds=1)}))

        outcome = await approvals.wait(handle.id, timedelta(seconds=20))

        assert (outcome.status, outcome.decision) == ("expired", None)
        assert outcome.reason == "nobody decided in time"
        found = (await handle.describe()).typed_search_attributes
        assert found.get(attributes.STATUS) == "expired"
        last = (await approvals.get(handle.id)).events[-1]
        assert (last.kind, last.channel) == ("expired", "timer")
        with pytest.raises(AlreadyDecided, match="already expired") as refused:
            await approvals.approve(handle.id, reviewer="ada@example.com")
        assert (refused.value.status, refused.value.decision) == ("expired", None)


async def test_a_decision_stored_in_time_counts_when_a_worker_is_back_after_the_deadline_no_other(
    approvals: ApprovalClient, serve: Serve
) -> None:
    """Of requests whose timer a worker had set, and of some that none had ever seen."""
    async with serve():
        taken = await asked(approvals, 3)
        for one in taken:
            await eventually(partial(is_taken, one))
    *unseen, bare, updated = await asked(approvals, 5)
    approved, rejected, late = zip(taken, unseen, strict=True)
    for one in approved:
        await one.signal("record_decision", decision(SOON))
    for one in rejected:
        await one.signal("record_decision", decision(SOON, approved=False))
    await bare.signal("approve", True)  # by nobody: it counts when it is handled
    for one in (*taken, *unseen, bare, updated):
        await passed(one)

    for one in late:
        await one.signal("record_decision", decision(SOON))
        await one.signal("approve", True)
    update = asyncio.create_task(updated.execute_update("decide", decision(SOON), id="late"))
    await eventually(lambda: is_admitted(updated, "late"))
    async with serve():
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await update
        assert "too late: the deadline was" in str(refused.value.cause)
        for status, handles in {
            "approved": approved,
            "rejected": rejected,
            "expired": (*late, bare, updated),
        }.items():
            for one in handles:
                outcome = await approvals.wait(one.id, timedelta(seconds=20))
                assert outcome.status == status
                by = outcome.decision and outcome.decision.reviewer
                assert by == (None if status == "expired" else "ada@example.com")
        for one in late:
            events = (await approvals.get(one.id)).events
            assert [event.kind for event in events] == [
                *("created", "refused", "refused", "expired")
            ]
            assert all(event.reason.startswith("too late") for event in events[1:3])


async def test_a_request_without_a_deadline_sets_no_timer(
    approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        handle = await ask(approvals, ApprovalRequest(action="Deploy?", expires_in=None))
        await eventually(lambda: is_taken(handle))

        assert only(await history(handle), EventType.EVENT_TYPE_TIMER_STARTED) == []
        found = (await handle.describe()).typed_search_attributes
        assert found.get(attributes.DEADLINE) is None
