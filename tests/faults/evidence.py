"""What the world shows at the end: gathered from Temporal, the bank, those who were told, the ledger."""

import asyncio
import json
import time

from clearance import ApprovalView, contract
from clearance.ended import Ended
from store.ledger import Ledger
from store.ledger.reconciling import reconcile

from .checker import Said, Seen, Shown
from .journal import lines
from .world import World

_REST = 150.0
"""Seconds in which everything has to come to rest: a model call whose worker was killed is given up
after 30."""


async def at_rest(world: World, *, told: bool = True) -> None:
    """Return when every run has ended, and nothing is under way; with ``told``, nor anybody to be told:
    a message whose worker was killed is given up after a minute.

    Raises AssertionError where that takes too long, which is a fault by itself.
    """
    client = (await world.client()).temporal
    aside = ["temporal-sys-scheduler-workflow", "ConsumptionWorkflow", "ReconcileWorkflow"]
    aside += [] if told else ["NotifierWorkflow"]

    async def busy() -> str:
        async for one in client.list_workflows("ExecutionStatus = 'Running'"):
            if one.workflow_type in aside:
                continue
            handle = client.get_workflow_handle(one.id, run_id=one.run_id)
            shown = (await handle.describe()).raw_description
            if one.workflow_type == contract.AGENT_WORKFLOW or shown.pending_activities:
                return f"{one.id} {list(shown.pending_activities)}"
            if shown.HasField("pending_workflow_task"):
                return f"{one.id} {shown.pending_workflow_task}"
        return ""

    end = time.monotonic() + _REST
    while why := await busy():
        assert time.monotonic() < end, f"no rest after {_REST} s: {why}"
        await asyncio.sleep(0.5)


async def gathered(world: World, *, ledger: bool = True) -> Shown:
    """Everything; with ``ledger``, that as well, after a last reconciliation."""
    client = await world.client()
    shown = Shown(
        payments=world.bank.payments(),
        arrivals=world.bank.arrivals(),
        mails=lines(world.folder / "mails"),
        webhooks=lines(world.folder / "webhooks"),
    )
    at_once = asyncio.Semaphore(8)

    async def read(id: str) -> Seen:
        end = time.monotonic() + _REST
        async with at_once:
            while not (view := await client.get(id)).complete and time.monotonic() < end:
                pass  # a worker reads a whole history for it, and there are many
        return seen(view)

    listed = client.temporal.list_workflows(f"WorkflowType = '{contract.APPROVAL_WORKFLOW}'")
    ids = {one.id async for one in listed}
    shown.requests = {one.id: one for one in await asyncio.gather(*map(read, ids))}
    runs = client.temporal.list_workflows(f"WorkflowType = '{contract.AGENT_WORKFLOW}'")
    shown.runs = {one.id: one.status.name.lower() async for one in runs if one.status}
    if ledger:
        await _read_ledger(world, shown)
    return shown


def seen(view: ApprovalView) -> Seen:
    """What matters of a request's record."""
    assert view.complete, f"no worker tells the record of {view.id}"
    return Seen(
        id=view.id,
        status=view.status,
        digest=view.edit.digest if view.edit else view.request.digest,
        tool=view.request.tool,
        run_id=view.request.run_id,
        decided_by=view.decision.decision_id if view.decision else None,
        events=tuple(Said(one.kind, one.who, one.key) for one in view.events),
    )


async def _read_ledger(world: World, shown: Shown) -> None:
    """Reconciled as often as it takes: what came of an approval is told by its run, if a worker has the
    time for it, and else the next time."""
    temporal = (await world.client()).temporal
    source, end = Ended(temporal, contract.APPROVALS_QUEUE), time.monotonic() + _REST
    async with Ledger.open(world.ledger) as ledger:
        while True:
            done = await reconcile(ledger, source, everything=True)
            for id in shown.requests:
                if (view := await ledger.view(id)) is not None:
                    shown.ledger[id] = seen(view)
            lacking = done.left or not done.served or any(map(_is_brief, _pairs(shown)))
            if not lacking or time.monotonic() > end:
                break
    if done.left or not done.served:
        shown.ledger_faults.append(f"it can't be reconciled: {done.reasons}")
    code, said = await world.command("audit", "verify", "--json")
    if code:
        faults = json.loads(said)["faults"] if said.startswith("{") else [{"text": said}]
        shown.ledger_faults += [json.dumps(one) for one in faults]


def _pairs(shown: Shown) -> list[tuple[Seen, Seen]]:
    return [(one, shown.ledger[id]) for id, one in shown.requests.items() if id in shown.ledger]


def _is_brief(pair: tuple[Seen, Seen]) -> bool:
    return len(pair[0].events) > len(pair[1].events)
