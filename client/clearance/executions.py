"""Workflows that go on in another execution, under their own id, because their history became long."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import pydantic
from temporalio import workflow
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError

from .away import is_unknown

_NUMBERS = ("scheduled_event_id", "started_event_id", "initiated_event_id")
"""By which one event names another."""


UNREADABLE = "this build can't read what it goes on from; a later one can"


class CannotGoOn(RuntimeError):
    """What a workflow was to go on from can't be read here. It fails the workflow's *task*, and not the
    workflow: that waits, shut, until a worker of the build that wrote it, or of a later one, takes it."""


def is_continued() -> bool:
    """Whether the workflow that this is called in goes on from an execution before, which has handed
    over what it knew. The server says so, and not whoever starts a workflow."""
    return workflow.info().continued_run_id is not None and not starts_again()


def starts_again() -> bool:
    """Whether the server runs this workflow again, on a schedule or after a failure, with the arguments
    of its beginning, which anybody may have made up. What was handed over can't be told from those, so
    such a workflow stays in its execution, however long that becomes."""
    info = workflow.info()
    return bool(info.cron_schedule) or info.retry_policy is not None


def chain() -> str:
    """The id of the first of the executions in which this workflow goes on: what is said of one of them
    is said of all."""
    info = workflow.info()
    return info.first_execution_run_id if is_continued() else info.run_id


class HandedOver(pydantic.BaseModel):
    """What one execution hands over to the next."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    execution: str
    """The id of the workflow's first execution: what it says is for no other workflow."""

    @classmethod
    def received(cls, extra: Sequence[Any]) -> Self | None:
        """What the execution before has handed over, among a workflow's further arguments.

        None where there is none: it begins with this one, and takes no further argument. Raises
        CannotGoOn: it is not of this build's shape.
        """
        if not is_continued():
            return None
        try:
            (said,) = extra
            state = cls.model_validate(said)
        except ValueError:  # pydantic's own repeats what is none of the history's business
            raise CannotGoOn(UNREADABLE) from None
        if state.execution != workflow.info().first_execution_run_id:
            raise CannotGoOn(UNREADABLE)
        return state


async def carried(client: Client, id: str, run_id: str) -> Mapping[str, Any] | None:
    """What an execution was handed over by the one before, as its workflow is given it; None where it
    is the first one. Readable without any worker, and never what somebody has made up.

    Raises:
        ValueError: it was handed over something else.
        temporalio.service.RPCError: Temporal fails, or has forgotten this execution.
    """
    handle = client.get_workflow_handle(id, run_id=run_id)
    async for event in handle.fetch_history_events(page_size=1):
        said = event.workflow_execution_started_event_attributes
        if said.initiator != ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW:
            return None
        _, state = await client.data_converter.decode(said.input.payloads)
        if not isinstance(state, dict) or state.get("execution") != said.first_execution_run_id:
            raise ValueError("it was handed over something else")
        return state
    raise ValueError("it has no history")


async def history(client: Client, id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
    """All events of a workflow, of the executions before and after this one as well: as if it were one.

    Events are numbered through. Executions that the server has forgotten are left out.

    Args:
        client: made by ``clearance.connect``.
        id: of the workflow.
        run_id: of one of its executions.

    Raises:
        temporalio.service.RPCError: Temporal fails, or has forgotten this execution.
    """
    following: str | None = await _first(client, id, run_id)
    offset = 0
    while following:
        handle = client.get_workflow_handle(id, run_id=following)
        following, number = None, 0
        async for event in handle.fetch_history_events(page_size=1_000):
            number = event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                said = event.workflow_execution_continued_as_new_event_attributes
                following = said.new_execution_run_id
            elif not offset or event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                yield _renumbered(event, offset)
        offset += number


async def _first(client: Client, id: str, run_id: str) -> str:
    """The first execution that the server still has."""
    first, before = run_id, await _before(client, id, run_id)
    while before:
        first, run_id = run_id, before
        try:
            before = await _before(client, id, run_id)
        except RPCError as error:
            if not is_unknown(error):
                raise
            return first
        first = run_id
    return first


async def _before(client: Client, id: str, run_id: str) -> str | None:
    """The execution that went on as this one."""
    handle = client.get_workflow_handle(id, run_id=run_id)
    async for event in handle.fetch_history_events(page_size=1):
        said = event.workflow_execution_started_event_attributes
        if said.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW:
            return said.continued_execution_run_id or None
        return None
    return None


def _renumbered(event: HistoryEvent, by: int) -> HistoryEvent:
    if by:
        event.event_id += by
        said = getattr(event, event.WhichOneof("attributes") or "", None)
        for name in _NUMBERS:
            if number := getattr(said, name, 0):
                setattr(said, name, number + by)
    return event
