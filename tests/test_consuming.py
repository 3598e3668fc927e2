"""Permission for an agent outside Temporal, on a real server: taken once, for what was approved."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from clearance import (
    AlreadyConsumed,
    ApprovalClient,
    ApprovalRequest,
    InvalidRequest,
    NotFound,
    Permit,
    Refused,
    contract,
    request_approval,
)
from clearance.mask import MASK
from cli.settings import Settings

from .conftest import Serve
from .raw import impatient
from .support import eventually, unique
from .test_time import passed

ADA, ROBOT = "ada@example.com", "deploy-bot"
PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    tool="pay",
    arguments={"to": "Ada", "amount": 100, "pin": "0000-1111"},
    editable=True,
    description_template="Pay {amount} to {to}",
)

with_a_worker = pytest.mark.usefixtures("served")


async def approved(approvals: ApprovalClient, request: ApprovalRequest = PAY, **how: Any) -> str:
    """Ask and approve; the id."""
    asked = await approvals.request(request)
    await approvals.approve(asked.id, reviewer=ADA, **how)
    await approvals.wait(asked.id)
    return asked.id


async def consume(approvals: ApprovalClient, id: str, **how: Any) -> Permit:
    return await approvals.consume(id, **{"digest": PAY.digest, "taker": ROBOT, **how})


def taken(approvals: ApprovalClient, id: str) -> Any:
    return approvals.temporal.get_workflow_handle(contract.consumption_id(id))


async def told(approvals: ApprovalClient, id: str) -> list[tuple[str, str | None, str]]:
    """Kind, person and reason of what the record says of the action itself."""
    events = (await approvals.get(id)).events
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = ("consumed", "executed")
    return [(one.kind, one.who, one.reason) for one in events if one.kind in kinds]


@with_a_worker
async def test_what_was_approved_may_be_done_and_the_record_says_by_whom(
    approvals: ApprovalClient,
) -> None:
    id = await approved(approvals, reason="read it")

    permit = await consume(approvals, id)

    assert (permit.approval_id, permit.taker, permit.digest) == (id, ROBOT, PAY.digest)
    assert (permit.action, permit.tool) == (PAY.action, "pay")
    assert permit.arguments == {"to": "Ada", "amount": 100, "pin": MASK}
    assert permit.masked == ("/pin",)
    assert (permit.decision.by, permit.decision.reason) == (ADA, "read it")
    assert permit.decision.at < permit.at < permit.until == permit.decision.at + timedelta(hours=1)
    assert await told(approvals, id) == [("consumed", ROBOT, "")]


@with_a_worker
async def test_a_second_taker_is_told_who_was_first(approvals: ApprovalClient) -> None:
    id = await approved(approvals)
    first = await consume(approvals, id)

    for how in ({"taker": "other"}, {}, {"taker": "other", "consumption_id": first.consumption_id}):
        with pytest.raises(AlreadyConsumed, match=f"{id} was taken by {ROBOT} at ") as caught:
            await consume(approvals, id, **how)
        assert (caught.value.taker, caught.value.at) == (ROBOT, first.at)
    assert await told(approvals, id) == [("consumed", ROBOT, "")]


@with_a_worker
async def test_of_many_who_take_it_at_once_one_gets_it(approvals: ApprovalClient) -> None:
    id = await approved(approvals)

    answers = await asyncio.gather(
        *(consume(approvals, id, taker=f"bot-{n}") for n in range(10)), return_exceptions=True
    )

    [permit] = [one for one in answers if isinstance(one, Permit)]
    others = [one for one in answers if isinstance(one, AlreadyConsumed)]
    assert [one.taker for one in others] == [permit.taker] * 9


@with_a_worker
async def test_the_same_taker_with_the_same_key_gets_the_same_permit(
    approvals: ApprovalClient,
) -> None:
    id = await approved(approvals)
    how = {"consumption_id": "try-1"}

    permits = await asyncio.gather(*(consume(approvals, id, **how) for _ in range(5)))
    await approvals.report(id, taker=ROBOT, succeeded=True)

    assert [one == permits[0] for one in [*permits, await consume(approvals, id, **how)]] == [
        True
    ] * 6


async def test_it_is_taken_without_any_worker_and_shown_once_there_is_one(
    temporal: Client, settings: Settings, serve: Serve
) -> None:
    alone = impatient(temporal, settings)
    async with serve():
        id = await approved(alone)

    permit = await consume(alone, id)
    receipt = await alone.report(id, taker=ROBOT, succeeded=True, summary="paid")

    assert (permit.taker, receipt.in_effect) == (ROBOT, False)
    assert not (await alone.get(id)).complete
    with pytest.raises(AlreadyConsumed):
        await consume(alone, id, taker="other")
    async with serve():

        async def executed() -> bool:
            return len(await told(alone, id)) == 2

        await eventually(executed)
        assert await told(alone, id) == [("consumed", ROBOT, ""), ("executed", ROBOT, "paid")]


@with_a_worker
async def test_what_a_reviewer_changed_is_what_may_be_done(approvals: ApprovalClient) -> None:
    id = await approved(approvals, changes={"amount": 80})
    current = (await approvals.get(id)).current

    with pytest.raises(
        Refused, match=f"something else was approved: .* the digest {current.digest}"
    ):
        await consume(approvals, id)
    permit = await consume(approvals, id, digest=current.digest)

    assert (permit.action, permit.digest) == ("Pay 80 to Ada", current.digest)
    assert permit.arguments == {"to": "Ada", "amount": 80, "pin": MASK}


@with_a_worker
@pytest.mark.parametrize("digest", ["", "0" * 64, "x", PAY.digest.upper(), f"{PAY.digest} "])
async def test_another_digest_takes_nothing(approvals: ApprovalClient, digest: str) -> None:
    id = await approved(approvals)

    with pytest.raises(Refused, match="something else was approved"):
        await consume(approvals, id, digest=digest)

    assert (await consume(approvals, id)).digest == PAY.digest


@with_a_worker
async def test_nothing_that_was_not_approved_is_taken(approvals: ApprovalClient) -> None:
    ends: dict[str, tuple[str, Any]] = {}
    for name in ("waits", "rejected", "withdrawn", "terminated"):
        ends[name] = ((await approvals.request(PAY)).id, None)
    await approvals.reject(ends["rejected"][0], reviewer=ADA)
    await approvals.withdraw(ends["withdrawn"][0], who=ADA)
    await approvals.temporal.get_workflow_handle(ends["terminated"][0]).terminate()
    short = PAY.model_copy(update={"expires_in": timedelta(milliseconds=1)})
    expired = (await approvals.request(short)).id
    for id in (ends["rejected"][0], ends["withdrawn"][0], expired):
        await approvals.wait(id)

    said = {
        ends["waits"][0]: "still waits for a decision",
        ends["rejected"][0]: f"is already decided: rejected by {ADA}",
        ends["withdrawn"][0]: "is already withdrawn: nobody can decide it any more",
        ends["terminated"][0]: "is already withdrawn",
        expired: "is already expired",
    }
    for id, why in said.items():
        with pytest.raises(Refused, match=f"{id} {why}") as caught:
            await consume(approvals, id)
        assert not isinstance(caught.value, AlreadyConsumed)
        assert await told(approvals, id) == []
    with pytest.raises(NotFound):
        await consume(approvals, unique("nothing"))


@with_a_worker
async def test_what_was_malformed_is_no_permission(
    approvals: ApprovalClient, settings: Settings
) -> None:
    handle = await approvals.temporal.start_workflow(
        *("ApprovalWorkflow", {"action": ""}),
        id=unique("malformed"),
        task_queue=settings.approvals_queue,
    )
    with pytest.raises(InvalidRequest):
        await approvals.wait(handle.id)

    with pytest.raises(InvalidRequest, match="is no valid request"):
        await consume(approvals, handle.id)


@with_a_worker
async def test_too_late_it_is_no_permission_for_anybody(approvals: ApprovalClient) -> None:
    soon = PAY.model_copy(update={"usable_for": timedelta(seconds=1)})
    id, in_time = await approved(approvals, soon), await approved(approvals, soon)
    permit = await consume(approvals, in_time, consumption_id="mine")
    decision = (await approvals.get(id)).decision
    assert decision is not None
    await passed(decision.at + timedelta(seconds=1))
    await passed(permit.until)

    for taker in (ROBOT, "other"):
        with pytest.raises(Refused, match=f"too late: {id} could be used until") as caught:
            await consume(approvals, id, taker=taker)
        assert not isinstance(caught.value, AlreadyConsumed)
    assert await told(approvals, id) == []
    with pytest.raises(NotFound, match="nobody has taken"):
        await approvals.report(id, taker=ROBOT, succeeded=True)
    assert await consume(approvals, in_time, consumption_id="mine") == permit


@workflow.defn(sandboxed=False)  # this module imports what no workflow may
class Asking:
    """A run that asks and acts by itself."""

    @workflow.run
    async def run(self, queue: str) -> bool:
        """Whether it may."""
        return (await request_approval(PAY, task_queue=queue)).approved


@with_a_worker
async def test_what_a_run_asked_for_is_for_that_run(
    approvals: ApprovalClient, settings: Settings
) -> None:
    queue = unique("runs")
    async with Worker(approvals.temporal, task_queue=queue, workflows=[Asking]):
        run = await approvals.temporal.start_workflow(
            Asking.run, settings.approvals_queue, id=queue, task_queue=queue
        )
        id = f"{run.id}.1"

        async def waits() -> bool:
            return id in [one.id async for one in approvals.pending()]

        await eventually(waits)
        await approvals.approve(id, reviewer=ADA)
        assert await run.result()
        with pytest.raises(Refused, match=f"{id} is for the run {run.id}: it acts by itself"):
            await consume(approvals, id)


@with_a_worker
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"taker": ""}, "taker: String should have at least 1 character"),
        ({"taker": "x" * 201}, "taker: "),
        ({"taker": "bot\x1b"}, "taker: contains the control character"),
        ({"taker": None}, "taker: "),
        ({"consumption_id": "a b"}, "consumption_id: "),
        ({"consumption_id": "x" * 65}, "consumption_id: "),
    ],
)
async def test_a_malformed_taker_takes_nothing(
    approvals: ApprovalClient, how: dict[str, Any], said: str
) -> None:
    id = await approved(approvals)

    with pytest.raises(InvalidRequest, match=said):
        await consume(approvals, id, **how)

    assert await told(approvals, id) == []


@with_a_worker
async def test_a_workflow_that_stands_in_the_way_lets_nobody_through(
    approvals: ApprovalClient, settings: Settings
) -> None:
    foreign: list[dict[str, Any]] = [
        {"workflow": "Other"},
        {"workflow": contract.CONSUMPTION_WORKFLOW},
        {"workflow": contract.CONSUMPTION_WORKFLOW, "memo": {"consumption": "junk"}},
    ]
    for one in foreign:
        id = await approved(approvals)
        await approvals.temporal.start_workflow(
            one["workflow"],
            id=contract.consumption_id(id),
            task_queue=settings.approvals_queue,
            memo=one.get("memo"),
        )

        with pytest.raises(Refused, match="is used for something else"):
            await consume(approvals, id)
        assert await told(approvals, id) == []
    with pytest.raises(InvalidRequest, match="an id doesn't end with"):
        await approvals.request("Deploy", id="approval-1.consumed")


@with_a_worker
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"succeeded": True, "summary": "paid\n100"}, "paid\n100"),
        ({"succeeded": True}, ""),
        ({"succeeded": False}, "it failed"),
        ({"succeeded": False, "summary": "no money"}, "it failed: no money"),
        ({"succeeded": True, "summary": "é" * 4_000}, "é" * 4_000),
    ],
)
async def test_what_the_action_did_is_on_record(
    approvals: ApprovalClient, said: dict[str, Any], reason: str
) -> None:
    id = await approved(approvals)
    await consume(approvals, id)

    receipt = await approvals.report(id, taker=ROBOT.upper(), **said)

    assert (receipt.approval_id, receipt.succeeded) == (id, said["succeeded"])
    assert receipt.in_effect
    assert await told(approvals, id) == [("consumed", ROBOT, ""), ("executed", ROBOT, reason)]


@with_a_worker
async def test_the_first_report_stands_and_the_same_again_is_fine(
    approvals: ApprovalClient,
) -> None:
    id = await approved(approvals)
    await consume(approvals, id)
    said: dict[str, Any] = {"taker": ROBOT, "succeeded": True, "summary": "paid"}

    receipts = await asyncio.gather(*(approvals.report(id, **said) for _ in range(4)))
    receipts.append(await approvals.report(id, **said))

    assert all(one == receipts[0] for one in receipts)
    for other in ({"succeeded": False}, {"summary": "paid twice"}):
        with pytest.raises(Refused, match=r"already reported at .*: it succeeded"):
            await approvals.report(id, **{**said, **other})
    assert (await told(approvals, id))[1:] == [("executed", ROBOT, "paid")]


@with_a_worker
async def test_only_who_took_it_reports(approvals: ApprovalClient) -> None:
    id = await approved(approvals)
    with pytest.raises(NotFound, match=f"nobody has taken the permission of {id}"):
        await approvals.report(id, taker=ROBOT, succeeded=True)
    await consume(approvals, id)

    with pytest.raises(Refused, match=f"other did not take this permission: {ROBOT} did"):
        await approvals.report(id, taker="other", succeeded=True)
    with pytest.raises(InvalidRequest, match="succeeded: "):
        await approvals.report(id, taker=ROBOT, succeeded="yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="summary: "):
        await approvals.report(id, taker=ROBOT, succeeded=True, summary="x" * 4_001)

    assert await told(approvals, id) == [("consumed", ROBOT, "")]


@with_a_worker
async def test_what_foreign_programs_report_changes_nothing_unless_it_is_whole(
    approvals: ApprovalClient,
) -> None:
    id = await approved(approvals)
    await consume(approvals, id)
    handle = taken(approvals, id)
    whole = {"taker": ROBOT, "succeeded": True, "summary": "paid"}
    malformed: list[Any] = [
        *(None, True, "paid", [], {}),
        {**whole, "succeeded": 1},
        {**whole, "more": 1},
        {**whole, "taker": "other"},
    ]
    for one in malformed:
        await handle.signal("record_outcome", one)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("report", one)
    await handle.signal("record_outcome", args=[whole, whole])
    assert await told(approvals, id) == [("consumed", ROBOT, "")]

    await handle.signal("record_outcome", whole)

    async def executed() -> bool:
        return len(await told(approvals, id)) == 2

    await eventually(executed)
    assert (await handle.execute_update("report", whole))["succeeded"] is True


async def test_it_stays_until_nobody_could_take_it_any_more(
    environment: WorkflowEnvironment, over_time: ApprovalClient
) -> None:
    month = PAY.model_copy(update={"usable_for": timedelta(days=30)})
    with environment.with_time_skipping_disabled():
        id = await approved(over_time, month)
        await consume(over_time, id)
        await over_time.report(id, taker=ROBOT, succeeded=True)
    handle = taken(over_time, id)

    await environment.fast_forward(handle, timedelta(days=29))
    assert (await handle.describe()).close_time is None
    with pytest.raises(AlreadyConsumed):
        await consume(over_time, id, taker="other")
    await environment.fast_forward(handle, timedelta(days=2))

    assert (await handle.result())["outcome"]["succeeded"] is True
    with pytest.raises(AlreadyConsumed):
        await consume(over_time, id, taker="other")
    with pytest.raises(Refused, match="already reported"):
        await over_time.report(id, taker=ROBOT, succeeded=False)


async def test_after_30_days_without_a_word_nothing_can_be_reported(
    environment: WorkflowEnvironment, over_time: ApprovalClient
) -> None:
    with environment.with_time_skipping_disabled():
        id = await approved(over_time)
        await consume(over_time, id)
    handle = taken(over_time, id)

    await environment.fast_forward(handle, timedelta(days=29))
    assert (await handle.describe()).close_time is None
    await environment.fast_forward(handle, timedelta(days=2))

    assert (await handle.result())["outcome"] is None
    with pytest.raises(Refused, match=f"too late: of {id} nothing can be reported"):
        await over_time.report(id, taker=ROBOT, succeeded=True)
    assert await told(over_time, id) == [("consumed", ROBOT, "")]


@pytest.mark.parametrize("taking", [None, {}, "x", {"approval_id": "a"}])
@with_a_worker
async def test_a_malformed_consumption_fails_and_says_why(
    approvals: ApprovalClient, settings: Settings, taking: Any
) -> None:
    handle = await approvals.temporal.start_workflow(
        *(contract.CONSUMPTION_WORKFLOW, taking),
        id=unique("malformed"),
        task_queue=settings.approvals_queue,
    )
    with pytest.raises(Exception, match="Workflow execution failed") as caught:
        await handle.result()
    assert getattr(caught.value.__cause__, "type", None) == contract.ERROR_INVALID_REQUEST
