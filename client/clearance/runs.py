"""Agent runs, as far as one can start, list and follow them without the agents' own packages."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowHandle,
)

from . import contract
from .codec import listed_requester
from .errors import NoWorker
from .fields import Name
from .keys import InvalidKeys
from .models import Outcome
from .text import one_line
from .workers import has_worker

RunStatus = Literal["running", "completed", "failed", "canceled", "terminated", "timed_out"]


class AgentRun(BaseModel):
    """What ``AgentWorkflow`` is started with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Name
    prompt: str
    """What the agent should do: not empty, at most 100 KB of UTF-8."""
    requester: Name | None = None
    approvals_queue: Name = contract.APPROVALS_QUEUE
    expires_in: timedelta | None = contract.DEFAULT_EXPIRY
    """How long each of the run's approvals waits; None for ever."""
    max_turns: Annotated[int, Field(ge=1, le=500)] = 50

    @model_validator(mode="after")
    def _prompt_within_limits(self) -> Self:
        if not self.prompt.strip():
            raise ValueError("the prompt is empty: say what the agent should do")
        if (size := len(self.prompt.encode())) > contract.MAX_PROMPT_BYTES:
            raise ValueError(
                f"the prompt is {size:,} bytes, at most {contract.MAX_PROMPT_BYTES:,}: shorten it"
            )
        return self


class AgentResult(BaseModel):
    """How an agent run ended."""

    output: str
    """The agent's final answer."""
    approvals: list[Outcome] = Field(default_factory=list)
    """What was asked on the way and how each ended, in the order of the answers: the last 1,000, without
    what a reviewer changed. Each approval's own record has all of it."""


class RunSummary(BaseModel):
    """One line of a list of runs."""

    id: str
    status: RunStatus
    agent: str
    prompt: str
    """Its first 200 characters, on one line."""
    requester: str | None = None
    started_at: AwareDatetime
    closed_at: AwareDatetime | None = None


async def start_run(
    client: Client, run: AgentRun, *, id: str | None = None, task_queue: str = contract.AGENTS_QUEUE
) -> WorkflowHandle[Any, Any]:
    """Start an agent run.

    Raises:
        NoWorker: nobody serves agents on ``task_queue``: the run would only wait. Nothing started.
        temporalio.exceptions.WorkflowAlreadyStartedError: a run with this id is under way.
    """
    if not await has_worker(client, task_queue):
        raise NoWorker(
            f"no worker serves agents: none polls the queue {task_queue}. Start one with "
            "`clearance worker` and a model (OPENAI_API_KEY or OPENAI_BASE_URL)"
        )
    return await client.start_workflow(
        contract.AGENT_WORKFLOW,
        run.model_dump(mode="json"),
        id=id or f"{run.agent}-{secrets.token_hex(4)}",
        task_queue=task_queue,
        memo={
            contract.MEMO_RUN: {
                "agent": run.agent,
                "prompt": one_line(run.prompt, 200),
                "requester": run.requester,
            },
            **requester_memo(client, run.requester),
        },
        static_summary=one_line(run.prompt, 200),
    )


def requester_memo(client: Client, requester: str | None) -> dict[str, Any]:
    """What the memo of a workflow needs that asks for somebody, so that ``request_approval`` in there
    can hash the name: it has no keys. Empty where names aren't hashed."""
    listed = listed_requester(client, requester)
    return {contract.MEMO_LISTED: {requester: listed}} if listed else {}


async def list_runs(
    client: Client, *, running: bool = False, limit: int | None = None
) -> AsyncIterator[RunSummary]:
    """Agent runs, newest first; with ``running`` only those under way."""
    # One that goes on in another execution is listed once.
    status = "= 'Running'" if running else "!= 'ContinuedAsNew'"
    query = f"WorkflowType = '{contract.AGENT_WORKFLOW}' AND ExecutionStatus {status}"
    async for execution in client.list_workflows(query, limit=limit):
        yield await summary_of(execution)


async def summary_of(execution: WorkflowExecution) -> RunSummary:
    """One line of a list."""
    status = (execution.status or WorkflowExecutionStatus.RUNNING).name.lower()
    known = {
        "id": execution.id,
        "status": status if status in get_args(RunStatus) else "completed",
        "started_at": execution.start_time,
        "closed_at": execution.close_time,
    }
    try:
        shown = (await execution.memo())[contract.MEMO_RUN]
        began = shown.get("started_at") or execution.start_time  # in an execution before
        return RunSummary.model_validate({**shown, **known, "started_at": began})
    except (
        AttributeError,
        InvalidKeys,
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
    ):  # none, or somebody else's
        return RunSummary.model_validate({"agent": "?", "prompt": "", **known})
