"""Bringing one decision to its request: at once if a worker answers, stored by the server if not."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

from temporalio.client import (
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from . import contract, reading, rules
from .errors import AlreadyDecided, Refused
from .fields import canonical_json
from .models import Decision, Receipt, Recorded

_Handle = WorkflowHandle[Any, Any]

_STORE_INSTEAD = (
    RPCStatusCode.RESOURCE_EXHAUSTED,  # ten updates are under way
    RPCStatusCode.DEADLINE_EXCEEDED,
)


async def deliver(handle: _Handle, decision: Decision, answer_timeout: timedelta) -> Receipt:
    """Send an update; if nobody answers in time, leave the same decision with the server.

    Both may arrive: the decision id makes them one.

    Raises:
        AlreadyDecided, Refused: it does not count, and why.
    """
    try:
        try:
            async with asyncio.timeout(answer_timeout.total_seconds()):
                return await _update(handle, decision)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            pass
        except RPCError as error:
            if error.status not in _STORE_INSTEAD:
                raise
        await handle.signal(contract.SIGNAL_DECIDE, decision)
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from error
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return await _of_closed(handle, decision)
    return Receipt(approval_id=handle.id, status="pending", decision_id=decision.decision_id)


async def _update(handle: _Handle, decision: Decision) -> Receipt:
    while True:
        try:
            receipt: Receipt = await handle.execute_update(
                contract.UPDATE_DECIDE, decision, id=_update_id(decision), result_type=Receipt
            )
            return receipt
        except RPCError as error:
            # It met another event, a cancellation for instance, in one task, which is done again.
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
        await asyncio.sleep(0.05)


def _update_id(decision: Decision) -> str:
    """The server answers a known update id with the stored result, unread: so what decides is in it."""
    said = canonical_json(decision.model_dump(mode="json", exclude={"decided_at", "channel"}))
    return f"{decision.decision_id}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


async def _of_closed(handle: _Handle, decision: Decision) -> Receipt:
    """The receipt where it was this very decision that closed the request, having come another way
    before, as a signal for instance. Raises AlreadyDecided where it was another."""
    view = await reading.stored_view(handle, await handle.describe())
    if view.decision is None or not rules.is_repeat(view.request, view.decision, decision):
        reason = rules.closed(view.status, view.decision)
        raise AlreadyDecided(f"{handle.id} is {reason}", view.status, view.decision)
    return Receipt.model_validate(
        {
            "approval_id": handle.id,
            "status": view.status,
            "decision_id": decision.decision_id,
            "recorded_at": view.decision.at,
            "approvals": len(view.approvals),
            "quorum": view.request.quorum,
        }
    )


def _refusal(error: WorkflowUpdateFailedError) -> Refused:
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return Refused(str(cause))
    if cause.type == contract.ERROR_ALREADY_DECIDED:
        status, decision = cause.details
        return AlreadyDecided(cause.message, status, decision and Recorded.model_validate(decision))
    return Refused(cause.message)
