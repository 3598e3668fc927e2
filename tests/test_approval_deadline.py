"""What the deadline ends, and what was decided in time although no worker was there to take it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

from clearance import AlreadyDecided, ApprovalClient, ApprovalRequest, attributes

from .conftest import Serve
from .raw import Handle, ask, decision, history, is_admitted, is_taken, only
from .support import eventually

SHORT = timedelta(seconds=2)
"""Long enough for a worker to take the request before it expires."""

SOON = ApprovalRequest(action="Deploy?", expires_in=SHORT)


async def passed(handle: Handle) -> None:
    """Wait for the moment in which the deadline is over, by the clock that the server uses too."""
    end = (await handle.describe()).start_time + SHORT + timedelta(milliseconds=50)

    async def over() -> bool:
        return datetime.now(UTC) > end

    await eventually(over)


async def asked(approvals: ApprovalClient, serve: Serve, *, taken_by_worker: bool) -> Handle:
    """A request that no worker serves any more, or that none has ever served."""
    if not taken_by_worker:
        return await ask(approvals, SOON)
    async with serve():
        handle = await ask(approvals, SOON)
        await eventually(lambda: is_taken(handle))
        return handle


async def test_a_request_nobody_decides_expires(approvals: ApprovalClient, serve: Serve) -> None:
    async with serve():
        handle = await ask(approvals, SOON)

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


@pytest.mark.parametrize("taken_by_worker", [True, False], ids=["timer set", "never run"])
@pytest.mark.parametrize("approved", [True, False])
async def test_a_decision_stored_in_time_counts_when_the_worker_is_back_after_the_deadline(
    approvals: ApprovalClient, serve: Serve, taken_by_worker: bool, approved: bool
) -> None:
    handle = await asked(approvals, serve, taken_by_worker=taken_by_worker)
    await handle.signal("record_decision", decision(SOON, approved=approved))
    await passed(handle)

    async with serve():
        outcome = await approvals.wait(handle.id, timedelta(seconds=20))
    assert outcome.status == ("approved" if approved else "rejected")
    assert outcome.decision is not None
    assert outcome.decision.reviewer == "ada@example.com"


@pytest.mark.parametrize("taken_by_worker", [True, False], ids=["timer set", "never run"])
async def test_a_decision_made_after_the_deadline_does_not_count_although_no_worker_had_expired_it(
    approvals: ApprovalClient, serve: Serve, taken_by_worker: bool
) -> None:
    handle = await asked(approvals, serve, taken_by_worker=taken_by_worker)
    await passed(handle)

    await handle.signal("record_decision", decision(SOON))
    await handle.signal("approve", True)

    async with serve():
        outcome = await approvals.wait(handle.id, timedelta(seconds=20))
        assert outcome.status == "expired"
        view = await approvals.get(handle.id)
    assert [event.kind for event in view.events] == ["created", "refused", "refused", "expired"]
    assert all(event.reason.startswith("too late") for event in view.events[1:3])


async def test_a_bare_signal_sent_in_time_but_handled_after_the_deadline_does_not_count(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, SOON)
    await handle.signal("approve", True)
    await passed(handle)

    async with serve():
        outcome = await approvals.wait(handle.id, timedelta(seconds=20))
        assert outcome.status == "expired"


async def test_an_update_that_reaches_the_workflow_after_the_deadline_is_refused(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, SOON)
    await passed(handle)

    late = asyncio.create_task(handle.execute_update("decide", decision(SOON), id="late"))
    await eventually(lambda: is_admitted(handle, "late"))
    async with serve():
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await late
        assert "too late: the deadline was" in str(refused.value.cause)
        assert (await approvals.wait(handle.id, timedelta(seconds=20))).status == "expired"


async def test_a_request_without_a_deadline_sets_no_timer(
    approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        handle = await ask(approvals, ApprovalRequest(action="Deploy?", expires_in=None))
        await eventually(lambda: is_taken(handle))

        assert only(await history(handle), EventType.EVENT_TYPE_TIMER_STARTED) == []
        found = (await handle.describe()).typed_search_attributes
        assert found.get(attributes.DEADLINE) is None
