"""Who is measured: each asks, waits for a decision and goes on, on Temporal in several ways.

All wait in a process of their own. When they go on is read there, by ``measuring.moment``, at the first
line that runs after the decision; when they are decided is read here, by the same clock, just before
the decider's call. So nothing has to be sent to learn it, and all are measured alike.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCStatusCode

from clearance import ApprovalClient, ApprovalRequest, NotFound, contract
from clearance.runs import AgentRun, start_run

from . import bare, ours
from .bare import BareParent
from .ours import Parent

SOON, LATER = 0.02, 0.2
"""Seconds until somebody looks again for what isn't there yet, twice as long each time: the same for all.
Who looks at short intervals all the time takes what the others need."""


REQUEST = ApprovalRequest(action=ours.ACTION)


class Contender(Protocol):
    """One way to ask, to decide and to go on."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    async def ask(self, id: str) -> None:
        """Start somebody who asks. It returns at once, before they wait."""

    async def waits(self, id: str) -> None:
        """Return when they wait, and nothing is under way."""

    async def decide(self, id: str) -> None:
        """Approve, as soon as there is something to approve."""

    async def resumed(self, id: str) -> int:
        """Wait until they have finished. The ``moment`` at which they went on."""


Decide = Callable[[str], Awaitable[Any]]
Start = Callable[[str], Awaitable[WorkflowHandle[Any, Any]]]


class OnTemporal:
    """A workflow that asks by a child of its own."""

    def __init__(self, name: str, client: Client, start: Start, decide: Decide, query: str) -> None:
        """As ``name``, started and decided so; the child answers ``query`` as soon as it waits."""
        self.name = name
        self._client = client
        self._start = start
        self._decide = decide
        self._query = query
        self._started: dict[str, WorkflowHandle[Any, Any]] = {}

    async def ask(self, id: str) -> None:
        """As ``Contender``."""
        self._started[id] = await self._start(id)

    async def waits(self, id: str) -> None:
        """As ``Contender``."""
        child = self._client.get_workflow_handle(contract.child_id(id, 1))
        await there(lambda: child.query(self._query))
        parent = self._started[id]
        while (await parent.describe()).raw_description.HasField("pending_workflow_task"):
            await asyncio.sleep(SOON)

    async def decide(self, id: str) -> None:
        """As ``Contender``."""
        await there(lambda: self._decide(contract.child_id(id, 1)))

    async def resumed(self, id: str) -> int:
        """As ``Contender``."""
        result = await self._started.pop(id).result()
        return int(result["output"] if isinstance(result, dict) else result)


async def there(call: Callable[[], Awaitable[Any]], *missing: type[Exception]) -> None:
    """Call it until what it is about is there, which it says by one of these errors or Temporal's."""
    pause = SOON
    while True:
        try:
            await call()
            return
        except Exception as error:
            named = isinstance(error, (NotFound, *missing))
            if not named and getattr(error, "status", None) is not RPCStatusCode.NOT_FOUND:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, LATER)


def _signal(client: Client) -> Decide:
    return lambda child: client.get_workflow_handle(child).signal(contract.SIGNAL_APPROVE, True)


def bare_by_signal(client: Client, *, acts: bool = False) -> Contender:
    """The bare pattern; ``acts``: measured to the start of an activity after it."""
    name = "bare, signal, to its next activity" if acts else "bare, signal"
    return OnTemporal(name, client, _bare(client, acts), _signal(client), "waits")


def bare_by_update(client: Client) -> Contender:
    """The bare pattern; the decider waits for an answer."""

    async def decide(id: str) -> None:
        handle = client.get_workflow_handle(id)
        await handle.execute_update("decide", {"approved": True}, result_type=bool)

    return OnTemporal("bare, update", client, _bare(client, False), decide, "waits")


def _bare(client: Client, acts: bool) -> Start:
    return lambda name: client.start_workflow(BareParent.run, acts, id=name, task_queue=bare.QUEUE)


def ours_by_signal(client: Client, queue: str) -> Contender:
    """``request_approval`` in a workflow, decided by the bare ``approve(bool)``."""
    return ours_decided(client, queue, "Clearance, signal", REQUEST, _signal(client))


def ours_decided(
    client: Client, queue: str, name: str, request: ApprovalRequest, decide: Decide
) -> Contender:
    """``request_approval`` in a workflow, decided in any way."""

    async def start(id: str) -> WorkflowHandle[Any, Any]:
        return await client.start_workflow(
            Parent.run, args=[request, queue], id=id, task_queue=ours.parents(queue)
        )

    return OnTemporal(name, client, start, decide, contract.QUERY_VIEW)


def ours_by_client(
    approvals: ApprovalClient,
    queue: str,
    name: str = "Clearance, ApprovalClient.approve",
    *,
    request: ApprovalRequest = REQUEST,
    reviewer: str = "ada@example.com",
) -> Contender:
    """``request_approval`` in a workflow, decided as every program, page and command of ours does."""

    async def decide(id: str) -> None:
        await approvals.approve(id, reviewer=reviewer)  # stored where no worker answers in 5 s

    return ours_decided(approvals.temporal, queue, name, request, decide)


def agent_by_signal(client: Client, queue: str, agents_queue: str) -> Contender:
    """An agent's run that calls ``wait_for_confirmation``, to its model's next turn."""

    async def start(id: str) -> WorkflowHandle[Any, Any]:
        run = AgentRun(agent="assistant", prompt="Deploy", approvals_queue=queue)
        started = await start_run(client, run, id=id, task_queue=agents_queue)
        return client.get_workflow_handle(started.id)

    name = "Clearance, signal, to an agent's next turn"
    return OnTemporal(name, client, start, _signal(client), contract.QUERY_VIEW)
