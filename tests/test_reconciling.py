"""What the ledger lacks is brought from Temporal: whatever ended without being written, and what came
later."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

import worker
from activities.reconciling import schedule
from clearance import ApprovalClient, ApprovalRequest, contract
from clearance.ended import Ended
from clearance.kept import Kept
from clearance.keys import InvalidKeys
from cli import logs
from cli.settings import Settings
from store.ledger import Ledger, heads
from store.ledger.reconciling import behind, progress_of, reconcile

from .conftest import Serve
from .ledgers import ended, ledger_of, reconciled
from .support import eventually, unique

ADA = "ada@example.com"
NOWHERE = SecretStr("sqlite:////dev/null/ledger.db")


@pytest.fixture
def keeps_nothing(settings: Settings) -> Settings:
    """Of a worker whose ledger can't be written."""
    return settings.model_copy(update={"ledger_url": NOWHERE})


async def _raw(client: Client, queue: str, request: Any, **how: Any) -> Any:
    """A request as another program may start it."""
    return await client.start_workflow(
        contract.APPROVAL_WORKFLOW, request, task_queue=queue, **{"id": unique("raw"), **how}
    )


async def _all_ended(approvals: ApprovalClient, settings: Settings, count: int) -> None:
    async def listed() -> bool:
        return len([one async for one in ended(approvals, settings).executions()]) == count

    await eventually(listed)


async def test_whatever_ended_unwritten_is_brought_by_the_time_it_ended_and_once(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    keeps_nothing: Settings,
    connection: dict[str, Any],
) -> None:
    queue = settings.approvals_queue
    ids = {how: unique(how) for how in ("unseen", "approved", "cancelled", "terminated")}
    await approvals.request("Before any worker", id=ids["unseen"])
    await temporal.get_workflow_handle(ids["unseen"]).terminate(reason="nobody came")
    await _all_ended(approvals, settings, 1)
    async with ledger_of(settings) as ledger:
        alone = await reconciled(ledger, approvals, settings)
        assert (alone.served, alone.missing, alone.left) == (False, 1, 1)
        assert await progress_of(ledger, queue) is None
        async with worker.running(keeps_nothing, connection):
            for how in ("approved", "cancelled", "terminated"):
                await approvals.request(how, id=ids[how])
            old = await _raw(temporal, queue, {"action": "Of an older version", "version": 1})
            short = await _raw(temporal, queue, "Runs out", run_timeout=timedelta(seconds=1))
            broken = await _raw(temporal, queue, {"action": ""})
            with pytest.raises(WorkflowFailureError):
                await broken.result()
            await approvals.approve(ids["approved"], reviewer=ADA)
            await temporal.get_workflow_handle(ids["cancelled"]).cancel()
            await temporal.get_workflow_handle(ids["terminated"]).terminate(reason="it stopped")
            await approvals.reject(old.id, reviewer=ADA)
            await _all_ended(approvals, settings, 6)
            lacks = await behind(ledger, ended(approvals, settings))

            done = await reconciled(ledger, approvals, settings)
            again = await reconciled(ledger, approvals, settings, everything=True)

            everyone = {*ids.values(), old.id, short.id}
            assert {one.id for one in lacks} == everyone
            assert (done.missing, done.left, done.served) == (6, 0, True)
            assert (again.missing, again.rows) == (0, 0)
            for id in everyone - {ids["unseen"]}:
                assert await ledger.view(id) == await approvals.get(id), id
            unseen = await ledger.view(ids["unseen"])
            assert unseen is not None
            assert (unseen.status, unseen.explanation) == ("withdrawn", "nobody came")
            assert [one.kind for one in unseen.events] == ["created", "withdrawn"]
            first = [row.request async for row in ledger.rows() if row.kind == "created"]
            closed = [one.closed_at for one in await _finished(ledger, queue)]
        assert first[0] == ids["unseen"]
        assert closed == sorted(closed, reverse=True)
        assert len(closed) == 6
        assert (await ledger.verify()).count == 0


class _Keyless(Ended):
    """Lacks the key of one request."""

    locked = ""

    async def read(self, execution: WorkflowExecution) -> Kept:
        if execution.id == self.locked:
            raise InvalidKeys("the key 2026 is missing here")
        return await super().read(execution)


async def test_what_nobody_can_read_is_passed_over_after_a_day_and_no_mark_that_is_none_counts(
    approvals: ApprovalClient,
    settings: Settings,
    keeps_nothing: Settings,
    connection: dict[str, Any],
) -> None:
    queue, now = settings.approvals_queue, datetime.now(UTC)
    source = _Keyless(approvals.temporal, queue)
    source.locked = locked = unique("locked")
    marks = ["{", "[]", "[" * 9_999, "{}", '{"complete": 1, "looked": 1}']
    times = ("2026-11-21T10:00:00", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z")
    marks += [json.dumps({"complete": at, "looked": at}) for at in times]
    async with ledger_of(settings) as ledger, worker.running(keeps_nothing, connection):
        for id in (locked, unique("open")):
            await approvals.request("Pay", id=id)
            await approvals.reject(id, reviewer=ADA, reason="no")
        await _all_ended(approvals, settings, 2)
        for mark in marks:
            await ledger.set_mark(f"reconciled {queue}", mark)
            assert await progress_of(ledger, queue) is None, mark
        hours = [
            await reconcile(ledger, source, now=now + timedelta(hours=number))
            for number in (0, 23, 25, 26)
        ]
        known = await progress_of(ledger, queue, now=now + timedelta(hours=26))
        source.locked = ""
        found = await reconcile(ledger, source, everything=True)

    assert [(one.missing, one.left, one.passed_over) for one in hours] == [
        *((2, 1, 0), (1, 1, 0), (1, 0, 1), (0, 0, 0))
    ]
    assert hours[2].reasons == [f"{locked}: the key 2026 is missing here"]
    assert known == (now + timedelta(hours=26), now + timedelta(hours=26), None)
    assert (found.missing, found.left) == (1, 0)


async def test_what_ended_otherwise_than_the_ledger_says_is_told(
    approvals: ApprovalClient,
    settings: Settings,
    keeps_nothing: Settings,
    connection: dict[str, Any],
) -> None:
    ids = [unique("back") for _ in range(3)]
    async with ledger_of(settings) as ledger, worker.running(keeps_nothing, connection):
        for id in ids:
            await approvals.request("Pay", id=id)
            await approvals.reject(id, reviewer=ADA, reason="no")
        await _all_ended(approvals, settings, 3)
        source = ended(approvals, settings)
        for one in [one async for one in source.executions() if one.id == ids[0]]:
            kept = await source.read(one)  # as it would be if Temporal had been set back since
            [*before, end] = kept.view.events
            view = kept.view.model_copy(
                update={
                    "status": "approved",
                    "events": [*before, end.model_copy(update={"kind": "approved"})],
                }
            )
            await ledger.append([kept.model_copy(update={"view": view})])

        first, again = [
            await reconciled(ledger, approvals, settings, everything=True) for _ in range(2)
        ]
        assert (first.missing, again.missing) == (2, 0)
        said = [f"{ids[0]}: rejected in Temporal, approved in the ledger"]
        assert (first.otherwise, again.otherwise) == (said, said)
        told = await ledger.view(ids[0])
        assert told is not None
        assert told.status == "approved"


async def _finished(ledger: Ledger, queue: str) -> Any:
    return (await ledger.finished(queue, {}, size=100)).items


async def test_what_was_asked_anew_under_the_same_id_is_kept_beside_what_it_replaced(
    approvals: ApprovalClient, temporal: Client, settings: Settings, worker_running: object
) -> None:
    id = unique("twice")
    for number in (1, 2):
        await _raw(
            *(temporal, settings.approvals_queue, f"Number {number}"),
            id=id,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
    await approvals.approve(id, reviewer=ADA)
    await _all_ended(approvals, settings, 2)
    async with ledger_of(settings) as ledger:
        await reconciled(ledger, approvals, settings)

        lines = await _finished(ledger, settings.approvals_queue)
        assert {(one.action, one.status) for one in lines} == {
            ("Number 1", "withdrawn"),
            ("Number 2", "approved"),
        }
        view = await ledger.view(id)
        assert view == await approvals.get(id)


async def test_what_came_of_an_approval_is_added_when_its_time_comes(
    approvals: ApprovalClient, settings: Settings, worker_running: object
) -> None:
    asked = ApprovalRequest(action="Pay", tool="pay", arguments={"amount": 5})
    await approvals.request(asked, id=(id := unique("pay")))
    await approvals.approve(id, reviewer=ADA)
    async with ledger_of(settings) as ledger:
        await eventually(lambda: ledger.view(id))
        first = await reconciled(ledger, approvals, settings)
        await approvals.consume(id, digest=asked.digest, taker="robot")

        soon = await reconciled(ledger, approvals, settings)
        later = datetime.now(UTC) + timedelta(minutes=4)
        moved = await reconciled(ledger, approvals, settings, now=later)

        view = await ledger.view(id)
        assert view is not None
        assert (first.rows, soon.rows, moved.rows) == (0, 0, 1)
        assert [one.kind for one in view.events] == ["created", "approved", "consumed"]
        assert view == await approvals.get(id)


async def test_a_schedule_reconciles_at_once_and_signs_how_far_it_is(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    connection: dict[str, Any],
    tmp_path: Path,
) -> None:
    key, lines = tmp_path / "key.pem", tmp_path / "heads.jsonl"
    heads.new_key(key)
    await approvals.request("Nobody's any more", id=(id := unique("gone")))
    await temporal.get_workflow_handle(id).terminate()
    await _all_ended(approvals, settings, 1)
    every = settings.model_copy(
        update={
            "reconcile_every": timedelta(hours=1),
            "ledger_key": key,
            "ledger_heads": lines,
        }
    )
    queue = settings.approvals_queue
    try:
        async with worker.running(every, connection), ledger_of(settings) as ledger:

            async def brought() -> bool:
                return await ledger.view(id) is not None and lines.exists()

            await eventually(brought)
            assert await progress_of(ledger, queue) is not None
            assert heads.read(lines)[-1].hash == (await ledger.head()).hash
        assert await schedule(temporal, queue, timedelta(minutes=7)) is None  # another worker's
        handle = temporal.get_schedule_handle(f"clearance-reconcile-{queue}")
        spec = (await handle.describe()).schedule.spec
        assert [one.every for one in spec.intervals] == [timedelta(minutes=7)]
    finally:
        for _ in range(2):
            assert await schedule(temporal, queue, None) is None
    with pytest.raises(RPCError) as caught:
        await handle.describe()
    assert caught.value.status == RPCStatusCode.NOT_FOUND
    listed = [one.id async for one in approvals.history()]
    assert listed == [id]
    assert [one.id async for one in approvals.pending()] == []


async def test_a_ledger_that_was_cut_is_not_signed_again_and_the_log_says_why(
    approvals: ApprovalClient,
    settings: Settings,
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from temporalio.exceptions import ApplicationError
    from temporalio.testing import ActivityEnvironment

    from activities.reconciling import ReconcilingActivities
    from store.ledger.breaker import Breaker
    from store.ledger.reading import Head

    key, lines = tmp_path / "key.pem", tmp_path / "heads.jsonl"
    heads.new_key(key)
    signed = heads.sign(Head(7, "a" * 64), heads.load_key(key))
    lines.write_text(signed.model_dump_json() + "\n")
    async with Breaker(settings.ledger_address()) as ledger:
        activities = ReconcilingActivities(
            approvals.temporal, settings.approvals_queue, ledger, key=key, heads=lines
        )
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(activities.reconcile)
    assert (caught.value.type, caught.value.non_retryable) == ("CannotSign", True)
    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    told = json.loads(logs.formatter("json").format(record))["message"]
    assert told.startswith(
        "the ledger's head is not signed: the ledger ends at 0, and is not what was"
    )
