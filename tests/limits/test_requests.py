"""As much as one request takes, of updates, stored signals and bytes; then a decision, which counts."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.service import RPCError

from clearance import ApprovalClient, ApprovalView, Refused, contract
from cli.settings import Settings
from tests import test_long_requests
from tests.conftest import Serve
from tests.office import ADA, GRACE
from tests.raw import Handle, decision, history, only
from tests.support import eventually, unique
from tests.test_long_requests import executions

pytestmark = [pytest.mark.true_size, pytest.mark.timeout(600)]

UPDATES = 2_000
SIGNALS = 10_000
BYTES = 2 * 2**20
"""Of which Temporal takes no more: of the first two in one execution, of bytes in one signal."""

WIRE = test_long_requests.WIRE.model_copy(
    update={"audience": (ADA, GRACE), "quorum": 1, "self_approval": ("editor",)}
)
TWO = WIRE.model_copy(update={"quorum": 2})


@pytest.fixture
def approvals(temporal: Client, settings: Settings) -> ApprovalClient:
    """A client that waits for a busy machine."""
    return ApprovalClient(
        temporal, task_queue=settings.approvals_queue, answer_timeout=timedelta(minutes=2)
    )


async def all_of(
    numbers: range, one: Callable[[int], Awaitable[object]], *, at_once: int = 50
) -> None:
    """Do something so often, so many at the same time."""
    left = iter(numbers)

    async def some() -> None:
        for number in left:
            await one(number)

    await asyncio.gather(*(some() for _ in range(at_once)))


@pytest.mark.usefixtures("worker_running")
@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "has to stay"])
async def test_a_request_is_decided_after_more_updates_than_one_execution_takes(
    approvals: ApprovalClient, temporal: Client, settings: Settings, goes_on: bool
) -> None:
    asked = await temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        TWO.model_dump(mode="json"),
        id=unique("updates"),
        task_queue=settings.approvals_queue,
        # What the server would start again stays in its execution.
        retry_policy=None if goes_on else RetryPolicy(maximum_attempts=2),
    )
    await approvals.approve(asked.id, reviewer=ADA)

    hasty = ApprovalClient(
        temporal, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=5)
    )

    async def again(number: int) -> None:
        with suppress(Refused):
            receipt = await hasty.approve(asked.id, reviewer=ADA, decision_id=f"again-{number}")
            # Stored instead; of refusals beyond 1,000 the record does not tell.
            assert not receipt.in_effect

    await all_of(range(UPDATES + 20), again)
    assert (await executions(temporal, asked.id) > 0) is goes_on
    await approvals.approve(asked.id, reviewer=GRACE)

    # A worker that has to read all that again takes seconds for it: it may be stored till then.
    assert (await approvals.wait(asked.id, timedelta(minutes=3))).approved
    view = await approvals.get(asked.id)
    assert [one.who for one in view.events if one.kind == "approved"] == [ADA, GRACE]
    assert sum(one.kind == "refused" for one in view.events) <= contract.MAX_RECORDED_REFUSALS


async def test_a_request_is_decided_after_as_many_stored_signals_as_the_server_takes(
    approvals: ApprovalClient, temporal: Client, settings: Settings, serve: Serve
) -> None:
    """The last of them is the decision; until a worker is there, who sends another is told why."""
    asked = await approvals.request(WIRE)
    handle = temporal.get_workflow_handle(asked.id)

    async def hostile(number: int) -> None:
        said: list[tuple[str, Any]] = [
            (contract.SIGNAL_APPROVE, "perhaps"),
            (contract.SIGNAL_ACT, {"kind": "comment", "who": "mallory", "text": "x"}),
            (contract.SIGNAL_DECIDE, decision(WIRE, reviewer=f"mallory-{number}")),
        ]
        await handle.signal(*said[number % len(said)])

    await all_of(range(SIGNALS - 1), hostile)
    await handle.signal(contract.SIGNAL_DECIDE, decision(WIRE, reviewer=ADA))
    hasty = ApprovalClient(
        temporal, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=1)
    )
    with pytest.raises(Refused, match="takes nothing more"):
        await hasty.approve(asked.id, reviewer=GRACE)

    async with serve():
        outcome = await approvals.wait(asked.id, timedelta(minutes=2))
        view = await approvals.get(asked.id)

    assert outcome.approved
    assert outcome.decision is not None
    assert outcome.decision.reviewer == ADA
    assert not only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    order = [one.who for one in view.events if one.who and one.who.startswith("mallory-")]
    sent = await _senders(handle)
    assert len(order) > 300
    assert order == sent[: len(order)]


async def _senders(handle: Handle) -> list[str]:
    """Who sent a decision, in the order in which the server has stored them."""
    decode = handle._client.data_converter.decode
    signals = [
        one.workflow_execution_signaled_event_attributes
        for one in only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    ]
    decisions = [one for one in signals if one.signal_name == contract.SIGNAL_DECIDE]
    return [(await decode(one.input.payloads))[0]["reviewer"] for one in decisions]


async def test_a_request_is_decided_after_9_600_stored_signals_and_by_one_who_comes_then(
    approvals: ApprovalClient, temporal: Client, serve: Serve
) -> None:
    asked = await approvals.request(TWO)
    handle = temporal.get_workflow_handle(asked.id)

    async def vote(number: int) -> None:
        who = ADA if number == 9_000 else f"mallory-{number}"
        await handle.signal(contract.SIGNAL_DECIDE, decision(TWO, reviewer=who))

    await all_of(range(9_600), vote)
    async with serve():
        receipt = await approvals.approve(asked.id, reviewer=GRACE)
        view = await approvals.get(asked.id)

    assert receipt.status == "approved"
    assert [one.who for one in view.events if one.kind == "approved"] == [ADA, GRACE]


def largest(room: int = contract.MAX_ARGUMENTS_BYTES) -> dict[str, Any]:
    """Arguments of so many bytes."""
    return {"cents": 4_100, "to": "x" * (room - len('{"cents":4100,"to":""}'))}


@pytest.mark.parametrize("stored", [False, True], ids=["answered", "stored"])
async def test_the_largest_decision_counts_and_one_byte_more_is_refused(
    approvals: ApprovalClient, temporal: Client, serve: Serve, stored: bool
) -> None:
    asked = await approvals.request(WIRE)
    handle = temporal.get_workflow_handle(asked.id)
    digest = WIRE.with_arguments(largest()).digest
    said = decision(WIRE, reviewer=ADA, arguments=largest(), reason="r" * contract.MAX_REASON_CHARS)
    beyond = {**said, "arguments": largest(contract.MAX_ARGUMENTS_BYTES + 1), "decision_id": "x"}
    full = {**said, "reason": "", "decision_id": "y"}
    full["reason"] = "r" * (BYTES - len(str(full)) - 1_000)
    with pytest.raises(RPCError, match="exceeds"):
        await handle.signal(contract.SIGNAL_DECIDE, {**said, "reason": "r" * BYTES})
    for malformed in (full, beyond):
        await handle.signal(contract.SIGNAL_DECIDE, malformed)
    if stored:
        await handle.signal(contract.SIGNAL_DECIDE, said)
    async with serve():
        if not stored:
            await approvals.approve(
                asked.id, reviewer=ADA, arguments=largest(), reason=said["reason"]
            )
        outcome = await approvals.wait(asked.id, timedelta(minutes=1))
        view = await approvals.get(asked.id)

    assert (outcome.approved, outcome.edit and outcome.edit.digest) == (True, digest)
    assert outcome.edit is not None
    assert outcome.edit.arguments == largest()
    kinds = ["created", "refused", "refused", "edited", "approved"]
    assert [one.kind for one in view.events] == kinds
    assert not only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)


@pytest.mark.usefixtures("worker_running")
async def test_a_request_that_was_changed_as_often_and_as_much_as_may_be_is_decided(
    approvals: ApprovalClient, temporal: Client
) -> None:
    """13 MB of its history, which is more than what Temporal suggests; and it is handed over."""
    asked = await approvals.request(TWO)
    for number in range(50):
        changed = {**largest(), "cents": 1_000 + number}
        await approvals.approve(asked.id, reviewer=ADA, arguments=changed)

    async def has_gone_on() -> ApprovalView | None:
        view = await approvals.get(asked.id)
        return view if await executions(temporal, asked.id) else None

    view = await eventually(has_gone_on)
    assert view is not None
    assert view.edit is not None
    assert view.edit.arguments["cents"] == 1_049
    assert (await approvals.approve(asked.id, reviewer=GRACE)).status == "approved"
