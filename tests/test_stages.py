"""One after the other: stages, their conditions, the changes made on the way, and what lists show."""

from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from clearance import ApprovalClient, ApprovalRequest, Refused, Stage
from cli.settings import Settings

from .conftest import Serve
from .directory import ADA, BOB, CLEO, GRACE, forgetful, kinds, replays, reviewed, told
from .raw import ask, decision, impatient, refusals, send
from .support import eventually

LEAD = Stage(name="lead", audience=(ADA,))
DIRECTOR = Stage(name="director", audience=(BOB,), when="args.euros > 1000")
FINANCE = Stage(
    name="finance", audience=("group:finance", CLEO), quorum=2, when="args.euros > 10000"
)


def order(euros: int = 20_000, *stages: Stage, **more: Any) -> ApprovalRequest:
    return ApprovalRequest(
        action="Order",
        tool="order",
        arguments={"euros": euros},
        editable=True,
        stages=stages or (LEAD, DIRECTOR, FINANCE),
        **more,
    )


with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


async def statuses(approvals: ApprovalClient, id: str) -> list[str]:
    return [one.status for one in (await approvals.get(id)).stages]


@with_a_worker
async def test_every_stage_asks_its_own_people_in_their_order(approvals: ApprovalClient) -> None:
    asked = await approvals.request(order())
    for name in (BOB, CLEO):
        with pytest.raises(Refused, match=rf"{name} is not in the audience \({ADA}\)"):
            await approvals.approve(asked.id, reviewer=name)

    lead = await approvals.approve(asked.id, reviewer=ADA)
    director = await approvals.approve(asked.id, reviewer=BOB)
    one_of_two = await approvals.approve(asked.id, reviewer=CLEO)
    last = await approvals.approve(asked.id, reviewer=BOB)

    receipts = [
        (one.status, one.stage, one.next_stage) for one in (lead, director, one_of_two, last)
    ]
    assert receipts == [
        ("pending", "lead", "director"),
        ("pending", "director", "finance"),
        ("pending", "finance", None),
        ("approved", "finance", None),
    ]
    view = await approvals.get(asked.id)
    assert [one.status for one in view.stages] == ["done"] * 3
    assert [[vote.who for vote in one.approvals] for one in view.stages] == [
        *([ADA], [BOB], [CLEO, BOB])
    ]
    assert [(one.kind, one.stage) for one in view.events[3:]] == [
        ("approved", "lead"),
        ("advanced", "director"),
        ("approved", "director"),
        ("advanced", "finance"),
        ("approved", "finance"),
        ("approved", "finance"),
    ]
    assert view.decision is not None
    assert view.decision.stage == "finance"
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
@pytest.mark.parametrize(
    ("euros", "people", "ends"),
    [
        (900, [ADA], ["done", "skipped", "skipped"]),
        (5_000, [ADA, BOB], ["done", "done", "skipped"]),
    ],
)
async def test_a_stage_whose_condition_does_not_hold_is_passed_over(
    approvals: ApprovalClient, euros: int, people: list[str], ends: list[str]
) -> None:
    asked = await approvals.request(order(euros))

    for name in people:
        await approvals.approve(asked.id, reviewer=name)

    assert (await approvals.wait(asked.id)).approved
    assert await statuses(approvals, asked.id) == ends


@with_a_worker
async def test_a_change_adds_a_later_stage(approvals: ApprovalClient) -> None:
    asked = await approvals.request(
        order(900, Stage(name="lead", audience=(ADA, GRACE)), DIRECTOR, FINANCE)
    )

    edited = await approvals.approve(asked.id, reviewer=ADA, changes={"euros": 2_000})
    assert (edited.counted, edited.status) == (False, "pending")
    done = await approvals.approve(asked.id, reviewer=GRACE)

    assert (done.status, done.next_stage) == ("pending", "director")
    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"
    outcome = await approvals.wait(asked.id)
    assert outcome.edit is not None
    assert outcome.edit.arguments == {"euros": 2_000}


@with_a_worker
async def test_a_change_adds_an_earlier_stage_that_was_passed_over(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(order(900, DIRECTOR, Stage(name="lead", audience=(ADA, GRACE))))
    assert await statuses(approvals, asked.id) == ["skipped", "open"]

    await approvals.approve(asked.id, reviewer=ADA, changes={"euros": 2_000})
    back = await approvals.approve(asked.id, reviewer=GRACE)

    assert (back.status, back.stage, back.next_stage) == ("pending", "lead", "director")
    assert await statuses(approvals, asked.id) == ["open", "done"]
    assert (await approvals.get(asked.id)).stage == 1
    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
async def test_what_one_stage_changes_is_what_the_next_one_sees_and_has_to_name(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(
        order(5_000, Stage(name="lead", audience=(ADA, GRACE)), DIRECTOR, self_approval=("editor",))
    )

    await approvals.approve(asked.id, reviewer=ADA, changes={"euros": 4_000})

    view = await approvals.get(asked.id)
    assert (view.stage, view.current.arguments) == (2, {"euros": 4_000})
    with pytest.raises(Refused, match="the request changed since you read it"):
        await approvals.approve(asked.id, reviewer=BOB, digest=asked.digest)
    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"


@with_a_worker
async def test_a_rejection_in_any_stage_ends_the_chain(approvals: ApprovalClient) -> None:
    asked = await approvals.request(order())
    await approvals.approve(asked.id, reviewer=ADA)

    receipt = await approvals.reject(asked.id, reviewer=BOB, reason="No budget")

    assert (receipt.status, receipt.stage) == ("rejected", "director")
    assert await statuses(approvals, asked.id) == ["done", "ended", "waiting"]
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.reason, outcome.decision.stage) == (
        *("rejected", "No budget", "director"),
    )


BOTH = order(
    5_000, Stage(name="first", audience=(ADA, BOB)), Stage(name="second", audience=(ADA, BOB))
)


@with_a_worker
async def test_two_clicks_are_not_two_stages(approvals: ApprovalClient) -> None:
    """The same decision again, by the same way or another, and one more made on what was seen then."""
    handle = await ask(approvals, BOTH)
    click = decision(BOTH, reviewer=ADA, stage=1, decision_id="click")

    first = await send(handle, "decide", click)
    for update_id in ("a", "b"):
        again = await send(handle, "decide", click, id=update_id)
        assert again == first
    await handle.signal("record_decision", click)
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await send(handle, "decide", decision(BOTH, reviewer=ADA, stage=1))
    await handle.signal("record_decision", decision(BOTH, reviewer=BOB, stage=1))

    assert "stage 1 is not asked: it is stage 2 now, second" in str(raised.value.cause)

    async def refused_both() -> bool:
        return len(await refusals(approvals, handle.id)) == 2

    await eventually(refused_both)
    view = await approvals.get(handle.id)
    assert (view.status, view.stage, view.approvals) == ("pending", 2, [])
    assert kinds(view) == ["created", "approved", "advanced", "refused", "refused"]
    second = await approvals.approve(handle.id, reviewer=ADA, stage=2)
    assert (second.status, second.stage) == ("approved", "second")
    late = await approvals.approve(handle.id, reviewer=ADA, stage=1, decision_id="click")
    assert (late.status, late.stage, late.next_stage) == ("approved", "first", "second")
    await replays(handle)


@with_a_worker
@pytest.mark.parametrize(
    ("stage", "why"),
    [
        (None, "this request has stages, so a decision says which: it is stage 1 now, first"),
        (2, "stage 2 is not asked: it is stage 1 now, first"),
        (9, "stage 9 is not asked: it is stage 1 now, first"),
    ],
)
async def test_a_decision_says_which_stage_it_is_about(
    approvals: ApprovalClient, stage: int | None, why: str
) -> None:
    handle = await ask(approvals, BOTH)

    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await send(handle, "decide", decision(BOTH, reviewer=ADA, stage=stage))

    assert why in str(raised.value.cause)
    assert await refusals(approvals, handle.id) == [why]


@with_a_worker
async def test_lists_show_the_stage_and_who_decides_in_it(approvals: ApprovalClient) -> None:
    asked = await approvals.request(order())
    await approvals.approve(asked.id, reviewer=ADA)
    await approvals.approve(asked.id, reviewer=BOB)
    await approvals.approve(asked.id, reviewer=CLEO)

    async def shown() -> bool:
        [line] = [one async for one in approvals.pending()]
        return bool(line.stage == 3 and line.approvals)

    await eventually(shown)
    [line] = [one async for one in approvals.pending(audience=CLEO)]
    assert line.stages == ("lead", "director", "finance")
    assert (line.audience, line.quorum) == (("group:finance", CLEO), 2)
    assert [vote.who for vote in line.approvals] == [CLEO]
    deadline = (await approvals.get(asked.id)).deadline
    assert line.deadline == deadline is not None
    assert [one.id async for one in approvals.pending(reviewer=ADA)] == []


@with_a_worker
async def test_the_history_has_who_closed_it_and_in_which_stage(approvals: ApprovalClient) -> None:
    asked = await approvals.request(order(5_000))
    await approvals.approve(asked.id, reviewer=ADA)
    await approvals.approve(asked.id, reviewer=BOB.upper())

    async def found() -> list[Any]:
        return [one async for one in approvals.history(reviewer=BOB, status="approved")]

    [line] = await eventually(found)
    assert (line.id, line.stage, line.stages) == (asked.id, 2, ("lead", "director", "finance"))
    assert (line.decision.reviewer, line.decision.stage) == (BOB.upper(), "director")
    assert [one async for one in approvals.history(reviewer=ADA)] == []


async def test_decisions_that_the_server_stored_go_through_the_stages_in_their_order(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    request = order(5_000)
    handle = await ask(impatient(temporal, settings), request)
    for name, stage in ((BOB, 2), (ADA, 1), (BOB, 2)):
        await handle.signal("record_decision", decision(request, reviewer=name, stage=stage))

    async with serve():
        assert (await approvals.wait(handle.id)).approved
        assert told(await approvals.get(handle.id))[1:] == [
            ("refused", BOB),
            ("approved", ADA),
            ("advanced", None),
            ("approved", BOB),
        ]


async def test_it_goes_on_where_it_was_after_every_worker_was_gone_and_without_any_memory(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        asked = await approvals.request(order())
        await approvals.approve(asked.id, reviewer=ADA)
    async with serve():
        await approvals.approve(asked.id, reviewer=BOB)
        view = await approvals.get(asked.id)
        assert (view.stage, view.status) == (3, "pending")
    async with forgetful(temporal, settings):
        await approvals.approve(asked.id, reviewer=CLEO)
        with pytest.raises(Refused, match=f"{CLEO} has approved already"):
            await approvals.approve(asked.id, reviewer=CLEO)
        assert (await approvals.approve(asked.id, reviewer="ada")).status == "approved"
        assert (await approvals.wait(asked.id)).approved
    await replays(temporal.get_workflow_handle(asked.id))
