"""What an approval and each feature cost in history: ``python -m benchmarks.history_events``.

Counted are the child, the parent's share (what its history has more than that of a parent that asks
nobody) and, where people are told, the workflow that tells them. How workflow tasks fall together
differs from run to run: the median of some is shown. On a server of its own, in memory.

Billable actions are what Temporal Cloud bills, as its documentation has it ("Temporal Cloud Actions",
docs.temporal.io/cloud/actions): one for each start of a workflow, and one more in the parent of a child;
one for each timer, upsert of search attributes, signal, update, activity and each of its retries; one
for all local activities of a workflow task. An upsert of the memo, the search attributes of a start and
the markers of patches cost nothing. A query is one, too: lists need none. So is an update that is refused
without a trace: each one that says what the directory says of its sender was refused once before.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.worker import Worker

import worker
from clearance import connect, contract
from cli import embedded

from . import bare, ours
from .bare import BareApproval, BareParent
from .contenders import Contender, bare_by_signal, bare_by_update
from .features import Features, Priced
from .measuring import about, progress, size, table
from .ours import Parent

ROUNDS = 5
AIM = 3
"""Events that a plain approval may have more than the bare pattern."""

_ACTIONS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
}


_AT_REST = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
)


@dataclass(frozen=True)
class Cost:
    """Of one approval, or of one workflow."""

    events: float
    bytes: float
    actions: float

    def __add__(self, other: "Cost") -> "Cost":
        """Both together."""
        return Cost(
            self.events + other.events, self.bytes + other.bytes, self.actions + other.actions
        )

    def __sub__(self, other: "Cost") -> "Cost":
        """What this has more."""
        return self + Cost(-other.events, -other.bytes, -other.actions)


def cost(events: list[HistoryEvent]) -> Cost:
    """Of one history."""
    local = {
        one.marker_recorded_event_attributes.workflow_task_completed_event_id
        for one in events
        if one.marker_recorded_event_attributes.marker_name == "core_local_activity"
    }
    retries = sum(
        one.activity_task_started_event_attributes.attempt - 1
        for one in events
        if one.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )
    accepted = (one.workflow_execution_update_accepted_event_attributes for one in events)
    refused = sum(len(one.accepted_request.input.args.payloads) > 1 for one in accepted)
    billed = sum(one.event_type in _ACTIONS for one in events) + len(local) + retries + refused
    return Cost(len(events), sum(one.ByteSize() for one in events), billed)


async def history(client: Client, id: str) -> list[HistoryEvent]:
    """All events of a workflow so far."""
    return [one async for one in client.get_workflow_handle(id).fetch_history_events()]


async def parents_share(client: Client, id: str) -> Cost:
    """Of a parent that has ended, without its first event: what it is given is the benchmark's."""
    _first, *rest = await history(client, id)
    return cost(rest)


async def nobody_asked(client: Client, queue: str) -> Cost:
    """The share of a parent that asks nobody."""
    handle = await client.start_workflow(
        Parent.run, args=[None, queue], id="asks-nobody", task_queue=ours.parents(queue)
    )
    await handle.result()
    return await parents_share(client, handle.id)


async def one(client: Client, contender: Contender, id: str, *, also: str | None = None) -> Cost:
    """Of one approval, with a parent's whole share; ``also`` counts this workflow, too."""
    await contender.ask(id)
    await contender.waits(id)
    await contender.decide(id)
    await contender.resumed(id)
    child = cost(await history(client, contract.child_id(id, 1)))
    total = child + await parents_share(client, id)
    return total + cost(await after_two_mails(client, also)) if also else total


async def after_two_mails(client: Client, notifier: str) -> list[HistoryEvent]:
    """The history of whoever tells somebody, once that was done about the beginning and the end."""
    done = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    while True:
        events = await history(client, notifier)
        last = events[-1].event_type
        if sum(one.event_type == done for one in events) >= 2 and last in _AT_REST:
            return events
        await asyncio.sleep(0.05)


def middle(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        median(one.events for one in costs),
        median(one.bytes for one in costs),
        median(one.actions for one in costs),
    )


@asynccontextmanager
async def served(folder: Path, features: Features) -> AsyncIterator[dict[bool, Client]]:
    """Clients of a new server on which everything is served: one that encrypts, and one that doesn't."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            embedded.server(folder / "state", in_memory=True, ports=(0, 0))
        )
        connection = {"target_host": server.address}
        clients = {}
        for settings in features.settings(folder):
            serving = await stack.enter_async_context(worker.running(settings, connection))
            client = serving.client
            clients[settings.encryption_keys is not None] = client
            queue = ours.parents(settings.approvals_queue)
            await stack.enter_async_context(Worker(client, task_queue=queue, workflows=[Parent]))
        kinds: dict[str, Any] = {"workflows": [BareApproval, BareParent], "activities": [bare.act]}
        plain = await connect(connection)
        await stack.enter_async_context(Worker(plain, task_queue=bare.QUEUE, **kinds))
        yield clients


async def measure(rounds: int) -> dict[str, Cost]:
    """By what was asked, and how it was decided."""
    found: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as name:
        async with Features.open(Path(name)) as features, served(Path(name), features) as clients:
            base = await nobody_asked(clients[False], features.queue)
            asked = [Priced(make(clients[False])) for make in (bare_by_signal, bare_by_update)]
            for number, case in enumerate([*asked, *features.priced(clients)]):
                progress(case.contender.name)
                client = clients[case.encrypted]
                costs = []
                for turn in range(1 if case.also else rounds):
                    id = f"case-{number}-{turn}"
                    costs.append(await one(client, case.contender, id, also=case.also))
                found[case.contender.name] = middle(costs) - base
    return found


def report(found: dict[str, Cost]) -> None:
    """Print the table: differences are to the bare pattern, decided the same way."""
    rows = []
    by = {"signal": found["bare, signal"], "update": found["bare, update"]}
    for name, total in found.items():
        base = by[name.rpartition(", ")[2]]
        rows.append(
            (
                name,
                *(f"{total.events:.0f}", f"{total.events - base.events:+.0f}"),
                f"{total.bytes / 1024:.1f}",
                f"{total.bytes / base.bytes:.1f}",
                *(f"{total.actions:.0f}", f"{total.actions - base.actions:+.0f}"),
            )
        )
    titles = ("one approval", "events", "more", "KB", "ratio", "actions", "more")
    table(titles, rows)
    print(f"\naim: a plain one has at most {AIM} events more than the bare pattern")


async def main() -> None:
    """Measure and print."""
    report(await measure(size().of(ROUNDS, 1)))
    about()


if __name__ == "__main__":
    asyncio.run(main())
