"""What every tool of a run may know of it, and how a tool asks a person on the run's behalf."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agents import RunContextWrapper
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from clearance import contract, request_approval
from clearance.errors import explain
from clearance.models import ApprovalRequest, Outcome


@dataclass(frozen=True)
class RunContext:
    """The run's own settings, handed to tools by the Agents SDK as ``ctx.context``."""

    requester: str | None = None
    approvals_queue: str = contract.APPROVALS_QUEUE
    expires_in: timedelta | None = contract.DEFAULT_EXPIRY


async def ask(ctx: RunContextWrapper[Any], **fields: Any) -> Outcome:
    """Ask for approval of what ``fields`` of an ``ApprovalRequest`` say, and wait for the outcome.

    Works in a run of ours and in any other workflow that gives our tools to its agents.

    Raises:
        temporalio.exceptions.ApplicationError: of type ``InvalidRequest``; nothing was asked.
    """
    run = ctx.context if isinstance(ctx.context, RunContext) else RunContext()
    try:
        request = ApprovalRequest(requester=run.requester, expires_in=run.expires_in, **fields)
    except ValidationError as error:
        raise ApplicationError(
            explain(error), type=contract.ERROR_INVALID_REQUEST, non_retryable=True
        ) from error
    return await request_approval(request, task_queue=run.approvals_queue)


def answer(outcome: Outcome) -> str:
    """What the model is told: ``Approved``, or ``Rejected: reason`` and its kin."""
    if outcome.approved:
        return "Approved"
    return f"{outcome.status.capitalize()}: {outcome.reason or 'no reason given'}"
