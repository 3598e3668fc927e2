"""Readings in the midst of decisions: nothing may be written that Temporal's SDK can't replay."""

import asyncio
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
from temporalio.service import RPCError

from clearance import ApprovalClient, ApprovalRequest, ClearanceError
from cli.settings import Settings

from .directory import ADA, BOB, CLEO, EVE, replays, reviewed
from .raw import Handle, ask, decision

PAY = ApprovalRequest(action="Pay", audience=("group:finance", CLEO), quorum=3)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


async def _asks(handle: Handle, until: asyncio.Event) -> list[Any]:
    events = []
    while not until.is_set():
        with suppress(RPCError):  # a busy machine hasn't answered in time
            if (view := await handle.query("view"))["status"] == "pending":
                events = view["events"]
    return events


@pytest.mark.usefixtures("worker_running")
async def test_whatever_is_asked_while_people_decide_every_history_replays(
    approvals: ApprovalClient,
) -> None:
    """By updates and by stored signals together, with three that ask without a pause; `just test-long`
    does it four times."""

    async def one() -> Handle:
        handle = await ask(approvals, PAY)
        ended = asyncio.Event()
        asking = [asyncio.create_task(_asks(handle, ended)) for _ in range(3)]

        async def comments() -> None:
            with suppress(ClearanceError):  # when it has ended
                await approvals.comment(handle.id, "Why?", who=ADA)

        async def refused() -> None:
            with suppress(ClearanceError):
                await approvals.approve(handle.id, reviewer=EVE)

        await asyncio.gather(
            approvals.approve(handle.id, reviewer=ADA),
            handle.signal("record_decision", decision(PAY, reviewer=EVE)),
            approvals.approve(handle.id, reviewer=BOB),
            handle.signal("record_decision", decision(PAY, reviewer=CLEO)),
            comments(),
            refused(),
        )
        assert (await approvals.wait(handle.id)).approved
        ended.set()
        read_anew = (await approvals.get(handle.id)).model_dump(mode="json")["events"]
        for seen in await asyncio.gather(*asking):  # by the worker that had it in memory
            assert seen == read_anew[: len(seen)]
        return handle

    for _ in range(hypothesis.settings().max_examples // 25):
        for handle in await asyncio.gather(*(one() for _ in range(4))):
            await replays(handle)
