"""What an update says of its sender, among many workers, large requests and those who send anything."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from clearance import ApprovalClient, ApprovalRequest, contract
from clearance.directory import Standing
from cli.settings import Settings

from .directory import ADA, BOB, CLEO, EVE, GRACE, replays, reviewed
from .raw import Handle, ask, decision, history, reset
from .support import eventually

PAY = ApprovalRequest(action="Pay", audience=("group:finance", CLEO), quorum=3)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


def test_every_process_says_the_same_of_somebody() -> None:
    """A set has another order in each process, by a random seed of Python's."""
    names = [f"name-{number:03}" for number in range(100)]
    said = Standing(name="ada", names=frozenset(names), groups=frozenset(names)).model_dump(
        mode="json"
    )
    assert said["names"] == said["groups"] == names


@pytest.mark.usefixtures("worker_running")
async def test_what_is_said_and_was_not_asked_for_leaves_no_trace(
    temporal: Client, approvals: ApprovalClient
) -> None:
    """Megabytes of it would fill a request's history, and so end it."""
    handle = await ask(approvals, PAY)
    nobodys = await ask(approvals, PAY.model_copy(update={"version": 1}))
    viewed = {"kind": "viewed", "who": EVE, "act_id": "seen"}
    for one in (handle, nobodys):
        before = len(await history(one))
        extras: list[list[Any]] = [["x" * 100_000], [None], [[], []]]
        for extra in extras:
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await one.execute_update("act", args=[viewed, *extra])
            assert isinstance(refused.value.cause, ApplicationError)
            assert refused.value.cause.type == contract.ERROR_REFUSED
        assert len(await history(one)) == before
    await handle.execute_update("act", viewed)


@pytest.mark.usefixtures("worker_running")
async def test_a_large_request_replays_whatever_is_asked_while_its_decisions_are_looked_up(
    temporal: Client, approvals: ApprovalClient
) -> None:
    """What follows a look-up may belong to another workflow task when it is replayed."""
    request = PAY.model_copy(update={"arguments": {"text": "x" * 240_000}})

    async def one() -> None:
        handle = await ask(approvals, request)
        ended = asyncio.Event()

        async def asks() -> None:
            while not ended.is_set():
                await handle.query("view")

        async def decides(who: str) -> None:
            await handle.signal("record_decision", decision(request, reviewer=who))

        asking = [asyncio.create_task(asks()) for _ in range(2)]
        everybody = (EVE, GRACE, "zed", "yan", "xia", ADA, "wim", BOB, "vic", CLEO)
        for who in everybody:
            await decides(who)
        assert (await approvals.wait(handle.id)).approved
        ended.set()
        await asyncio.gather(*asking)
        await replays(handle)

    await asyncio.gather(*(one() for _ in range(3)))


@pytest.mark.usefixtures("worker_running")
@pytest.mark.parametrize("to", [0, 1], ids=["its beginning", "later"])
async def test_what_was_decided_still_counts_where_the_request_is_reset(
    temporal: Client, approvals: ApprovalClient, to: int
) -> None:
    """The server sends the updates again, at once: while the directory is asked about the audience."""
    handle = await ask(approvals, PAY)
    await approvals.approve(handle.id, reviewer=ADA)
    await approvals.comment(handle.id, "Why?", who=BOB)

    again = await reset(temporal, handle, to=to)

    async def counted() -> bool:
        view = await approvals.get(handle.id)
        said = [event.kind for event in view.events]
        return [one.reviewer for one in view.approvals] == [ADA] and "commented" in said

    await eventually(counted)
    assert (await approvals.approve(handle.id, reviewer=BOB)).status == "pending"
    last = await approvals.approve(handle.id, reviewer=CLEO)
    assert (last.status, last.in_effect) == ("approved", True)
    assert (await again.query("view"))["status"] == "approved"  # by a worker that reads it anew


@pytest.mark.usefixtures("worker_running")
async def test_who_did_not_hear_that_a_standing_is_to_be_said_sends_again_the_lost_answer_is_mocked(
    approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has forgotten what was refused without a trace, and says so as of what has ended."""
    handle = await ask(approvals, PAY)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("decide", decision(PAY, reviewer=ADA), id="forgotten")
    with pytest.raises(RPCError, match="forgotten") as forgotten:
        await handle.get_update_handle("forgotten").result()
    assert forgotten.value.status == RPCStatusCode.NOT_FOUND
    really, lost = WorkflowHandle.execute_update, [forgotten.value]

    async def executed(self: Handle, update: str, *args: Any, id: str, **how: Any) -> Any:
        if lost:
            error = lost.pop()
            raise RPCError(error.message.replace("forgotten", id), error.status, b"")
        return await really(self, update, *args, id=id, **how)

    monkeypatch.setattr(WorkflowHandle, "execute_update", executed)

    receipt = await approvals.approve(handle.id, reviewer=ADA)
    assert (receipt.in_effect, receipt.approvals, lost) == (True, 1, [])
