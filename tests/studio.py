"""What the recorded cases have in common: who runs agents, asks and decides for them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest, NotFound
from clearance.runs import AgentRun, start_run
from cli.settings import Settings

from .agent_runs import EachItsOwn
from .raw import Handle, decision, is_taken, send
from .support import PlayedModel, eventually

ADA = "ada@example.com"
WIRE = ApprovalRequest(
    action="Wire 42.00 to ACME",
    details="Invoice 77",
    tool="wire_money",
    arguments={"cents": 4_200, "to": "ACME"},
    audience=(ADA,),
    risk="high",
)

Record = Callable[["Studio"], Awaitable[Handle]]


def into(cases: dict[str, Record]) -> Callable[[Record], Record]:
    """A decorator that names the file after the function: ``approval_expired``, ``approval-expired``."""

    def case(record: Record) -> Record:
        cases[record.__name__.replace("_", "-")] = record
        return record

    return case


class Studio:
    """What the cases work with."""

    def __init__(self, settings: Settings, client: Client, model: EachItsOwn) -> None:
        self.settings = settings
        self.client = client
        self.approvals = ApprovalClient(
            client,
            task_queue=settings.approvals_queue,
            answer_timeout=timedelta(minutes=1),  # else a busy machine would record something else
        )
        self._model = model

    async def ask(self, request: ApprovalRequest | str, id: str) -> Handle:
        """A request that the worker has taken."""
        await self.approvals.request(request, id=id)
        handle = self.client.get_workflow_handle(id)
        await eventually(lambda: is_taken(handle))
        return handle

    async def run(self, agent: str, id: str, *turns: Any, **terms: Any) -> Handle:
        """A run of an agent on a model that plays these turns, with other terms of its requests."""
        self._model.of[id] = PlayedModel(*turns)
        queue = self.settings.approvals_queue
        run = AgentRun(agent=agent, prompt="Do it", approvals_queue=queue, **terms)
        return await start_run(self.client, run, id=id, task_queue=self.settings.agents_queue)

    async def decide(self, id: str, approved: bool, reason: str = "") -> None:
        """Decide a request once it is there."""

        async def listed() -> bool:
            return id in [one.id async for one in self.approvals.pending()]

        await eventually(listed)
        await self.approvals.decide(id, approved=approved, reviewer=ADA, reason=reason)

    async def send(self, id: str, **said: Any) -> None:
        """Send a decision, with whatever belongs to it, on a request once a worker has taken it."""

        async def readable() -> bool:
            with suppress(NotFound):
                return (await self.approvals.get(id)).complete
            return False

        await eventually(readable)
        current = (await self.approvals.get(id)).current
        handle = self.client.get_workflow_handle(id)
        await send(handle, "decide", decision(current, **said))


async def waits_for(run: Handle, count: int) -> bool:
    return len(await run.query("pending_approvals")) == count
