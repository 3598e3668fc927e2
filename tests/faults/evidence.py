"""What the world shows at the end: gathered from Temporal, the bank, those who were told, the ledger."""

import asyncio
import json
import time
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from clearance import ApprovalClient, ApprovalView, contract
from clearance.ended import Ended
from store.ledger import Ledger
from store.ledger.reconciling import reconcile

from .checker import Said, Seen, Shown
from .journal import lines
from .world import World

_REST = 75.0
"""Seconds in which everything has to come to rest: a model call whose worker was killed is given up
after 8."""

_ALL_TOLD = 180.0
"""Seconds in which also everybody has to be told: a message whose worker was killed is given up after 60,
and what waits behind it comes then."""

_TOLD = 90.0
"""Seconds in which workers have to tell all records; and again, in which the ledger has to have them."""

_PAUSE = 0.3


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

    end = time.monotonic() + (limit := _ALL_TOLD if told else _REST)
    while why := await busy():
        assert time.monotonic() < end, f"no rest after {limit} s: {why}"
        await asyncio.sleep(0.5)


async def keep_histories(world: World) -> None:
    """Write those of what still runs to the world's folder, for whoever looks why."""
    client = (await world.client()).temporal
    async for one in client.list_workflows("ExecutionStatus = 'Running'"):
        await _keep_history(world, client.get_workflow_handle(one.id, run_id=one.run_id))


async def _keep_history(world: World, handle: WorkflowHandle[Any, Any]) -> None:
    history = await handle.fetch_history()
    (world.folder / f"{handle.id}.history.json").write_text(history.to_json())


async def gathered(world: World, *, of: str = "", ledger: bool = True) -> Shown:
    """Everything; with ``of`` only what has ids that begin so; with ``ledger``, that as well, after a
    last reconciliation."""
    client, end = await world.client(), time.monotonic() + _TOLD
    shown = Shown(
        payments=[one for one in world.bank.payments() if one.arguments["ref"].startswith(of)],
        arrivals=[one for one in world.bank.arrivals() if one.arguments["ref"].startswith(of)],
        mails=lines(world.folder / "mails"),
        webhooks=lines(world.folder / "webhooks"),
    )
    at_once = asyncio.Semaphore(8)

    async def read(id: str) -> Seen:
        async with at_once:
            while not (view := await client.get(id)).complete:
                # A worker reads a whole history for it, and there are many.
                if (why := await _unreadable(client, id)) or time.monotonic() > end:
                    await _keep_history(world, client.temporal.get_workflow_handle(id))
                    return seen(view, why or "no worker told it in time")
                await asyncio.sleep(_PAUSE)
        return seen(view)

    listed = client.temporal.list_workflows(f"WorkflowType = '{contract.APPROVAL_WORKFLOW}'")
    ids = {one.id async for one in listed if one.id.startswith(of)}
    shown.requests = {one.id: one for one in await asyncio.gather(*map(read, ids))}
    runs = client.temporal.list_workflows(f"WorkflowType = '{contract.AGENT_WORKFLOW}'")
    shown.runs = {
        one.id: one.status.name.lower()
        async for one in runs
        if one.status and one.id.startswith(of)
    }
    if ledger:
        await _read_ledger(world, shown)
    return shown


async def _unreadable(client: ApprovalClient, id: str) -> str:
    """Why a worker can't tell the record, now or ever; empty where it may later."""
    try:
        await client.temporal.get_workflow_handle(id).query(contract.QUERY_VIEW)
    except WorkflowQueryFailedError as error:
        return str(error)
    except RPCError:
        pass
    return ""


def seen(view: ApprovalView, unreadable: str = "") -> Seen:
    """What matters of a request's record; where it is unreadable, of what the server itself shows."""
    return Seen(
        id=view.id,
        status=view.status,
        digest=view.edit.digest if view.edit else view.request.digest,
        tool=view.request.tool,
        run_id=view.request.run_id,
        decided_by=view.decision.decision_id if view.decision else None,
        events=tuple(Said(one.kind, one.who, one.key) for one in view.events),
        unreadable=unreadable,
    )


async def _read_ledger(world: World, shown: Shown) -> None:
    """Reconciled as often as it takes: what came of an approval is told by its run, if a worker has the
    time for it, and else the next time."""
    temporal = (await world.client()).temporal
    source, end = Ended(temporal, contract.APPROVALS_QUEUE), time.monotonic() + _TOLD
    async with Ledger.open(world.ledger) as ledger:
        while True:
            done = await reconcile(ledger, source, everything=True)
            for id in shown.requests:
                if (view := await ledger.view(id)) is not None:
                    shown.ledger[id] = seen(view)
            left = done.left > sum(bool(one.unreadable) for one in shown.requests.values())
            lacking = left or not done.served or any(map(_is_brief, _pairs(shown)))
            if not lacking or time.monotonic() > end:
                break
            await asyncio.sleep(_PAUSE)
    if left or not done.served:
        shown.ledger_faults.append(f"it can't be reconciled: {done.reasons}")
    code, said = await world.command("audit", "verify", "--json")
    if code:
        faults = json.loads(said)["faults"] if said.startswith("{") else [{"text": said}]
        shown.ledger_faults += [json.dumps(one) for one in faults]


def _pairs(shown: Shown) -> list[tuple[Seen, Seen]]:
    return [(one, shown.ledger[id]) for id, one in shown.requests.items() if id in shown.ledger]


def _is_brief(pair: tuple[Seen, Seen]) -> bool:
    return any(one not in pair[1].events for one in pair[0].events)
