"""Requests that have ended: listing and filtering them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, get_args

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from . import attributes, contract, filters, legible
from .away import is_unknown
from .codec import listed_requester
from .errors import InvalidRequest
from .filters import OfAny, quoted
from .models import Status
from .views import FinishedApproval

_AT_ONCE = 10
"""Requests whose outcome is read at the same time."""


class Past(OfAny, total=False):
    """What the history can be narrowed to besides."""

    status: Status | None
    """``approved``, ``rejected``, ``expired`` or ``withdrawn``."""
    reviewer: str | None
    """Only what this person closed; capitals don't matter."""
    since: datetime | None
    """Only what ended then or later; with a time zone."""
    until: datetime | None
    """Only what ended before; with a time zone."""


async def listed(
    client: Client, queue: str, limit: int | None, asked: Past
) -> AsyncIterator[FinishedApproval]:
    """``ApprovalClient.history``."""
    asked = {**asked, "listed_requester": listed_requester(client, asked.get("requester"))}
    query = past_query(queue, asked)
    if limit is not None and limit < 1:
        return
    left = limit
    executions = client.list_workflows(query, page_size=1_000 if left is None else min(left, 1_000))
    more = True
    while more:
        batch: list[WorkflowExecution] = []
        size = _AT_ONCE if left is None else min(left, _AT_ONCE)
        async for execution in executions:
            batch.append(execution)
            if len(batch) == size:
                break
        more = len(batch) == size
        for line in islice(await lines(client, batch, asked), left):
            yield line
            left = None if left is None else left - 1
        more = more and left != 0


async def lines(
    client: Client, executions: Sequence[WorkflowExecution], asked: Past
) -> list[FinishedApproval]:
    """The lines of those that are what was asked for; each costs one call."""
    found: list[FinishedApproval] = []
    for start in range(0, len(executions), _AT_ONCE):
        some = executions[start : start + _AT_ONCE]
        read = await asyncio.gather(*(_line(client, one, asked) for one in some))
        found += [line for line in read if line is not None and _fits(line, asked)]
    return found


def past_query(queue: str, asked: Past) -> str:
    """The visibility query for what has ended and fits every given filter.

    What was refused as malformed has failed, and is left out.

    Raises:
        InvalidRequest: a status that no request ends with, a time without its zone, or a control
            character.
    """
    filters.check(asked)
    parts = [
        f"WorkflowType = {quoted(contract.APPROVAL_WORKFLOW)} AND TaskQueue = {quoted(queue)}",
        "ExecutionStatus IN ('Completed', 'Terminated', 'Canceled', 'TimedOut')",
        *filters.conditions(asked),
    ]
    if status := asked.get("status"):
        parts.append(_ended_as(status))
    reviewer = (asked.get("reviewer") or "").casefold()
    if filters.findable(reviewer) and attributes.fits_the_index(reviewer):
        name = attributes.REVIEWER.name
        # Those of before there was the attribute, and those whose reviewer doesn't fit it, are read.
        decided = f"{attributes.STATUS.name} IN ('approved', 'rejected')"
        parts.append(f"({name} = {quoted(reviewer)} OR ({name} IS NULL AND {decided}))")
    parts += [
        f"CloseTime {sign} {quoted(filters.instant(name, at))}"
        for name, sign, at in (
            ("since", ">=", asked.get("since")),
            ("until", "<", asked.get("until")),
        )
        if at is not None
    ]
    return " AND ".join(parts)


def _ended_as(status: str) -> str:
    ends = [one for one in get_args(Status) if one != "pending"]
    if status not in ends:
        raise InvalidRequest(f"status: a request ends {', '.join(ends[:-1])} or {ends[-1]}")
    completed = f"ExecutionStatus = 'Completed' AND {attributes.STATUS.name} = {quoted(status)}"
    return (
        f"(ExecutionStatus != 'Completed' OR {completed})" if status == "withdrawn" else completed
    )


async def _line(
    client: Client, execution: WorkflowExecution, asked: Past
) -> FinishedApproval | None:
    """One line; None where nothing can be told of it, or it is of another tool, run and so on."""
    try:
        summary = await legible.summary_of(client, execution)
        if not filters.is_of(summary, asked):  # told without a further call
            return None
        outcome = await legible.ended(client, execution, summary)
    except InvalidRequest:
        return None
    except RPCError as error:
        if not is_unknown(error):
            raise
        return None  # its retention is over
    return FinishedApproval.model_validate(
        {
            **dict(summary),
            "status": outcome.status,
            "closed_at": execution.close_time,
            "decision": outcome.decision,
            "reason": outcome.reason,
        }
    )


def _fits(line: FinishedApproval, asked: Mapping[str, Any]) -> bool:
    """Whether a line is what was asked for; the query alone may find more."""
    status, reviewer = asked.get("status"), asked.get("reviewer")
    by = line.decision.reviewer if line.decision else None
    return (not status or line.status == status) and (
        not reviewer or (by or "").casefold() == reviewer.casefold()
    )
