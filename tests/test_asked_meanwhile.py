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


class Held:
    """Holds a look-up until a query is being answered, and the query until the look-up has ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing, until it is ``armed``."""
        self.armed, self.begun, self.queried, self.over = (threading.Event() for _ in range(4))
        current, view = DirectoryActivities._current, Record.view

        async def asked(directory: DirectoryActivities) -> Any:
            if self.armed.is_set():
                self.begun.set()
                await asyncio.to_thread(self.queried.wait, 10)
            return await current(directory)

        def viewed(record: Record) -> ApprovalView:
            if self.begun.is_set() and not self.over.is_set():
                self.queried.set()
                self.over.wait(1)  # the SDK gives a workflow two seconds
                time.sleep(0.2)  # in which the answer comes to the SDK; else this proves nothing
            return view(record)

        monkeypatch.setattr(DirectoryActivities, "_current", asked)
        monkeypatch.setattr(Record, "view", viewed)


@pytest.mark.parametrize("meanwhile", ["withdrawn", "reminded"])
async def test_what_happens_as_a_look_up_ends_and_a_query_is_answered_replays(
    meanwhile: str, approvals: ApprovalClient, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, soon = Held(monkeypatch), timedelta(seconds=2)
    request = PAY.model_copy(update={"remind_after": (soon,)})
    async with serve():
        handle = await ask(approvals, request)
        await eventually(lambda: is_taken(handle))
    await handle.signal("record_decision", decision(request, reviewer=ADA))
    reading = asyncio.create_task(handle.query("view"))  # which waits for a worker, as the decision
    held.armed.set()

    async with serve():
        assert await asyncio.to_thread(held.queried.wait, 10)
        if meanwhile == "withdrawn":
            await handle.cancel()
        else:
            due = (await handle.describe()).start_time + soon
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
        held.over.set()
        await reading

        async def told() -> bool:
            return meanwhile in kinds(await approvals.get(handle.id))

        await eventually(told)
    await replays(handle)
