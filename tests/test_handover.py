"""What a workflow hands over is in the ledger once the server has taken it, and never else."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

import worker
from activities import handover
from activities.handover import Handover
from clearance import ApprovalClient, ApprovalRequest, contract
from clearance.kept import Kept
from clearance.views import ApprovalView
from cli.settings import Settings
from store.ledger import Ledger
from store.ledger.breaker import Breaker

from .conftest import Serve
from .directory import forgetful
from .ledgers import ledger_of, reconciled, warnings_of
from .raw import Handle, history, is_taken, only
from .support import eventually, unique

ADA, BOB = "ada@example.com", "bob@example.com"
MARKER = EventType.EVENT_TYPE_MARKER_RECORDED


async def _asked(approvals: ApprovalClient) -> Handle:
    request = ApprovalRequest(action="Pay", tool="pay")
    return approvals.temporal.get_workflow_handle((await approvals.request(request)).id)


async def _kept(ledger: Ledger, id: str) -> ApprovalView:
    async def there() -> ApprovalView | None:
        return await ledger.view(id)

    found = await eventually(there)
    assert found is not None
    return found


async def test_what_ended_just_before_the_worker_stops_is_in_the_ledger_when_it_has_stopped(
    approvals: ApprovalClient, settings: Settings, serve: Serve
) -> None:
    async with serve():
        ids = [(await _asked(approvals)).id for _ in range(5)]
        await asyncio.gather(*(approvals.approve(id, reviewer=ADA) for id in ids))
    async with ledger_of(settings) as ledger:
        assert {row.request async for row in ledger.rows()} == set(ids)


async def test_an_end_that_the_server_never_took_is_not_in_the_ledger(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if a worker had died, or been cut off, between a decision and the server's answer."""
    monkeypatch.setattr(handover, "_LAST", 0.3)
    own = f"sqlite:///{tmp_path}/own.db"
    async with serve(), Handover(temporal, Breaker(own)) as ended:
        waits, rejected, terminated = [await _asked(approvals) for _ in range(3)]
        real = await _asked(approvals)
        now = datetime.now(UTC)
        for handle in (waits, rejected, terminated):
            ended.take(await _imagined(handle, settings, now), now)
        await approvals.approve(rejected.id, reviewer=BOB, reason="Bob's, not Ada's")
        await is_taken(terminated)
        await terminated.terminate(reason="With its run")
        await approvals.approve(real.id, reviewer=ADA)
        async with ledger_of(settings) as ledger:
            truth = await _kept(ledger, real.id)
            by_bob = await _kept(ledger, rejected.id)
        execution = (await real.describe()).run_id
        at = truth.events[-1].at
        ended.take(Kept(execution=execution, queue=settings.approvals_queue, view=truth), at)
        async with Ledger.open(own) as ledger:
            assert await _kept(ledger, real.id) == truth
            assert {row.request async for row in ledger.rows()} == {real.id}
    assert by_bob.decision is not None
    assert by_bob.decision.reviewer == BOB


async def _imagined(handle: Handle, settings: Settings, now: datetime) -> Kept:
    """An approval by Ada that counted in one worker's memory only."""
    view: ApprovalView = await ApprovalClient(
        handle._client, task_queue=settings.approvals_queue
    ).get(handle.id)
    approved = view.events[0].model_copy(update={"sequence": 2, "kind": "approved", "at": now})
    ended = view.model_copy(update={"status": "approved", "events": [view.events[0], approved]})
    execution = (await handle.describe()).run_id
    return Kept(execution=execution, queue=settings.approvals_queue, view=ended)


async def test_more_than_there_is_room_for_is_left_to_the_reconciliation_and_told_once(
    approvals: ApprovalClient,
    settings: Settings,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(handover, "_MOST", 2)
    monkeypatch.setattr(handover, "_TICK", 5.0)
    async with serve():
        ids = [(await _asked(approvals)).id for _ in range(5)]
        for id in ids:
            await approvals.approve(id, reviewer=ADA)
    async with serve(), ledger_of(settings) as ledger:
        early = {row.request async for row in ledger.rows()}
        await reconciled(ledger, approvals, settings)
        assert {row.request async for row in ledger.rows()} == set(ids)
    assert early == set(ids[:2])
    assert len(warnings_of(caplog, "clearance.ledger")) == 1


async def test_a_worker_that_only_reads_an_ended_request_hands_nothing_over(
    approvals: ApprovalClient, settings: Settings, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve():
        handle = await _asked(approvals)
        await approvals.approve(handle.id, reviewer=ADA)
    taken: list[Any] = []
    monkeypatch.setattr(Handover, "take", lambda *handed: taken.append(handed))
    async with serve():
        assert (await approvals.get(handle.id)).complete
    assert taken == []


@pytest.mark.parametrize("how", ["as bare text", "of version 2"])
async def test_requests_of_older_clients_come_to_the_ledger_as_well(
    approvals: ApprovalClient, settings: Settings, worker_running: worker.Serving, how: str
) -> None:
    request = "Deploy?" if how == "as bare text" else {"action": "Deploy?", "version": 2}
    handle = await approvals.temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        request,
        id=unique("old"),
        task_queue=settings.approvals_queue,
    )
    await handle.signal(contract.SIGNAL_APPROVE, True)
    await handle.result()

    async with ledger_of(settings) as ledger:
        assert (await _kept(ledger, handle.id)).status == "approved"
    names = [one.marker_recorded_event_attributes.marker_name for one in await _markers(handle)]
    assert names == [{"as bare text": "core_patch", "of version 2": "core_local_activity"}[how]]


async def _markers(handle: Handle) -> list[Any]:
    return only(await history(handle), MARKER)


async def test_a_worker_that_nobody_gave_a_ledger_ends_requests_all_the_same(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    async with forgetful(temporal, settings):
        handle = await _asked(approvals)
        await approvals.approve(handle.id, reviewer=ADA)
        assert (await approvals.wait(handle.id)).approved
