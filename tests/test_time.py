"""By when: reminders, escalation and expiry over weeks, on a real server whose clock is moved."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from clearance import ApprovalClient, ApprovalRequest, ApprovalView, Refused
from cli.settings import Settings

from .conftest import Serve
from .directory import ADA, BOB, CLEO, kinds, replays, reviewed
from .raw import Handle, ask, decision, is_taken
from .support import eventually, unique

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """Requests whose time can be moved, each its own, and the client that asks for them."""

    environment: WorkflowEnvironment
    approvals: ApprovalClient

    async def ask(self, **terms: Any) -> Handle:
        """A request on these terms that the worker has taken."""
        request = ApprovalRequest(action="Pay", **terms)
        with self.environment.with_time_skipping_disabled():
            asked = await self.approvals.request(request)
        handle = self.environment.client.get_workflow_handle(asked.id)
        await eventually(lambda: is_taken(handle))
        return handle

    async def after(self, handle: Handle, length: timedelta) -> ApprovalView:
        """The request as it is once so much more time has passed."""
        await self.environment.fast_forward(handle, length)
        return await self.approvals.get(handle.id)


@pytest.fixture
def calendar(environment: WorkflowEnvironment, over_time: ApprovalClient) -> Calendar:
    """With a worker on a queue of this test's own."""
    return Calendar(environment, over_time)


def hours(view: ApprovalView, *of: str) -> list[tuple[str, int]]:
    """When each event of these kinds happened, in whole hours since the request."""
    return [
        (event.kind, round((event.at - view.requested_at) / HOUR))
        for event in view.events
        if event.kind in of
    ]


TIMED = ("reminded", "escalated", "expired")


async def test_people_are_reminded_at_its_ages_and_before_its_deadline(calendar: Calendar) -> None:
    handle = await calendar.ask(
        audience=(ADA, BOB), remind_after=(4 * HOUR, DAY), remind_before=(DAY, HOUR)
    )

    view = await calendar.after(handle, 7 * DAY - HOUR / 2)

    assert hours(view, *TIMED) == [("reminded", one) for one in (4, 24, 6 * 24, 7 * 24 - 1)]
    assert {event.to for event in view.events if event.kind == "reminded"} == {f"{ADA}, {BOB}"}
    assert view.status == "pending"
    view = await calendar.after(handle, HOUR)
    assert (view.status, hours(view, "expired")) == ("expired", [("expired", 7 * 24)])
    await replays(handle)


async def test_after_its_time_it_is_escalated_and_more_people_may_decide(
    calendar: Calendar,
) -> None:
    handle = await calendar.ask(audience=(ADA,), escalate_to=(BOB,), escalate_after=DAY)
    with pytest.raises(Refused, match=f"{BOB} is not in the audience"):
        await calendar.approvals.approve(handle.id, reviewer=BOB)

    view = await calendar.after(handle, DAY + HOUR)

    assert hours(view, *TIMED) == [("escalated", 24)]
    assert view.events[-1].to == BOB
    assert view.deadline == view.requested_at + 7 * DAY, "the deadline is what it was"

    async def widened() -> bool:
        return [one.audience async for one in calendar.approvals.pending()] == [(ADA, BOB)]

    await eventually(widened)
    await calendar.approvals.approve(handle.id, reviewer=BOB)
    assert (await calendar.approvals.wait(handle.id)).approved
    await replays(handle)


async def test_at_the_deadline_it_is_escalated_once_and_then_expires_whoever_had_approved(
    calendar: Calendar,
) -> None:
    handle = await calendar.ask(
        audience=(ADA, CLEO), quorum=2, escalate_to=(BOB,), expires_in=2 * DAY, remind_before=(DAY,)
    )
    await calendar.approvals.approve(handle.id, reviewer=ADA)

    view = await calendar.after(handle, 2 * DAY + HOUR)

    assert (view.status, [one.reviewer for one in view.approvals]) == ("pending", [ADA])
    assert view.deadline is not None
    assert round((view.deadline - view.requested_at) / HOUR) == 4 * 24
    view = await calendar.after(handle, 2 * DAY)
    assert hours(view, *TIMED) == [
        ("reminded", 24),
        ("escalated", 48),
        ("reminded", 72),
        ("expired", 96),
    ]
    outcome = await calendar.approvals.wait(handle.id)
    assert (outcome.approved, outcome.reason) == (False, "nobody decided in time")
    await replays(handle)


async def test_after_the_escalation_at_the_deadline_the_wider_audience_decides(
    calendar: Calendar,
) -> None:
    handle = await calendar.ask(audience=(ADA,), escalate_to=(BOB,), expires_in=DAY)

    await calendar.after(handle, DAY + HOUR)
    await calendar.approvals.approve(handle.id, reviewer=BOB)

    outcome = await calendar.approvals.wait(handle.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.reviewer) == ("approved", BOB)


STAGES: list[dict[str, Any]] = [
    {"name": "lead", "audience": (ADA,), "expires_in": 2 * DAY},
    {"name": "director", "audience": (BOB,), "expires_in": 5 * DAY, "remind_before": (DAY,)},
    {"name": "finance", "audience": (CLEO,), "expires_in": None, "remind_after": (30 * DAY,)},
]


async def test_three_stages_take_weeks_each_with_its_own_deadline(calendar: Calendar) -> None:
    handle = await calendar.ask(stages=STAGES)

    view = await calendar.after(handle, DAY)
    assert view.deadline == view.requested_at + 2 * DAY
    receipt = await calendar.approvals.approve(handle.id, reviewer=ADA)
    assert (receipt.stage, receipt.next_stage) == ("lead", "director")
    view = await calendar.after(handle, 4 * DAY + HOUR)
    assert view.deadline is not None
    assert round((view.deadline - view.requested_at) / HOUR) == 6 * 24
    await calendar.approvals.approve(handle.id, reviewer=BOB)
    view = await calendar.after(handle, 31 * DAY)

    assert (view.status, view.stage, view.deadline) == ("pending", 3, None)
    assert hours(view, *TIMED) == [("reminded", 5 * 24), ("reminded", 35 * 24 + 1)]
    await calendar.approvals.approve(handle.id, reviewer=CLEO)
    assert (await calendar.approvals.wait(handle.id)).approved
    await replays(handle)


async def test_a_later_stage_that_nobody_decides_ends_it_whatever_the_first_said(
    calendar: Calendar,
) -> None:
    handle = await calendar.ask(stages=STAGES)
    await calendar.after(handle, DAY)
    await calendar.approvals.approve(handle.id, reviewer=ADA)

    view = await calendar.after(handle, 6 * DAY)

    assert hours(view, "expired") == [("expired", 6 * 24)]
    assert [one.status for one in view.stages] == ["done", "ended", "waiting"]
    outcome = await calendar.approvals.wait(handle.id)
    assert outcome.status == "expired"
    assert outcome.reason == "nobody decided in time in stage director"


async def test_a_request_that_never_expires_only_reminds(calendar: Calendar) -> None:
    handle = await calendar.ask(audience=(ADA,), expires_in=None, remind_after=(DAY, 300 * DAY))

    view = await calendar.after(handle, 400 * DAY)

    assert (view.status, view.deadline) == ("pending", None)
    assert hours(view, *TIMED) == [("reminded", 24), ("reminded", 300 * 24)]


# What passes while no worker is there: on the server of all tests, in its own time.

SOON = timedelta(milliseconds=800)


async def passed(at: datetime) -> None:
    async def is_over() -> bool:
        return datetime.now(UTC) > at

    await eventually(is_over)


async def test_reminders_that_nobody_was_there_to_send_are_one(
    approvals: ApprovalClient, serve: Serve
) -> None:
    ages = tuple(timedelta(milliseconds=200 * n) for n in range(1, 5))
    handle = await ask(approvals, ApprovalRequest(action="Pay", audience=(ADA,), remind_after=ages))
    requested_at = (await handle.describe()).start_time

    await passed(requested_at + SOON)

    async with serve():

        async def reminded() -> bool:
            return kinds(await approvals.get(handle.id)) == ["created", "reminded"]

        await eventually(reminded)
        await approvals.approve(handle.id, reviewer=ADA)
        assert kinds(await approvals.get(handle.id)) == ["created", "reminded", "approved"]
    await replays(handle)


async def test_decisions_made_in_time_count_though_they_are_delivered_after_the_deadline(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    """By anybody, by one who is named, by one of a group; of requests that no worker had taken by then,
    and of one that a worker had."""
    settings.reviewers = reviewed(settings).reviewers
    anybody = ApprovalRequest(action="Pay", expires_in=timedelta(seconds=1))
    named = anybody.model_copy(update={"audience": (ADA,)})
    grouped = anybody.model_copy(update={"audience": ("group:finance",)})
    known = grouped.model_copy(update={"expires_in": timedelta(seconds=6)})
    async with serve(only="approvals"):
        taken = await started(approvals, known, settings)
        await eventually(lambda: is_taken(taken))
    asked = [(known, taken)]
    asked += [(one, await started(approvals, one, settings)) for one in (anybody, named, grouped)]
    for request, handle in asked:
        requested_at = (await handle.describe()).start_time
        in_time = requested_at + timedelta(milliseconds=500)
        said = decision(request, reviewer=ADA, decided_at=in_time.isoformat())
        await handle.signal("record_decision", said)
    for request, handle in asked:
        assert request.expires_in is not None
        await passed((await handle.describe()).start_time + request.expires_in)

    async with serve(only="approvals"):
        for _, handle in asked:
            outcome = await approvals.wait(handle.id, timedelta(seconds=30))
            assert outcome.decision is not None
            assert (outcome.status, outcome.decision.reviewer) == ("approved", ADA)
    for _, handle in asked:
        await replays(handle)


async def started(
    approvals: ApprovalClient, request: ApprovalRequest, settings: Settings
) -> Handle:
    """As any program does, which doesn't wait for a worker to say that there is such a group."""
    handle: Handle = await approvals.temporal.start_workflow(
        "ApprovalWorkflow",
        request.model_dump(mode="json"),
        id=unique("approval"),
        task_queue=settings.approvals_queue,
    )
    return handle
