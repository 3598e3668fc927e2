"""A workflow that asks for very much at once: what there is no room for is held back, in its order."""

import pytest
from temporalio.client import Client

from clearance import ApprovalClient, gate
from cli.settings import Settings

from . import parents
from .support import eventually


@pytest.mark.usefixtures("worker_running")
@pytest.mark.parametrize("bound", ["MAX_OPEN", "_MAX_TASK_BYTES"])
async def test_requests_beyond_the_bound_are_asked_when_others_have_ended_and_all_are_answered(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
) -> None:
    monkeypatch.setattr(gate, bound, 3)
    actions = [f"Deploy {number}?" for number in range(8)]
    async with parents.worker_for(temporal, settings.agents_queue):
        args = (settings.agents_queue, actions, settings.approvals_queue)
        parent = await parents.start(temporal, parents.Asks, *args)
        most = 0
        open_now: set[str] = set()

        async def waiting() -> bool:
            open_now.clear()
            open_now.update([one.id async for one in approvals.pending(run=parent.id)])
            return len(open_now) >= min(3, left)

        for left in range(len(actions), 0, -1):
            await eventually(waiting)
            most = max(most, len(open_now))
            told = await parent.query("pending_approvals")
            assert len(told) <= (3 if bound == "MAX_OPEN" else len(actions))
            first = min(open_now)
            assert first == f"{parent.id}.{len(actions) - left + 1}"
            await temporal.get_workflow_handle(first).signal("approve", True)

            async def gone(id: str = first) -> bool:
                return id not in [one.id async for one in approvals.pending(run=parent.id)]

            await eventually(gone)
        outcomes = await parent.result()

    assert [one.approval_id for one in outcomes] == [f"{parent.id}.{n}" for n in range(1, 9)]
    assert all(one.approved is True for one in outcomes)
    assert most == 3 or bound != "MAX_OPEN"


@pytest.mark.usefixtures("worker_running")
async def test_what_is_held_back_ends_with_its_workflow(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "MAX_OPEN", 1)
    async with parents.worker_for(temporal, settings.agents_queue):
        args = (settings.agents_queue, ["One?", "Two?", "Three?"], settings.approvals_queue)
        parent = await parents.start(temporal, parents.Asks, *args)

        async def pending() -> list[str]:
            return [one.id async for one in approvals.pending(run=parent.id)]

        assert await eventually(pending) == [f"{parent.id}.1"]
        await parent.cancel()

        async def nobody() -> bool:
            return not await pending()

        await eventually(nobody)
