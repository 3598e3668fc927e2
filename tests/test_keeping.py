"""A request is in the ledger at its end; and a ledger that is away is in no decision's way."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import worker
from activities.keeping import KeepingActivities
from clearance import ApprovalClient, ApprovalRequest
from clearance.notices import Destination, Untold
from cli.settings import Settings
from store.ledger import Ledger, LedgerAway
from store.ledger.breaker import Breaker
from tests.client.records import START
from tests.store.asked import asked, kept, kept_by

from .conftest import Serve
from .ledgers import full_disk, ledger_of, reconciled, silent, warnings_of
from .raw import history, is_taken, only
from .support import eventually, unique

ADA = "ada@example.com"


async def _decided(approvals: ApprovalClient, count: int) -> list[str]:
    """So many requests, approved one after the other."""
    ids = [f"{unique('pay')}.{number}" for number in range(count)]
    for id in ids:
        await approvals.request(ApprovalRequest(action="Pay", tool="pay"), id=id)
    for id in ids:
        assert (await approvals.approve(id, reviewer=ADA)).in_effect
        await approvals.wait(id)
    return ids


async def test_what_was_decided_is_in_the_ledger_as_it_is_read(
    approvals: ApprovalClient, settings: Settings, worker_running: worker.Serving
) -> None:
    [id] = await _decided(approvals, 1)
    await approvals.request("Never mind", id=(gone := unique("gone")))
    handle = approvals.temporal.get_workflow_handle(gone)
    await eventually(lambda: is_taken(handle))  # else it ends before it can write anything
    await handle.cancel()

    async with ledger_of(settings) as ledger:

        async def both() -> bool:
            return await ledger.view(gone) is not None

        await eventually(both)
        assert await ledger.view(id) == await approvals.get(id)
        assert await ledger.view(gone) == await approvals.get(gone)
        again = await reconciled(ledger, approvals, settings, everything=True)
        assert (again.missing, again.rows) == (0, 0)
    stored = await history(approvals.temporal.get_workflow_handle(id))
    assert not only(stored, EventType.EVENT_TYPE_MARKER_RECORDED)


async def test_a_full_disk_is_in_no_decisions_way_and_the_reconciliation_brings_the_rows_in_order(
    approvals: ApprovalClient,
    settings: Settings,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ledger_of(settings) as ledger:
        before = await ledger.head()
    with full_disk():
        async with serve(), asyncio.timeout(25):  # what is handed over is waited for for 30 s
            ids = await _decided(approvals, 12)  # more than the pages have room for
    async with serve(), ledger_of(settings) as ledger:

        async def all_listed() -> bool:
            return len([one async for one in approvals.history()]) == len(ids)

        await eventually(all_listed)
        done = await reconciled(ledger, approvals, settings)
        found = [row.request async for row in ledger.rows() if row.kind == "created"]
        again = await reconciled(ledger, approvals, settings, everything=True)
        verified = await ledger.verify()
    assert before.position == 0
    assert (done.missing > 0, done.left) == (True, 0)
    assert found == ids
    assert (again.missing, again.rows) == (0, 0)
    assert (verified.rows, verified.count) == (2 * len(ids), 0)
    # That it is full, or on a busy machine, that it does not answer in time.
    assert any("it is asked again" in said for said in warnings_of(caplog, "clearance.ledger"))


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_database_that_hangs_or_is_not_there_costs_the_first_decision_a_moment_at_most(
    approvals: ApprovalClient,
    settings: Settings,
    connection: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    hangs: bool,
) -> None:
    monkeypatch.setattr("store.ledger.breaker._PATIENCE", 0.3)
    monkeypatch.setattr("activities.handover._LAST", 0.3)
    async with silent() as port:
        address = f"postgresql://clearance:hunter2@127.0.0.1:{port if hangs else 1}/ledger"
        away = settings.model_copy(update={"ledger_url": SecretStr(address)})
        async with worker.running(away, connection), asyncio.timeout(25):
            await approvals.request("First", id=(first := unique("first")))
            await approvals.approve(first, reviewer=ADA)
            await approvals.wait(first)
            ids = await _decided(approvals, 5)
    stored = await approvals.temporal.get_workflow_handle(ids[0]).fetch_history()
    assert "hunter2" not in stored.to_json()


async def test_a_ledger_that_is_away_is_asked_again_after_a_while_only_and_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    now = [100.0]
    monkeypatch.setattr("store.ledger.breaker.monotonic", lambda: now[0])
    tried: list[bool] = []

    async def away(ledger: Ledger) -> None:
        tried.append(True)
        raise LedgerAway("it is away")

    async def there(ledger: Ledger) -> int:
        return (await ledger.head()).position

    async with Breaker(f"sqlite:///{tmp_path}/ledger.db") as breaker:
        for after in (0, 9, 2, 19, 2, 41, 61, 61):
            now[0] += after
            with pytest.raises(LedgerAway, match="it is away"):
                await breaker.ask(away)
        assert len(tried) == 6
        now[0] += 61
        assert await breaker.ask(there) == 0
        with pytest.raises(LedgerAway):
            await breaker.ask(away)
        now[0] += 11
        assert await breaker.ask(there) == 0
    said = warnings_of(caplog, "clearance.ledger")
    pauses = [int(line.split(" in ")[1].split()[0]) for line in said]
    assert pauses == [10, 20, 40, 60, 60, 60, 10]


async def test_those_that_come_together_are_written_together_and_a_broken_one_holds_up_none(
    tmp_path: Path,
) -> None:
    calls: list[int] = []

    class Counted(Breaker):
        async def ask(self, work):  # type: ignore[no-untyped-def]
            calls.append(1)
            return await super().ask(work)

    broken = kept_by("ada", id="broken")
    broken = broken.model_copy(
        update={"view": broken.view.model_copy(update={"events": broken.view.events[1:]})}
    )
    address = f"sqlite:///{tmp_path}/ledger.db"
    async with Counted(address) as breaker:
        keep = KeepingActivities(breaker).keep
        tasks = [
            asyncio.create_task(ActivityEnvironment().run(keep, one))
            for one in [kept_by("ada", id=f"pay.{number}") for number in range(60)] + [broken]
        ]
        *good, bad = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(bad, ApplicationError)
        assert bad.type == "InvalidRequest"
        assert good == [None] * 60
        assert len(calls) < 20
        ledger = await breaker.opened()
        assert (await ledger.verify()).rows == 120


async def test_without_a_ledger_nothing_is_kept() -> None:
    await ActivityEnvironment().run(KeepingActivities().keep, kept_by("ada"))


def _untold(**changes: object) -> Untold:
    plain = {
        "approval_id": "pay.1",
        "execution": "run-of-pay.1",
        "at": START,
        "to": Destination(who="group:finance", channel="slack"),
        "reason": "could not tell group:finance by slack: it answers 500",
    }
    return Untold.model_validate({**plain, **changes})


async def test_who_could_not_be_told_of_an_end_is_in_the_ledger_once_and_beside_what_came_of_it(
    tmp_path: Path,
) -> None:
    async with Breaker(f"sqlite:///{tmp_path}/ledger.db") as breaker:
        untold = KeepingActivities(breaker).untold
        environment = ActivityEnvironment()
        with pytest.raises(ApplicationError) as caught:  # its end isn't there yet
            await environment.run(untold, _untold())
        assert not caught.value.non_retryable
        ledger = await breaker.opened()
        await ledger.append([one := kept_by("ada")])
        await environment.run(untold, _untold())
        await environment.run(untold, _untold())
        ran = one.view.events[-1].model_copy(
            update={"sequence": len(one.view.events) + 1, "kind": "executed", "reason": ""}
        )
        later = one.view.model_copy(update={"events": [*one.view.events, ran]})
        for _ in range(2):
            await ledger.append([one.model_copy(update={"view": later})])
        await environment.run(untold, _untold(reason="could not tell group:finance by mail"))

        view = await ledger.view("pay.1")
        assert view is not None
        assert [(event.sequence, event.kind) for event in view.events] == [
            (1, "created"),
            (2, "approved"),
            (3, "notified"),
            (4, "executed"),
            (5, "notified"),
        ]
        assert view.events[2].reason == "could not tell group:finance by slack: it answers 500"
        assert (await ledger.verify()).count == 0


async def test_a_request_that_waits_has_no_end_to_add_anything_after(tmp_path: Path) -> None:
    async with Breaker(f"sqlite:///{tmp_path}/ledger.db") as breaker:
        ledger = await breaker.opened()
        await ledger.append([kept(asked())])
        with pytest.raises(ApplicationError, match="does not take it now"):
            await ActivityEnvironment().run(KeepingActivities(breaker).untold, _untold())


async def test_who_could_not_be_told_is_in_the_ledger_by_the_last_execution_of_a_request_that_went_on(
    tmp_path: Path,
) -> None:
    async with Breaker(f"sqlite:///{tmp_path}/ledger.db") as breaker:
        activities, environment = KeepingActivities(breaker), ActivityEnvironment()
        last = kept_by("ada")
        await environment.run(activities.keep, last)
        first = {"approval_id": last.view.id, "execution": "the-first"}
        another = last.view.requested_at + timedelta(seconds=1)
        with pytest.raises(ApplicationError, match="not take it now"):
            await environment.run(activities.untold, _untold(**first, requested_at=another))
        said = _untold(**first, requested_at=last.view.requested_at)
        await environment.run(activities.untold, said)
        found = await (await breaker.opened()).view(last.view.id)
    assert found is not None
    assert found.events[-1].reason == said.reason
