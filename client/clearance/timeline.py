"""A run of an agent from its prompt to its end, read from Temporal's own history: no worker needed."""

from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue
from temporalio.client import Client, WorkflowHistoryEventFilterType

from . import contract, executions
from .events import Reader
from .ids import resolve
from .runs import RunSummary, summary_of

MAX_EVENTS = 2_000
"""Of a history, so many are read: about 300 turns."""

Kind = Literal["prompt", "model", "call", "gate", "result", "end"]


class Entry(BaseModel):
    """One thing that happened in a run. Texts are as they were written, without the run's secrets."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    """When it began."""
    kind: Kind
    """``prompt``; ``model``: a turn of it; ``call``: a tool that it called; ``gate``: an approval that
    was asked for; ``result``: an activity that did a tool's work; ``end``."""
    title: str
    text: str = ""
    """What was said: of a call, what the model was told of it; of a gate, who decided and why. Cut
    after 10,000 characters, of calls and results after 2,000."""
    tool: str | None = None
    arguments: dict[str, JsonValue] | None = None
    """As they may be shown, secrets masked; None where there are none, or over 64 KB of them."""
    approval_id: str | None = None
    status: str | None = None
    """``running``, ``completed``, ``failed``, ``canceled``, ``timed_out``; of a gate as of its
    approval; of the end as of the run."""
    attempts: int = 1
    """Of a model's turn and of a result: how often it was tried."""
    duration: timedelta | None = None
    """None while it goes on, and of what takes no time."""


class Timeline(BaseModel):
    """A run, and what happened in it, in order."""

    model_config = ConfigDict(frozen=True)

    run: RunSummary
    output: str | None = None
    """The agent's final answer; None where there is none."""
    failure: str | None = None
    """Why it failed, the innermost reason."""
    entries: tuple[Entry, ...] = ()
    truncated: bool = False
    """Whether the history is longer than what was read; the end is there all the same."""


async def timeline(client: Client, run_id: str) -> Timeline:
    """What happened in a run of an agent.

    Args:
        client: made by ``clearance.connect``.
        run_id: the run's id, or any unambiguous prefix or suffix of it.

    Raises:
        NotFound: there is no such run.
        Ambiguous: there are several.
        InvalidRequest: what can be no id.
    """
    handle = client.get_workflow_handle(
        await resolve(client, run_id, workflow_type=contract.AGENT_WORKFLOW)
    )
    description = await handle.describe()
    handle = client.get_workflow_handle(description.id, run_id=description.run_id)
    reader = Reader(client.data_converter.payload_codec)
    read, truncated = 0, False
    async for event in executions.history(client, description.id, description.run_id or ""):
        if read == MAX_EVENTS:
            truncated = True
            break
        await reader.read(event)
        read += 1
    if truncated and description.close_time is not None:
        last = WorkflowHistoryEventFilterType.CLOSE_EVENT
        async for event in handle.fetch_history_events(event_filter_type=last):
            await reader.read(event)
    run = await summary_of(description)
    drafts = reader.drafts()
    return Timeline(
        run=run.model_copy(update={"prompt": reader.scrubbed(run.prompt)}),
        output=reader.output,
        failure=reader.failure,
        entries=tuple(Entry.model_validate(vars(one)) for one in drafts),
        truncated=truncated,
    )
