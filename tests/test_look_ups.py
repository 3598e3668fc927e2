"""A look-up that ends in the very moment in which a query is answered: the rest replays nevertheless."""

import asyncio
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.service import RPCError

from activities.directory import DirectoryActivities
from clearance import ApprovalClient, ApprovalRequest
from clearance.record import Record
from clearance.views import ApprovalView
from cli.settings import Settings

from .conftest import Serve
from .directory import ADA, CLEO, kinds, replays, reviewed
from .raw import ask, decision, is_taken
from .support import eventually

PAY = ApprovalRequest(action="Pay", audience=("group:finance", CLEO), quorum=3)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


class Held:
    """Holds a look-up until a query is being answered, and the query until the look-up has ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing, until it is ``armed``."""
        self.armed, self.begun, self.queried, self.over = (threading.Event() for _ in range(4))
        current, view = DirectoryActivities._current, Record.view

        async def asked(directory: DirectoryActivities) -> Any:
            if self.armed.is_set():
                self.begun.set()
                await asyncio.to_thread(self.queried.wait, 3)
            return await current(directory)

        def viewed(record: Record) -> ApprovalView:
            if self.begun.is_set() and not self.over.is_set():
                self.queried.set()
                self.over.wait(1.5)  # the SDK gives a workflow two seconds
                time.sleep(0.2)  # in which the answer comes to the SDK; else this proves nothing
            return view(record)

        monkeypatch.setattr(DirectoryActivities, "_current", asked)
        monkeypatch.setattr(Record, "view", viewed)


@pytest.mark.parametrize("meanwhile", ["withdrawn", "expired"])
async def test_what_happens_as_a_look_up_ends_and_a_query_is_answered_replays(
    meanwhile: str, approvals: ApprovalClient, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, soon = Held(monkeypatch), timedelta(seconds=3)
    request = PAY.model_copy(update={"expires_in": soon} if meanwhile == "expired" else {})
    async with serve():
        handle = await ask(approvals, request)
        await eventually(lambda: is_taken(handle))
    await handle.signal("record_decision", decision(request, reviewer=ADA))

    async def reads() -> None:  # once a worker is there, with the decision
        with suppress(RPCError):
            await handle.query("view", rpc_timeout=timedelta(seconds=10))

    reading = [asyncio.create_task(reads()) for _ in range(3)]
    await handle.describe()
    held.armed.set()

    async with serve():
        await asyncio.to_thread(held.queried.wait, 3)
        if meanwhile == "withdrawn":
            await handle.cancel()
        else:
            due = (await handle.describe()).start_time + soon
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
        held.over.set()
        await asyncio.gather(*reading)

        async def told() -> bool:
            return meanwhile in kinds(await approvals.get(handle.id))

        await eventually(told)
    await replays(handle)
