"""Bringing one decision to its request: at once if a worker answers, stored by the server if not."""

import asyncio
import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
from pydantic import JsonValue
from temporalio.client import (
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from . import contract, reading, rules
from .errors import AlreadyDecided, InvalidRequest, Refused, explain
from .fields import canonical_json
from .models import Decision, Receipt, Recorded
from .views import ApprovalView

_Handle = WorkflowHandle[Any, Any]

_STORE_INSTEAD = (
    RPCStatusCode.RESOURCE_EXHAUSTED,  # ten updates are under way
    RPCStatusCode.DEADLINE_EXCEEDED,
)


def made_now(decision_id: str | None, **said: Any) -> Decision:
    """A decision made at this moment. Raises InvalidRequest where it is malformed."""
    try:
        return Decision(
            decision_id=decision_id or uuid.uuid4().hex, decided_at=datetime.now(UTC), **said
        )
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error


def changed(
    view: ApprovalView, digest: str | None, changes: Mapping[str, JsonValue]
) -> tuple[str, dict[str, JsonValue]]:
    """The digest of what a reviewer read, ``digest`` or else the request as it is now; and its
    arguments with ``changes``.

    Raises:
        Refused: they read neither that nor the request as it was asked. Merged into another one,
            their changes would undo somebody else's.
    """
    for request in (view.current, view.request):
        if digest in (None, request.digest):
            return request.digest, {**request.arguments, **changes}
    raise Refused(rules.CHANGED)


async def current_digest(handle: _Handle, answer_timeout: timedelta) -> str:
    """The digest of a request as it is now; where no worker answers, as it was asked."""
    summary = await reading.summary_of(handle._client, await handle.describe())
    if summary.quorum == 1:
        return summary.digest
    return (await reading.view(handle, answer_timeout)).digest  # an earlier approval may change it


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
        return await _of_closed(handle, decision, answer_timeout)
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


async def _of_closed(handle: _Handle, decision: Decision, answer_timeout: timedelta) -> Receipt:
    """The receipt of a decision on a closed request that had counted before, coming another way.

    Raises:
        AlreadyDecided: it had not.
    """
    view = await reading.view(handle, answer_timeout)
    counted = [*view.approvals, *([view.decision] if view.decision else [])]
    same = next((one for one in counted if rules.is_repeat(view.request, one, decision)), None)
    if same is None:
        reason = rules.closed(view.status, view.decision)
        raise AlreadyDecided(f"{handle.id} is {reason}", view.status, view.decision)
    return Receipt.model_validate(
        {
            "approval_id": handle.id,
            "status": view.status,
            "decision_id": decision.decision_id,
            "recorded_at": same.at,
            "approvals": view.request.quorum if view.status == "approved" else len(view.approvals),
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
